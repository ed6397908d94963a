"""Groups of permutations and of matrices modulo n, from generators."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups.closure import generated, lexicographic, right_products, table_from_right_products
from refractor.groups.cycles import read_cycles
from refractor.groups.elements import Elements, Matrices, Permutations
from refractor.groups.group import Group
from refractor.groups.integers import determinant
from refractor.groups.size import MOST_ELEMENTS, check_order
from refractor.groups.stabilizers import order_at_least

WIDEST = 1024  # points up to which the order is found before any element is made; beyond, listing stops at the limit
MOST_POINTS = 10_000  # points of a permutation: 8,192 elements then hold 655 MB
MOST_MODULUS = 2**20  # products of residues and their sums stay exact in 64 bits


def permutation_group(
    generators: Sequence[Sequence[int] | Tensor | str], name: str | None = None, most: int | None = None
) -> Group:
    """Return the group that permutations generate, its elements in lexicographic order of their array forms.

    `(p · q)[k] = q[p[k]]`: p is applied first.

    Args:
        generators: array forms, or texts in cycle notation; shorter ones leave the further points where they are.
        name: how the group is called.
        most: the largest order allowed; by default 8,192.

    Raises:
        ArgumentError: one is no permutation.
        BudgetError: the group has more elements than allowed; its order is looked at before they are made.

    >>> permutation_group(["(0 1 2 3 4 5 6)", "(1 2)(3 6)"], name="GL(3,2)")
    Group('GL(3,2)', order=168)

    """
    arrays = [read_cycles(one) if isinstance(one, str) else _array(one) for one in generators]
    degree = check_int(
        "the number of points", max((len(array) for array in arrays), default=0), least=0, most=MOST_POINTS
    )
    images = [torch.tensor([*array, *range(len(array), degree)], dtype=torch.long) for array in arrays]
    called = name if name is not None else f"group of {len(images)} permutation{'s' * (len(images) != 1)}"
    if images and degree <= WIDEST:
        check_order(called, order_at_least(torch.stack(images).numpy().astype(np.int32)), most)
    elements = generated(torch.arange(degree), images, lambda left, image: image[left], _allowed(most))
    check_order(called, len(elements), most, bound="at least ")
    elements = elements[lexicographic(elements)]
    right = right_products(elements, [image[elements] for image in images])
    return _from_right(called, right, 0, Permutations(elements))


def matrix_group(
    generators: Sequence[Sequence[Sequence[int]] | Tensor],
    modulus: int,
    name: str | None = None,
    most: int | None = None,
) -> Group:
    """Return the group that square matrices of residues generate: the identity first, the rest in lexicographic order.

    The product of X and Y is the matrix product X Y. On row vectors, v X Y, X acts first.

    Args:
        generators: invertible d x d matrices of integers, one or more.
        modulus: entries are taken modulo this, 2 or more; it need not be a prime.
        name: how the group is called.
        most: the largest order allowed; by default 8,192.

    Raises:
        ArgumentError: a matrix is not square or not invertible, or no matrix came.
        BudgetError: the group has more elements than allowed; its order is looked at before they are made.

    >>> group = matrix_group([[[1, 1], [0, 1]], [[1, 0], [1, 1]]], modulus=3)
    >>> group.order, group.labels[0]
    (24, '[[1 0] [0 1]]')

    """
    check_int("modulus", modulus, least=2, most=MOST_MODULUS)
    matrices = [_matrix(one, place, modulus) for place, one in enumerate(generators)]
    if not matrices:
        raise ArgumentError("matrix_group needs one matrix or more; none came. Take cyclic(1) for the trivial group.")
    if any(matrix.shape != matrices[0].shape for matrix in matrices):
        sizes = ", ".join(f"{len(matrix)} x {len(matrix)}" for matrix in matrices)
        raise ShapeError(f"the matrices that generate a group must be of one size; {sizes} came.")
    called = (
        name
        if name is not None
        else f"group of {len(matrices)} matri{'x' if len(matrices) == 1 else 'ces'} modulo {modulus}"
    )
    _check_matrix_order(called, matrices, modulus, most)
    identity = torch.eye(len(matrices[0]), dtype=torch.long)

    def times(left: Tensor, right: Tensor) -> Tensor:
        return left @ right % modulus

    elements = generated(identity, matrices, times, _allowed(most))
    check_order(called, len(elements), most, bound="at least ")
    elements = torch.cat([identity[None], elements[1:][lexicographic(elements[1:])]])
    right = right_products(elements, [times(elements, matrix) for matrix in matrices])
    return _from_right(called, right, 0, Matrices(elements, modulus))


def _allowed(most: int | None) -> int:
    return MOST_ELEMENTS if most is None else check_int("most", most, least=1)


def _from_right(name: str, right: Int[Tensor, "generator n"], identity: int, elements: Elements) -> Group:
    """Return the group of products with generators; doubles and the identity are no generators."""
    table = table_from_right_products(right, identity)
    generators = tuple(place for place in dict.fromkeys(right[:, identity].tolist()) if place != identity)
    return Group(name, table, elements, generators)


def _array(one: Sequence[int] | Tensor) -> list[int]:
    """Return an array form, which has every number from 0 once."""
    array = list(one.tolist() if isinstance(one, Tensor) else one)
    if any(isinstance(point, bool) or not isinstance(point, int) for point in array) or sorted(array) != list(
        range(len(array))
    ):
        raise ArgumentError(
            f"a permutation of {len(array)} points has each of 0 … {len(array) - 1} once in its array form; "
            f"{list(one)} came."
        )
    return array


def _matrix(one: Sequence[Sequence[int]] | Tensor, place: int, modulus: int) -> Int[Tensor, "dim dim"]:
    """Return a generator as a tensor of residues, if it is square and invertible."""
    given = one.tolist() if isinstance(one, Tensor) else one
    rows = [list(row) for row in given]
    if any(isinstance(entry, bool) or not isinstance(entry, int) for row in rows for entry in row):
        raise ArgumentError(f"generator {place} of a matrix group must have integers as entries; {rows} came.")
    if not rows or any(len(row) != len(rows) for row in rows):
        raise ShapeError(
            f"generator {place} of a matrix group must be square; rows of {[len(row) for row in rows]} entries came."
        )
    value = determinant([[entry % modulus for entry in row] for row in rows]) % modulus
    if math.gcd(value, modulus) != 1:
        raise ArgumentError(
            f"generator {place} of a matrix group must be invertible modulo {modulus}; "
            f"the determinant of {rows} is {value}."
        )
    return torch.tensor(rows) % modulus


def _check_matrix_order(name: str, matrices: Sequence[Tensor], modulus: int, most: int | None) -> None:
    """Refuse a group that is too large, by its action on the images of the d unit row vectors, which is faithful.

    An orbit of more vectors than the group may have elements is enough to refuse.
    """
    dim, allowed = len(matrices[0]), _allowed(most)
    weights = [modulus**i for i in range(dim)]
    place: dict[int, int] = {}
    points: list[Tensor] = []
    for start in torch.eye(dim, dtype=torch.long):
        frontier, size = start[None], 0
        while len(frontier):
            new = []
            for vector in torch.cat([frontier @ matrix % modulus for matrix in matrices] + [frontier] * (size == 0)):
                code = sum(entry * weight for entry, weight in zip(vector.tolist(), weights, strict=True))
                if code not in place:
                    place[code] = len(place)
                    new.append(vector)
            size += len(new)
            check_order(name, size, most=allowed, bound="at least ")
            points += new
            frontier = torch.stack(new) if new else frontier[:0]
    if len(points) <= WIDEST:
        images = torch.stack(points)
        codes = [
            [sum(entry * weight for entry, weight in zip(vector, weights, strict=True)) for vector in moved.tolist()]
            for moved in (images @ matrix % modulus for matrix in matrices)
        ]
        arrays = np.array([[place[code] for code in row] for row in codes], dtype=np.int32)
        check_order(name, order_at_least(arrays), most)
