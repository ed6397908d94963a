"""Products of every matrix of one stack with every matrix of another, reduced to their norms: `|L_i R_j|`, tiled.

Broadcasting the two stacks against each other would repeat both once per pair: 2 × 4.1 GB for the heads of GPT-2 small.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.linalg.blocks import BLOCK
from refractor.linalg.chain import Chain, as_chain, check_alike, part, transposed
from refractor.linalg.evaluate import contracted, evaluate
from refractor.linalg.factor import expand_leading
from refractor.linalg.finite import check_factors, check_finite
from refractor.linalg.leading import Axis
from refractor.linalg.svd import real_dtype
from refractor.linalg.sweep import plan_halves

SLICES = 4  # Gram matrices are compared in SLICES × SLICES blocks; those below the diagonal are not made
CANCELLED = 1e-2  # a squared norm below this share of its bound has lost digits; that pair is multiplied out


def pairwise_norms(left: Chain, right: Chain, wanted: Bool[Tensor, "..."] | None = None) -> Float[Tensor, "..."]:
    """Frobenius norm of `L_i @ R_j` for every matrix L_i of one stack and every R_j of another.

    `|L R|² = <Lᴴ L, R Rᴴ>`: the inner product of two square Gram matrices, made block by block for all matrices at once
    from sides that were reduced by QR. Pairs whose norm is a small difference of large terms are multiplied out, so
    that no score is worse than rounding allows. What groups of heads share is done once.

    Args:
        left: `[*one, n, d]`.
        right: `[*other, d, m]`.
        wanted: `[*one, *other]`, the pairs that matter; the others come out as NaN and cost nothing where whole rows or
            columns of them can be left out (e.g. heads of later layers into earlier ones).

    Returns:
        `[*one, *other]`, real, in the dtype of contractions. Not differentiable.

    Raises:
        ShapeError: inner widths or dtypes differ, or `wanted` has another shape.

    >>> from refractor.linalg import FactoredMatrix, pairwise_norms
    >>> one = FactoredMatrix(torch.ones(2, 3, 1), torch.ones(2, 1, 3))
    >>> other = FactoredMatrix(torch.ones(5, 3, 1), torch.ones(5, 1, 3))
    >>> pairwise_norms(one, other).shape
    torch.Size([2, 5])

    """
    left, right = as_chain(left, "pairwise_norms"), as_chain(right, "pairwise_norms")
    described = f"{list(left.shape)} with {list(right.shape)}"
    if left.rdim != right.ldim:
        raise ShapeError(f"products need equal inner widths; {left.rdim} columns and {right.ldim} rows in {described}.")
    check_alike(left.factors[0].tensor, right.factors[0].tensor, described)
    shape = (*left.leading, *right.leading)
    if wanted is not None and (tuple(wanted.shape) != shape or wanted.dtype != torch.bool):
        raise ShapeError(
            f"wanted must be a torch.bool tensor with a place for every pair, {list(shape)}; {list(wanted.shape)} of "
            f"{wanted.dtype} came."
        )
    with torch.no_grad():
        rows, row_axes = _reduced(left)
        cols, col_axes = _reduced(transposed(right))
        mask = _stored_mask(wanted, row_axes, col_axes, rows.shape[0], cols.shape[0])
        stored = _norms(rows, cols.mT, mask)
        if not bool(torch.isfinite(stored[mask.to(stored.device)]).all()):
            check_factors(right, "pairwise_norms (right)")
            check_finite(stored[mask.to(stored.device)], left, "pairwise_norms")
        stored = stored.reshape([axis.stored for axis in (*row_axes, *col_axes)])
        found = expand_leading(stored, (*row_axes, *col_axes), trailing=0).to(real_dtype(left))
        return found if wanted is None else torch.where(wanted.to(found.device), found, torch.nan)


def _reduced(chain: Chain) -> tuple[Tensor, tuple[Axis, ...]]:
    """Return `[count, w, rdim]` with the norms of every `M X`: M without the orthonormal factor on its left."""
    halves = plan_halves(chain, "pairwise_norms")
    rest = part(chain, halves.cut, len(chain.factors)).factors
    if halves.left:
        rest = (evaluate(halves.left, chain.factors), *rest)
    found = contracted(Chain.of(rest, chain.leading), "pairwise_norms")
    tensor = found.tensor.to(chain.compute_dtype)
    return tensor.reshape(math.prod(tensor.shape[:-2]), *tensor.shape[-2:]), found.axes


def _stored_mask(
    wanted: Tensor | None, row_axes: tuple[Axis, ...], col_axes: tuple[Axis, ...], rows: int, cols: int
) -> Tensor:
    """Return which stored pairs serve any wanted one, `[rows, cols]` on the CPU."""
    if wanted is None:
        return torch.ones(rows, cols, dtype=torch.bool)
    mask = wanted.cpu()
    for place, axis in enumerate((*row_axes, *col_axes)):
        labels = torch.tensor(axis.labels(), dtype=torch.long)
        folded = torch.zeros(*mask.shape[:place], axis.stored, *mask.shape[place + 1 :], dtype=torch.long)
        mask = folded.index_add(place, labels, mask.long()) > 0
    return mask.reshape(rows, cols)


def _norms(rows: Tensor, cols: Tensor, mask: Tensor) -> Tensor:
    """Return `[i, j]` the norms of `rows[i] @ cols[j]` where the mask is set."""
    height, width, inner = rows.shape[1], cols.shape[2], cols.shape[1]
    by_products = height * inner * width
    by_grams = (SLICES + 1) / (2 * SLICES) * inner * inner
    if by_products <= by_grams or not mask.any():
        return _by_products(rows, cols, mask)
    squares = _by_grams(rows, cols, mask)
    bound = _gram_size(rows)[:, None] * _gram_size(cols.mT)[None, :]
    lost = mask & (squares < CANCELLED * bound).cpu()
    found = squares.clamp_min(0).sqrt()
    if lost.any():
        exact = _by_products(rows, cols, lost)
        found = torch.where(lost.to(found.device), exact, found)
    return found


def _gram_size(stack: Tensor) -> Tensor:
    """Return the Frobenius norm of `Xᴴ X` for each X of a stack of wide matrices, through the smaller `X Xᴴ`."""
    return torch.linalg.matrix_norm(stack @ stack.mH).double()


def _bands(mask: Tensor) -> list[tuple[slice, slice]]:
    """Cut the rows into bands, each with the range of columns in which it wants anything."""
    count = mask.shape[0]
    bands = []
    for start in range(0, count, max(1, -(-count // 4))):
        band = slice(start, min(count, start + max(1, -(-count // 4))))
        used = mask[band].any(0).nonzero().flatten()
        if len(used):
            bands.append((band, slice(int(used[0]), int(used[-1]) + 1)))
    return bands


def _by_grams(rows: Tensor, cols: Tensor, mask: Tensor) -> Tensor:
    """Return the squared norms as inner products of Gram matrices, block by block, added up in float64."""
    inner = rows.shape[-1]
    wide = torch.float64 if rows.device.type != "mps" else rows.dtype
    total = torch.zeros(rows.shape[0], cols.shape[0], dtype=wide, device=rows.device)
    bands = _bands(mask)
    edges = [inner * step // SLICES for step in range(SLICES + 1)]
    for at in range(SLICES):
        for to in range(at, SLICES):
            one, other = slice(edges[at], edges[at + 1]), slice(edges[to], edges[to + 1])
            if one.start == one.stop or other.start == other.stop:
                continue
            left = (rows[..., one].mH @ rows[..., other]).flatten(1)
            right = (cols[:, one] @ cols[:, other].mH).flatten(1).conj()
            for band, columns in bands:
                part_of = (left[band] @ right[columns].mT).real.to(wide)
                total[band, columns] += part_of if at == to else 2 * part_of
    return total


def _by_products(rows: Tensor, cols: Tensor, mask: Tensor) -> Tensor:
    """Return the norms of the products themselves, a tile of pairs at a time; only rows and columns of the mask."""
    wide = torch.float64 if rows.device.type != "mps" else rows.real.dtype
    out = torch.full((rows.shape[0], cols.shape[0]), torch.nan, dtype=wide, device=rows.device)
    height, width = rows.shape[1], cols.shape[2]
    per_pair = max(1, height * width)
    tile = max(1, math.isqrt(BLOCK // per_pair))
    for start in range(0, rows.shape[0], tile):
        band = slice(start, min(rows.shape[0], start + tile))
        used = mask[band].any(0).nonzero().flatten().to(rows.device)
        for begin in range(0, len(used), tile):
            chosen = used[begin : begin + tile]
            left = rows[band].flatten(0, 1)
            right = cols[chosen].movedim(0, 1).flatten(1)
            product = (left @ right).reshape(band.stop - band.start, height, len(chosen), width)
            out[band, chosen] = torch.linalg.vector_norm(product, dim=(1, 3)).to(wide)
    return out
