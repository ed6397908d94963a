"""The product of two factors: shared leading axes are batched, an axis that one of them lacks is folded.

A factor without a head axis times one that has it is a single large product, not one per head, and neither
operand is repeated.
"""

import math
from collections.abc import Sequence
from string import ascii_lowercase

import torch
from torch import Tensor

from refractor.base.numerics import compute_dtype
from refractor.linalg.factor import Factor, refine
from refractor.linalg.leading import Axis, even_blocks, join_all, positions
from refractor.linalg.plan import BATCHED

LONG_SUM = 8192  # sums of this many float32 products and more are added up in float64, piece by piece
PIECE = 4096  # products in one piece: float32 keeps about 2**-24 * sqrt(4096) of it


def multiply(left: Factor, right: Factor) -> Factor:
    """Return `left @ right`, holding each leading axis as finely as the two together and no finer.

    Half precisions are contracted in float32.
    """
    axes = join_all(left.axes, right.axes)
    left, right = _refine_if_both_coarser(left, right, axes)
    odd = _odd_axis(left, right, axes)
    if odd is not None:
        return _by_groups(left, right, axes, odd)
    spelled = _spell(left.axes, right.axes, axes)
    first = upcast(left.tensor).reshape(*spelled.left_sizes, left.rows, left.cols)
    second = upcast(right.tensor).reshape(*spelled.right_sizes, right.rows, right.cols)
    if spelled.plain:
        product = matrix_product(first, second)
    elif not spelled.left_sizes and right.cols >= BATCHED and not _wants_gradient(first, second):
        many = second.reshape(-1, right.rows, right.cols)  # one product each: nothing is copied beside the columns
        product = torch.bmm(first.expand(len(many), -1, -1), many)
    else:
        product = torch.einsum(f"{spelled.left}XY,{spelled.right}YZ->{spelled.out}XZ", first, second)
    return Factor(product.reshape(*(axis.stored for axis in axes), left.rows, right.cols), axes)


def upcast(tensor: Tensor) -> Tensor:
    """Return `tensor` in the dtype in which it is contracted."""
    return tensor.to(compute_dtype(tensor.dtype))


def _wants_gradient(left: Tensor, right: Tensor) -> bool:
    """Whether a gradient will be asked for; that of a batched product holds a matrix per entry before it is summed."""
    return torch.is_grad_enabled() and (left.requires_grad or right.requires_grad)


def wide_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype of sums and small cores: float64 (or complex128), but for mps, which has none."""
    return tensor.dtype if tensor.device.type == "mps" else torch.promote_types(tensor.dtype, torch.float64)


def lengths(tensor: Tensor, dim: int) -> Tensor:
    """Return Euclidean lengths along one axis, added up in float64: squares of float32 may leave its range."""
    return torch.linalg.vector_norm(tensor, dim=dim, dtype=wide_dtype(tensor)).to(tensor.real.dtype)


def matrix_product(left: Tensor, right: Tensor) -> Tensor:
    """Return the product of two matrices; a long sum of float32 products is added up in float64.

    The rounding of a float32 sum of n products grows with n. Pieces of a few thousand are exact to a few units
    of the last place, and adding the pieces in float64 costs nothing beside the products.
    """
    inner = left.shape[-1]
    long = left.dtype == torch.float32 and inner >= LONG_SUM and inner > 8 * max(left.shape[0], right.shape[1])
    if not long or left.device.type == "mps":  # there is no float64 on mps
        return left @ right
    total = torch.zeros(left.shape[0], right.shape[1], dtype=torch.float64, device=left.device)
    for start in range(0, inner, PIECE):
        total = total + (left[:, start : start + PIECE] @ right[start : start + PIECE]).double()
    return total.to(left.dtype)


class _Spelling:
    """Letters for einsum: one per leading axis that is really there, two where one side holds it in groups."""

    def __init__(self) -> None:
        self.left, self.right, self.out = "", "", ""
        self.left_sizes: list[int] = []
        self.right_sizes: list[int] = []

    @property
    def plain(self) -> bool:
        return not self.out

    def add(self, size: int, *, in_left: bool, in_right: bool) -> None:
        if not (in_left or in_right):
            return
        letter = ascii_lowercase[len(self.out)]
        self.out += letter
        if in_left:
            self.left += letter
            self.left_sizes.append(size)
        if in_right:
            self.right += letter
            self.right_sizes.append(size)


def _spell(left: Sequence[Axis], right: Sequence[Axis], axes: Sequence[Axis]) -> _Spelling:
    spelling = _Spelling()
    for a, b, both in zip(left, right, axes, strict=True):
        if both.shared:
            continue
        coarse = a if a.stored < b.stored else b
        groups = coarse.stored if a.stored != b.stored and not (a.shared or b.shared) else 0
        if groups:
            spelling.add(groups, in_left=True, in_right=True)
            spelling.add(both.stored // groups, in_left=b is coarse, in_right=a is coarse)
        else:
            spelling.add(both.stored, in_left=not a.shared, in_right=not b.shared)
    return spelling


def _refine_if_both_coarser(left: Factor, right: Factor, axes: Sequence[Axis]) -> tuple[Factor, Factor]:
    """Where two different group maps meet, read the left one at the resolution of both."""
    meet = [
        both if not (a.shared or b.shared or both in (a, b)) else a
        for a, b, both in zip(left.axes, right.axes, axes, strict=True)
    ]
    return refine(left, meet), right


def _odd_axis(left: Factor, right: Factor, axes: Sequence[Axis]) -> int | None:
    """Return the first axis that one side holds in groups which are not equal blocks in order."""
    for place, (a, b, both) in enumerate(zip(left.axes, right.axes, axes, strict=True)):
        coarse = a if a.stored < b.stored else b
        meet = a.stored != b.stored and not (a.shared or b.shared)
        if meet and not even_blocks(positions(coarse, both)):
            return place
    return None


def _by_groups(left: Factor, right: Factor, axes: tuple[Axis, ...], place: int) -> Factor:
    """Multiply group by group along one axis, so that the coarser side is not repeated."""
    coarse, fine = (left, right) if left.axes[place].stored < right.axes[place].stored else (right, left)
    owner = torch.tensor(positions(coarse.axes[place], axes[place]))
    pieces, order = [], []
    for group in range(coarse.axes[place].stored):
        members = (owner == group).nonzero().flatten()
        one = _take(coarse, place, torch.tensor([group]), len(members))
        many = _take(fine, place, members, len(members))
        pieces.append(multiply(one, many) if coarse is left else multiply(many, one))
        order.append(members)
    back = torch.cat(order).argsort().to(left.tensor.device)
    return Factor(torch.cat([piece.tensor for piece in pieces], dim=place).index_select(place, back), axes)


def _take(factor: Factor, place: int, entries: Tensor, size: int) -> Factor:
    tensor = factor.tensor.index_select(place, entries.to(factor.tensor.device))
    return Factor(tensor, (*factor.axes[:place], Axis(size, len(entries)), *factor.axes[place + 1 :]))


def product_inner(left: Factor, right: Factor) -> Factor:
    """Return `trace(left @ right)` for every leading entry, as a factor of 1 × 1 matrices, without the product.

    `sum_xy left[x, y] right[y, x]`, added up (and returned) in float64, over blocks of rows of `left`.
    """
    axes = join_all(left.axes, right.axes)
    left, right = _refine_if_both_coarser(left, right, axes)
    if _odd_axis(left, right, axes) is not None:
        left, right = refine(left, axes), refine(right, axes)
    spelled = _spell(left.axes, right.axes, axes)
    stored = [axis.stored for axis in axes]
    first = upcast(left.tensor).reshape(*spelled.left_sizes, left.rows, left.cols)
    second = upcast(right.tensor).reshape(*spelled.right_sizes, right.rows, right.cols)
    wide = wide_dtype(first)
    per_row = left.cols * max(math.prod(spelled.left_sizes), math.prod(spelled.right_sizes), 1)
    step = max(1, 4_000_000 // max(1, per_row))  # entries of one float64 copy: 32 MB
    total = torch.zeros(stored, dtype=wide, device=first.device)
    for start in range(0, max(1, left.rows), step):
        a = first[..., start : start + step, :].to(wide)
        b = second[..., :, start : start + step].to(wide)
        total = total + torch.einsum(f"{spelled.left}XY,{spelled.right}YX->{spelled.out}", a, b).reshape(stored)
    return Factor(total[..., None, None], axes)
