"""Conjugacy classes."""

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import OutOfRangeError
from refractor.groups.group import Group


@dataclass(frozen=True, eq=False)
class ConjugacyClasses:
    """The classes {x⁻¹ g x : x} of a group. The identity's comes first, the rest by their least elements.

    Args:
        index: the class of each element.
        representatives: the least element of each class.
        sizes: how many elements each class has.

    """

    index: Int[Tensor, " n"] = field(repr=False)
    representatives: Int[Tensor, " cls"]
    sizes: Int[Tensor, " cls"]

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.sizes)

    def members(self, number: int) -> Int[Tensor, " member"]:
        """Return the elements of a class.

        Raises:
            OutOfRangeError: there is no class of that number.

        """
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(self):
            raise OutOfRangeError(f"the classes are 0 … {len(self) - 1}; {number!r} came.")
        return (self.index == number).nonzero().flatten()


_FOUND: WeakKeyDictionary[Group, ConjugacyClasses] = WeakKeyDictionary()
"""Classes by group, as long as somebody holds the group: they hold no reference to it."""


def conjugacy_classes(group: Group) -> ConjugacyClasses:
    """Return the conjugacy classes of a group; they are computed once.

    >>> from refractor.groups import symmetric
    >>> classes = conjugacy_classes(symmetric(4))
    >>> [symmetric(4).labels[i] for i in classes.representatives.tolist()], classes.sizes.tolist()
    (['(3)', '(2 3)', '(1 2 3)', '(0 1)(2 3)', '(0 1 2 3)'], [1, 6, 8, 3, 6])

    """
    if group not in _FOUND:
        _FOUND[group] = _find(group)
    return _FOUND[group]


def conjugation(group: Group, by: int) -> Int[Tensor, " n"]:
    """Return x⁻¹ g x for each element g.

    Args:
        group: the group.
        by: x.

    >>> from refractor.groups import dihedral
    >>> conjugation(dihedral(3), 3).tolist()
    [0, 2, 1, 3, 5, 4]

    """
    return group.table[group.table[group.inverse(by)], by]


def _find(group: Group) -> ConjugacyClasses:
    """Find the classes, the orbits under conjugation by generators: labels fall to the least of each orbit."""
    every = torch.arange(group.order)
    least = every
    both = [*group.generators, *(group.inverse(generator) for generator in group.generators)]
    moves = [conjugation(group, generator) for generator in both]
    while True:
        before = least
        for move in moves:
            least = torch.minimum(least, least[move])
        least = least[least]  # doubles how far a label has come
        if torch.equal(before, least):
            break
    starts, index, sizes = least.unique(return_inverse=True, return_counts=True)
    first = int((starts == group.identity).nonzero()[0])  # a class of one: its least element is the identity
    order = torch.cat([torch.tensor([first]), (torch.arange(len(starts)) != first).nonzero().flatten()])
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return ConjugacyClasses(place[index], starts[order], sizes[order])
