"""One factor of a chain: a tensor, and how it holds the leading axes of the whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.linalg.leading import Axis, by_labels, positions


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """A tensor one of whose leading axes serves a longer axis by a group map, without being repeated.

    Grouped-query attention shares key/value heads: query head q reads key/value head `index[q]`. Pass
    `Grouped(W_V, index)` to `FactoredMatrix` in place of `W_V[..., index, :, :]`.

    Args:
        tensor: `[..., kv_head, rows, cols]`.
        index: for each entry of the longer axis, the entry of `tensor` that serves it.
        axis: the axis of `tensor` that is shared, counted from the end (-3 is the one before the matrix axes).

    >>> import torch
    >>> from refractor.linalg import FactoredMatrix
    >>> W_V, W_O = torch.randn(3, 16, 4), torch.randn(9, 4, 16)
    >>> FactoredMatrix(Grouped(W_V, [0, 0, 0, 1, 1, 1, 2, 2, 2]), W_O).shape
    torch.Size([9, 16, 16])

    """

    tensor: Tensor
    index: Sequence[int]
    axis: int = -3


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A tensor `[*stored, rows, cols]` and, for each leading axis of the whole, how it is held."""

    tensor: Tensor
    axes: tuple[Axis, ...]

    @property
    def rows(self) -> int:
        """Rows of the matrix."""
        return self.tensor.shape[-2]

    @property
    def cols(self) -> int:
        """Columns of the matrix."""
        return self.tensor.shape[-1]

    @property
    def nbytes(self) -> int:
        """Bytes of the entries that are stored."""
        return math.prod(self.tensor.shape) * self.tensor.element_size()

    @property
    def T(self) -> "Factor":
        """The transpose; no memory is copied."""
        return Factor(self.tensor.mT, self.axes)

    def with_tensor(self, tensor: Tensor) -> "Factor":
        """Return a factor that holds its leading axes in the same way."""
        return Factor(tensor, self.axes)

    def expanded(self) -> Tensor:
        """Return `[*leading, rows, cols]`: shared axes as views, groups repeated."""
        return expand_leading(self.tensor, self.axes, trailing=2)


def expand_leading(tensor: Tensor, axes: Sequence[Axis], trailing: int) -> Tensor:
    """Return `tensor` `[*stored, ...]` with every leading axis at its full size.

    Shared axes become views; grouped ones are repeated. `trailing` is the number of axes after the leading ones.
    """
    for place, axis in enumerate(axes):
        if axis.index is not None:
            tensor = tensor.index_select(place, torch.tensor(axis.index, device=tensor.device))
    return tensor.expand([*(axis.size for axis in axes), *tensor.shape[len(axes) : len(axes) + trailing]])


def refine(factor: Factor, axes: Sequence[Axis]) -> Factor:
    """Return `factor` holding every axis that it groups more coarsely than `axes` as finely as they do.

    Shared axes stay shared. What is grouped is repeated, so this is for small or odd cases only.
    """
    tensor, held = factor.tensor, list(factor.axes)
    for place, (own, wanted) in enumerate(zip(factor.axes, axes, strict=True)):
        if own != wanted and not own.shared:
            tensor = tensor.index_select(place, torch.tensor(positions(own, wanted), device=tensor.device))
            held[place] = wanted
    return Factor(tensor, tuple(held))


def leading_sizes(given: Tensor | Grouped) -> tuple[int, ...]:
    """Return the sizes of the leading axes that `given` stands for.

    Raises:
        ShapeError: it is no stack of matrices, or its group map does not fit.
        ArgumentError: the group map names entries that are not there.

    """
    tensor = given if isinstance(given, Tensor) else given.tensor
    if tensor.ndim < 2:
        raise ShapeError(
            f"a factor must be a matrix or a stack of matrices, [..., rows, cols]; shape {list(tensor.shape)} came. "
            f"A vector v is used as M @ v, or as the matrix v[:, None]."
        )
    if isinstance(given, Tensor):
        return tuple(tensor.shape[:-2])
    if not -tensor.ndim <= given.axis <= -3:
        raise ShapeError(
            f"Grouped needs a leading axis, from {-tensor.ndim} to -3, of a tensor of shape {list(tensor.shape)}; "
            f"axis={given.axis} came."
        )
    stored = tensor.shape[given.axis]
    if any(isinstance(entry, bool) or not isinstance(entry, int) for entry in given.index):
        raise ArgumentError(f"the index of Grouped must be integers; {list(given.index)[:8]} came. Use index.tolist().")
    wrong = [entry for entry in given.index if not 0 <= entry < stored]
    if wrong:
        raise ArgumentError(
            f"the index of Grouped must name entries 0 … {stored - 1} of axis {given.axis} of a tensor of shape "
            f"{list(tensor.shape)}; {wrong[0]} came."
        )
    place = tensor.ndim + given.axis
    return (*tensor.shape[:place], len(given.index), *tensor.shape[place + 1 : -2])


def hold(given: Tensor | Grouped, leading: Sequence[int]) -> Factor:
    """Make the factor that `given` is within a whole with these leading axes."""
    tensor = given if isinstance(given, Tensor) else given.tensor
    missing = len(leading) - (tensor.ndim - 2)
    place = -1
    labels: tuple[int, ...] = ()
    if isinstance(given, Grouped):
        place = len(leading) + 2 + given.axis
        labels = tuple(given.index)
        tensor = _in_order_of_use(given, tensor.ndim + given.axis)
    tensor = tensor[(None,) * missing] if missing else tensor
    axes = []
    for at, (size, stored) in enumerate(zip(leading, tensor.shape, strict=False)):
        axes.append(by_labels(labels) if at == place and len(labels) == size else Axis(size, stored))
    return Factor(tensor, tuple(axes))


def _in_order_of_use(given: Grouped, place: int) -> Tensor:
    """Return the stored entries in the order in which the map first uses them, without those it never uses."""
    order = list(dict.fromkeys(given.index))
    if order == list(range(given.tensor.shape[place])):
        return given.tensor
    return given.tensor.index_select(place, torch.tensor(order, dtype=torch.long, device=given.tensor.device))
