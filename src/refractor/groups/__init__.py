"""Finite groups, exactly: tables, families, representations."""

from refractor.groups.character_table import CharacterTable, character_table
from refractor.groups.combining import direct_sum, dual, induction, restriction, tensor_product
from refractor.groups.complex_irreps import ComplexIrrep, ComplexIrreps, complex_irreps
from refractor.groups.constructions import natural, regular, sign, standard, study_standard, trivial
from refractor.groups.cyclotomic import Cyclotomic
from refractor.groups.decomposition import multiplicities
from refractor.groups.embedding import Embedding, embed
from refractor.groups.families import alternating, cyclic, dihedral, symmetric
from refractor.groups.fourier import EntryBasis, entry_basis
from refractor.groups.generated import matrix_group, permutation_group
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.isotypic import isotypic_projector, two_sided_energies
from refractor.groups.matrix_families import affine, general_linear, heisenberg, special_linear
from refractor.groups.named import group
from refractor.groups.products import direct_product
from refractor.groups.quaternion import dicyclic, quaternion
from refractor.groups.real_irreps import real_irreps
from refractor.groups.representation import Representation, representation
from refractor.groups.semidirect import frobenius, semidirect_product
from refractor.groups.transform import FourierCoefficients, convolve, fourier_transform, inverse_transform

__all__ = [
    "CharacterTable",
    "ComplexIrrep",
    "ComplexIrreps",
    "Cyclotomic",
    "Embedding",
    "EntryBasis",
    "FourierCoefficients",
    "Group",
    "Irrep",
    "Irreps",
    "Representation",
    "affine",
    "alternating",
    "character_table",
    "complex_irreps",
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
    "frobenius",
    "general_linear",
    "group",
    "heisenberg",
    "induction",
    "inverse_transform",
    "isotypic_projector",
    "matrix_group",
    "multiplicities",
    "natural",
    "permutation_group",
    "quaternion",
    "real_irreps",
    "regular",
    "representation",
    "restriction",
    "semidirect_product",
    "sign",
    "special_linear",
    "standard",
    "study_standard",
    "symmetric",
    "tensor_product",
    "trivial",
    "two_sided_energies",
]
