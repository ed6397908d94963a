"""Slices of the position axis: which positions of an activation to keep."""

from collections.abc import Sequence

import torch
from torch import Tensor

from refractor.base.axes import describe
from refractor.base.errors import ArgumentError, ShapeError

PosSlice = int | slice | Sequence[int] | Tensor | None
"""Which positions: one (its axis goes), a slice, a tuple (start, stop[, step]), several in a list or tensor, or all."""

POSITION_AXES = ("pos", "query_pos")  # the axis on which positions are cut; keys stay whole, a row must sum to one


def cut_positions(
    name: str, tensor: Tensor, axes: tuple[str, ...], positions: PosSlice
) -> tuple[Tensor, tuple[str, ...]]:
    """Return a copy of the wanted positions (so that the rest can be freed) and the axes that are left.

    An activation without a position axis comes back as it is. Of attention scores and patterns the query
    positions are cut.

    Raises:
        ShapeError: the axes of the activation are not declared.
        ArgumentError: a position is out of range, or `positions` is none of the accepted kinds.

    """
    if positions is None:
        return tensor, axes
    if not axes:
        raise ShapeError(f"the axes of {name!r} are not declared, so pos_slice cannot tell which one is the position.")
    axis = next((place for place, word in enumerate(axes) if word in POSITION_AXES), None)
    if axis is None:
        return tensor, axes
    try:
        index = _as_index(positions)
        kept = tensor[(slice(None),) * axis + (index,)]
    except (IndexError, TypeError) as error:
        raise ArgumentError(
            f"pos_slice={positions!r} does not fit {name!r}, {describe(axes, tensor.shape)}."
        ) from error
    left = axes[:axis] + axes[axis + 1 :] if isinstance(index, int) else axes
    return kept.clone(), left


def _as_index(positions: PosSlice) -> int | slice | Tensor:
    if isinstance(positions, slice) or (isinstance(positions, int) and not isinstance(positions, bool)):
        return positions
    if isinstance(positions, Tensor) and positions.ndim <= 1 and not positions.is_floating_point():
        return int(positions) if positions.ndim == 0 else positions
    if isinstance(positions, tuple) and len(positions) in (2, 3):
        return slice(*positions)
    if isinstance(positions, Sequence) and not isinstance(positions, str):
        return torch.tensor(list(positions), dtype=torch.long)
    raise TypeError(f"{positions!r} does not select positions")
