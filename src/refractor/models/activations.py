"""Activation functions of the MLP, by the names that configurations use."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Activation = Callable[[Tensor], Tensor]


def _solu(x: Tensor) -> Tensor:
    """Return `x * softmax(x)` over the neurons (Elhage et al. 2022, softmax linear units)."""
    return x * x.softmax(-1)


def _gelu_fast(x: Tensor) -> Tensor:
    """Return the tanh approximation of GELU with `sqrt(2/π)` cut to eight digits, as its first users wrote it."""
    return 0.5 * x * (1 + torch.tanh(0.7978845608 * x * (1 + 0.044715 * x * x)))


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "relu": functional.relu,
        "gelu": functional.gelu,  # x * Phi(x), Hendrycks & Gimpel 2016
        "gelu_new": partial(functional.gelu, approximate="tanh"),  # their tanh approximation, as in GPT-2
        "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),  # another name of the same
        "gelu_fast": _gelu_fast,
        "silu": functional.silu,  # x * sigmoid(x)
        "solu": _solu,
        "solu_ln": _solu,  # followed by a LayerNorm over the neurons, which the MLP holds
    }
)


def soft_capped(x: Float[Tensor, "*batch"], cap: float) -> Float[Tensor, "*batch"]:
    """Return `cap * tanh(x / cap)`: nearly `x` where it is small, never beyond `cap` (Gemma Team 2024)."""
    return cap * torch.tanh(x / cap)
