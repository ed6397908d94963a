"""Inner product and cosine of two factored matrices, from their factors."""

from jaxtyping import Inexact
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.linalg.chain import Chain, adjoint, as_chain, joined
from refractor.linalg.factor import expand_leading
from refractor.linalg.leading import broadcast_sizes
from refractor.linalg.norms import norm
from refractor.linalg.trace import trace_factor


def inner(matrix: Chain, other: Chain) -> Inexact[Tensor, "*leading"]:
    """Frobenius inner product of each pair of matrices: `<M, N> = tr(Mᴴ N) = sum_ij conj(M_ij) N_ij`.

    Leading axes broadcast. Neither matrix is formed. Differentiable.

    Returns:
        `[*leading]` in the dtype of contractions.

    Raises:
        ShapeError: the matrices have different shapes.

    >>> import torch
    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.ones(3, 1), torch.ones(1, 4))
    >>> M.inner(2 * M)
    tensor(24.)

    """
    other = as_chain(other, "inner")
    if (matrix.ldim, matrix.rdim) != (other.ldim, other.rdim):
        raise ShapeError(
            f"an inner product needs matrices of one shape; {list(matrix.shape)} and {list(other.shape)} came."
        )
    broadcast_sizes([matrix.leading, other.leading], f"{list(matrix.shape)} and {list(other.shape)}")
    found = trace_factor(joined(adjoint(matrix), other))
    return expand_leading(found.tensor[..., 0, 0], found.axes, trailing=0).to(matrix.compute_dtype)


def cosine_similarity(matrix: Chain, other: Chain) -> Inexact[Tensor, "*leading"]:
    """Cosine of the angle between each pair of matrices in the Frobenius inner product, `<M, N> / (|M| |N|)`, -1 … 1.

    Leading axes broadcast. Neither matrix is formed. Differentiable.

    Returns:
        `[*leading]` in the dtype of contractions; NaN where a matrix is zero.

    Raises:
        ShapeError: the matrices have different shapes.

    >>> import torch
    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.ones(3, 1), torch.ones(1, 4))
    >>> M.cosine_similarity(-2 * M)
    tensor(-1.)

    """
    return inner(matrix, other) / (norm(matrix) * norm(other))
