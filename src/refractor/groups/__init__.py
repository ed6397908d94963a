"""Finite groups, exactly: tables, families, representations."""

from refractor.groups.character_table import CharacterTable, character_table
from refractor.groups.classes import ConjugacyClasses, conjugacy_classes
from refractor.groups.combining import direct_sum, dual, induction, restriction, tensor_product
from refractor.groups.complex_irreps import ComplexIrrep, ComplexIrreps, complex_irreps
from refractor.groups.constructions import natural, regular, sign, standard, study_standard, trivial
from refractor.groups.cosets import left_cosets, right_cosets
from refractor.groups.cyclotomic import Cyclotomic
from refractor.groups.decomposition import multiplicities
from refractor.groups.embedding import Embedding, embed
from refractor.groups.families import alternating, cyclic, dihedral, symmetric
from refractor.groups.fourier import EntryBasis, entry_basis
from refractor.groups.generated import matrix_group, permutation_group
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.isotypic import isotypic_projector, two_sided_energies
from refractor.groups.lattice import subgroup_classes, subgroups
from refractor.groups.matrix_families import affine, general_linear, heisenberg, special_linear
from refractor.groups.named import group
from refractor.groups.normal import normal_subgroups
from refractor.groups.parity import signatures
from refractor.groups.products import direct_product
from refractor.groups.quaternion import dicyclic, quaternion
from refractor.groups.quotients import Quotient, quotient
from refractor.groups.real_irreps import real_irreps
from refractor.groups.representation import Representation, representation
from refractor.groups.semidirect import frobenius, semidirect_product
from refractor.groups.subgroup import (
    Subgroup,
    centre,
    commutator_subgroup,
    conjugate_subgroup,
    is_normal,
    normal_closure,
    normaliser,
    subgroup,
)
from refractor.groups.tables import from_table, relabelled
from refractor.groups.transform import FourierCoefficients, convolve, fourier_transform, inverse_transform

__all__ = [
    "CharacterTable",
    "ComplexIrrep",
    "ComplexIrreps",
    "ConjugacyClasses",
    "Cyclotomic",
    "Embedding",
    "EntryBasis",
    "FourierCoefficients",
    "Group",
    "Irrep",
    "Irreps",
    "Quotient",
    "Representation",
    "Subgroup",
    "affine",
    "alternating",
    "centre",
    "character_table",
    "commutator_subgroup",
    "complex_irreps",
    "conjugacy_classes",
    "conjugate_subgroup",
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
    "from_table",
    "general_linear",
    "group",
    "heisenberg",
    "induction",
    "inverse_transform",
    "is_normal",
    "isotypic_projector",
    "left_cosets",
    "matrix_group",
    "multiplicities",
    "natural",
    "normal_closure",
    "normal_subgroups",
    "normaliser",
    "permutation_group",
    "quaternion",
    "quotient",
    "real_irreps",
    "regular",
    "relabelled",
    "representation",
    "restriction",
    "right_cosets",
    "semidirect_product",
    "sign",
    "signatures",
    "special_linear",
    "standard",
    "study_standard",
    "subgroup",
    "subgroup_classes",
    "subgroups",
    "symmetric",
    "tensor_product",
    "trivial",
    "two_sided_energies",
]
