"""`real_irreps`: all irreducible real representations of a group."""

from functools import cmp_to_key

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.commutant import adapt_basis, conjugated
from refractor.groups.family import AlternatingFamily, CyclicFamily, DihedralFamily, SymmetricFamily, recognise
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.kinds import KINDS, kind_of_character
from refractor.groups.letters import letter_names
from refractor.groups.permutation_irreps import alternating_irreps, symmetric_irreps
from refractor.groups.plane_irreps import cyclic_irreps, dihedral_irreps
from refractor.groups.representation import Representation
from refractor.groups.splitting import split_regular

SAME = 1e-6  # values of characters that differ by less are the same number


def real_irreps(group: Group) -> Irreps:
    """Return all irreducible real representations of a group, by orthogonal matrices, the trivial one first.

    Symmetric, alternating (of permutations), cyclic and dihedral groups are recognised from their elements, however
    those are numbered, and have closed forms; see `symmetric_irreps`, `alternating_irreps`, `cyclic_irreps` and
    `dihedral_irreps` for their names and order. Any other group is split: see `split_irreps`. Everything is checked:
    see `Irreps`.

    Args:
        group: the group.

    Raises:
        BudgetError: the matrices do not fit.

    >>> from refractor.groups import cyclic, symmetric
    >>> real_irreps(cyclic(6)).names
    ('trivial', 'freq_1', 'freq_2', 'sign')
    >>> real_irreps(symmetric(4)).names
    ('trivial', 'sign', 'standard', 'standard_sign', 's4_2d')

    """
    match recognise(group):
        case SymmetricFamily() as family:
            return symmetric_irreps(group, family)
        case AlternatingFamily() as family:
            return alternating_irreps(group, family)
        case CyclicFamily() as family:
            return cyclic_irreps(group, family)
        case DihedralFamily() as family:
            return dihedral_irreps(group, family)
        case None:
            return split_irreps(group)


def split_irreps(group: Group) -> Irreps:
    """Return all irreps of any group by splitting its regular representation.

    Their order is by dimension, type (real, complex, quaternionic) and character, larger values first in the order of
    the elements. It does not depend on what was drawn; the basis that the matrices are written in does. Names say
    dimension and place: "3d_a", "3d_b", …

    >>> from refractor.groups import alternating
    >>> split_irreps(alternating(5)).names
    ('trivial', '3d_a', '3d_b', '4d_a', '5d_a')

    """
    found: list[_Part] = []
    for matrices in split_regular(group):
        character = matrices.diagonal(dim1=1, dim2=2).sum(-1)
        kind = kind_of_character(group, character)
        if kind is None:
            raise ArgumentError(f"a part of dimension {matrices.shape[1]} of {group.name} is reducible.")
        found.append((kind, character, _settled(adapt_basis(matrices, KINDS[kind]), kind)))
    found.sort(key=cmp_to_key(_compare))
    names = ["trivial", *letter_names([matrices.shape[1] for _, _, matrices in found[1:]])]
    members = (
        Irrep(Representation(group, name, matrices), kind)
        for name, (kind, _, matrices) in zip(names, found, strict=True)
    )
    return Irreps(group, tuple(members))


def _settled(matrices: Float[Tensor, "n dim dim"], kind: str) -> Float[Tensor, "n dim dim"]:
    """Of the two complex irreps in one of complex type, show the one with positive imaginary part where they differ."""
    if kind != "complex":
        return matrices
    imaginary = matrices.chunk(2, 1)[1].chunk(2, 2)[0].diagonal(dim1=1, dim2=2).sum(-1)
    first = int((imaginary.abs() > SAME).nonzero()[0])
    return matrices if imaginary[first] > 0 else conjugated(matrices)


_Part = tuple[str, Tensor, Tensor]
"""Type, character, matrices."""


def _compare(one: _Part, other: _Part) -> int:
    """By dimension, type, character: the first value that differs, larger first. So the trivial one is the first."""
    for a, b in ((one[2].shape[1], other[2].shape[1]), (KINDS[one[0]], KINDS[other[0]])):
        if a != b:
            return a - b
    different = ((one[1] - other[1]).abs() > SAME).nonzero().flatten()
    return 0 if len(different) == 0 else -1 if one[1][different[0]] > other[1][different[0]] else 1
