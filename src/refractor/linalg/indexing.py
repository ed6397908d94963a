"""Indexing: `M[...]` picks leading entries, rows and columns, and stays factored.

Leading axes follow PyTorch's rules for tensors. Row and column indices act on the first and last factor alone, each
for itself: a list of rows and a list of columns give the block of all pairs. An integer row or column keeps its axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from refractor.base.errors import ArgumentError, OutOfRangeError, ShapeError
from refractor.linalg.chain import Chain, ChainT, transposed
from refractor.linalg.factor import Factor
from refractor.linalg.leading import Axis, by_labels

Item = int | slice | None | Tensor  # what an index is made of once lists, masks and the ellipsis are resolved


def indexed(matrix: ChainT, index: object) -> ChainT:
    """Return `M[index]`, factored.

    Args:
        matrix: the matrix that is indexed.
        index: integers, slices, `...`, None, lists or tensors of integers, boolean masks, or a tuple of them, at most
            one for each axis.

    Raises:
        ArgumentError: something else came, or too many.
        OutOfRangeError: an entry is not there.
        ShapeError: a mask does not fit its axes.

    """
    items = _resolved(matrix, index if isinstance(index, tuple) else (index,))
    axis, leading_items, new_after = 0, [], []
    matrix_items: list[Item] = [slice(None), slice(None)]
    for item in items:
        if item is None:
            if axis <= matrix.ndim - 2:
                leading_items.append(None)
            else:
                new_after.append(axis)
            continue
        if axis < matrix.ndim - 2:
            leading_items.append(item)
        else:
            matrix_items[axis - (matrix.ndim - 2)] = item
        axis += 1
    chain = _rows_and_cols(_leading(matrix, leading_items), matrix_items)
    for place in new_after:
        chain = _promoted(chain)
        if place == matrix.ndim:
            chain = transposed(chain)
    return chain


def unsqueezed(matrix: ChainT, k: int) -> ChainT:
    """Return the matrix with one more leading axis of length 1 at place `k`.

    Args:
        matrix: the matrix.
        k: 0 … number of leading axes, or negative, from the end of the new shape (-3 is before the matrix axes).

    Raises:
        ArgumentError: `k` is none of these.

    """
    count = len(matrix.leading)
    place = k + matrix.ndim + 1 if k < 0 else k
    if not 0 <= place <= count:
        raise ArgumentError(
            f"unsqueeze adds a leading axis: k must be 0 … {count} or {-count - 3} … -3 for shape "
            f"{list(matrix.shape)}; {k} came."
        )
    return indexed(matrix, (*(slice(None) for _ in range(place)), None))


def _resolved(matrix: Chain, index: tuple[object, ...]) -> list[Item]:
    """Spell an index out: the ellipsis as slices, lists as tensors, masks as the integers that they stand for."""
    ready = [_converted(item, matrix, index) for item in index]
    taken = sum(_axes_of(item) for item in ready)
    ellipses = [place for place, item in enumerate(ready) if item is Ellipsis]
    if len(ellipses) > 1:
        raise ArgumentError(f"index {_written(index)} may have ... once only.")
    if taken > matrix.ndim:
        raise ArgumentError(
            f"index {_written(index)} has more than the {matrix.ndim} axes of shape {list(matrix.shape)}."
        )
    rest: list[object] = [slice(None)] * (matrix.ndim - taken)
    place = ellipses[0] if ellipses else len(ready)
    spelled = [*ready[:place], *rest, *ready[place + 1 :]]
    if not ellipses:  # None at the end of M[0, None] stands before the axes that are not named
        spelled = [*ready, *rest]
    items: list[Item] = []
    axis = 0
    for item in spelled:
        if isinstance(item, Tensor) and item.dtype == torch.bool:
            items += _from_mask(item, axis, matrix)
        else:
            items.append(_in_range(item, axis, matrix))
        axis += _axes_of(item)
    return items


def _converted(item: object, matrix: Chain, index: tuple[object, ...]) -> object:
    if isinstance(item, bool | np.bool_) or (isinstance(item, Tensor) and item.dtype == torch.bool and not item.ndim):
        raise ArgumentError(f"True and False are no indices of a factored matrix; index {_written(index)} came.")
    if isinstance(item, list | np.ndarray | range):
        item = _listed(item, index)
    if isinstance(item, np.integer):
        item = int(item)
    if isinstance(item, Tensor):
        if item.is_floating_point() or item.is_complex():
            raise ArgumentError(f"indices must be integers or booleans; a tensor of dtype {item.dtype} came.")
        if item.dtype == torch.uint8:
            raise ArgumentError("a mask must be of dtype torch.bool; torch.uint8 came.")
        return int(item) if item.ndim == 0 and item.dtype != torch.bool else item.to(matrix.device)
    if item is None or item is Ellipsis or isinstance(item, int | slice):
        return item
    raise ArgumentError(
        f"a factored matrix is indexed by integers, slices, ..., None, lists and masks; {type(item).__name__} came in "
        f"{_written(index)}."
    )


def _listed(item: Sequence[object] | np.ndarray, index: tuple[object, ...]) -> Tensor:
    try:
        array = np.asarray(item) if len(item) else np.zeros(0, dtype=np.int64)
    except ValueError:  # rows of different lengths
        array = np.asarray("")
    if array.dtype.kind not in "biufc":  # what is no integer is refused with its dtype
        raise ArgumentError(f"indices must be integers or booleans; {_written(index)} came.")
    return torch.as_tensor(array)


def _axes_of(item: object) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, Tensor) and item.dtype == torch.bool else 1


def _written(index: tuple[object, ...]) -> str:
    words = [f"tensor{list(item.shape)}" if isinstance(item, Tensor) else str(item) for item in index]
    return "[" + ", ".join(words).replace("Ellipsis", "...") + "]"


def _from_mask(mask: Tensor, axis: int, matrix: Chain) -> list[Item]:
    sizes = list(matrix.shape[axis : axis + mask.ndim])
    if list(mask.shape) != sizes:
        raise ShapeError(
            f"a mask must have the sizes of the axes that it picks from; {list(mask.shape)} came for axes of sizes "
            f"{sizes} of {list(matrix.shape)}."
        )
    if mask.ndim > 1 and axis + mask.ndim > matrix.ndim - 2:
        raise ArgumentError(
            "a mask over rows and columns picks single entries, which are no matrix; use entries(rows, cols)."
        )
    return list(mask.nonzero(as_tuple=True))


def _in_range(item: object, axis: int, matrix: Chain) -> Item:
    if isinstance(item, int):
        size = matrix.shape[axis]
        if not -size <= item < size:
            raise OutOfRangeError(f"index {item} is out of range for axis {axis} of shape {list(matrix.shape)}.")
        return item % size
    if isinstance(item, Tensor):
        size = matrix.shape[axis]
        if item.numel() and not -size <= int(item.min()) <= int(item.max()) < size:
            raise OutOfRangeError(
                f"indices {int(item.min())} … {int(item.max())} are out of range for axis {axis} of shape "
                f"{list(matrix.shape)}."
            )
        return torch.where(item < 0, item + size, item).long()
    if isinstance(item, slice) and any(
        bound is not None and not isinstance(bound, SupportsIndex) for bound in (item.start, item.stop, item.step)
    ):
        raise ArgumentError(f"the bounds of a slice must be integers; {item} came.")
    if isinstance(item, slice) and item.step is not None and item.step < 1:
        raise ArgumentError(f"steps of slices must be positive, as for tensors; {item.step} came.")
    return item if isinstance(item, slice) else None


@dataclass(frozen=True, slots=True)
class _Pick:
    """The advanced indices of an index: which axes they pick from, with what, and where the outcome stands."""

    axes: tuple[int, ...]
    entries: tuple[Tensor, ...]
    place: int
    sizes: tuple[int, ...]


def _leading(matrix: ChainT, items: Sequence[Item]) -> ChainT:
    """Apply the part of an index that concerns leading axes."""
    if all(isinstance(item, slice) and item == slice(None) for item in items):
        return matrix
    pick = _pick(items)
    factors = [_indexed_factor(factor, items, pick) for factor in matrix.factors]
    return matrix.like(factors, [axis.size for axis in factors[0].axes])


def _pick(items: Sequence[Item]) -> _Pick | None:
    axes, entries, places = [], [], []
    axis, place = 0, 0  # axis of the matrix, place in the outcome with the picked axes still there
    for item in items:
        if isinstance(item, Tensor):
            axes.append(axis)
            entries.append(item)
            places.append(place)
        axis += item is not None
        place += not isinstance(item, int)
    if not axes:
        return None
    try:
        sizes = torch.broadcast_shapes(*(each.shape for each in entries))
    except RuntimeError as error:
        shapes = " and ".join(str(list(each.shape)) for each in entries)
        raise ShapeError(f"lists in an index must broadcast against each other; shapes {shapes} came.") from error
    adjacent = places[-1] - places[0] == len(places) - 1
    return _Pick(tuple(axes), tuple(entries), places[0] if adjacent else 0, tuple(sizes))


def _indexed_factor(factor: Factor, items: Sequence[Item], pick: _Pick | None) -> Factor:
    """Apply an index of leading axes to one factor; what it shares stays shared."""
    tensor, axes = factor.tensor, []
    picked, place, axis = [], 0, 0  # place: axis of `tensor` as it is now
    for item in items:
        if item is None:
            tensor = tensor.unsqueeze(place)
            axes.append(Axis(1, 1))
            place += 1
            continue
        held = factor.axes[axis]
        if isinstance(item, int):
            tensor = tensor.select(place, held.labels()[item])
        else:
            if isinstance(item, slice):
                tensor, held = _sliced(tensor, place, held, item)
            else:
                picked.append(place)
            axes.append(held)
            place += 1
        axis += 1
    if pick is None:
        return Factor(tensor, tuple(axes))
    return _picked(tensor, axes, picked, pick)


def _sliced(tensor: Tensor, place: int, held: Axis, item: slice) -> tuple[Tensor, Axis]:
    labels = range(held.size)[item]
    if held.shared:
        return tensor, Axis(len(labels), 1)
    if not held.grouped:
        return tensor[(slice(None),) * place + (item,)], Axis(len(labels), len(labels))
    return _relabelled(tensor, place, [held.labels()[at] for at in labels])


def _relabelled(tensor: Tensor, place: int, labels: Sequence[int]) -> tuple[Tensor, Axis]:
    """Return the stored entries that `labels` name, each once, in order of first use, and the axis that holds them."""
    used = list(dict.fromkeys(labels))
    if used and used == list(range(used[0], used[0] + len(used))):
        return tensor.narrow(place, used[0], len(used)), by_labels(labels)
    return tensor.index_select(place, torch.tensor(used, dtype=torch.long, device=tensor.device)), by_labels(labels)


def _picked(tensor: Tensor, axes: list[Axis], picked: Sequence[int], pick: _Pick) -> Factor:
    """Apply lists of integers; `axes` still has the picked ones, at the places `picked`."""
    held = [axes[place] for place in picked]
    rest = [axis for place, axis in enumerate(axes) if place not in picked]
    if all(axis.shared for axis in held):
        tensor = tensor.squeeze(tuple(picked)) if len(picked) else tensor
        at = (slice(None),) * pick.place
        tensor = tensor[at + (None,) * len(pick.sizes)]
        rest[pick.place : pick.place] = [Axis(size, 1) for size in pick.sizes]
        return Factor(tensor, tuple(rest))
    if len(held) == 1 and held[0].grouped and len(pick.sizes) == 1:
        labels = [held[0].labels()[at] for at in pick.entries[0].tolist()]
        tensor, axis = _relabelled(tensor, picked[0], labels)
        rest.insert(pick.place, axis)
        return Factor(tensor, tuple(rest))
    index: list[Tensor | slice] = [slice(None)] * len(axes)
    for place, axis, entries in zip(picked, held, pick.entries, strict=True):
        labels = torch.tensor(axis.labels(), dtype=torch.long, device=entries.device)
        index[place] = labels[entries] if axis.grouped else entries * (0 if axis.shared else 1)
    rest[pick.place : pick.place] = [Axis(size, size) for size in pick.sizes]
    return Factor(tensor[tuple(index)], tuple(rest))


def _rows_and_cols(matrix: ChainT, items: Sequence[Item]) -> ChainT:
    rows, cols = items
    factors = list(matrix.factors)
    factors[0] = factors[0].with_tensor(_along(factors[0].tensor, -2, rows))
    factors[-1] = factors[-1].with_tensor(_along(factors[-1].tensor, -1, cols))
    return matrix.like(factors)


def _along(tensor: Tensor, dim: int, item: Item) -> Tensor:
    if isinstance(item, int):
        return tensor.narrow(dim, item, 1)
    if isinstance(item, slice):
        return tensor[..., item, :] if dim == -2 else tensor[..., item]
    if item is None or item.ndim != 1:
        raise ShapeError("rows and columns are picked by lists; for single entries use entries(rows, cols).")
    return tensor.index_select(dim, item)


def _promoted(matrix: ChainT) -> ChainT:
    """Return the matrix whose rows have become a leading axis: `[*leading, ldim, 1, rdim]`."""
    first, *others = matrix.factors
    rows = Axis(matrix.ldim, matrix.ldim)
    factors = [Factor(first.tensor.unsqueeze(-2), (*first.axes, rows))]
    factors += [Factor(each.tensor.unsqueeze(-3), (*each.axes, Axis(matrix.ldim, 1))) for each in others]
    return matrix.like(factors, (*matrix.leading, matrix.ldim))
