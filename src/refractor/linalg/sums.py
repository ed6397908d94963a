"""Sums of factored matrices: `M + N = [A1 A2] [B1; B2]`, never formed; what both have at their ends is kept once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.errors import ShapeError
from refractor.linalg.chain import Chain, ChainT, check_alike, lifted, part
from refractor.linalg.evaluate import contracted
from refractor.linalg.factor import Factor, refine
from refractor.linalg.leading import Axis, broadcast_sizes, join_all
from refractor.linalg.scaling import times


def added(one: ChainT, other: Chain) -> ChainT:
    """Return `M + N` as a chain.

    Factors that both have at the left or right end (the same tensors) stay outside: `W_E (P + Q) W_U`. What is between
    is written as `[A1 A2] [B1; B2]` with the two sides of each; inner widths add up (`round` brings them down).

    Raises:
        ShapeError: the matrices differ in shape or dtype, or leading axes do not fit.
        ArgumentError: they are on different devices.
        BudgetError: the sides do not fit.

    """
    described = f"{list(one.shape)} + {list(other.shape)}"
    if (one.ldim, one.rdim) != (other.ldim, other.rdim):
        raise ShapeError(f"a sum needs matrices of one shape; {described} came.")
    check_alike(one.factors[0].tensor, other.factors[0].tensor, described)
    leading = broadcast_sizes([one.leading, other.leading], described)
    first, second = lifted(one, leading), lifted(other, leading)
    head = _common(first, second)
    tail = _common(first[head:][::-1], second[head:][::-1])
    if head == len(first) == len(second):
        return times(one.like(first, leading), 2)
    ends = (first[:head], first[len(first) - tail :])
    inner = (first[head : len(first) - tail], second[head : len(second) - tail])
    longer = inner[0] or inner[1]
    sides = [_sides(middle, longer[0], leading) for middle in inner]
    A = _stacked([side[0] for side in sides], dim=-1)
    B = _stacked([side[1] for side in sides], dim=-2)
    return one.like((*ends[0], A, B, *ends[1]), leading)


def _common(first: Sequence[Factor], second: Sequence[Factor]) -> int:
    """Count the factors at the beginning that are the same tensor held in the same way."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one.axes != other.axes or not _same(one.tensor, other.tensor):
            break
        count += 1
    return count


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or (
        one.device == other.device
        and one.shape == other.shape
        and one.stride() == other.stride()
        and one.data_ptr() == other.data_ptr()
        and not (one.requires_grad or other.requires_grad)  # two leaves on one memory have gradients of their own
        and one.numel() > 0
        and one.is_conj() == other.is_conj()
        and one.is_neg() == other.is_neg()
    )


def _sides(middle: Sequence[Factor], beside: Factor, leading: Sequence[int]) -> tuple[Factor, Factor]:
    """Return two factors with the product of `middle`; an empty one is the identity, as wide as `beside` has rows."""
    if not middle:
        eye = identity_factor(beside.rows, beside)
        return eye, eye
    if len(middle) == 1:
        only = middle[0]
        return (
            (identity_factor(only.rows, only), only)
            if only.rows <= only.cols
            else (only, identity_factor(only.cols, only))
        )
    chain = Chain.of(middle, leading)
    left, right = part(chain, 0, chain.waist), part(chain, chain.waist, len(middle))
    return _in_dtype(contracted(left, "+"), chain), _in_dtype(contracted(right, "+"), chain)


def _in_dtype(factor: Factor, chain: Chain) -> Factor:
    return factor.with_tensor(factor.tensor.to(chain.dtype))


def identity_factor(width: int, beside: Factor) -> Factor:
    """Return the identity as a factor that all leading entries share, with the dtype and device of another factor.

    Raises:
        BudgetError: it does not fit.

    """
    tensor = beside.tensor
    check_fits(
        width * width * tensor.element_size(), f"+ (an identity of {width} rows)", "Add lower ranks.", tensor.device
    )
    eye = torch.eye(width, dtype=tensor.dtype, device=tensor.device)
    return Factor(eye[(None,) * len(beside.axes)], tuple(Axis(axis.size, 1) for axis in beside.axes))


def _stacked(factors: Sequence[Factor], dim: int) -> Factor:
    axes = factors[0].axes
    for factor in factors[1:]:
        axes = join_all(axes, factor.axes)
    tensors = [refine(factor, axes).tensor.expand(*(axis.stored for axis in axes), -1, -1) for factor in factors]
    return Factor(torch.cat(tensors, dim=dim), axes)
