"""Finite groups, exactly: tables, families, representations."""

from refractor.groups.combining import direct_sum, dual, induction, restriction, tensor_product
from refractor.groups.constructions import natural, regular, sign, standard, study_standard, trivial
from refractor.groups.decomposition import multiplicities
from refractor.groups.embedding import Embedding, embed
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
    "Embedding",
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
    "direct_sum",
    "dual",
    "embed",
    "entry_basis",
    "fourier_transform",
    "group",
    "induction",
    "inverse_transform",
    "isotypic_projector",
    "multiplicities",
    "natural",
    "quaternion",
    "real_irreps",
    "regular",
    "representation",
    "restriction",
    "sign",
    "standard",
    "study_standard",
    "symmetric",
    "tensor_product",
    "trivial",
    "two_sided_energies",
]
