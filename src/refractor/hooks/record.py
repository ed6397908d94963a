"""The reader that fills a cache."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from refractor.base.budget import HEADROOM, available_bytes, format_bytes
from refractor.base.errors import BudgetError, HookError
from refractor.hooks.cache import drop_batch
from refractor.hooks.point import HookPoint, Reader
from refractor.hooks.positions import PosSlice, cut_positions

Filter = None | str | list[str] | tuple[str, ...] | Callable[[str], bool]
"""Which hook points: all that are on, one name, several names, or a predicate on full names."""

CHECK_EVERY = 1 << 28  # bytes recorded between two looks at the memory that is left


@dataclass(eq=False)
class Recorder(Reader):
    """Keeps what passes, without copying it: the storage is noted as taken, so a later edit gets a private copy.

    Args:
        tensors: where entries go, by the name of the point (and `suffix`).
        device: where entries are moved; None leaves them.
        remove_batch_dim: drop the batch axis, which must have size 1.
        pos_slice: which positions to keep (a copy, so that the rest is freed).
        detach: cut entries off autograd's graph.
        suffix: added to the names, `"_grad"` for gradients.

    """

    tensors: dict[str, Tensor]
    device: torch.device | str | None = None
    remove_batch_dim: bool = False
    pos_slice: PosSlice = None
    detach: bool = True
    suffix: str = ""
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)
    once: bool = False
    _unchecked: int = 0
    _versions: list[tuple[str, Tensor, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """A record that keeps the graph needs tensors that are part of it."""
        self.differentiable = not self.detach

    def read(self, tensor: Tensor, point: HookPoint) -> None:
        """Record the tensor under the name of the point.

        Raises:
            HookError: the point fires a second time in a pass in which each must fire once.
            BudgetError: memory is running out.

        """
        name = point.name + self.suffix
        if self.once and name in self.fired:
            raise HookError(
                f"{point.name!r} fires more than once in a pass (a module that is called twice, or a hook that runs "
                "the network again), so one entry of a cache cannot hold it. Leave it out with names_filter."
            )
        self.fired.add(name)
        kept, axes = tensor.detach() if self.detach else tensor, point.axes
        if point.volatile:
            kept = kept.clone()
        if self.remove_batch_dim:
            kept, axes = drop_batch(name, kept, axes)
        kept, axes = cut_positions(name, kept, axes, self.pos_slice)
        if self.device is not None:
            kept = kept.to(self.device)
        self._check_memory(kept)
        if not kept.is_inference():
            self._versions.append((name, kept, kept._version))  # noqa: SLF001  documented by autograd, no accessor
        point.ledger.note(kept)
        self.tensors[name] = kept
        self.axes[name] = axes

    def finish(self) -> None:
        """Check that the network itself left alone what was recorded, and get ready for another pass.

        Raises:
            HookError: the network edited an activation in place after it was recorded.

        """
        changed = [name for name, tensor, version in self._versions if tensor._version != version]  # noqa: SLF001
        self._versions.clear()
        self.fired.clear()
        if changed:
            raise HookError(
                f"{changed[0]!r} was changed in place by the network after it was cached (an in-place ReLU or "
                "`x += y`), so its entry is no longer what passed there. Make the network hooked with copies: "
                "hook_module(module, copies=True)."
            )

    def _check_memory(self, kept: Tensor) -> None:
        self._unchecked += kept.numel() * kept.element_size()
        if self._unchecked < CHECK_EVERY:
            return
        self._unchecked = 0
        if available_bytes(kept.device) < (1 - HEADROOM) * CHECK_EVERY:
            held = sum(entry.numel() * entry.element_size() for entry in self.tensors.values())
            raise BudgetError(
                f"the cache holds {format_bytes(held)} and {kept.device} has no memory left for the rest. "
                "Cache less (names_filter, pos_slice), move it (device='cpu'), or run a smaller batch."
            )


def recorders(
    tensors: dict[str, Tensor],
    device: torch.device | str | None,
    remove_batch_dim: bool,
    pos_slice: PosSlice,
    detach: bool,
) -> tuple[Recorder, Recorder]:
    """Return the reader of activations and that of gradients, which fill the same dictionary."""
    return (
        Recorder(tensors, device, remove_batch_dim, pos_slice, detach),
        Recorder(tensors, device, remove_batch_dim, pos_slice, detach, suffix="_grad"),
    )


def check_fired(points: list[HookPoint], names_filter: Filter, fired: set[str]) -> None:
    """Check that every point that was named literally fired, and that some point did.

    Raises:
        HookError: one did not; the message names it.

    """
    silent = [point.name for point in points if point.name not in fired]
    named = names_filter is not None and not callable(names_filter)
    if silent and (named or len(silent) == len(points)):
        raise HookError(
            f"{silent[0]!r} was asked for but never fired in this pass: it ended before (stop_at_layer), "
            "began after (start_at_layer), or that part of the network did not run."
        )
