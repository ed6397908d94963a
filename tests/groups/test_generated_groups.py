"""Groups from generators: the same as SymPy's, and refused with figures before they are made."""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, BudgetError, RefractorError, ShapeError
from refractor.groups import (
    affine,
    cyclic,
    dihedral,
    direct_product,
    frobenius,
    general_linear,
    heisenberg,
    matrix_group,
    permutation_group,
    semidirect_product,
    special_linear,
)
from refractor.groups.elements import Matrices, Permutations
from refractor.groups.integers import (
    determinant,
    general_linear_order,
    is_prime,
    prime_factors,
    residue_of_order,
    unit_generators,
    units_count,
)
from refractor.groups.stabilizers import order_at_least

arrays = st.integers(1, 6).flatmap(lambda degree: st.lists(st.permutations(range(degree)), min_size=1, max_size=3))


@given(generators=arrays)
def test_the_elements_are_those_of_sympy(generators: list[list[int]]) -> None:
    combinatorics = pytest.importorskip("sympy.combinatorics")
    theirs = combinatorics.PermutationGroup([combinatorics.Permutation(list(one)) for one in generators])
    made = permutation_group(generators)
    assert isinstance(made.elements, Permutations)
    assert made.elements.arrays.tolist() == sorted(list(one.array_form) for one in theirs.generate())


@given(degree=st.integers(2, 14), count=st.integers(1, 3), seed=st.integers(0, 2**30), power=st.integers(1, 6))
def test_the_order_is_that_of_sympy(degree: int, count: int, seed: int, power: int) -> None:
    combinatorics = pytest.importorskip("sympy.combinatorics")
    draw = np.random.default_rng(seed)
    one = [combinatorics.Permutation(draw.permutation(degree).tolist()) ** power for _ in range(count)]
    generators = np.array([permutation.array_form for permutation in one], dtype=np.int32)
    assert order_at_least(generators) == combinatorics.PermutationGroup(one).order()


@pytest.mark.parametrize("degree", [11, 15, 19])
def test_the_order_does_not_depend_on_how_points_are_numbered(degree: int) -> None:
    turn, swap = np.array([*range(1, degree), 0]), np.array([1, 0, *range(2, degree)])
    for seed in range(20):
        new = np.random.default_rng(seed).permutation(degree)
        generators = np.stack([new[one[np.argsort(new)]] for one in (turn, swap)]).astype(np.int32)
        assert order_at_least(generators) == math.factorial(degree)


def test_known_orders() -> None:
    m24 = ["(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22)",
           "(2 16 9 6 8)(3 12 13 18 4)(7 17 10 11 22)(14 19 21 20 15)",
           "(0 23)(1 22)(2 11)(3 15)(4 17)(5 9)(6 19)(7 13)(8 20)(10 16)(12 21)(14 18)"]  # fmt: skip
    with pytest.raises(BudgetError) as caught:
        permutation_group(m24, name="M24")
    assert str(caught.value) == (
        "M24 has 244,823,040 elements and a table of 479506.6 TB; 8,192 elements (536.9 MB) are allowed. "
        "Take a smaller group."
    )
    assert permutation_group(["(0 1 2 3 4 5 6)", "(1 2)(3 6)"]).order == 168
    for n in (9, 16, 30):
        turn, swap = [*range(1, n), 0], [1, 0, *range(2, n)]
        found = order_at_least(np.array([turn, swap], dtype=np.int32))
        assert found == math.factorial(n) if n < 20 else found > 10**18


@given(dim=st.integers(1, 3), modulus=st.integers(2, 6))
def test_orders_of_linear_groups_by_counting(dim: int, modulus: int) -> None:
    if modulus ** (dim * dim) > 20_000:
        return
    numbers = torch.arange(modulus ** (dim * dim))
    entries = torch.stack([numbers // modulus**i % modulus for i in range(dim * dim)], 1).reshape(-1, dim, dim)
    values = torch.linalg.det(entries.double()).round().long() % modulus
    units = sum(math.gcd(int(value), modulus) == 1 for value in values)
    assert general_linear_order(dim, modulus) == units
    if units <= 500:
        assert general_linear(dim, modulus).order == units
        assert special_linear(dim, modulus).order == int((values == 1 % modulus).sum())
    assert units_count(modulus) == sum(math.gcd(unit, modulus) == 1 for unit in range(modulus))


def test_affine_and_heisenberg_groups() -> None:
    made = affine(1, 5)
    maps = [(a, t) for a in range(1, 5) for t in range(5)]
    values = {tuple(value.flatten().tolist()) for value in cast("Matrices", made.elements).values}
    assert values == {(a, 0, t, 1) for a, t in maps}
    assert heisenberg(5).order == 125
    assert heisenberg(5).exponent == 5
    assert heisenberg(2).element_orders.tolist().count(4) == 2  # dihedral, order 8


@given(n=st.integers(1, 3000))
def test_facts_about_integers(n: int) -> None:
    primes = prime_factors(n)
    left = n
    for p in primes:
        assert all(p % d for d in range(2, p))
        while left % p == 0:
            left //= p
    assert left == 1
    assert is_prime(n) == (primes == (n,))
    if 2 <= n <= 100:
        inside = {1 % n}
        for unit in unit_generators(n):
            inside = {element * unit**k % n for element in inside for k in range(n)}
        assert inside == {unit % n for unit in range(n) if math.gcd(unit, n) == 1}
    if is_prime(n) and n > 2:
        for order in {2, n - 1}:
            powers = {pow(residue_of_order(order, n), k, n) for k in range(order)}
            assert len(powers) == order


@given(size=st.integers(1, 5), seed=st.integers(0, 2**30))
def test_determinants(size: int, seed: int) -> None:
    matrix = torch.randint(-2, 3, (size, size), generator=torch.Generator().manual_seed(seed))
    assert determinant(matrix.tolist()) == round(float(torch.linalg.det(matrix.double())))


def test_frobenius_groups_are_affine_maps() -> None:
    made = frobenius(7, 3)
    for x in range(21):
        for y in range(21):
            (b, a), (other_b, other_a) = divmod(x, 7), divmod(y, 7)
            assert made.product(x, y) == (a + 2**b * other_a) % 7 + 7 * ((b + other_b) % 3)
    assert frobenius(5, 4).element_orders.sort().values.tolist() == affine(1, 5).element_orders.sort().values.tolist()


REFUSED: dict[str, tuple[Callable[[], object], type[RefractorError], str]] = {
    "no permutation": (lambda: permutation_group([[0, 0, 1]]), ArgumentError, "a permutation of 3 points has each of 0 … 2 once in its array form; [0, 0, 1] came."),
    "S12": (lambda: permutation_group([[*range(1, 12), 0], [1, 0, *range(2, 12)]], name="S12"), BudgetError, "S12 has 479,001,600 elements and a table of 1835540.3 TB; 8,192 elements (536.9 MB) are allowed."),
    "most": (lambda: permutation_group(["(0 1 2 3)", "(0 1)"], most=20), BudgetError, "group of 2 permutations has 24 elements and a table of 4.6 kB; 20 elements (3.2 kB) are allowed. Take a smaller group, or a larger most=."),
    "many points": (lambda: permutation_group([[*range(1, 1500), 0]], most=100), BudgetError, "group of 1 permutation has at least 101 elements"),
    "too many points": (lambda: permutation_group([[*range(10_001)]]), ArgumentError, "the number of points must be an integer from 0 to 10000; 10001 came."),
    "no matrices": (lambda: matrix_group([], 5), ArgumentError, "matrix_group needs one matrix or more; none came."),
    "not invertible": (lambda: matrix_group([[[1, 0], [0, 1]], [[1, 1], [1, 3]]], 6), ArgumentError, "generator 1 of a matrix group must be invertible modulo 6; the determinant of [[1, 1], [1, 3]] is 2."),
    "not square": (lambda: matrix_group([[[1, 1]]], 5), ShapeError, "generator 0 of a matrix group must be square; rows of [2] entries came."),
    "two sizes": (lambda: matrix_group([[[1]], [[1, 0], [0, 1]]], 5), ShapeError, "the matrices that generate a group must be of one size; 1 x 1, 2 x 2 came."),
    "SL(2,31)": (lambda: matrix_group([[[1, 1], [0, 1]], [[1, 0], [1, 1]]], 31), BudgetError, "group of 2 matrices modulo 31 has 29,760 elements and a table of 7.1 GB"),
    "SL(2,101)": (lambda: matrix_group([[[1, 1], [0, 1]], [[1, 0], [1, 1]]], 101), BudgetError, "has at least 8,"),
    "modulus": (lambda: matrix_group([[[1]]], 1), ArgumentError, "modulus must be an integer from 2 to 1048576; 1 came."),
    "p": (lambda: frobenius(9, 2), ArgumentError, "frobenius(p, q) needs a prime p and a divisor q of p - 1; p = 9, q = 2 came."),
    "no factor": (direct_product, ArgumentError, "direct_product needs one group or more; none came."),
    "dim": (lambda: general_linear(0, 3), ArgumentError, "dim must be an integer from 1 to 64; 0 came."),
    "no permutation of elements": (lambda: semidirect_product(cyclic(3), cyclic(2), torch.tensor([[0, 1, 2], [0, 1, 1]])), ArgumentError, "action[k] must be a permutation of the elements of C3; for k = 1 it is not."),
    "no automorphism": (lambda: semidirect_product(cyclic(4), cyclic(2), torch.tensor([[0, 1, 2, 3], [0, 2, 1, 3]])), ArgumentError, "action[k] must be an automorphism of C4; for k = 1 it takes the product of h = 1 and h′ = 1 to something else"),
    "no homomorphism": (lambda: semidirect_product(cyclic(5), cyclic(2), torch.tensor([[0, 1, 2, 3, 4], [0, 2, 4, 1, 3]])), ArgumentError, "action must be a homomorphism: action[k · k′] is action[k] after action[k′]; for k = 1, k′ = 1 it is not, at h = 1."),
    "no homomorphism of C1": (lambda: semidirect_product(cyclic(3), cyclic(1), torch.tensor([[0, 2, 1]])), ArgumentError, "for k = 0, k′ = 0 it is not, at h = 1."),
    "another shape": (lambda: semidirect_product(cyclic(3), cyclic(2), torch.tensor([[0, 1, 2]])), ShapeError, "action must have shape [acting=2, normal=3]; [1, 3] came."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_why(case: str) -> None:
    call, kind, words = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)


def test_entries_and_points_are_integers(untyped: None) -> None:
    with pytest.raises(
        ArgumentError, match=r"generator 0 of a matrix group must have integers as entries; \[\[1.5\]\] came"
    ):
        matrix_group([[[1.5]]], 5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        ArgumentError, match=r"a permutation of 2 points has each of 0 … 1 once in its array form; \[0.0, 1\] came"
    ):
        permutation_group([[0.0, 1]])  # pyright: ignore[reportArgumentType]


def test_tensors_are_taken() -> None:
    assert permutation_group([torch.tensor([1, 2, 0])]).order == 3
    assert matrix_group([torch.tensor([[0, 1], [-1, 0]])], 5).order == 4
    assert dihedral(3).order == permutation_group([[1, 2, 0], "(0 1)"]).order
