"""A factored matrix times one vector: the outcome is a vector, so it is computed at once."""

from jaxtyping import Inexact
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.linalg.chain import Chain, joined
from refractor.linalg.evaluate import contracted


def times_vector(matrix: Chain, vector: Tensor) -> Inexact[Tensor, "*leading ldim"]:
    """Return `M @ v` for one vector `[rdim]`.

    Raises:
        ShapeError: the length does not fit.

    """
    check_vector(vector, matrix.rdim, matrix)
    chain = joined(matrix, Chain(vector[:, None]))
    return contracted(chain, "M @ v").expanded()[..., 0].to(matrix.dtype)


def check_vector(vector: Tensor, length: int, matrix: Chain) -> None:
    """Raise unless a vector has as many entries as a matrix has rows or columns.

    Raises:
        ShapeError: it has another number.

    """
    if vector.shape != (length,):
        raise ShapeError(
            f"a vector of {length} entries is needed for shape {list(matrix.shape)}; {list(vector.shape)} came."
        )
