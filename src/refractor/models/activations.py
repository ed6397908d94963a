"""Activation functions of the MLP, by the names that configurations use."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from torch import Tensor
from torch.nn import functional

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "relu": functional.relu,
        "gelu": functional.gelu,  # x * Phi(x), Hendrycks & Gimpel 2016
        "gelu_new": partial(functional.gelu, approximate="tanh"),  # their tanh approximation, as in GPT-2
        "silu": functional.silu,  # x * sigmoid(x)
    }
)
