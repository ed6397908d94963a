"""The families that everybody knows: cyclic, dihedral, symmetric, alternating."""

import math
from collections.abc import Sequence
from itertools import permutations

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.checks import check_int
from refractor.groups.closure import right_products, table_from_right_products
from refractor.groups.elements import Names, Permutations
from refractor.groups.group import CANONICAL, Group
from refractor.groups.orderings import published_permutations
from refractor.groups.size import check_order


def cyclic(n: int) -> Group:
    """Return C_n: the numbers 0 … n - 1 with addition modulo n.

    Raises:
        ArgumentError: n is below 1.
        BudgetError: the table would be too large.

    >>> cyclic(5).product(3, 4)
    2

    """
    x = torch.arange(check_order(f"C{n}", check_int("n", n, least=1)))
    names = Names(tuple(str(i) for i in range(n)))
    return Group(f"C{n}", (x[:, None] + x) % n, names, (1,) if n > 1 else ())


def dihedral(n: int) -> Group:
    """Return D_n, the 2n symmetries of a polygon with n corners.

    Element r + n s stands for ρ^r σ^s, rotations before reflections:
    (r, 0)(r', s') = (r + r', s') and (r, 1)(r', s') = (r - r', 1 + s').

    Args:
        n: the number of corners; the group has 2n elements. D_1 has one reflection, D_2 is C_2 x C_2.

    Raises:
        ArgumentError: n is below 1.
        BudgetError: the table would be too large.

    >>> dihedral(4).labels[5], dihedral(4).order
    ('r1 s', 8)

    """
    element = torch.arange(check_order(f"D{n}", 2 * check_int("n", n, least=1)))
    turn, flip = element % n, element // n
    turned = (turn[:, None] + torch.where(flip[:, None] == 1, -turn, turn)) % n
    flipped = (flip[:, None] + flip) % 2
    names = Names(tuple(f"r{r}" for r in range(n)) + tuple(f"r{r} s" for r in range(n)))
    return Group(f"D{n}", turned + n * flipped, names, (1, n) if n > 1 else (n,))


def symmetric(n: int, ordering: str = CANONICAL) -> Group:
    """Return S_n: all permutations of 0 … n - 1.

    `(p · q)[k] = q[p[k]]`: p is applied first.

    Args:
        n: the number of points, up to 7.
        ordering: "canonical" has the array forms in lexicographic order; "sympy-coset-rank" is that of the published
            networks (n = 4, 5, 6).

    Raises:
        ArgumentError: n is below 1.
        BudgetError: n is above 7.
        UnknownNameError: there is no such order of S_n.

    >>> symmetric(4).labels[:3]
    ('(3)', '(2 3)', '(3)(1 2)')

    """
    _check_factorial(f"S{n}", n, 1)
    if ordering != CANONICAL:
        arrays = published_permutations(f"S{n}", ordering)
    else:
        arrays = torch.tensor(list(permutations(range(n))))
    turn, swap = [*range(1, n), 0], [1, 0, *range(2, n)]
    return permutation_table(f"S{n}", arrays, [turn, swap] if n > 2 else [swap] if n == 2 else [], ordering)


def alternating(n: int, ordering: str = CANONICAL) -> Group:
    """Return A_n: the even permutations of 0 … n - 1.

    Args:
        n: the number of points, up to 7.
        ordering: as for `symmetric`; "sympy-coset-rank" is known for n = 5.

    Raises:
        ArgumentError: n is below 1.
        BudgetError: n is above 7.
        UnknownNameError: there is no such order of A_n.

    >>> alternating(5).order
    60

    """
    _check_factorial(f"A{n}", n, 2)
    if ordering != CANONICAL:
        arrays = published_permutations(f"A{n}", ordering)
    else:
        arrays = torch.tensor(list(permutations(range(n))))
        arrays = arrays[_is_even(arrays)]
    three_cycles = [[1, k, *(i if i != k else 0 for i in range(2, n))] for k in range(2, n)]  # (0 1 k)
    return permutation_table(f"A{n}", arrays, three_cycles, ordering)


def permutation_table(
    name: str, arrays: Int[Tensor, "n degree"], generators: Sequence[Sequence[int]], ordering: str = CANONICAL
) -> Group:
    """Return the group whose elements are these permutations, all that the generators generate.

    Args:
        name: how it is called.
        arrays: array forms of all elements, in the order wanted.
        generators: array forms of generators.
        ordering: the name of the order.

    """
    images = [torch.tensor(generator) for generator in generators]
    right = right_products(arrays, [image[arrays] for image in images])
    identity = int((arrays == torch.arange(arrays.shape[1])).all(1).nonzero()[0])
    table = table_from_right_products(right, identity)
    return Group(name, table, Permutations(arrays), tuple(right[:, identity].tolist()), ordering)


def _is_even(arrays: Int[Tensor, "n degree"]) -> Tensor:
    """Whether the number of pairs i < j with p[i] > p[j] is even."""
    later = torch.ones(arrays.shape[1], arrays.shape[1], dtype=torch.bool).triu(1)
    return ((arrays[:, :, None] > arrays[:, None, :]) & later).sum((1, 2)) % 2 == 0


def _check_factorial(name: str, n: int, parts: int) -> None:
    """Check the order n! / parts of a group; that of 20 points is enough for more to be refused."""
    points = min(check_int("n", n, least=1), 20)
    check_order(name, max(1, math.factorial(points) // parts), bound="at least " if points < n else "")
