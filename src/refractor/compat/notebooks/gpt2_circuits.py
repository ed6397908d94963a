"""The helper names of the GPT-2 circuits notebook: replace its `utils` and `plot_utils` by one import from here.

import refractor.compat.notebooks.gpt2_circuits as utils
from refractor.compat.notebooks.gpt2_circuits import imshow, scatter
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from refractor.plots import imshow, scatter
from refractor.plots.arrays import to_numpy

__all__ = ["GPT2_SMALL_SHAPE", "get_device", "imshow", "scatter", "to_numpy"]

GPT2_SMALL_SHAPE: Mapping[str, Any] = MappingProxyType(
    {
        "n_layers": 12,
        "n_heads": 12,
        "d_model": 768,
        "d_head": 64,
        "d_mlp": 3072,
        "n_ctx": 1024,
        "d_vocab": 50257,
        "act_fn": "gelu_new",
        "normalization_type": "LN",
        "seed": 0,
    }
)
"""The architecture of GPT-2 small, for a network with random weights where the trained one cannot be had."""


def get_device() -> torch.device:
    """Return the device that a notebook would use: CUDA, else Apple's mps, else the CPU.

    >>> get_device().type in ("cuda", "mps", "cpu")
    True

    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
