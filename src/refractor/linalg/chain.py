"""A chain of factors `M = F1 @ F2 @ … @ Fk`: the data on which every question is asked. Nothing here computes."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.base.numerics import compute_dtype
from refractor.linalg.factor import Factor, Grouped, hold, leading_sizes
from refractor.linalg.leading import Axis, broadcast_sizes

ChainT = TypeVar("ChainT", bound="Chain")

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)


class Chain:
    """`M = F1 @ F2 @ … @ Fk`, a stack of matrices `[*leading, ldim, rdim]` of which only the factors exist.

    Factors keep their own leading axes; what a factor shares is stored once. A chain never changes. `note` says what
    the product leaves out of what it stands for (empty: nothing); what is made from a chain carries it on.
    """

    __slots__ = ("_factors", "_leading", "_note")
    _factors: tuple[Factor, ...]
    _leading: tuple[int, ...]
    _note: str

    def __init__(self, *given: Tensor | Grouped) -> None:
        check_given(given)
        described = describe_shapes(given)
        leading = broadcast_sizes([leading_sizes(each) for each in given], described)
        self._set(tuple(hold(each, leading) for each in given), leading)
        for place, (left, right) in enumerate(zip(self._factors, self._factors[1:], strict=False)):
            if left.cols != right.rows:
                raise ShapeError(
                    f"factor {place} has {left.cols} columns and factor {place + 1} has {right.rows} rows; inner "
                    f"widths must be equal in {described}."
                )

    def _set(self, factors: tuple[Factor, ...], leading: tuple[int, ...], note: str = "") -> None:
        object.__setattr__(self, "_factors", factors)
        object.__setattr__(self, "_leading", leading)
        object.__setattr__(self, "_note", note)

    def __setattr__(self, name: str, value: object) -> None:
        raise ArgumentError(f"a {type(self).__name__} never changes; make a new one instead of setting {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise ArgumentError(f"a {type(self).__name__} never changes; {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self._factors, self._leading, self._note)

    @classmethod
    def of(cls: type[ChainT], factors: Iterable[Factor], leading: Sequence[int], note: str = "") -> ChainT:
        """Make a chain of factors that are known to fit."""
        chain = cls.__new__(cls)
        Chain._set(chain, tuple(factors), tuple(leading), note)
        return chain

    def like(self: ChainT, factors: Iterable[Factor], leading: Sequence[int] | None = None) -> ChainT:
        """Make a chain of the same kind from other factors, with the same leading axes unless told otherwise."""
        return self.of(factors, self._leading if leading is None else leading, self._note)

    def with_note(self: ChainT, note: str) -> ChainT:
        """Make the same chain with another note."""
        return self.of(self._factors, self._leading, note)

    @property
    def note(self) -> str:
        """What the product leaves out of what it stands for; empty when nothing."""
        return self._note

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors, left to right, each with the way in which it holds the leading axes."""
        return self._factors

    @property
    def leading(self) -> tuple[int, ...]:
        """Sizes of the leading axes."""
        return self._leading

    @property
    def widths(self) -> tuple[int, ...]:
        """`ldim`, the inner widths from left to right, `rdim`."""
        return (self._factors[0].rows, *(factor.cols for factor in self._factors))

    @property
    def shape(self) -> torch.Size:
        """`[*leading, ldim, rdim]`, the shape of the product."""
        return torch.Size((*self._leading, self.ldim, self.rdim))

    @property
    def ndim(self) -> int:
        """Number of axes, leading ones and the two of the matrix."""
        return len(self._leading) + 2

    @property
    def ldim(self) -> int:
        """Rows of the product."""
        return self._factors[0].rows

    @property
    def rdim(self) -> int:
        """Columns of the product."""
        return self._factors[-1].cols

    @property
    def waist(self) -> int:
        """The cut: how many factors stand left of the narrowest inner width (the leftmost of equals)."""
        inner = self.widths[1:-1]
        return 1 + inner.index(min(inner)) if inner else len(self._factors)

    @property
    def mdim(self) -> int:
        """The narrowest inner width."""
        return self.widths[self.waist]

    @property
    def rank_bound(self) -> int:
        """The smallest width of all, `ldim` and `rdim` included: the number of singular values."""
        return min(self.widths)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of every factor."""
        return self._factors[0].tensor.dtype

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype of contractions and of numbers that are returned: float32 for half precisions, else `dtype`."""
        return compute_dtype(self.dtype)

    @property
    def device(self) -> torch.device:
        """The device of every factor."""
        return self._factors[0].tensor.device

    @property
    def requires_grad(self) -> bool:
        """Whether any factor asks for a gradient."""
        return any(factor.tensor.requires_grad for factor in self._factors)

    @property
    def nbytes(self) -> int:
        """Bytes that the factors store; a factor that is a view of another tensor counts as its own entries."""
        return sum(factor.nbytes for factor in self._factors)

    @property
    def dense_nbytes(self) -> int:
        """Bytes that the product would hold."""
        return math.prod(self.shape) * self._factors[0].tensor.element_size()


def _rebuild(kind: type[Chain], factors: tuple[Factor, ...], leading: tuple[int, ...], note: str) -> Chain:
    return kind.of(factors, leading, note)


def transposed(chain: ChainT) -> ChainT:
    """Return the transpose; no memory is copied."""
    return chain.like(factor.T for factor in reversed(chain.factors))


def adjoint(chain: ChainT) -> ChainT:
    """Return the conjugate transpose; no memory is copied."""
    return chain.like(factor.with_tensor(factor.tensor.mH) for factor in reversed(chain.factors))


def part(chain: Chain, start: int, stop: int) -> Chain:
    """Return factors `start … stop - 1` as a chain with the same leading axes."""
    return Chain.of(chain.factors[start:stop], chain.leading)


def beside(left: ChainT, right: Chain) -> ChainT:
    """Return `left @ right` for chains that are known to fit and have the same leading axes."""
    return left.of((*left.factors, *right.factors), left.leading, left.note or right.note)


def joined(left: ChainT, right: Chain) -> ChainT:
    """Return `left @ right`, of the kind of `left`: factors side by side, leading axes broadcast.

    Raises:
        ShapeError: columns of the left and rows of the right differ, or leading axes do not fit.

    """
    described = f"{list(left.shape)} @ {list(right.shape)}"
    if left.rdim != right.ldim:
        raise ShapeError(f"the left has {left.rdim} columns and the right has {right.ldim} rows in {described}.")
    check_alike(left.factors[0].tensor, right.factors[0].tensor, described)
    leading = broadcast_sizes([left.leading, right.leading], described)
    return left.of([*lifted(left, leading), *lifted(right, leading)], leading, left.note or right.note)


def lifted(chain: Chain, leading: Sequence[int]) -> list[Factor]:
    """Return the factors of `chain` within a whole with broadcast leading sizes; no memory is copied."""
    missing = len(leading) - len(chain.leading)
    lifted_factors = []
    for factor in chain.factors:
        held = (Axis(1, 1),) * missing + factor.axes
        axes = tuple(
            axis if axis.size == size else Axis(size, axis.stored) for axis, size in zip(held, leading, strict=True)
        )
        lifted_factors.append(Factor(factor.tensor[(None,) * missing] if missing else factor.tensor, axes))
    return lifted_factors


def check_given(given: Sequence[Tensor | Grouped]) -> None:
    """Raise unless these can be factors together: real or complex matrices of one dtype on one device.

    Raises:
        ShapeError: a dtype is not floating or complex, or dtypes differ.
        ArgumentError: something is no tensor, or devices differ.

    """
    for place, each in enumerate(given):
        if isinstance(each, Chain):
            raise ArgumentError(
                f"factor {place}: a {type(each).__name__} came. Write products of factored matrices with @."
            )
        tensor = each.tensor if isinstance(each, Grouped) else each
        if not isinstance(tensor, Tensor):
            raise ArgumentError(
                f"factor {place} must be a torch.Tensor; {type(tensor).__name__} came. Convert it with torch.as_tensor."
            )
    tensors = [each if isinstance(each, Tensor) else each.tensor for each in given]
    for place, tensor in enumerate(tensors):
        if tensor.layout != torch.strided:
            raise ArgumentError(f"factors must be dense tensors; factor {place} is {tensor.layout}. Use .to_dense().")
        if tensor.dtype not in DTYPES:
            raise ShapeError(
                f"factors must be of a floating or complex dtype (float16 … float64, complex64, complex128); "
                f"factor {place} of {describe_shapes(given)} has dtype {tensor.dtype}. Convert it with .float()."
            )
        check_alike(tensors[0], tensor, describe_shapes(given))


def check_alike(one: Tensor, other: Tensor, described: str) -> None:
    """Raise unless two tensors share dtype and device.

    Raises:
        ShapeError: the dtypes differ.
        ArgumentError: the devices differ.

    """
    if one.dtype != other.dtype:
        raise ShapeError(
            f"factors must share one dtype; {one.dtype} and {other.dtype} came in {described}. "
            f"Convert one with .to({one.dtype})."
        )
    if one.device != other.device:
        raise ArgumentError(
            f"factors must be on one device; {one.device} and {other.device} came in {described}. "
            f"Move one with .to({str(one.device)!r})."
        )


def as_chain(other: object, what: str) -> Chain:
    """Return `other` if it is a factored matrix.

    Raises:
        ArgumentError: it is something else.

    """
    if isinstance(other, Chain):
        return other
    raise ArgumentError(
        f"{what} takes two factored matrices; {type(other).__name__} came. A tensor T becomes one as "
        f"FactoredMatrix(T, torch.eye(T.shape[-1]))."
    )


def describe_shapes(given: Sequence[Tensor | Grouped]) -> str:
    """Write the shapes of factors as a product: `[5, 2] @ [2, 5]`."""
    words = []
    for each in given:
        tensor = each if isinstance(each, Tensor) else each.tensor
        words.append(str(list(tensor.shape)) + ("" if isinstance(each, Tensor) else f" (groups of {len(each.index)})"))
    return " @ ".join(words)
