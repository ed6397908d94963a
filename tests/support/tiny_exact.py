"""Float64 that is float64 throughout: transformers computes parts of every model in float32, whatever it was asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

NARROW = (torch.float16, torch.bfloat16, torch.float32)
_CASTS = (Tensor.float, Tensor.half, Tensor.bfloat16)


@contextmanager
def exactly(dtype: torch.dtype) -> Iterator[None]:
    """Build and run in float64 what says float32: rotary tables, norms, softmax, scores, slopes. Float32 is as it is."""
    if dtype != torch.float64:
        yield
        return
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Widened():
            yield
    finally:
        torch.set_default_dtype(default)


class _Widened(TorchFunctionMode):
    """Reads every narrow dtype that is passed to a function of torch as float64."""

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _CASTS:
            func = Tensor.double
        return func(*map(_widened, args), **{name: _widened(value) for name, value in (kwargs or {}).items()})


def _widened(argument: Any) -> Any:
    return torch.float64 if isinstance(argument, torch.dtype) and argument in NARROW else argument


class NarrowSeen(TorchDispatchMode):
    """Collects the operations that read or wrote a float narrower than float64: none, if `exactly` is right."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
        if any(tensor.dtype in NARROW for tensor in tensors):
            self.found.add(str(func))
        return out
