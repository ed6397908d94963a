"""`Embedding`: a subgroup as a group of its own, with its place in the larger one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups.elements import Elements, Matrices, Names, Permutations
from refractor.groups.group import Group


@dataclass(frozen=True, eq=False)
class Embedding:
    """An injective homomorphism from one group into another; that is checked.

    Args:
        subgroup: the smaller group.
        group: the larger group.
        images: where each element of the smaller group goes.

    Raises:
        ShapeError: there is not one image for each element.
        ArgumentError: images repeat, or products are not respected; the message names the elements.

    """

    subgroup: Group
    group: Group
    images: Int[Tensor, " at"] = field(repr=False)

    def __post_init__(self) -> None:
        """Check that products are respected and that no two images are equal."""
        if self.images.shape != (self.subgroup.order,):
            raise ShapeError(
                f"an embedding of {self.subgroup.name} needs one image for each of its {self.subgroup.order} elements; "
                f"{list(self.images.shape)} came."
            )
        for image in self.images.tolist():
            self.group.check_element(image)
        if len(self.images.unique()) < self.subgroup.order:
            raise ArgumentError(f"an embedding of {self.subgroup.name} needs different images; some repeat.")
        wrong = self.group.table[self.images[:, None], self.images] != self.images[self.subgroup.table]
        if bool(wrong.any()):
            x, y = wrong.nonzero()[0].tolist()
            raise ArgumentError(
                f"the images of {self.subgroup.name} in {self.group.name} do not respect the product of x = {x} and "
                f"y = {y}."
            )

    @property
    def index(self) -> int:
        """How many cosets the subgroup has."""
        return self.group.order // self.subgroup.order


def embed(group: Group, members: Sequence[int], name: str | None = None) -> Embedding:
    """Return a subgroup as a group of its own, its elements in the order given.

    Args:
        group: the group.
        members: the elements of the subgroup.
        name: how the subgroup is called; by default "H < G" with the name of the group.

    Raises:
        ArgumentError: the elements are no subgroup: a product lies outside, which the message names.

    >>> from refractor.groups import cyclic
    >>> embed(cyclic(6), [0, 2, 4]).subgroup.table.tolist()
    [[0, 1, 2], [1, 2, 0], [2, 0, 1]]

    """
    images = torch.tensor([group.check_element(member) for member in members], dtype=torch.long)
    place = torch.full((group.order,), -1)
    place[images] = torch.arange(len(images))
    products = group.table[images[:, None], images]
    table = place[products]
    if len(images) == 0 or len(images.unique()) < len(images):
        raise ArgumentError(f"a subgroup of {group.name} has different elements, at least one; {list(members)} came.")
    if bool((table < 0).any()):
        x, y = (table < 0).nonzero()[0].tolist()
        raise ArgumentError(
            f"these {len(images)} elements of {group.name} are no subgroup: {members[x]} · {members[y]} = "
            f"{int(products[x, y])} is not among them."
        )
    called = f"H{len(images)} < {group.name}" if name is None else name
    return Embedding(Group(called, table, _some(group.elements, images), _generators(table)), group, images)


def _some(elements: Elements, images: Int[Tensor, " at"]) -> Elements:
    if isinstance(elements, Permutations):
        return Permutations(elements.arrays[images])
    if isinstance(elements, Matrices):
        return Matrices(elements.values[images], elements.modulus)
    return Names(tuple(elements.label(image) for image in images.tolist()))


def _generators(table: Int[Tensor, "n n"]) -> tuple[int, ...]:
    """Return elements that generate a group: each is the first that the earlier ones do not reach."""
    identity = int((table[:, 0] == 0).nonzero()[0])
    inside = torch.zeros(len(table), dtype=torch.bool)
    inside[identity] = True
    chosen: list[int] = []
    while not bool(inside.all()):
        chosen.append(int((~inside).nonzero()[0]))
        frontier = inside.nonzero().flatten()
        while len(frontier):
            products = table[frontier][:, chosen].flatten().unique()
            frontier = products[~inside[products]]
            inside[frontier] = True
    return tuple(chosen)
