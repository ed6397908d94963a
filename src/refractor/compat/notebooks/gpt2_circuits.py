"""The helper names of the GPT-2 circuits notebook: replace its `utils` and `plot_utils` by one import from here.

import refractor.compat.notebooks.gpt2_circuits as utils
from refractor.compat.notebooks.gpt2_circuits import imshow, scatter
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from refractor.models.device import get_device
from refractor.plots import imshow, scatter
from refractor.plots.arrays import to_numpy

__all__ = ["GPT2_SMALL", "get_device", "imshow", "scatter", "to_numpy"]

GPT2_SMALL: Mapping[str, Any] = MappingProxyType(
    {
        "model_type": "gpt2",
        "n_layer": 12,
        "n_head": 12,
        "n_embd": 768,
        "n_positions": 1024,
        "vocab_size": 50257,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
    }
)
"""The configuration of GPT-2 small, for `checkpoints.drawn`: random weights where the trained ones cannot be had."""
