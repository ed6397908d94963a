"""Any plain `nn.Module` as a hooked one, without touching its code."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from refractor.base.errors import HookError, unknown_name
from refractor.hooks.point import HookPoint
from refractor.hooks.root import HookedRootModule

OUTPUT = "output"  # the point at the result of the whole module


class HookedModule(HookedRootModule):
    """A module in which the output of every submodule is a hook point, named by the submodule's dotted path.

    The module itself is not changed or copied: it can be used directly too, and shares its parameters. Where a
    submodule returns a tuple, list or dictionary, the point sees the first tensor in it. A point whose submodule runs
    several times in a pass fires each time; caching such a point raises.

    Args:
        module: any module.
        axes: names of the axes of the outputs, by point; `pos_slice` and `remove_batch_dim` need them.
        copies: cache copies; for modules that edit activations in place (`ReLU(inplace=True)`, `x += y`), where an
            alias would not keep its value. Without it such an edit is noticed and raises.

    Raises:
        UnknownNameError: `axes` names a point that does not exist.
        HookError: the module is hooked already.

    >>> import torch
    >>> net = hook_module(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    >>> list(net.hook_dict)
    ['0', '1', 'output']
    >>> out, cache = net.run_with_cache(torch.zeros(1, 2))
    >>> torch.equal(cache["1"], out)
    True

    """

    def __init__(
        self, module: nn.Module, axes: Mapping[str, Sequence[str]] | None = None, copies: bool = False
    ) -> None:
        super().__init__()
        self.module = module
        self.copies = copies
        self._handles: list[Any] = []
        self.setup()
        for name in axes or {}:
            if name not in self.hook_dict:
                raise unknown_name("hook point", name, self.hook_dict)
            self.hook_dict[name].axes = tuple((axes or {})[name])

    def setup(self) -> None:
        """Make a point for every submodule of the wrapped module and one for its result."""
        self.mod_dict = {name: module for name, module in self.module.named_modules() if name}
        if any(isinstance(module, HookPoint | HookedRootModule) for module in self.module.modules()):
            raise HookError(f"{type(self.module).__name__} has hook points of its own; use it as it is.")
        self.hook_dict = {}
        for name, module in [*self.mod_dict.items(), (OUTPUT, self.module)]:
            point = HookPoint()
            point.volatile = self.copies
            self._register(name, point)
            self._handles.append(module.register_forward_hook(_Tap(point)))

    def release(self) -> None:
        """Give the module back as it was: none of its submodules passes a hook point any more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the wrapped module."""
        return self.module(*args, **kwargs)


def hook_module(
    module: nn.Module, axes: Mapping[str, Sequence[str]] | None = None, copies: bool = False
) -> HookedModule:
    """Return `module` as a hooked one, a `HookedModule`."""
    return HookedModule(module, axes, copies)


class _Tap:
    """Sends a submodule's output through its point; an object, so that a copy of the network gets its own."""

    def __init__(self, point: HookPoint) -> None:
        self.point = point

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return _through(self.point, output) if self.point.hooked else None


def _through(point: HookPoint, output: Any) -> Any:
    """Send the first tensor of an output through the point, and rebuild the output around what comes back."""
    if isinstance(output, Tensor):
        return point(output)
    if isinstance(output, dict):
        key = next((key for key, item in output.items() if isinstance(item, Tensor)), None)
        if key is not None:
            output[key] = point(output[key])
            return output
    elif isinstance(output, list | tuple):
        place = next((place for place, item in enumerate(output) if isinstance(item, Tensor)), None)
        if place is not None:
            items = [*output[:place], point(output[place]), *output[place + 1 :]]
            return type(output)(items) if type(output) in (list, tuple) else type(output)(*items)
    raise HookError(
        f"{point.name!r} is hooked, but its module returned {type(output).__name__}, in which there is no tensor."
    )
