"""Finite groups, exactly: tables, families, representations."""

from refractor.groups.families import alternating, cyclic, dihedral, symmetric
from refractor.groups.fourier import EntryBasis, entry_basis
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.named import group
from refractor.groups.products import direct_product
from refractor.groups.quaternion import dicyclic, quaternion
from refractor.groups.real_irreps import real_irreps
from refractor.groups.representation import Representation

__all__ = [
    "EntryBasis",
    "Group",
    "Irrep",
    "Irreps",
    "Representation",
    "alternating",
    "cyclic",
    "dicyclic",
    "dihedral",
    "direct_product",
    "entry_basis",
    "group",
    "quaternion",
    "real_irreps",
    "symmetric",
]
