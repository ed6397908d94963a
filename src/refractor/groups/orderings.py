"""Named orders of elements: that in which the published networks number the permutations.

The networks of Chughtai, Chan and Nanda (2023) number permutations as SymPy lists them by coset rank along a base and
strong generating set. An element is `u_0[u_1[u_2[…]]]`, u_i a representative that takes the i-th base point to a point
of its orbit; points are sorted, and the orbit of the first base point runs fastest. The representatives follow from the
details of an algorithm, so they are written down here, as array forms; a hash guards them.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import StoreError, unknown_name

SYMPY_COSET_RANK = "sympy-coset-rank"

REPRESENTATIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "S4": ("0123 1230 2301 3120", "0123 0231 0312", "0123 0132"),
        "S5": ("01234 12340 23401 34012 41230", "01234 02143 03412 04123", "01423 01234 01243", "01234 01432"),
        "S6": (
            "012345 123450 234501 345012 451230 512340",
            "012345 021354 031254 045123 051234",
            "013524 012534 012345 012354",
            "012345 013542 015243",
            "012345 012543",
        ),
        "A5": ("01234 12340 23401 34012 42130", "01234 02143 03124 04213", "01234 01342 01423"),
    }
)
"""For each group and each base point, the representatives."""

HASHES: Mapping[str, str] = MappingProxyType(
    {"S4": "57a1319e215567d2", "S5": "698cba89dd9b2e36", "S6": "f6cd9b8a2490f53c", "A5": "c1fe2f30b875c921"}
)
"""First 16 hex digits of the SHA-256 of the array forms as row-major unsigned bytes."""


def published_permutations(name: str, ordering: str) -> Int[Tensor, "n degree"]:
    """Return the array forms of a permutation group's elements in a named order.

    Args:
        name: the group, such as "S5".
        ordering: the order, "sympy-coset-rank".

    Raises:
        UnknownNameError: there is no such order, or it is not known for this group.
        StoreError: the table of representatives was changed.

    >>> published_permutations("S4", "sympy-coset-rank")[1].tolist()
    [1, 2, 3, 0]

    """
    if ordering != SYMPY_COSET_RANK:
        raise unknown_name("order of the elements", ordering, ("canonical", SYMPY_COSET_RANK))
    if name not in REPRESENTATIVES:
        hint = f"The order {ordering!r} is known for {', '.join(REPRESENTATIVES)}."
        raise unknown_name("group with that order of its elements", name, REPRESENTATIVES, hint)
    levels = [torch.tensor([[int(k) for k in word] for word in level.split()]) for level in REPRESENTATIVES[name]]
    elements = levels[-1]
    for level in reversed(levels[:-1]):
        elements = level[:, elements].transpose(0, 1).flatten(0, 1)  # [deeper, this level]: this level runs fastest
    found = permutation_hash(elements)
    if found != HASHES[name]:
        raise StoreError(f"the elements of {name} in the order {ordering} have the hash {found}, not {HASHES[name]}.")
    return elements


def permutation_hash(arrays: Int[Tensor, "n degree"]) -> str:
    """Return the first 16 hex digits of the SHA-256 of array forms, written as row-major unsigned bytes."""
    return hashlib.sha256(arrays.to(torch.uint8).contiguous().numpy().tobytes()).hexdigest()[:16]
