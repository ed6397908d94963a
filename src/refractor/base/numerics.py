"""Precision: which dtype a computation runs in, and how far its results can be trusted.

Two rules hold everywhere. Reduced precision (float16, bfloat16) is contracted in float32. Losses and small
dense cores are computed in float64, because a cross-entropy near zero is a difference of nearly equal
numbers: in float32 it cannot fall below about 1e-7 and its gradient vanishes.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

LAW_TOLERANCE: Mapping[torch.dtype, float] = MappingProxyType(
    {
        torch.float64: 1e-10,  # 2**-52 times a condition of about 1e5
        torch.float32: 1e-5,  # 2**-23 times a few dozen roundings of accumulated sums
        torch.bfloat16: 3e-2,  # 8 bits of mantissa
        torch.float16: 4e-3,  # 11 bits of mantissa
    }
)
"""Relative error within which a law (an identity of exact arithmetic) must hold, by dtype."""


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which tensors of `dtype` are contracted: float32 for half precisions, else itself.

    >>> compute_dtype(torch.bfloat16)
    torch.float32
    """
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def cross_entropy(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Cross-entropy of each row in nats, computed in float64 whatever the dtype of the logits.

    `loss[i] = logsumexp_c logits[i, c] - logits[i, labels[i]]`, differentiable in the logits.

    Returns:
        float64 losses, one per row.

    >>> round(cross_entropy(torch.zeros(1, 4), torch.tensor([2])).exp().item(), 12)
    4.0

    """
    return torch.nn.functional.cross_entropy(logits.double(), labels.long(), reduction="none")
