"""Families of matrix groups modulo n: special and general linear, affine, Heisenberg."""

import torch
from torch import Tensor

from refractor.base.checks import check_int
from refractor.groups.generated import MOST_MODULUS, matrix_group
from refractor.groups.group import Group
from refractor.groups.integers import general_linear_order, unit_generators, units_count
from refractor.groups.size import check_order


def special_linear(dim: int, modulus: int) -> Group:
    """Return SL(d, n): the d x d matrices modulo n of determinant 1.

    The identity comes first, the rest in lexicographic order. The entries are residues: for a prime power such as 4
    this is not the group over the field of 4 elements.

    Raises:
        ArgumentError: the dimension is below 1 or the modulus below 2.
        BudgetError: the table would be too large.

    >>> special_linear(2, 7)
    Group('SL(2,7)', order=336)

    """
    name = _named("SL", dim, modulus)
    check_order(name, general_linear_order(dim, modulus) // units_count(modulus))
    return _generated(_shears(dim), dim, modulus, name)


def general_linear(dim: int, modulus: int) -> Group:
    """Return GL(d, n): the invertible d x d matrices modulo n.

    The identity comes first, the rest in lexicographic order.

    Raises:
        ArgumentError: the dimension is below 1 or the modulus below 2.
        BudgetError: the table would be too large.

    >>> general_linear(2, 3)
    Group('GL(2,3)', order=48)

    """
    name = _named("GL", dim, modulus)
    check_order(name, general_linear_order(dim, modulus))
    return _generated([*_shears(dim), *_scalings(dim, modulus)], dim, modulus, name)


def affine(dim: int, modulus: int) -> Group:
    """Return AGL(d, n): the maps v ↦ v A + t of row vectors, A in GL(d, n), as matrices [[A, 0], [t, 1]].

    (v, 1) [[A, 0], [t, 1]] = (v A + t, 1). The identity comes first, the rest in lexicographic order.

    Raises:
        ArgumentError: the dimension is below 1 or the modulus below 2.
        BudgetError: the table would be too large.

    >>> affine(1, 17)
    Group('AGL(1,17)', order=272)

    """
    name = _named("AGL", dim, modulus)
    check_order(name, general_linear_order(dim, modulus) * modulus**dim)
    linear = [_corner(matrix) for matrix in [*_shears(dim), *_scalings(dim, modulus)]]
    return _generated([*linear, _shear(dim + 1, dim, 0)], dim + 1, modulus, name)


def heisenberg(modulus: int) -> Group:
    """Return the Heisenberg group modulo n: the n³ matrices [[1, a, c], [0, 1, b], [0, 0, 1]].

    The identity comes first, the rest in lexicographic order.

    Raises:
        ArgumentError: the modulus is below 2.
        BudgetError: the table would be too large.

    >>> heisenberg(3), heisenberg(3).exponent
    (Group('Heis(3)', order=27), 3)

    """
    name = f"Heis({check_int('modulus', modulus, least=2, most=MOST_MODULUS)})"
    check_order(name, modulus**3)
    return _generated([_shear(3, 0, 1), _shear(3, 1, 2)], 3, modulus, name)


def _named(family: str, dim: int, modulus: int) -> str:
    check_int("dim", dim, least=1, most=64)
    check_int("modulus", modulus, least=2, most=MOST_MODULUS)
    return f"{family}({dim},{modulus})"


def _generated(matrices: list[Tensor], dim: int, modulus: int, name: str) -> Group:
    """Return the group of these matrices; the identity generates the trivial group where there are none."""
    chosen = matrices or [torch.eye(dim, dtype=torch.long)]
    return matrix_group([matrix.tolist() for matrix in chosen], modulus, name)


def _shear(dim: int, row: int, column: int) -> Tensor:
    """Return the identity with one further entry 1."""
    matrix = torch.eye(dim, dtype=torch.long)
    matrix[row, column] = 1
    return matrix


def _shears(dim: int) -> list[Tensor]:
    """Return shears of neighbouring coordinates: their commutators are all others, and these generate SL(d, n)."""
    return [_shear(dim, *place) for i in range(dim - 1) for place in ((i, i + 1), (i + 1, i))]


def _scalings(dim: int, modulus: int) -> list[Tensor]:
    """Return matrices diag(u, 1, …, 1) whose determinants generate the invertible residues."""
    found = []
    for unit in unit_generators(modulus):
        matrix = torch.eye(dim, dtype=torch.long)
        matrix[0, 0] = unit
        found.append(matrix)
    return found


def _corner(matrix: Tensor) -> Tensor:
    """Return [[A, 0], [0, 1]]."""
    larger = torch.eye(len(matrix) + 1, dtype=torch.long)
    larger[:-1, :-1] = matrix
    return larger
