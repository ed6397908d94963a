"""Numbers times a factored matrix: one factor is scaled, the smallest."""

import math

from torch import Tensor

from refractor.linalg.chain import Chain, ChainT  # noqa: F401 - what ChainT is bound to is looked up here
from refractor.linalg.factor import Factor
from refractor.linalg.leading import Axis


def scaled(chain: ChainT, weights: Tensor) -> ChainT:
    """Return each matrix of `chain` times its weight.

    `weights` `[*leading]` (or broadcastable to it) multiply the factor in which that makes the fewest entries.
    """
    weights = weights.expand(chain.leading)
    place = min(range(len(chain.factors)), key=lambda at: chain.factors[at].rows * chain.factors[at].cols)
    chosen = chain.factors[place]
    tensor = chosen.expanded() * weights.to(chosen.tensor.dtype)[..., None, None]
    full = Factor(tensor, tuple(Axis(size, size) for size in chain.leading))
    return chain.like((*chain.factors[:place], full, *chain.factors[place + 1 :]))


def times(chain: ChainT, number: complex | Tensor) -> ChainT:
    """Return `chain` times one number; the factor with the fewest stored entries is copied."""
    place = min(range(len(chain.factors)), key=lambda at: math.prod(chain.factors[at].tensor.shape))
    chosen = chain.factors[place]
    product = chosen.with_tensor((chosen.tensor * number).to(chosen.tensor.dtype))
    return chain.like((*chain.factors[:place], product, *chain.factors[place + 1 :]))
