"""Left and right cosets."""

from jaxtyping import Int
from torch import Tensor

from refractor.groups.subgroup import Subgroup


def left_cosets(subgroup: Subgroup) -> Int[Tensor, " n"]:
    """Return for each element x the number of its coset x H; cosets are numbered by their least elements.

    x and y are in one coset if x⁻¹ y is in H.

    >>> from refractor.groups import dihedral
    >>> from refractor.groups.subgroup import subgroup
    >>> left_cosets(subgroup(dihedral(3), [3])).tolist()
    [0, 1, 2, 0, 1, 2]

    """
    return subgroup.group.table[:, list(subgroup.members)].amin(1).unique(return_inverse=True)[1]


def right_cosets(subgroup: Subgroup) -> Int[Tensor, " n"]:
    """Return for each element x the number of its coset H x; cosets are numbered by their least elements.

    x and y are in one coset if x y⁻¹ is in H.

    >>> from refractor.groups import dihedral
    >>> from refractor.groups.subgroup import subgroup
    >>> right_cosets(subgroup(dihedral(3), [3])).tolist()
    [0, 1, 2, 0, 2, 1]

    """
    return subgroup.group.table[list(subgroup.members)].amin(0).unique(return_inverse=True)[1]
