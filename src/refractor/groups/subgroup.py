"""`Subgroup`: some elements of a group that are a group."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.classes import conjugation
from refractor.groups.group import Group
from refractor.groups.powers import doublings


@dataclass(frozen=True)
class Subgroup:
    """A subgroup H of a group G. Two are equal if they are of the same `Group` and have the same members.

    Nothing is checked here: `subgroup` makes one from any elements, and `embed` a group of its own from the members.

    Args:
        group: G.
        members: the elements of H, in ascending order.
        generators: elements that generate H; none for the trivial subgroup.

    """

    group: Group
    members: tuple[int, ...]
    generators: tuple[int, ...] = field(compare=False)

    def __repr__(self) -> str:
        """Return the order and what generates it."""
        labels = ", ".join(self.group.labels[generator] for generator in self.generators)
        return f"Subgroup({self.group.name!r}, order={self.order}, generators=[{labels}])"

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self.members)

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(self.members)

    @property
    def index(self) -> int:
        """The number of cosets, |G| / |H|."""
        return self.group.order // self.order

    @property
    def mask(self) -> Bool[Tensor, " n"]:
        """Which elements of G are in H."""
        inside = torch.zeros(self.group.order, dtype=torch.bool)
        inside[list(self.members)] = True
        return inside


def subgroup(group: Group, elements: Iterable[int]) -> Subgroup:
    """Return the subgroup that elements generate.

    Those that earlier ones generate already are left out of its `generators`.

    Raises:
        OutOfRangeError: one is no element.

    >>> from refractor.groups import cyclic
    >>> subgroup(cyclic(12), [4, 8, 6])
    Subgroup('C12', order=6, generators=[4, 6])

    """
    inside = group.mask([group.identity])
    chosen: list[int] = []
    for element in elements:
        if not inside[group.check_element(element)]:
            chosen.append(element)
            inside = _generated(group, chosen, inside)
    return Subgroup(group, tuple(inside.nonzero().flatten().tolist()), tuple(chosen))


def _generated(group: Group, generators: list[int], inside: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Return the elements that generators generate; `inside` are those that all but the last generate.

    Powers x², x⁴, … of the generators are multiplied by too: a long cycle is then walked in few steps.
    """
    inside = inside.clone()
    frontier = inside.nonzero().flatten()
    moves = [power for generator in generators for power in doublings(group, generator)]
    while len(frontier):
        reached = group.table[frontier[:, None], torch.tensor(moves)].flatten()
        frontier = reached[~inside[reached]].unique()
        inside[frontier] = True
    return inside


def conjugate_subgroup(subgroup: Subgroup, by: int) -> Subgroup:
    """Return x⁻¹ H x.

    Args:
        subgroup: H.
        by: x.

    Raises:
        OutOfRangeError: x is no element.

    >>> from refractor.groups import symmetric
    >>> from refractor.groups.subgroup import subgroup
    >>> conjugate_subgroup(subgroup(symmetric(3), [1]), 3)
    Subgroup('S3', order=2, generators=[(0 2)])

    """
    moved = conjugation(subgroup.group, by).tolist()
    return Subgroup(
        subgroup.group,
        tuple(sorted(moved[member] for member in subgroup.members)),
        tuple(moved[generator] for generator in subgroup.generators),
    )


def escape(subgroup: Subgroup) -> tuple[int, int] | None:
    """Return x and h in H with x⁻¹ h x outside H, or nothing if H is normal."""
    inside = subgroup.mask
    for x in subgroup.group.generators:
        moved = conjugation(subgroup.group, x)
        for h in subgroup.generators:
            if not inside[moved[h]]:
                return x, h
    return None


def is_normal(subgroup: Subgroup) -> bool:
    """Return whether x⁻¹ H x = H for all x.

    >>> from refractor.groups import symmetric
    >>> from refractor.groups.subgroup import subgroup
    >>> is_normal(subgroup(symmetric(3), [3])), is_normal(subgroup(symmetric(3), [1]))
    (True, False)

    """
    return escape(subgroup) is None


def normaliser(subgroup: Subgroup) -> Subgroup:
    """Return {x : x⁻¹ H x = H}.

    >>> from refractor.groups import symmetric
    >>> from refractor.groups.subgroup import subgroup
    >>> normaliser(subgroup(symmetric(4), [9])).order
    8

    """
    group, inside = subgroup.group, subgroup.mask
    keeps = torch.ones(group.order, dtype=torch.bool)
    for h in subgroup.generators:
        keeps &= inside[group.table[group.table[group.inverses, h], torch.arange(group.order)]]
    return _generating(group, keeps)


def centre(group: Group) -> Subgroup:
    """Return the elements that commute with all.

    >>> from refractor.groups import dihedral
    >>> centre(dihedral(4))
    Subgroup('D4', order=2, generators=[r2])

    """
    commutes = torch.ones(group.order, dtype=torch.bool)
    for generator in group.generators:
        commutes &= group.table[generator] == group.table[:, generator]
    return _generating(group, commutes)


def normal_closure(group: Group, elements: Iterable[int]) -> Subgroup:
    """Return the least normal subgroup that has these elements.

    Raises:
        OutOfRangeError: one is no element.

    >>> from refractor.groups import symmetric
    >>> normal_closure(symmetric(4), [7]).members
    (0, 7, 16, 23)

    """
    found = subgroup(group, elements)
    while (pair := escape(found)) is not None:
        found = subgroup(group, [*found.generators, group.conjugate(pair[1], by=pair[0])])
    return found


def commutator_subgroup(group: Group) -> Subgroup:
    """Return the subgroup that all x⁻¹ y⁻¹ x y generate: the least normal one with an abelian quotient.

    >>> from refractor.groups import symmetric
    >>> commutator_subgroup(symmetric(4)).order
    12

    """
    some = [group.product(group.inverse(x), group.inverse(y), x, y) for x in group.generators for y in group.generators]
    return normal_closure(group, some)


def check_of(group: Group, subgroup: Subgroup) -> Subgroup:
    """Return a subgroup if it is one of this group.

    Raises:
        ArgumentError: it is one of another.

    """
    if subgroup.group is not group:
        raise ArgumentError(f"a subgroup of {group} is needed; one of {subgroup.group} came, which is another object.")
    return subgroup


def _generating(group: Group, inside: Bool[Tensor, " n"]) -> Subgroup:
    """Return the subgroup with these elements."""
    return subgroup(group, inside.nonzero().flatten().tolist())
