"""Single entries, diagonals and blocks: rows and columns are gathered first and contracted second."""

import math

import torch
from jaxtyping import Inexact, Int
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, OutOfRangeError, ShapeError
from refractor.linalg.chain import Chain
from refractor.linalg.contract import upcast
from refractor.linalg.evaluate import contracted
from refractor.linalg.factor import Factor
from refractor.linalg.indexing import indexed
from refractor.linalg.leading import Axis
from refractor.linalg.trace import check_square

GATHERED = 4_000_000  # entries of gathered rows, or of what they become, that are held at a time


def entries(matrix: Chain, rows: Int[Tensor, "..."], cols: Int[Tensor, "..."]) -> Inexact[Tensor, "..."]:
    """Entries `M[..., rows[i], cols[i]]` for every i, without the product.

    Rows of the first and columns of the last factor are gathered; each place is one more leading axis, and the planner
    contracts what heads or places share once. Negative numbers count from the end. Differentiable.

    Args:
        matrix: the matrix that is asked.
        rows: integers of any shape.
        cols: integers of a shape that broadcasts with `rows`.

    Returns:
        `[*leading, *shape of the places]` in the dtype of contractions.

    Raises:
        OutOfRangeError: a row or column is not there.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]]))
    >>> M.entries(torch.tensor([0, 1]), torch.tensor([1, 1]))
    tensor([4., 8.])

    """
    rows, cols = place_indices(rows, matrix.ldim, "rows", matrix), place_indices(cols, matrix.rdim, "cols", matrix)
    rows, cols = paired(rows, cols)
    shape = rows.shape
    check_fits(
        math.prod(matrix.leading) * rows.numel() * matrix.compute_dtype.itemsize,
        f"entries at {rows.numel()} places of {list(matrix.shape)}",
        "Ask for fewer places at a time.",
        matrix.device,
    )
    flat_rows, flat_cols = rows.reshape(-1), cols.reshape(-1)
    step = places_at_once(matrix)
    pieces = [
        _gathered(matrix, flat_rows[start : start + step], flat_cols[start : start + step])
        for start in range(0, max(1, len(flat_rows)), step)
    ]
    return torch.cat(pieces, dim=-1).reshape((*matrix.leading, *shape))


def diagonal(matrix: Chain) -> Inexact[Tensor, "*leading ldim"]:
    """Diagonal of each square matrix, `M[..., i, i]`. Differentiable.

    Returns:
        `[*leading, ldim]` in the dtype of contractions.

    Raises:
        ShapeError: the matrices are not square.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])).diagonal()
    tensor([3., 8.])

    """
    check_square(matrix, "diagonal")
    every = torch.arange(matrix.ldim, device=matrix.device)
    return entries(matrix, every, every)


def block(
    matrix: Chain, rows: Int[Tensor, " rows"], cols: Int[Tensor, " cols"]
) -> Inexact[Tensor, "*leading rows cols"]:
    """Formed block `M[..., rows, :][..., cols]`: every given row with every given column. Differentiable.

    Returns:
        `[*leading, len(rows), len(cols)]` in the dtype of contractions.

    Raises:
        ShapeError: rows or columns are not a list of integers.
        OutOfRangeError: a row or column is not there.
        BudgetError: the block does not fit.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]]))
    >>> M.block(torch.tensor([1]), torch.tensor([0, 1]))
    tensor([[6., 8.]])

    """
    rows, cols = place_indices(rows, matrix.ldim, "rows", matrix), place_indices(cols, matrix.rdim, "cols", matrix)
    if rows.ndim != 1 or cols.ndim != 1:
        raise ShapeError(
            f"a block needs lists of rows and columns; shapes {list(rows.shape)}, {list(cols.shape)} came."
        )
    return unrounded(matrix.like(with_rows_and_cols(matrix, rows, cols)), "block")


def with_rows_and_cols(matrix: Chain, rows: Tensor, cols: Tensor) -> list[Factor]:
    """Return the factors of the matrix that has these rows and columns only."""
    factors = list(matrix.factors)
    factors[0] = factors[0].with_tensor(factors[0].tensor.index_select(-2, rows))
    factors[-1] = factors[-1].with_tensor(factors[-1].tensor.index_select(-1, cols))
    return factors


def get_corner(matrix: Chain, k: int = 3) -> Inexact[Tensor, "..."]:
    """Return the first `k` entries along every axis, leading ones included, formed.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.ones(5, 2), torch.ones(2, 5)).get_corner(2)
    tensor([[2., 2.],
            [2., 2.]])

    """
    check_int("k", k, least=0)
    corner = indexed(matrix, tuple(slice(k) for _ in range(matrix.ndim)))
    return formed(corner, "get_corner")


def formed(matrix: Chain, what: str, limit: float | None = None) -> Tensor:
    """Return the product itself, in the dtype of the factors.

    Raises:
        BudgetError: it does not fit, or its cheapest order does not.

    """
    return unrounded(matrix, what, limit).to(matrix.dtype)


def unrounded(matrix: Chain, what: str, limit: float | None = None) -> Tensor:
    """Return the product itself, in the dtype of contractions.

    Raises:
        BudgetError: it does not fit, or its cheapest order does not.

    """
    check_fits(
        math.prod(matrix.shape) * matrix.compute_dtype.itemsize,
        f"{what} of a factored matrix of shape {list(matrix.shape)}",
        "Most questions need no product: eigenvalues, S, norm(), diagonal(), topk(k), argmax(-1), M[..., rows, cols]. "
        "To form it all the same: M.dense(limit=math.inf).",
        matrix.device,
        limit,
    )
    return upcast(contracted(matrix, what, limit).expanded())


def place_indices(given: Int[Tensor, "..."] | int, size: int, name: str, matrix: Chain) -> Tensor:
    """Return rows or columns as integers 0 … size - 1; negative ones count from the end.

    Raises:
        ArgumentError: they are no integers.
        OutOfRangeError: one is not there.

    """
    places = torch.as_tensor(given, device=matrix.device)
    places = places.long() if places.numel() == 0 else places
    if places.dtype == torch.bool or places.is_floating_point() or places.is_complex():
        raise ArgumentError(f"{name} must be integers; dtype {places.dtype} came.")
    if places.numel() and not -size <= int(places.min()) <= int(places.max()) < size:
        raise OutOfRangeError(
            f"{name} must lie in {-size} … {size - 1} for a matrix of shape {list(matrix.shape)}; "
            f"{int(places.min())} … {int(places.max())} came."
        )
    places = places.long()
    return torch.where(places < 0, places + size, places)


def places_at_once(matrix: Chain) -> int:
    """Return how many places are gathered at a time."""
    widest = max(
        math.prod(axis.stored for axis in factor.axes) * width
        for factor, width in ((matrix.factors[0], matrix.widths[1]), (matrix.factors[-1], matrix.widths[-2]))
    )
    return max(1, GATHERED // max(1, widest, math.prod(matrix.leading) * matrix.mdim))


def paired(rows: Tensor, cols: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns broadcast to one shape.

    Raises:
        ShapeError: their shapes do not fit.

    """
    try:
        shape = torch.broadcast_shapes(rows.shape, cols.shape)
    except RuntimeError as error:
        raise ShapeError(
            f"rows and columns name one place each and must broadcast; shapes {list(rows.shape)} and "
            f"{list(cols.shape)} came. For every row with every column use block(rows, cols)."
        ) from error
    return rows.expand(shape), cols.expand(shape)


def _gathered(matrix: Chain, rows: Tensor, cols: Tensor) -> Tensor:
    """Contract the chain with each place as a last leading axis and matrices of 1 × 1."""
    count, leading = len(rows), (*matrix.leading, len(rows))
    place = Axis(count, count)
    first, *middle, last = (matrix.factors[0], *matrix.factors[1:-1], matrix.factors[-1])
    if len(matrix.factors) == 1:
        picked = matrix.factors[0].tensor[..., rows, cols]
        return upcast(Factor(picked[..., None, None], (*first.axes, place)).expanded()[..., 0, 0])
    taken = Factor(first.tensor.index_select(-2, rows).unsqueeze(-2), (*first.axes, place))
    ends = Factor(last.tensor.index_select(-1, cols).movedim(-1, -2).unsqueeze(-1), (*last.axes, place))
    between = [Factor(factor.tensor.unsqueeze(-3), (*factor.axes, Axis(count, 1))) for factor in middle]
    return upcast(contracted(Chain.of((taken, *between, ends), leading), "entries").expanded()[..., 0, 0])
