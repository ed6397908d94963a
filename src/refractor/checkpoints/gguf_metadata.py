"""Metadata of a GGUF file, entry by entry: each is read, or is known to change nothing, or the load stops."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from refractor.base.errors import CheckpointError, nearest
from refractor.checkpoints.gguf_header import GgufHeader

INERT: Mapping[str, str] = MappingProxyType(
    {
        "vocab_size": "the embedding has as many rows",
        "file_type": "every tensor says its own type",
        "tensor_data_layout": "names a way of laying tensors out that the architecture implies",
        "use_parallel_residual": "the norms that are there say it, also where conversion wrote this wrongly",
        "attention.value_length": "compared with key_length",
        "rope.scaling.finetuned": "says that weights were trained with the scaling",
        "rope.scaling.original_context_length": "belongs to scalings that are refused by their type, or is the context",
        "pooling_type": "says how an embedding of a whole text is made, after the network",
        "feed_forward_length": "GPT-2's conversion writes four times the width, whatever the matrices have",
    }
)
"""Entries of the architecture that are not needed, each with the reason."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "attention.causal": (True,),
        "attention.clamp_kqv": (0,),
        "attention.max_alibi_bias": (0,),
        "attention.sliding_window": (0,),
        "attn_logit_softcapping": (0,),
        "final_logit_softcapping": (0,),
        "embedding_scale": (0, 1),
        "expert_count": (0,),
        "expert_shared_count": (0,),
        "expert_used_count": (0,),
        "expert_weights_scale": (0, 1),
        "expert_gating_func": (1,),  # softmax, as Mixtral
        "logit_scale": (0, 1),
        "residual_scale": (0, 1),
        "rope.scale_linear": (1,),
        "rope.scaling.attn_factor": (0, 1),
        "rope.scaling.factor": (0, 1),
        "rope.scaling.type": ("none",),
    }
)
"""Entries that change what is computed, and the values with which they do not; a family may read them itself."""


class Stated:
    """The entries that a file has for its architecture, of which each must be asked for.

    Args:
        header: of the file.

    Raises:
        CheckpointError: the file does not name its architecture.

    """

    def __init__(self, header: GgufHeader) -> None:
        architecture = header.metadata.get("general.architecture")
        if not isinstance(architecture, str) or not architecture:
            raise CheckpointError(f"{header.path} does not name its architecture (general.architecture).")
        self.header = header
        self.architecture = architecture
        self._unread = {name for name in header.metadata if name.startswith(f"{architecture}.")}

    def take(self, name: str, default: Any = None) -> Any:
        """Return an entry; without a default it must be there.

        Raises:
            CheckpointError: it is not.

        """
        full = f"{self.architecture}.{name}"
        self._unread.discard(full)
        value = self.header.metadata.get(full, default)
        if value is None:
            raise CheckpointError(f"{self.header.path} has no {full}, which its configuration needs.")
        return value

    def size(self, name: str, default: int | None = None, least: int = 1) -> int:
        """Return an entry that must be a whole number, the same for all layers.

        Raises:
            CheckpointError: it is none, or differs between layers.

        """
        value = self.take(name, default)
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
            raise CheckpointError(
                f"{self.architecture}.{name} of {self.header.path} must be a whole number from {least} on, the same "
                f"for all layers; {short(value)} came."
            )
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return an entry that must be a number, rounded as it was before it became 32 bits wide.

        Raises:
            CheckpointError: it is none.

        """
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise CheckpointError(
                f"{self.architecture}.{name} of {self.header.path} must be a number; {short(value)} came."
            )
        return rounded(value)

    def finish(self) -> None:
        """Raise if an entry is left that nobody asked for, and that is not neutral.

        Raises:
            CheckpointError: the entry and its value are named.

        """
        known = [*INERT, *NEUTRAL]
        for full in sorted(self._unread):
            name, value = full.removeprefix(f"{self.architecture}."), self.header.metadata[full]
            if name in INERT or (name in NEUTRAL and value in NEUTRAL[name]):
                continue
            near = nearest(name, known, 1)
            supported = f"; only {' or '.join(map(repr, NEUTRAL[name]))} is supported there" if name in NEUTRAL else ""
            raise CheckpointError(
                f"{self.header.path} says {full} = {short(value)}{supported}. What it changes is not built here for "
                f"{self.architecture}, so the network would compute something else."
                + (f" (Near: {near[0]!r}.)" if near and name not in NEUTRAL else "")
            )


def rounded(value: float) -> float:
    """Return the shortest decimal number that is the same 32-bit number: 9.999999747378752e-06 was meant as 1e-05.

    >>> rounded(9.999999747378752e-06), rounded(500000.0)
    (1e-05, 500000.0)
    """
    return float(str(np.float32(value)))


def short(value: object) -> str:
    """Return a value as messages show it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
