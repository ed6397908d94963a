"""Row and column lengths, sums, means and variances of the entries, from the factors."""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from refractor.base.checks import check_int
from refractor.linalg.blocks import pieces
from refractor.linalg.chain import Chain, adjoint, beside, part, transposed
from refractor.linalg.contract import lengths, multiply, upcast, wide_dtype
from refractor.linalg.evaluate import contracted, evaluate
from refractor.linalg.factor import Factor
from refractor.linalg.leading import Axis
from refractor.linalg.norms import norm
from refractor.linalg.search import matrix_axis
from refractor.linalg.svd import real_dtype
from refractor.linalg.sweep import cut_of, plan_halves, right_factors


def row_norms(matrix: Chain) -> Float[Tensor, "*leading ldim"]:
    """Euclidean length of each row, `|M[..., i, :]|`.

    `|l_i R| = |l_i R_Rᴴ|` where R_R is the triangle of the right side: rows of `mdim` numbers instead of `rdim`. The
    gradient goes through the Gram matrix of the right side, in float64; it is 0 at rows of zeros.

    Returns:
        `[*leading, ldim]`, real, in the dtype of contractions.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])).row_norms()
    tensor([ 5., 10.])

    """
    with torch.no_grad():
        values = _row_norms(matrix)
    if not (torch.is_grad_enabled() and matrix.requires_grad):
        return values
    squares = _row_squares(matrix)
    slope = torch.where(values > 0, 0.5 / torch.where(values > 0, values, 1).to(squares.dtype), 0)
    return values + ((squares - squares.detach()) * slope).to(values.dtype)  # d|r| = d|r|² / 2|r|


def _row_norms(matrix: Chain) -> Tensor:
    out = torch.empty(math.prod(matrix.leading), matrix.ldim, dtype=real_dtype(matrix), device=matrix.device)
    for start, stop, piece in pieces(matrix):
        halves = plan_halves(piece, "row_norms")
        short = part(piece, 0, halves.cut).factors
        if halves.right:
            triangle = evaluate(halves.right, right_factors(piece, halves.cut))
            short = (*short, triangle.with_tensor(triangle.tensor.mH))
        rows = upcast(contracted(Chain.of(short, piece.leading), "row_norms").expanded())
        out[start:stop] = lengths(rows, -1).reshape(stop - start, matrix.ldim)
    return out.reshape(*matrix.leading, matrix.ldim)


def col_norms(matrix: Chain) -> Float[Tensor, "*leading rdim"]:
    """Euclidean length of each column, `|M[..., :, j]|`, see `row_norms`.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[3.0], [4.0]]), torch.tensor([[1.0, 2.0]])).col_norms()
    tensor([ 5., 10.])

    """
    return row_norms(transposed(matrix))


def total(matrix: Chain, dim: int | None = None) -> Inexact[Tensor, "..."]:
    """Sum of all entries (`dim=None`), of each row (`dim=-1`) or of each column (`dim=-2`). Differentiable.

    Returns:
        `[*leading]`, `[*leading, ldim]` or `[*leading, rdim]` in the dtype of contractions.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]]))
    >>> M.sum(), M.sum(dim=-1)
    (tensor(21.), tensor([ 7., 14.]))

    """
    axis = None if dim is None else matrix_axis(matrix, dim)
    factors = list(matrix.factors)
    if axis in (None, -1):
        factors.append(_ones(matrix, matrix.rdim, 1))
    if axis in (None, -2):
        factors.insert(0, _ones(matrix, 1, matrix.ldim))
    summed = upcast(contracted(Chain.of(factors, matrix.leading), "sum").expanded())
    return summed[..., 0, 0] if axis is None else summed.squeeze(axis)


def mean(matrix: Chain, dim: int | None = None) -> Inexact[Tensor, "..."]:
    """Mean of all entries (`dim=None`), of each row (`dim=-1`) or of each column (`dim=-2`). Differentiable.

    Returns:
        `[*leading]`, `[*leading, ldim]` or `[*leading, rdim]`; NaN where there are no entries.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])).mean()
    tensor(5.2500)

    """
    count = matrix.ldim * matrix.rdim if dim is None else matrix.shape[matrix_axis(matrix, dim)]
    summed = total(matrix, dim)
    return summed / count if count else torch.full_like(summed, torch.nan)


def variance(matrix: Chain, dim: int | None = None, correction: int = 1) -> Float[Tensor, "..."]:
    """Variance of all entries (`dim=None`), of each row (`dim=-1`) or of each column (`dim=-2`). Differentiable.

    The matrix is centred by centring its first or last factor, so that no difference of large numbers is taken:
    `sum_i (M_ij - mean_j)² = |((1 - 11ᵀ/n) F1) F2 … Fk|²` by columns, and over all entries
    `sum (M - m)² = |centred|² + n sum_j (mean_j - m)²`.

    Args:
        matrix: the matrix that is asked.
        dim: the axis along which to take it.
        correction: what is subtracted from the number of entries (1: unbiased, as in `torch.var`; 0: the plain mean).

    Returns:
        `[*leading]`, `[*leading, ldim]` or `[*leading, rdim]`, real; NaN for no more entries than `correction`.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])).var(dim=-1)
    tensor([0.5000, 2.0000])

    """
    check_int("correction", correction, least=0)
    axis = None if dim is None else matrix_axis(matrix, dim)
    if axis == -1:
        return variance(transposed(matrix), -2, correction)
    count = (matrix.ldim if axis == -2 else matrix.ldim * matrix.rdim) - correction
    first = matrix.factors[0]
    rows = upcast(first.tensor)
    centred = Chain.of((first.with_tensor(rows - rows.mean(-2, keepdim=True)), *matrix.factors[1:]), matrix.leading)
    if axis == -2:
        squares = col_norms(centred) ** 2
    else:
        means = mean(matrix, -2)
        apart = (means - means.mean(-1, keepdim=True)).abs() ** 2
        squares = norm(centred) ** 2 + matrix.ldim * apart.sum(-1)
    return squares / count if count > 0 else torch.full_like(squares, torch.nan)


def _ones(matrix: Chain, rows: int, cols: int) -> Factor:
    tensor = torch.ones(rows, cols, dtype=matrix.dtype, device=matrix.device)
    return Factor(tensor[(None,) * len(matrix.leading)], tuple(Axis(size, 1) for size in matrix.leading))


def _row_squares(matrix: Chain) -> Tensor:
    """Return the squared lengths of rows in float64, connected to the factors: `l_i (R Rᴴ) l_iᴴ`."""
    wide = matrix.like(factor.with_tensor(factor.tensor.to(wide_dtype(factor.tensor))) for factor in matrix.factors)
    cut = wide.waist if wide.mdim == wide.rank_bound else cut_of(wide)
    if cut == len(wide.factors):
        return contracted(wide, "row_norms").expanded().abs().square().sum(-1)
    right = part(wide, cut, len(wide.factors))
    gram = contracted(beside(right, adjoint(right)), "row_norms")
    if cut == 0:
        return gram.expanded().diagonal(dim1=-2, dim2=-1).real
    rows = contracted(part(wide, 0, cut), "row_norms")
    return (multiply(rows, gram).expanded() * rows.expanded().conj()).sum(-1).real
