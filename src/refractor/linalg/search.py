"""Where the large entries are: argmax, the k largest, ranks. The product is streamed, never held."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.linalg.blocks import BLOCK, pieces, sides, strips
from refractor.linalg.chain import Chain, transposed
from refractor.linalg.contract import lengths
from refractor.linalg.entries import entries, paired, place_indices
from refractor.linalg.indexing import indexed
from refractor.linalg.scaling import times
from refractor.linalg.trace import check_square

ROW_TILE = 1024  # a tile of 1024 × 2048 products stays in the cache between its making and the search for its maximum
COL_TILE = 2048
GROUP = 64  # entries of which only the largest is looked at first, in the search for the k largest


class TopK(NamedTuple):
    """The largest entries, largest first, with the row and the column of each; three tensors of one shape."""

    values: Tensor
    rows: Tensor
    cols: Tensor


def argmax(matrix: Chain, dim: int | None = None) -> Int[Tensor, "..."]:
    """Place of the largest entry of each row (`dim=-1`), column (-2) or matrix (None: `row * rdim + col`).

    Exact: every entry is computed once, in tiles that fit the cache; then the winning tile of each row once more.

    Returns:
        `[*leading, ldim]`, `[*leading, rdim]` or `[*leading]`, integers. Of equal entries of a row or
        column the first; of a whole matrix any.

    Raises:
        ArgumentError: `dim` is no matrix axis, the matrix is complex or has no entries.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [-1.0]]), torch.tensor([[3.0, 4.0]]))
    >>> M.argmax(dim=-1), M.argmax(dim=-2), M.argmax()
    (tensor([1, 0]), tensor([0, 0]), tensor(1))

    """
    _check_ordered(matrix, "argmax")
    if dim is None:
        with torch.no_grad():
            found = topk(matrix, 1)
        return (found.rows * matrix.rdim + found.cols)[..., 0]
    if matrix_axis(matrix, dim) == -2:
        return argmax(transposed(matrix), -1)
    with torch.no_grad():
        out = torch.empty(math.prod(matrix.leading), matrix.ldim, dtype=torch.long, device=matrix.device)
        for start, stop, piece in pieces(matrix):
            left, right = sides(piece)
            if left.shape[0] * left.shape[1] * right.shape[2] <= BLOCK:
                out[start:stop] = (left @ right).argmax(-1)
                continue
            for at in range(stop - start):
                out[start + at] = _row_argmax(left[at], right[at])
        return out.reshape(*matrix.leading, matrix.ldim)


def maximum(matrix: Chain, dim: int | None = None) -> Float[Tensor, "..."]:
    """Largest entry of each row (`dim=-1`), each column (`dim=-2`) or each whole matrix (None). Differentiable.

    Returns:
        `[*leading, ldim]`, `[*leading, rdim]` or `[*leading]` in the dtype of contractions. Places: `argmax`.

    Raises:
        ArgumentError: as for `argmax`.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [-1.0]]), torch.tensor([[3.0, 4.0]])).max(dim=-1)
    tensor([ 4., -3.])

    """
    _check_ordered(matrix, "max")
    axis = None if dim is None else matrix_axis(matrix, dim)
    return topk(matrix, 1, axis).values.squeeze(-1 if axis is None else axis)


def minimum(matrix: Chain, dim: int | None = None) -> Float[Tensor, "..."]:
    """Smallest entry of each row, column or whole matrix, see `max`. Differentiable.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [-1.0]]), torch.tensor([[3.0, 4.0]])).min()
    tensor(-4.)

    """
    _check_ordered(matrix, "min")
    return -maximum(times(matrix, -1), dim)


def diagonal_argmax_share(matrix: Chain) -> Float[Tensor, "*leading"]:
    """Share of the rows whose largest entry is their own diagonal entry, 0 … 1.

    Of the full OV circuit `W_E W_V W_O W_U`: the share of tokens that a head copies rather than anything else.

    Returns:
        `[*leading]` in the dtype of contractions.

    Raises:
        ShapeError: the matrices are not square.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.eye(3), torch.tensor([1.0, 1.0, -1.0]).diag()).diagonal_argmax_share()
    tensor(0.6667)

    """
    check_square(matrix, "diagonal_argmax_share")
    _check_ordered(matrix, "diagonal_argmax_share")
    own = torch.arange(matrix.ldim, device=matrix.device)
    return (argmax(matrix, -1) == own).to(matrix.compute_dtype).mean(-1)


def rank_of(matrix: Chain, row: Int[Tensor, "..."] | int, col: Int[Tensor, "..."] | int) -> Int[Tensor, "..."]:
    """Count the entries of row `row` that are larger than the one in column `col`: 0 if it is the largest.

    Args:
        matrix: the matrix that is asked.
        row: one row or a tensor of rows.
        col: one column or a tensor of columns, broadcast with `row`.

    Returns:
        `[*leading, *shape of the places]`, integers.

    Raises:
        OutOfRangeError: a row or column is not there.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [-1.0]]), torch.tensor([[3.0, 4.0, 5.0]]))
    >>> M.rank_of(0, 1), M.rank_of(torch.tensor([0, 1]), torch.tensor([0, 0]))
    (tensor(1), tensor([2, 0]))

    """
    _check_ordered(matrix, "rank_of")
    rows, cols = paired(place_indices(row, matrix.ldim, "row", matrix), place_indices(col, matrix.rdim, "col", matrix))
    shape, rows, cols = rows.shape, rows.reshape(-1), cols.reshape(-1)
    with torch.no_grad():
        out = torch.empty(math.prod(matrix.leading), len(rows), dtype=torch.long, device=matrix.device)
        picked = matrix.like(
            (matrix.factors[0].with_tensor(matrix.factors[0].tensor.index_select(-2, rows)), *matrix.factors[1:])
        )
        for start, stop, piece in pieces(picked):
            for at, strip in strips(*sides(piece)):
                own = cols[at].expand(strip.shape[0], -1)[..., None]
                out[start:stop, at] = (strip > strip.gather(-1, own)).sum(-1)
        return out.reshape((*matrix.leading, *shape))


def topk(matrix: Chain, k: int, dim: int | None = None) -> TopK:
    """Return the `k` largest entries of each matrix, or of each row (`dim=-1`) or column (`dim=-2`).

    Over whole matrices, rows and columns are visited by falling length, and what cannot hold a larger entry
    (`|M_ij| ≤ |l_i| |r_j|` for rows l_i and columns r_j of the two sides) is not formed. Exact. The values are
    differentiable.

    Returns:
        TopK `(values, rows, cols)`, each `[*leading, k]`, `[*leading, ldim, k]` or `[*leading, k, rdim]`.

    Raises:
        ArgumentError: k is no integer from 1 to the number of entries, dim is no matrix axis, or the matrix is complex.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [-1.0]]), torch.tensor([[3.0, 4.0]]))
    >>> M.topk(2)
    TopK(values=tensor([4., 3.]), rows=tensor([0, 0]), cols=tensor([1, 0]))
    >>> M.topk(1, dim=-1).cols
    tensor([[1],
            [0]])

    """
    _check_ordered(matrix, "topk")
    if dim is None:
        check_int("k", k, least=1, most=matrix.ldim * matrix.rdim)
        return _with_gradient(matrix, _whole(matrix, k))
    axis = matrix_axis(matrix, dim)
    check_int("k", k, least=1, most=matrix.shape[axis])
    if axis == -1:
        return _with_gradient(matrix, _by_row(matrix, k))
    values, rows, cols = topk(transposed(matrix), k, -1)
    return TopK(values.mT, cols.mT, rows.mT)


def matrix_axis(matrix: Chain, dim: int) -> int:
    """Return -1 or -2 for a `dim` that names the columns or the rows.

    Raises:
        ArgumentError: it names a leading axis, or none.

    """
    check_int("dim", dim, least=-matrix.ndim, most=matrix.ndim - 1)
    if dim in (-1, matrix.ndim - 1):
        return -1
    if dim in (-2, matrix.ndim - 2):
        return -2
    raise ArgumentError(
        f"dim must be a matrix axis, -1 (along each row) or -2 (along each column) of shape {list(matrix.shape)}; "
        f"{dim} came."
    )


def _check_ordered(matrix: Chain, what: str) -> None:
    if matrix.dtype.is_complex:
        raise ArgumentError(f"{what} needs real entries, which have an order; the matrix is {matrix.dtype}.")
    if matrix.ldim == 0 or matrix.rdim == 0:
        raise ShapeError(f"{what} needs entries; a matrix of shape {list(matrix.shape)} has none.")


def _row_argmax(left: Tensor, right: Tensor) -> Tensor:
    """Return the argmax of each row of `left @ right`: the best tile of each row first, then the place in that tile."""
    rows, cols = left.shape[0], right.shape[1]
    best = torch.full((rows,), -math.inf, dtype=left.dtype, device=left.device)
    tile = torch.zeros(rows, dtype=torch.long, device=left.device)
    tiles = [right[:, start : start + COL_TILE].contiguous() for start in range(0, cols, COL_TILE)]
    space = torch.empty(ROW_TILE * COL_TILE, dtype=left.dtype, device=left.device)
    for start in range(0, rows, ROW_TILE):
        some = left[start : start + ROW_TILE]
        top, winner = best[start : start + ROW_TILE], tile[start : start + ROW_TILE]
        for number, columns in enumerate(tiles):
            product = space[: some.shape[0] * columns.shape[1]].view(some.shape[0], columns.shape[1])
            torch.mm(some, columns, out=product)
            found = product.amax(-1)
            better = (found > top) | (found.isnan() & ~top.isnan())
            winner.masked_fill_(better, number)
            top.copy_(torch.where(better, found, top))
    out = torch.empty_like(tile)
    for number, columns in enumerate(tiles):
        won = (tile == number).nonzero().flatten()
        for start in range(0, len(won), ROW_TILE):
            some = won[start : start + ROW_TILE]
            out[some] = (left[some] @ columns).argmax(-1) + number * COL_TILE
    return out


def _by_row(matrix: Chain, k: int) -> TopK:
    count = math.prod(matrix.leading)
    with torch.no_grad():
        values = torch.empty(count, matrix.ldim, k, dtype=matrix.compute_dtype, device=matrix.device)
        cols = torch.empty(count, matrix.ldim, k, dtype=torch.long, device=matrix.device)
        for start, stop, piece in pieces(matrix):
            for at, strip in strips(*sides(piece)):
                values[start:stop, at], cols[start:stop, at] = largest(strip, k)
    shape = (*matrix.leading, matrix.ldim, k)
    rows = torch.arange(matrix.ldim, device=matrix.device)[:, None].expand(shape)
    return TopK(values.reshape(shape), rows, cols.reshape(shape))


def _whole(matrix: Chain, k: int) -> TopK:
    count = math.prod(matrix.leading)
    with torch.no_grad():
        values = torch.empty(count, k, dtype=matrix.compute_dtype, device=matrix.device)
        flat = torch.empty(count, k, dtype=torch.long, device=matrix.device)
        for start, stop, piece in pieces(matrix):
            left, right = sides(piece)
            if left.shape[0] * left.shape[1] * right.shape[2] <= BLOCK:
                values[start:stop], flat[start:stop] = largest((left @ right).flatten(-2), k)
                continue
            for at in range(stop - start):
                values[start + at], flat[start + at] = _largest_of_product(left[at], right[at], k)
    shape = (*matrix.leading, k)
    flat = flat.reshape(shape)
    return TopK(values.reshape(shape), flat // matrix.rdim, flat % matrix.rdim)


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest along the last axis and their places, as `torch.topk`.

    In a long row, the k largest lie in the k groups of GROUP entries whose maxima are largest (and in the tail that
    fills no group): only those are sorted.
    """
    length = values.shape[-1]
    groups = length // GROUP
    if groups < 4 * k or groups < GROUP:
        found = values.topk(k, dim=-1)
        return found.values, found.indices
    whole = values[..., : groups * GROUP].unflatten(-1, (groups, GROUP))
    chosen = whole.amax(-1).topk(k, dim=-1).indices
    inside = torch.arange(GROUP, device=values.device)
    places = (chosen[..., None] * GROUP + inside).flatten(-2)
    tail = torch.arange(groups * GROUP, length, device=values.device).expand(*values.shape[:-1], -1)
    places = torch.cat([places, tail], dim=-1)
    found = values.gather(-1, places).topk(k, dim=-1)
    return found.values, places.gather(-1, found.indices)


def _largest_of_product(left: Tensor, right: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest entries of `left @ right` and their flat places, longest rows and columns first."""
    row_length, row_order = lengths(left, 1).sort(descending=True)
    col_length, col_order = lengths(right, 0).sort(descending=True)
    left, right = left[row_order], right[:, col_order].contiguous()
    slack = 1 + 16 * left.shape[1] * torch.finfo(left.dtype).eps  # rounding of the lengths and of the product
    values = torch.full((0,), -math.inf, dtype=left.dtype, device=left.device)
    flat = torch.zeros(0, dtype=torch.long, device=left.device)
    step = max(1, BLOCK // right.shape[1])
    for start in range(0, len(left), step):
        cols = right.shape[1]
        if len(values) == k:
            cols = int((col_length * row_length[start] * slack >= values[-1]).sum())
            if cols == 0:
                break
        strip = left[start : start + step] @ right[:, :cols]
        found, place = largest(strip.flatten(), min(k, strip.numel()))
        original = row_order[start + place // cols] * right.shape[1] + col_order[place % cols]
        merged = torch.cat([values, found])
        values, kept = merged.topk(min(k, len(merged)))
        flat = torch.cat([flat, original])[kept]
    return values, flat


def _with_gradient(matrix: Chain, found: TopK) -> TopK:
    """Gather the values once more where a gradient is wanted, so that they are connected to the factors."""
    if not (torch.is_grad_enabled() and matrix.requires_grad):
        return found
    count = math.prod(matrix.leading)
    if count == 0:
        return found
    rows, cols = found.rows.reshape(count, -1), found.cols.reshape(count, -1)
    values = [
        entries(indexed(matrix, tuple(int(i) for i in np.unravel_index(at, matrix.leading))), rows[at], cols[at])
        for at in range(count)
    ]
    return TopK(torch.stack(values).reshape(found.values.shape), found.rows, found.cols)
