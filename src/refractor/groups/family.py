"""To which family with known irreps a group belongs, seen from its elements, however they are numbered."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.groups.elements import Permutations
from refractor.groups.group import Group


@dataclass(frozen=True, eq=False)
class CyclicFamily:
    """A group of powers of one element.

    Args:
        exponents: x is the power of the generator with this exponent.

    """

    exponents: Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class DihedralFamily:
    """A group of turns ρ^r and reflections ρ^r σ.

    Args:
        turns: r for each element.
        flips: 1 for reflections, else 0.

    """

    turns: Int[Tensor, " n"]
    flips: Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class SymmetricFamily:
    """All permutations of some points.

    Args:
        arrays: their array forms.

    """

    arrays: Int[Tensor, "n degree"]


@dataclass(frozen=True, eq=False)
class AlternatingFamily:
    """All even permutations of at least 4 points.

    Args:
        arrays: their array forms.

    """

    arrays: Int[Tensor, "n degree"]


Family = CyclicFamily | DihedralFamily | SymmetricFamily | AlternatingFamily


def recognise(group: Group) -> Family | None:
    """Return the family of a group whose irreps have a closed form; None for any other.

    Permutations are recognised by their number: degree! different ones are all, degree! / 2 that form a group are the
    even ones. Cyclic and dihedral groups are recognised from the orders of their elements: a group with a cyclic
    subgroup of index 2 is dihedral if and only if every element outside has order 2. The generators of the group are
    preferred as the ones that the irreps are written in.

    >>> from refractor.groups import cyclic, direct_product
    >>> type(recognise(direct_product(cyclic(2), cyclic(3)))).__name__
    'CyclicFamily'

    """
    if isinstance(group.elements, Permutations):
        arrays, degree = group.elements.arrays, group.elements.degree
        if group.order == math.factorial(degree):
            return SymmetricFamily(arrays)
        if degree >= 4 and 2 * group.order == math.factorial(degree):
            return AlternatingFamily(arrays)
    generator = _element_of_order(group, group.order)
    if generator is not None:
        return CyclicFamily(_places(group, _powers(group, generator, group.order)))
    return _dihedral(group)


def _dihedral(group: Group) -> DihedralFamily | None:
    half = group.order // 2
    turn = _element_of_order(group, half) if group.order % 2 == 0 else None
    if turn is None:
        return None
    powers = _powers(group, turn, half)
    outside = ~group.mask(powers.tolist())
    if bool((group.element_orders[outside] != 2).any()):
        return None
    known = [g for g in group.generators if bool(outside[g])]
    flip = known[0] if known else int(outside.nonzero()[0])
    places = _places(group, torch.cat([powers, group.table[powers, flip]]))
    return DihedralFamily(places % half, places // half)


def _element_of_order(group: Group, order: int) -> int | None:
    """Return a generator of that order, or else the first element."""
    orders = group.element_orders
    for generator in group.generators:
        if int(orders[generator]) == order:
            return generator
    found = (orders == order).nonzero().flatten()
    return int(found[0]) if len(found) else None


def _powers(group: Group, element: int, count: int) -> Int[Tensor, " at"]:
    """Return element⁰, element¹, … by doubling: the powers so far, times the next one."""
    powers, following = torch.tensor([group.identity]), element
    while len(powers) < count:
        powers = torch.cat([powers, group.table[powers, following]])
        following = int(group.table[following, following])
    return powers[:count]


def _places(group: Group, elements: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the place of each element in a list of all."""
    places = torch.empty(group.order, dtype=torch.long)
    places[elements] = torch.arange(group.order)
    return places
