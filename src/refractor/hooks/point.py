"""`HookPoint`: a named place in a network where an activation can be read or edited."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from refractor.base.axes import describe
from refractor.base.checks import check_member
from refractor.base.errors import HookError
from refractor.hooks.ledger import Ledger

Direction = Literal["fwd", "bwd"]
"""Whether a hook sees the activation on the way forward or its gradient on the way back."""

DIRECTIONS = ("fwd", "bwd")


Hook = Callable[..., Tensor | None]
"""What a hook is: called `hook(tensor, hook=point)`, it returns None or a tensor of the same shape."""


class Reader(ABC):
    """A hook that only reads (the cache is one); it is trusted to, so it never costs a copy.

    `differentiable` says that what it reads must be part of autograd's graph.
    """

    differentiable = False

    @abstractmethod
    def read(self, tensor: Tensor, point: "HookPoint") -> None:
        """Take note of the tensor without changing it."""


@dataclass(eq=False)
class AttachedHook:
    """One hook at one point. `remove()` takes it off; a second call does nothing."""

    point: "HookPoint"
    function: Hook | Reader
    direction: Direction
    permanent: bool = False
    level: int | None = None

    def attach(self, prepend: bool = False) -> None:
        """Put the hook at its point, before (`prepend`) or after those that are there."""
        hooks = self.point.hooks_of(self.direction)
        hooks.insert(0, self) if prepend else hooks.append(self)

    def remove(self) -> None:
        """Take the hook off its point."""
        hooks = self.point.hooks_of(self.direction)
        if self in hooks:
            hooks.remove(self)


class HookPoint(nn.Module):
    """The identity, with hooks: forward hooks see the activation, backward hooks its gradient.

    A forward hook is called `hook(tensor, hook=point)`. It may edit the tensor in place, return a tensor of the
    same shape, dtype and device to replace it, or return None; anything else raises. A tensor that something else
    relies on (a cache entry, another path of the network, autograd, a parameter) is copied before an editing
    hook gets it, so an edit here changes what flows on from here and nothing else. Unhooked, it costs one call.

    Args:
        axes: names of the axes of the tensor that passes, in order, from `base.axes.GLOSSARY`; empty if unknown.
        shared: the tensor that passes also flows past this point (a copy is made before a hook edits it).
        flag: name of the switch that turns an optional point on; None for a point that is always on.

    >>> import torch
    >>> point = HookPoint(("batch", "d_model"))
    >>> handle = point.add_hook(lambda x, hook: x * 2)
    >>> point(torch.ones(1, 2))
    tensor([[2., 2.]])

    """

    def __init__(self, axes: Sequence[str] = (), *, shared: bool = False, flag: str | None = None) -> None:
        super().__init__()
        self.name = ""
        self.axes = tuple(axes)
        self.shared = shared
        self.flag = flag
        self.volatile = False
        self.ctx: dict[Any, Any] = {}
        self.fwd_hooks: list[AttachedHook] = []
        self.bwd_hooks: list[AttachedHook] = []
        self.ledger = Ledger()

    def extra_repr(self) -> str:
        """Show the axes and whether the point is optional."""
        return ", ".join([*self.axes, *([f"flag={self.flag}"] if self.flag else [])])

    def hooks_of(self, direction: str) -> list[AttachedHook]:
        """Return the live list of hooks in one direction, `"fwd"` or `"bwd"`."""
        check_member("direction", direction, DIRECTIONS)
        return self.fwd_hooks if direction == "fwd" else self.bwd_hooks

    @property
    def hooked(self) -> bool:
        """Whether any hook, forward or backward, is attached."""
        return bool(self.fwd_hooks or self.bwd_hooks)

    @property
    def edited(self) -> bool:
        """Whether a hook could change what passes, or wants its gradient; readers alone do neither."""
        return bool(self.bwd_hooks) or any(
            not isinstance(attached.function, Reader) or attached.function.differentiable for attached in self.fwd_hooks
        )

    def add_hook(
        self,
        hook: Hook | Reader,
        dir: Direction = "fwd",  # noqa: A002  the name that notebooks use
        is_permanent: bool = False,
        level: int | None = None,
        prepend: bool = False,
    ) -> AttachedHook:
        """Attach a hook and return its handle.

        Args:
            hook: called `hook(tensor, hook=point)`.
            dir: `"fwd"` for the activation, `"bwd"` for its gradient.
            is_permanent: survives `reset_hooks` unless permanent ones are named too.
            level: depth of the `hooks()` context it belongs to, for `remove_hooks(level=…)`.
            prepend: run before the hooks that are already there.

        Raises:
            HookError: `hook` cannot be called.

        """
        if not callable(hook) and not isinstance(hook, Reader):
            raise HookError(
                f"{self.name or 'hook point'}: a hook must be callable as hook(tensor, hook=point); "
                f"{type(hook).__name__} came."
            )
        attached = AttachedHook(self, hook, dir, is_permanent, level)
        attached.attach(prepend)
        return attached

    def add_perma_hook(self, hook: Hook | Reader, dir: Direction = "fwd") -> AttachedHook:  # noqa: A002
        """Attach a hook that `reset_hooks` leaves alone."""
        return self.add_hook(hook, dir=dir, is_permanent=True)

    def remove_hooks(
        self,
        dir: Literal["fwd", "bwd", "both"] = "fwd",  # noqa: A002
        including_permanent: bool = False,
        level: int | None = None,
    ) -> None:
        """Take hooks off: those of a direction, of a level if one is given, permanent ones only when named."""
        check_member("dir", dir, ("fwd", "bwd", "both"))
        for direction in DIRECTIONS if dir == "both" else (dir,):
            hooks = self.hooks_of(direction)
            hooks[:] = [
                kept
                for kept in hooks
                if (kept.permanent and not including_permanent) or (level is not None and kept.level != level)
            ]

    def clear_context(self) -> None:
        """Empty `ctx`, the dictionary in which hooks leave things for each other."""
        self.ctx.clear()

    def layer(self) -> int:
        """Return the number after the first part of the name: 3 for `blocks.3.attn.hook_q`.

        Raises:
            HookError: the name has no layer.

        """
        for part in self.name.split("."):
            if part.isdigit():
                return int(part)
        raise HookError(f"hook point {self.name!r} belongs to no layer.")

    def forward(self, x: Any) -> Any:
        """Return `x` as the hooks leave it."""
        if self.fwd_hooks:
            x = self._run_forward_hooks(x)
        if self.bwd_hooks and x.requires_grad:
            x = x.view_as(x)  # a node of its own: its gradient is that of this point and of nothing before it
            x.register_hook(partial(self._run_backward_hooks, tuple(self.bwd_hooks)))
            if self.ledger.taps is not None:
                self.ledger.taps.append(x)
        return x

    def _run_forward_hooks(self, x: Tensor) -> Tensor:
        for attached in tuple(self.fwd_hooks):
            if isinstance(attached.function, Reader):
                attached.function.read(x, self)
                continue
            if self._must_copy(x):
                x = x.clone(memory_format=torch.contiguous_format)
            replacement = attached.function(x, hook=self)
            if replacement is not None and replacement is not x:
                x = self._checked(replacement, x)
                self.ledger.note(x)  # it may belong to somebody (an older cache): later hooks here get a copy
        return x

    def _run_backward_hooks(self, hooks: Sequence[AttachedHook], gradient: Tensor) -> Tensor:
        """Run the hooks that were attached during the pass, which may have come off since, on its gradient."""
        for attached in hooks:
            if isinstance(attached.function, Reader):
                attached.function.read(gradient, self)
                continue
            gradient = gradient.clone()  # autograd hands the same gradient to several nodes
            replacement = attached.function(gradient, hook=self)
            if replacement is not None:
                gradient = self._checked(replacement, gradient)
        return gradient

    def _must_copy(self, x: Tensor) -> bool:
        return self.shared or x.requires_grad or _overlaps_itself(x) or self.ledger.holds(x)

    def _checked(self, replacement: object, x: Tensor) -> Tensor:
        needs = f"None or a tensor of shape {describe(self.axes, x.shape)}, dtype {x.dtype}, on {x.device}"
        if not isinstance(replacement, Tensor):
            came = f"{type(replacement).__name__}"
            hint = " Return the tensor itself, not a tuple of it." if isinstance(replacement, tuple | list) else ""
            raise HookError(f"the hook at {self.name!r} must return {needs}; {came} came.{hint}")
        if (replacement.shape, replacement.dtype, replacement.device) != (x.shape, x.dtype, x.device):
            came = f"shape {list(replacement.shape)}, dtype {replacement.dtype}, on {replacement.device}"
            raise HookError(f"the hook at {self.name!r} must return {needs}; {came} came.")
        return replacement


def _overlaps_itself(x: Tensor) -> bool:
    """Whether several entries share memory (an expanded tensor), so that an edit of one would change others."""
    return any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape, strict=True))
