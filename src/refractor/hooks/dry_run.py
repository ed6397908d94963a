"""What a cache will hold, foreseen by a pass with tensors that have shapes but no data."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from refractor.hooks.point import AttachedHook, HookPoint
from refractor.hooks.positions import PosSlice
from refractor.hooks.record import Recorder

REMEMBERED = 64  # forecasts kept per network; a notebook repeats few combinations of shape and filter


def forecast(
    module: nn.Module,
    everywhere: Sequence[HookPoint],
    points: Iterable[HookPoint],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    pos_slice: PosSlice,
    incl_bwd: bool,
) -> int | None:
    """Return the bytes that a cache of `points` would hold, or None when the network cannot run without data.

    Args:
        module: the network.
        everywhere: all its hook points; hooks that users put there do not fire in the dry run.
        points: those that would be cached.
        args: positional arguments of the pass.
        kwargs: keyword arguments of the pass.
        pos_slice: positions that would be kept.
        incl_bwd: whether gradients would be kept too, each in memory of its own.

    """
    tensors: dict[str, Tensor] = {}
    recorder = Recorder(tensors, pos_slice=pos_slice)
    state = {name: tensor.detach().to("meta") for name, tensor in _state(module)}
    with torch.no_grad(), _only(recorder, everywhere, points):
        try:
            torch.func.functional_call(module, state, _on_meta(args), _on_meta(kwargs))
        except (RuntimeError, NotImplementedError, TypeError):  # data was asked for; the real pass will tell more
            return None
    storages = {entry.untyped_storage()._cdata: entry.untyped_storage().nbytes() for entry in tensors.values()}  # noqa: SLF001  the only identity that storages without data have
    gradients = sum(entry.numel() * entry.element_size() for entry in tensors.values()) if incl_bwd else 0
    return sum(storages.values()) + gradients


class Forecasts:
    """Forecasts of one network by shapes, so that a pass that is repeated is foreseen once."""

    def __init__(self) -> None:
        self._known: dict[object, int | None] = {}

    def get(
        self,
        module: nn.Module,
        everywhere: Sequence[HookPoint],
        points: Sequence[HookPoint],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        pos_slice: PosSlice,
        incl_bwd: bool,
    ) -> int | None:
        """Return the forecast for these shapes, from memory where they came before."""
        dtype = next((parameter.dtype for parameter in module.parameters()), None)
        names = tuple(point.name for point in points)
        key = (dtype, names, _shapes(args), _shapes(kwargs), repr(pos_slice), incl_bwd)
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = forecast(module, everywhere, points, args, kwargs, pos_slice, incl_bwd)
        return self._known[key]


@contextmanager
def _only(recorder: Recorder, everywhere: Sequence[HookPoint], points: Iterable[HookPoint]) -> Iterator[None]:
    """Put one recorder at `points` and set all other hooks aside."""
    kept = [(point, point.fwd_hooks, point.bwd_hooks) for point in everywhere]
    try:
        for point in everywhere:
            point.fwd_hooks, point.bwd_hooks = [], []
        for point in points:
            point.fwd_hooks = [AttachedHook(point, recorder, "fwd")]
        yield
    finally:
        for point, forward, backward in kept:
            point.fwd_hooks, point.bwd_hooks = forward, backward


def _state(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, dict):
        return {key: _on_meta(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_on_meta, value))
    return value


def _shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ("tensor", tuple(value.shape), value.dtype)
    if isinstance(value, dict):
        return tuple((key, _shapes(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_shapes, value))
    return repr(value)
