"""`HookedRootModule`: a network whose hook points can be found by name, hooked, and cached."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from refractor.base.budget import check_fits
from refractor.base.errors import HookError, unknown_name
from refractor.hooks.cache import ActivationCache
from refractor.hooks.dry_run import Forecasts, forecast
from refractor.hooks.ledger import Ledger
from refractor.hooks.point import DIRECTIONS, AttachedHook, Direction, Hook, HookPoint, Reader
from refractor.hooks.positions import PosSlice
from refractor.hooks.record import Filter, check_fired, recorders

Where = str | Callable[[str], bool]
"""One hook point by its full name, or all whose name satisfies a predicate."""

NamedHook = tuple[Where, Hook | Reader]


class HookedRootModule(nn.Module):
    """A module whose submodules include hook points.

    Subclasses build their parts, with a `HookPoint` wherever an activation should be reachable, and call `setup()`
    last. Points that are optional (`HookPoint(flag=…)`) are on when `flag_is_set(flag)` says so or when a hook or
    filter names them literally; None and predicates never switch a point on.

    >>> import torch
    >>> class Doubler(HookedRootModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hook_out = HookPoint(("batch",))
    ...         self.setup()
    ...     def forward(self, x):
    ...         return self.hook_out(2 * x)
    >>> out, cache = Doubler().run_with_cache(torch.ones(1))
    >>> cache["hook_out"]
    tensor([2.])

    """

    def __init__(self) -> None:
        super().__init__()
        self.mod_dict: dict[str, nn.Module] = {}
        self.hook_dict: dict[str, HookPoint] = {}
        self.context_level = 0
        self._ledger = Ledger()
        self._depth = 0
        self._forecasts = Forecasts()

    def setup(self) -> None:
        """Give every submodule its dotted name, and collect the hook points. Call it when all parts exist."""
        self.mod_dict = {name: module for name, module in self.named_modules() if name}
        self.hook_dict = {}
        for name, module in self.mod_dict.items():
            if isinstance(module, HookPoint):
                self._register(name, module)

    def _register(self, name: str, point: HookPoint) -> None:
        point.name = name
        point.ledger = self._ledger
        self.hook_dict[name] = point

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run one pass."""
        if self._depth == 0:
            self._ledger.clear()
        self._depth += 1
        try:
            return super().__call__(*args, **kwargs)
        finally:
            self._depth -= 1

    # ---- finding points ------------------------------------------------------------------------------------------

    def hook_points(self) -> list[HookPoint]:
        """Return all hook points, optional ones included, in the order of `hook_dict`."""
        return list(self.hook_dict.values())

    def flag_is_set(self, flag: str) -> bool:
        """Whether the switch of an optional point is on; a network with optional points overrides this."""
        raise HookError(f"{type(self).__name__} has no switch called {flag!r}.")

    def _is_on(self, point: HookPoint) -> bool:
        return point.flag is None or self.flag_is_set(point.flag)

    def _match(self, where: Where) -> list[HookPoint]:
        """Return the points that a name or a predicate means; one that matches nothing raises."""
        if isinstance(where, str):
            if where not in self.hook_dict:
                raise unknown_name("hook point", where, self.hook_dict)
            return [self.hook_dict[where]]
        found = [point for name, point in self.hook_dict.items() if self._is_on(point) and where(name)]
        if not found:
            off = "" if all(map(self._is_on, self.hook_points())) else " (optional points count only when switched on)"
            raise unknown_name("hook point that satisfies the predicate", where, self.hook_dict, off.strip())
        return found

    def _filter(self, names_filter: Filter) -> list[HookPoint]:
        """Return the points that a cache's filter means, in the order of `hook_dict`."""
        if names_filter is None:
            return [point for point in self.hook_points() if self._is_on(point)]
        if isinstance(names_filter, str) or callable(names_filter):
            return self._match(names_filter)
        if not names_filter:
            raise HookError("names_filter is empty: nothing would be cached. Leave it out to cache everything.")
        return list(dict.fromkeys(point for name in names_filter for point in self._match(name)))

    # ---- hooks that stay until they are taken off ----------------------------------------------------------------

    def add_hook(
        self,
        name: Where,
        hook: Hook | Reader,
        dir: Direction = "fwd",  # noqa: A002  the name that notebooks use
        is_permanent: bool = False,
        level: int | None = None,
        prepend: bool = False,
    ) -> list[AttachedHook]:
        """Attach a hook at one point (its full name) or at all that satisfy a predicate; return the handles.

        Raises:
            UnknownNameError: nothing matches; the nearest names are offered.

        """
        return [point.add_hook(hook, dir, is_permanent, level, prepend) for point in self._match(name)]

    def add_perma_hook(self, name: Where, hook: Hook | Reader, dir: Direction = "fwd") -> list[AttachedHook]:  # noqa: A002
        """Attach a hook that `reset_hooks` leaves alone unless permanent ones are named."""
        return self.add_hook(name, hook, dir, is_permanent=True)

    def reset_hooks(
        self,
        clear_contexts: bool = True,
        direction: Literal["fwd", "bwd", "both"] = "both",
        including_permanent: bool = False,
        level: int | None = None,
    ) -> None:
        """Take all hooks off (of one direction or level if given), and empty the points' `ctx`."""
        for point in self.hook_points():
            point.remove_hooks(direction, including_permanent, level)
        if clear_contexts:
            self.clear_contexts()

    def clear_contexts(self) -> None:
        """Empty the `ctx` of every point."""
        for point in self.hook_points():
            point.clear_context()

    # ---- hooks for a while ---------------------------------------------------------------------------------------

    @contextmanager
    def hooks(
        self,
        fwd_hooks: Sequence[NamedHook] = (),
        bwd_hooks: Sequence[NamedHook] = (),
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
    ) -> Iterator["HookedRootModule"]:
        """Attach hooks for the length of a `with` block, and take exactly these off again however it ends.

        Args:
            fwd_hooks: pairs (name or predicate, hook) for activations.
            bwd_hooks: pairs (name or predicate, hook) for gradients.
            reset_hooks_end: take the hooks off at the end; False keeps them when the block ends well (when it ends
                with an exception they come off all the same).
            clear_contexts: empty every point's `ctx` at the end.

        Yields:
            The network itself.

        Raises:
            UnknownNameError: a name or predicate matches nothing; no hook is attached then.

        """
        attached = [
            AttachedHook(point, hook, direction, level=self.context_level + 1)
            for direction, pairs in zip(DIRECTIONS, (fwd_hooks, bwd_hooks), strict=True)
            for where, hook in pairs
            for point in self._match(where)
        ]
        ended_well = False
        level = self.context_level
        try:
            self.context_level = level + 1
            for one in attached:
                one.attach()
            yield self
            ended_well = True
        finally:
            self.context_level = level
            if reset_hooks_end or not ended_well:
                for one in attached:
                    one.remove()
            if clear_contexts:
                self.clear_contexts()

    def run_with_hooks(
        self,
        *args: Any,
        fwd_hooks: Sequence[NamedHook] = (),
        bwd_hooks: Sequence[NamedHook] = (),
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Run one pass with hooks; the arguments are those of `hooks()`, all others go to the network.

        Backward hooks fire when the caller runs `backward()` on the result, also after they came off.

        Raises:
            HookError: backward hooks are given while gradients are disabled, so that they could never fire.

        """
        if bwd_hooks and not torch.is_grad_enabled():
            raise HookError("bwd_hooks can never fire here: gradients are disabled. Run it under torch.enable_grad().")
        with self.hooks(fwd_hooks, bwd_hooks, reset_hooks_end, clear_contexts):
            return self(*args, **kwargs)

    # ---- caching -------------------------------------------------------------------------------------------------

    def add_caching_hooks(
        self,
        names_filter: Filter = None,
        incl_bwd: bool = False,
        device: torch.device | str | None = None,
        remove_batch_dim: bool = False,
        cache: dict[str, Tensor] | None = None,
        pos_slice: PosSlice = None,
    ) -> dict[str, Tensor]:
        """Attach hooks that fill a dictionary at every pass until `reset_hooks()`; return that dictionary.

        The arguments are those of `run_with_cache`. With `incl_bwd`, gradients are added under `<name>_grad`
        whenever a backward pass runs.
        """
        tensors = {} if cache is None else cache
        forward, backward = recorders(tensors, device, remove_batch_dim, pos_slice, detach=True)
        for point in self._filter(names_filter):
            point.add_hook(forward)
            if incl_bwd:
                point.add_hook(backward, "bwd")
        return tensors

    def cache_bytes(
        self, *args: Any, names_filter: Filter = None, pos_slice: PosSlice = None, incl_bwd: bool = False, **kwargs: Any
    ) -> int:
        """Return the bytes that `run_with_cache` with the same arguments would hold, without computing anything.

        A dry run sends tensors without data through the network. Memory that several entries share (the end of a
        block is the start of the next) counts once. With `incl_bwd` the gradients count too.

        Raises:
            UnknownNameError: the filter matches nothing.
            HookError: the forward pass depends on data, so it cannot be run dry.

        """
        points = self._filter(names_filter)
        nbytes = forecast(self, self.hook_points(), points, args, kwargs, pos_slice, incl_bwd)
        if nbytes is None:
            raise HookError(f"{type(self).__name__} cannot be run without data, so its cache cannot be foreseen.")
        return nbytes

    @overload
    def run_with_cache(
        self,
        *args: Any,
        names_filter: Filter = ...,
        device: torch.device | str | None = ...,
        remove_batch_dim: bool = ...,
        incl_bwd: bool = ...,
        pos_slice: PosSlice = ...,
        detach: bool = ...,
        reset_hooks_end: bool = ...,
        clear_contexts: bool = ...,
        return_cache_object: Literal[True] = ...,
        **kwargs: Any,
    ) -> tuple[Any, ActivationCache]: ...
    @overload
    def run_with_cache(
        self, *args: Any, return_cache_object: Literal[False], **kwargs: Any
    ) -> tuple[Any, dict[str, Tensor]]: ...
    def run_with_cache(
        self,
        *args: Any,
        names_filter: Filter = None,
        device: torch.device | str | None = None,
        remove_batch_dim: bool = False,
        incl_bwd: bool = False,
        pos_slice: PosSlice = None,
        detach: bool = True,
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
        return_cache_object: bool = True,
        **kwargs: Any,
    ) -> tuple[Any, ActivationCache | dict[str, Tensor]]:
        """Run one pass and return its output with the activations of the points that were asked for.

        Entries are not copied, and still never change: an editing hook gets a private copy of what is cached.

        Args:
            *args: go to the network, as do all other keyword arguments.
            names_filter: None (every point that is on), a full name, several, or a predicate on full names.
            device: where entries are moved; by default they stay.
            remove_batch_dim: drop the batch axis, which must have size 1.
            incl_bwd: also run a backward pass from the output, which must be a scalar (`return_type="loss"`), and add
                each gradient as `<name>_grad`. The gradients of parameters are neither computed nor touched.
            pos_slice: positions to keep: an integer (drops the axis), a slice, (start, stop) or a list.
            detach: cut the entries off autograd's graph; False keeps them differentiable.
            reset_hooks_end: take the caching hooks off at the end; False leaves them to fill the same cache.
            clear_contexts: empty every point's `ctx` at the end.
            return_cache_object: an `ActivationCache`; False gives the plain dictionary.
            **kwargs: go to the network.

        Returns:
            The output and the cache.

        Raises:
            UnknownNameError: the filter matches nothing.
            BudgetError: the cache would not fit into memory; said before the pass.
            HookError: the pass ended before a named point, or `incl_bwd` cannot work (no scalar, no gradients).

        """
        points = self._filter(names_filter)
        self._check_budget(points, args, kwargs, pos_slice, incl_bwd, device)
        tensors: dict[str, Tensor] = {}
        forward, backward = recorders(tensors, device, remove_batch_dim, pos_slice, detach)
        forward.once = True
        with self.hooks(
            [(point.name, forward) for point in points],
            [(point.name, backward) for point in points] if incl_bwd else [],
            reset_hooks_end,
            clear_contexts,
        ):
            output = self._run_backward(args, kwargs) if incl_bwd else self(*args, **kwargs)
        check_fired(points, names_filter, forward.fired)
        forward.finish()
        forward.once = False
        if not return_cache_object:
            return output, tensors
        return output, ActivationCache(tensors, {**forward.axes, **backward.axes}, self.hook_dict)

    def _check_budget(
        self,
        points: list[HookPoint],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        pos_slice: PosSlice,
        incl_bwd: bool,
        device: torch.device | str | None,
    ) -> None:
        """Refuse before the pass what cannot fit; a network that cannot be run dry is watched while it runs."""
        nbytes = self._forecasts.get(self, self.hook_points(), points, args, kwargs, pos_slice, incl_bwd)
        if nbytes is not None:
            where = device or next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
            hint = "Cache less (names_filter, pos_slice), run a smaller batch, or move it (device='cpu')."
            check_fits(nbytes, "run_with_cache", hint, where)

    def _run_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a pass and the backward pass that fires the backward hooks, leaving parameters' gradients alone."""
        if not torch.is_grad_enabled():
            raise HookError("incl_bwd needs gradients, but they are disabled. Run it under torch.enable_grad().")
        self._ledger.taps = taps = []
        try:
            output = self(*args, **kwargs)
            if not isinstance(output, Tensor) or output.numel() != 1 or not output.requires_grad:
                came = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
                raise HookError(
                    f"incl_bwd needs a scalar output that depends on parameters; {came} came. Pass return_type='loss'."
                )
            torch.autograd.grad(output, taps, allow_unused=True)
        finally:
            self._ledger.taps = None
        return output
