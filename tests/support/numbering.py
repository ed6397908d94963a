"""The same group with its elements numbered otherwise."""

import torch

from refractor.groups.elements import Elements, Matrices, Names, Permutations
from refractor.groups.group import Group


def renumbered(group: Group, place: torch.Tensor) -> Group:
    """Return the group in which element x of `group` has the number place[x]."""
    back = torch.argsort(place)
    table = place[group.table[back[:, None], back]]
    generators = tuple(place[list(group.generators)].tolist())
    return Group(group.name, table, _reordered(group.elements, back), generators, "renumbered")


def nameless(group: Group) -> Group:
    """Return the group with names for elements, so that nothing but the table says what it is."""
    return Group("G", group.table, Names(tuple(f"g{i}" for i in range(group.order))), group.generators)


def random_place(n: int, seed: int) -> torch.Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def _reordered(elements: Elements, back: torch.Tensor) -> Elements:
    if isinstance(elements, Permutations):
        return Permutations(elements.arrays[back])
    if isinstance(elements, Matrices):
        return Matrices(elements.values[back], elements.modulus)
    return Names(tuple(elements.label(index) for index in back.tolist()))
