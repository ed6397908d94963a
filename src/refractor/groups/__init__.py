"""Finite groups, exactly: tables, families, representations."""

from refractor.groups.families import alternating, cyclic, dihedral, symmetric
from refractor.groups.fourier import EntryBasis, entry_basis
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.isotypic import isotypic_projector, two_sided_energies
from refractor.groups.named import group
from refractor.groups.products import direct_product
from refractor.groups.quaternion import dicyclic, quaternion
from refractor.groups.real_irreps import real_irreps
from refractor.groups.representation import Representation, representation
from refractor.groups.transform import FourierCoefficients, convolve, fourier_transform, inverse_transform

__all__ = [
    "EntryBasis",
    "FourierCoefficients",
    "Group",
    "Irrep",
    "Irreps",
    "Representation",
    "alternating",
    "convolve",
    "cyclic",
    "dicyclic",
    "dihedral",
    "direct_product",
    "entry_basis",
    "fourier_transform",
    "group",
    "inverse_transform",
    "isotypic_projector",
    "quaternion",
    "real_irreps",
    "representation",
    "symmetric",
    "two_sided_energies",
]
