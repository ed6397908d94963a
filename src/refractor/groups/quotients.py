"""Quotients of a group by a normal subgroup."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.cosets import left_cosets
from refractor.groups.elements import Names
from refractor.groups.group import Group
from refractor.groups.subgroup import Subgroup, check_of, escape


@dataclass(frozen=True, eq=False)
class Quotient:
    """G / N with the homomorphism from G.

    Args:
        group: G / N, whose elements are the cosets of N, numbered by their least elements.
        normal: N, the elements that go to the identity.
        projection: the coset of each element of G.

    """

    group: Group
    normal: Subgroup
    projection: Int[Tensor, " n"] = field(repr=False)


def quotient(group: Group, normal: Subgroup, name: str | None = None) -> Quotient:
    """Return G / N.

    Args:
        group: G.
        normal: N, a normal subgroup of G.
        name: how the quotient is called, by default the name of G with the order of N behind it.

    Raises:
        ArgumentError: N is no subgroup of this group, or not normal: then the message names x and h in N with
            x⁻¹ h x outside N.

    >>> from refractor.groups import symmetric
    >>> from refractor.groups.subgroup import subgroup
    >>> group = symmetric(4)
    >>> by_four = quotient(group, subgroup(group, [7, 16]))
    >>> by_four.group, by_four.group.labels[1], by_four.projection[:8].tolist()
    (Group('S4/N4', order=6), '[(2 3)]', [0, 1, 2, 3, 4, 5, 1, 0])

    """
    pair = escape(check_of(group, normal))
    if pair is not None:
        x, h = pair
        raise ArgumentError(
            f"a quotient needs a normal subgroup; {normal} is not: x⁻¹ h x is outside for x = {x} ({group.labels[x]}) "
            f"and h = {h} ({group.labels[h]}). normal_closure gives the least normal subgroup around it."
        )
    projection = left_cosets(normal)
    _, first = torch.sort(projection, stable=True)
    least = first[:: normal.order]  # each coset has |N| elements, its least one first
    table = projection[group.table[least[:, None], least]]
    identity = int(projection[group.identity])
    images = dict.fromkeys(int(projection[generator]) for generator in group.generators)
    names = Names(tuple(f"[{group.labels[place]}]" for place in least.tolist()))
    called = name if name is not None else f"{group.name}/N{normal.order}"
    made = Group(called, table, names, tuple(image for image in images if image != identity))
    return Quotient(made, normal, projection)
