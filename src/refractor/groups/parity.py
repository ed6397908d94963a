"""Even and odd permutations."""

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.cycles import signature
from refractor.groups.elements import Permutations
from refractor.groups.group import Group


def signatures(group: Group) -> Int[Tensor, " n"]:
    """Return 1 for each even element of a permutation group and -1 for each odd one.

    Raises:
        ArgumentError: the elements are no permutations.

    >>> from refractor.groups import symmetric
    >>> signatures(symmetric(3)).tolist()
    [1, -1, -1, 1, 1, -1]

    """
    if not isinstance(group.elements, Permutations):
        raise ArgumentError(
            f"signatures are those of permutations; the elements of {group.name} are "
            f"{type(group.elements).__name__.lower()}. Take symmetric, alternating or permutation_group."
        )
    return torch.tensor([signature(array) for array in group.elements.arrays.tolist()])
