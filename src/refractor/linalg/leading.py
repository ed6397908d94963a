"""Leading axes: how one factor holds one axis of a stack of matrices, and how two such holdings combine.

A stack of matrices has the same leading axes for all its factors, but a factor rarely needs every entry: an
embedding is the same for all heads, and grouped key/value heads serve several query heads each. So a factor
holds an axis in one of three ways: once (the same for every entry), in full, or by a group map. A contraction
of two factors holds the axis as finely as their union asks for, and no finer.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from refractor.base.errors import ShapeError


def canonical(labels: Sequence[Hashable]) -> tuple[int, ...]:
    """Number labels in the order of their first appearance.

    >>> canonical("bbaab")
    (0, 0, 1, 1, 0)
    """
    number: dict[Hashable, int] = {}
    return tuple(number.setdefault(label, len(number)) for label in labels)


@dataclass(frozen=True, slots=True)
class Axis:
    """How a factor holds one leading axis.

    Args:
        size: entries that the matrix has along the axis.
        stored: entries that the factor stores: 1 (shared by all), `size` (in full) or between (by groups).
        index: for groups, the stored entry of each of the `size` entries, numbered by first appearance.

    """

    size: int
    stored: int
    index: tuple[int, ...] | None = None

    @property
    def shared(self) -> bool:
        """Whether one stored entry serves the whole axis, and there is more than that entry to serve."""
        return self.stored == 1

    @property
    def grouped(self) -> bool:
        """Whether the axis is held by a group map."""
        return self.index is not None

    def labels(self) -> tuple[int, ...]:
        """Return the stored entry of each entry."""
        if self.index is not None:
            return self.index
        return (0,) * self.size if self.shared else tuple(range(self.size))


def by_labels(labels: Sequence[Hashable]) -> Axis:
    """Return the axis whose entries are equal where their labels are.

    >>> by_labels((0, 0, 1, 1))
    Axis(size=4, stored=2, index=(0, 0, 1, 1))
    >>> by_labels("abc")
    Axis(size=3, stored=3, index=None)
    """
    index = canonical(labels)
    stored = len(set(index))
    return Axis(len(index), stored, index if 1 < stored < len(index) else None)


def full_axes(sizes: Sequence[int]) -> tuple[Axis, ...]:
    """Return leading axes of which every entry is stored."""
    return tuple(Axis(size, size) for size in sizes)


def join(left: Axis, right: Axis) -> Axis:
    """Return the coarsest holding that both can be read from: the union of what they tell apart.

    >>> join(by_labels((0, 0, 1, 1)), by_labels((0, 1, 1, 1)))
    Axis(size=4, stored=3, index=(0, 1, 2, 2))
    """
    if left == right or right.shared:
        return left
    if left.shared:
        return right
    if left.stored == left.size or right.stored == right.size:
        return Axis(left.size, left.size)
    return by_labels(tuple(zip(left.labels(), right.labels(), strict=True)))


def join_all(left: Sequence[Axis], right: Sequence[Axis]) -> tuple[Axis, ...]:
    """Join two lists of leading axes of the same length."""
    return tuple(join(a, b) for a, b in zip(left, right, strict=True))


def positions(coarse: Axis, fine: Axis) -> tuple[int, ...]:
    """For each stored entry of `fine`, return the stored entry of `coarse` that serves it.

    >>> positions(by_labels((0, 0, 1, 1)), by_labels("abcd"))
    (0, 0, 1, 1)
    """
    first: dict[int, int] = {}
    for own, other in zip(fine.labels(), coarse.labels(), strict=True):
        first.setdefault(own, other)
    return tuple(first[own] for own in range(len(first)))


def even_blocks(index: Sequence[int]) -> int:
    """Return the length of the blocks if `index` is 0…0 1…1 2…2 with equal blocks, and 0 if it is not.

    >>> even_blocks((0, 0, 1, 1)), even_blocks((0, 1, 1))
    (2, 0)
    """
    groups = index[-1] + 1 if index else 0
    length = len(index) // groups if groups else 0
    even = length and tuple(index) == tuple(group for group in range(groups) for _ in range(length))
    return length if even else 0


def broadcast_sizes(sizes: Sequence[Sequence[int]], described: str) -> tuple[int, ...]:
    """Broadcast leading sizes as PyTorch does: aligned at the right, 1 gives way.

    Raises:
        ShapeError: two sizes differ and none is 1; `described` says what the factors are.

    """
    length = max((len(size) for size in sizes), default=0)
    padded = [(1,) * (length - len(size)) + tuple(size) for size in sizes]
    result = []
    for place, column in enumerate(zip(*padded, strict=True)):
        wanted = {size for size in column if size != 1}
        if len(wanted) > 1:
            raise ShapeError(
                f"leading axes must be equal or 1, counted from the matrix axes; axis {place - length - 2} has sizes "
                f"{' and '.join(str(size) for size in sorted(wanted))} in {described}."
            )
        result.append(wanted.pop() if wanted else 1)
    return tuple(result)
