"""`Labelled`: an array that knows the names of its axes and what stands at each index."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Shaped
from torch import Tensor

from refractor.base.axes import GLOSSARY, describe
from refractor.base.checks import check_known
from refractor.base.errors import ShapeError, unknown_name

Label = int | str


@dataclass(frozen=True, eq=False)
class Labelled:
    """An array, the words of its axes and, where they are not simply 0, 1, 2 …, the labels along an axis.

    Args:
        values: the numbers.
        axes: one word of the glossary (`base.axes`) for each axis.
        labels: labels along an axis, by its word; an axis that is left out counts from 0.

    Raises:
        ShapeError: axes and values, or labels and axis, do not fit.
        UnknownNameError: an axis is no word of the glossary, or labels are given for an axis that is not there.

    >>> import torch
    >>> Labelled(torch.zeros(2, 3), ("freq", "c"), {"freq": (4, 7)})
    Labelled[freq=2, c=3]

    """

    values: Shaped[Tensor, "..."]
    axes: tuple[str, ...]
    labels: Mapping[str, tuple[Label, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that words, sizes and labels belong together."""
        for axis in self.axes:
            check_known("axis", axis, GLOSSARY)
        if len(self.axes) != self.values.ndim:
            raise ShapeError(f"axes {self.axes} name {len(self.axes)} axes; values have {list(self.values.shape)}.")
        for axis, names in self.labels.items():
            if axis not in self.axes:
                raise unknown_name("labelled axis", axis, self.axes)
            size = self.values.shape[self.axes.index(axis)]
            if len(names) != size:
                raise ShapeError(f"axis {axis!r} has {size} entries; {len(names)} labels came.")

    def along(self, axis: str) -> tuple[Label, ...]:
        """Return the labels along an axis.

        Raises:
            UnknownNameError: there is no such axis.

        """
        if axis not in self.axes:
            raise unknown_name("axis of this array", axis, self.axes)
        return self.labels.get(axis) or tuple(range(self.values.shape[self.axes.index(axis)]))

    def __repr__(self) -> str:
        """Return the axes and sizes, not the numbers."""
        return f"Labelled{describe(self.axes, self.values.shape)}"
