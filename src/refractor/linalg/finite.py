"""NaN and infinity: spectra of such matrices mean nothing, and decompositions may not return. Say which factor."""

import torch
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.linalg.chain import Chain


def check_finite(outcome: Tensor, chain: Chain, what: str) -> None:
    """Raise unless every entry of `outcome`, the small core of `chain`, is finite; then the factors are searched.

    Raises:
        ArgumentError: a factor has NaN or infinite entries, or their product overflows the dtype of contractions.

    """
    if bool(torch.isfinite(outcome).all()):
        return
    check_factors(chain, what)
    raise ArgumentError(
        f"{what}: the factors are finite, but their product overflows {chain.compute_dtype}. Scale a factor down, or "
        f"convert with M.to(torch.float64)."
    )


def check_factors(chain: Chain, what: str) -> None:
    """Raise unless every factor is finite.

    Raises:
        ArgumentError: a factor has NaN or infinite entries; the message names it and the first of them.

    """
    for place, factor in enumerate(chain.factors):
        bad = ~torch.isfinite(factor.tensor)
        if bool(bad.any()):
            where = bad.nonzero()[0].tolist()
            raise ArgumentError(
                f"{what} needs finite factors; factor {place} of shape {list(factor.tensor.shape)} has "
                f"{int(bad.sum())} "
                f"entries that are NaN or infinite, the first ({factor.tensor[tuple(where)].item()}) at {where}."
            )
