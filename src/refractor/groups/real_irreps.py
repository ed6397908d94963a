"""`real_irreps`: all irreducible real representations of a group."""

from collections.abc import Sequence
from functools import cmp_to_key

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.commutant import adapt_basis
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.kinds import KINDS, kind_of_character
from refractor.groups.representation import Representation
from refractor.groups.splitting import split_regular

SAME = 1e-6  # values of characters that differ by less are the same number


def real_irreps(group: Group) -> Irreps:
    """Return all irreducible real representations of a group, by orthogonal matrices, the trivial one first.

    Args:
        group: the group.

    >>> from refractor.groups import cyclic
    >>> real_irreps(cyclic(5)).names
    ('trivial', '2d_a', '2d_b')

    """
    return split_irreps(group)


def split_irreps(group: Group) -> Irreps:
    """Return all irreps of any group by splitting its regular representation.

    Their order is by dimension, type (real, complex, quaternionic) and character, larger values first in the order of
    the elements; it does not depend on what was drawn. Names say dimension and place: "3d_a", "3d_b", …

    >>> from refractor.groups import alternating
    >>> split_irreps(alternating(5)).names
    ('trivial', '3d_a', '3d_b', '4d_a', '5d_a')

    """
    found = []
    for matrices in split_regular(group):
        kind = kind_of_character(group, matrices.diagonal(dim1=1, dim2=2).sum(-1))
        if kind is None:
            raise ArgumentError(f"a part of dimension {matrices.shape[1]} of {group.name} is reducible.")
        found.append((kind, adapt_basis(matrices, KINDS[kind])))
    found.sort(key=cmp_to_key(_compare))
    names = letter_names([matrices.shape[1] for _, matrices in found])
    names[0] = "trivial"
    members = (
        Irrep(Representation(group, name, matrices), kind) for name, (kind, matrices) in zip(names, found, strict=True)
    )
    return Irreps(group, tuple(members))


def letter_names(dims: Sequence[int], prefix: str = "") -> list[str]:
    """Return "1d_a", "1d_b", "2d_a", …: the dimension, and a letter that counts within it. The first is not counted.

    >>> letter_names([1, 1, 2, 2])
    ['', '1d_a', '2d_a', '2d_b']

    """
    counts: dict[int, int] = {}
    names = [""]
    for dim in dims[1:]:
        names.append(f"{prefix}{dim}d_{_letters(counts.get(dim, 0))}")
        counts[dim] = counts.get(dim, 0) + 1
    return names


def _letters(count: int) -> str:
    """Return a, b, …, z, aa, ab, … for 0, 1, 2."""
    word = ""
    while count >= 0:
        word = chr(ord("a") + count % 26) + word
        count = count // 26 - 1
    return word


def _compare(one: tuple[str, Float[Tensor, "n dim dim"]], other: tuple[str, Float[Tensor, "n dim dim"]]) -> int:
    """Trivial first, then by dimension, type, character: the first value that differs, larger first."""
    first, second = (matrices.diagonal(dim1=1, dim2=2).sum(-1) for _, matrices in (one, other))
    for a, b in ((one[1].shape[1], other[1].shape[1]), (KINDS[one[0]], KINDS[other[0]])):
        if a != b:
            return a - b
    different = ((first - second).abs() > SAME).nonzero().flatten()
    return 0 if len(different) == 0 else -1 if first[different[0]] > second[different[0]] else 1
