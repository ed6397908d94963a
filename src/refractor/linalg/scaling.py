"""Numbers times a factored matrix: one factor is scaled, the smallest."""

import math

from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.linalg.chain import Chain, ChainT
from refractor.linalg.factor import Factor
from refractor.linalg.leading import full_axes


def scaled(chain: ChainT, weights: Tensor) -> ChainT:
    """Return each matrix of `chain` times its weight.

    `weights` `[*leading]` (or broadcastable to it) multiply the factor in which that makes the fewest entries.
    """
    check_real(chain, weights)
    try:
        weights = weights.expand(chain.leading)
    except RuntimeError as error:
        raise ShapeError(
            f"* takes one number per matrix, [*leading, 1, 1] or broadcastable to it; {[*weights.shape, 1, 1]} came "
            f"for shape {list(chain.shape)}."
        ) from error
    place = min(range(len(chain.factors)), key=lambda at: chain.factors[at].rows * chain.factors[at].cols)
    chosen = chain.factors[place]
    tensor = chosen.expanded() * weights.to(chosen.tensor.dtype)[..., None, None]
    full = Factor(tensor, full_axes(chain.leading))
    return chain.like((*chain.factors[:place], full, *chain.factors[place + 1 :]))


def times(chain: ChainT, number: complex | Tensor) -> ChainT:
    """Return `chain` times one number; the factor with the fewest stored entries is copied."""
    check_real(chain, number)
    place = min(range(len(chain.factors)), key=lambda at: math.prod(chain.factors[at].tensor.shape))
    chosen = chain.factors[place]
    product = chosen.with_tensor((chosen.tensor * number).to(chosen.tensor.dtype))
    return chain.like((*chain.factors[:place], product, *chain.factors[place + 1 :]))


def check_real(chain: Chain, number: complex | Tensor) -> None:
    """Raise unless a number fits the dtype of a chain: a complex one would lose its imaginary part.

    Raises:
        ShapeError: the number is complex and the chain is not.

    """
    is_complex = number.is_complex() if isinstance(number, Tensor) else isinstance(number, complex)
    if is_complex and not chain.dtype.is_complex:
        raise ShapeError(
            f"a complex number times a matrix of {chain.dtype} would lose its imaginary part; convert the matrix with "
            f"M.to(torch.complex64) or M.to(torch.complex128)."
        )
