"""Words in generators: every element as a shorter element times one generator, and what follows from that."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.group import Group


@dataclass(frozen=True, eq=False)
class Layer:
    """Elements `target[i] = source[i] · generator` that are one letter longer than what was reached before.

    Args:
        letter: the place of the generator in the list of generators.
        source: elements reached before.
        target: elements reached now, each once.

    """

    letter: int
    source: Int[Tensor, " at"]
    target: Int[Tensor, " at"]


def spanning_layers(group: Group, generators: Sequence[int]) -> list[Layer]:
    """Return a breadth-first walk over the group by right products with generators; it starts at the identity.

    Raises:
        ArgumentError: the elements do not generate the group.

    >>> from refractor.groups import cyclic
    >>> [layer.target.tolist() for layer in spanning_layers(cyclic(4), [1])]
    [[1], [2], [3]]

    """
    done = torch.zeros(group.order, dtype=torch.bool)
    done[group.identity] = True
    frontier, layers, reached = torch.tensor([group.identity]), [], 1
    while len(frontier):
        following = []
        for letter, generator in enumerate(generators):
            products = group.table[frontier, generator]
            new = ~done[products]
            target = products[new]
            if len(target):
                done[target] = True
                layers.append(Layer(letter, frontier[new], target))
                following.append(target)
        frontier = torch.cat(following) if following else frontier[:0]
        reached += len(frontier)
    if reached < group.order:
        raise ArgumentError(
            f"the elements {list(generators)} of {group.name} generate only {reached} of its {group.order} elements."
        )
    return layers


def spread(
    group: Group, layers: Sequence[Layer], images: Sequence[Float[Tensor, "dim dim"]]
) -> Float[Tensor, "n dim dim"]:
    """Return ρ(x) for all elements from ρ(g) for generators g: ρ(x · g) = ρ(x) ρ(g) along the walk.

    Nothing is checked: images that break a relation of the group give matrices that are no representation.

    Args:
        group: the group.
        layers: the walk.
        images: ρ(g) for each generator of that walk.

    >>> from refractor.groups import cyclic
    >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    >>> spread(cyclic(4), spanning_layers(cyclic(4), [1]), [turn])[2].tolist()
    [[-1.0, 0.0], [0.0, -1.0]]

    """
    if not images:
        raise ArgumentError(f"{group.name} has no generators, so no matrix says what the dimension is.")
    matrices = images[0].new_empty(group.order, *images[0].shape)
    matrices[group.identity] = torch.eye(len(images[0]), dtype=matrices.dtype)
    for layer in layers:
        matrices[layer.target] = matrices[layer.source] @ images[layer.letter]
    return matrices
