"""One contract for groups of every family; each of its checks is seen to fail on a broken group."""

import dataclasses
from collections.abc import Callable
from typing import cast

import pytest
import torch
from group_laws import LAWS, check_axioms
from torch import Tensor

from refractor.base.errors import OutOfRangeError, ShapeError
from refractor.groups import (
    Group,
    affine,
    alternating,
    cyclic,
    dicyclic,
    dihedral,
    direct_product,
    frobenius,
    from_table,
    general_linear,
    group,
    heisenberg,
    matrix_group,
    permutation_group,
    quaternion,
    quotient,
    relabelled,
    semidirect_product,
    special_linear,
    subgroup,
    symmetric,
)
from refractor.groups.elements import Names, Permutations
from refractor.groups.orderings import SYMPY_COSET_RANK

KINDS: dict[str, Callable[[], Group]] = {
    "C1": lambda: cyclic(1),
    "C12": lambda: cyclic(12),
    "D1": lambda: dihedral(1),
    "D2": lambda: dihedral(2),
    "D7": lambda: dihedral(7),
    "D12": lambda: dihedral(12),
    "S1": lambda: symmetric(1),
    "S2": lambda: symmetric(2),
    "S4": lambda: symmetric(4),
    "S5": lambda: symmetric(5),
    "A1": lambda: alternating(1),
    "A2": lambda: alternating(2),
    "A3": lambda: alternating(3),
    "A5": lambda: alternating(5),
    "published S4": lambda: symmetric(4, SYMPY_COSET_RANK),
    "published S5": lambda: symmetric(5, SYMPY_COSET_RANK),
    "published A5": lambda: alternating(5, SYMPY_COSET_RANK),
    "Q8": quaternion,
    "Q32": lambda: quaternion(32),
    "Dic1": lambda: dicyclic(1),
    "Dic5": lambda: dicyclic(5),
    "SL(2,3)": lambda: special_linear(2, 3),
    "SL(2, Z/4)": lambda: special_linear(2, 4),
    "SL(3,2)": lambda: special_linear(3, 2),
    "SL(1,5)": lambda: special_linear(1, 5),
    "GL(2,3)": lambda: general_linear(2, 3),
    "GL(1, Z/15)": lambda: general_linear(1, 15),
    "AGL(1,13)": lambda: affine(1, 13),
    "AGL(2,2)": lambda: affine(2, 2),
    "Heis(4)": lambda: heisenberg(4),
    "F21": lambda: frobenius(7, 3),
    "F20": lambda: frobenius(5, 4),
    "C2 x S3": lambda: direct_product(cyclic(2), symmetric(3)),
    "C2 x C3 x Q8": lambda: group("C2 x C3 x Q8"),
    "C3 ⋊ C4": lambda: semidirect_product(cyclic(3), cyclic(4), torch.tensor([[0, 1, 2], [0, 2, 1]] * 2)),
    "S4 / V4": lambda: _quotient_by_four(symmetric(4)),
    "permutations": lambda: permutation_group(["(0 1 2 3)", "(4 5)(6 7)", "(0 2)(4 6)(5 7)"]),
    "no permutations": lambda: permutation_group([]),
    "matrices": lambda: matrix_group([[[0, 1], [5, 0]], [[1, 2], [2, 5]]], 6),
    "table": lambda: from_table(dihedral(6).table.flip(0, 1).sub(11).neg()),
    "relabelled": lambda: relabelled(
        special_linear(2, 3), torch.randperm(24, generator=torch.Generator().manual_seed(3))
    ),
}


def _quotient_by_four(whole: Group) -> Group:
    return quotient(whole, subgroup(whole, [7, 16])).group


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("law", LAWS)
def test_contract(kind: str, law: str) -> None:
    LAWS[law](KINDS[kind]())


FAMILIES: dict[str, tuple[Callable[[int], Group], list[int]]] = {
    "cyclic": (cyclic, [*range(1, 201)]),
    "dihedral": (dihedral, [*range(1, 101)]),
    "dicyclic": (dicyclic, [*range(1, 51)]),
    "quaternion": (quaternion, [8, 16, 32, 64, 128]),
    "symmetric": (symmetric, [1, 2, 3, 4, 5]),
    "alternating": (alternating, [1, 2, 3, 4, 5]),
    "Heisenberg": (heisenberg, [2, 3, 4, 5]),
    "SL(2, Z/n)": (lambda n: special_linear(2, n), [2, 3, 4, 5, 6]),
    "GL(2, Z/n)": (lambda n: general_linear(2, n), [2, 3, 4]),
    "GL(1, Z/n)": (lambda n: general_linear(1, n), [*range(2, 60)]),
    "AGL(1, Z/n)": (lambda n: affine(1, n), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    "Frobenius": (lambda n: group(f"F{n}"), [6, 10, 20, 21, 39, 42, 55, 57, 110, 136, 155, 171]),
    "C_n x S_3": (lambda n: direct_product(cyclic(n), symmetric(3)), [1, 2, 5, 9, 33]),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_axioms_hold_for_all_triples_up_to_order_200(family: str) -> None:
    make, sizes = FAMILIES[family]
    for size in sizes:
        made = make(size)
        assert made.order <= 200
        check_axioms(made)


def broken(law: str) -> Group:
    """Return a group that breaks one law."""
    whole = symmetric(3)
    table = whole.table.clone()
    if law == "axioms":
        table[4, 5], table[4, 3] = int(table[4, 3]), int(table[4, 5])
        return dataclasses.replace(whole, table=table)
    if law == "generators":
        return dataclasses.replace(whole, generators=(3,))
    if law == "elements":
        arrays = cast("Permutations", whole.elements).arrays
        return dataclasses.replace(whole, elements=Permutations(arrays[[0, 2, 1, 3, 4, 5]].roll(1, 1)))
    wrong = dataclasses.replace(whole)
    wrong.__dict__["element_orders"] = torch.tensor([1, 2, 2, 3, 3, 6])
    return wrong


@pytest.mark.parametrize("law", LAWS)
def test_each_law_can_fail(law: str) -> None:
    with pytest.raises(AssertionError):
        LAWS[law](broken(law))


def by_law(law: Callable[[int, int], int], n: int) -> Tensor:
    """Return a table from a law in Python."""
    return torch.tensor([[law(x, y) for y in range(n)] for x in range(n)])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_the_numbering_of_cyclic_and_dihedral_groups_is_the_published_one(n: int) -> None:
    def law(x: int, y: int) -> int:
        (s, r), (other_s, other_r) = divmod(x, n), divmod(y, n)
        return (r - other_r if s else r + other_r) % n + n * ((s + other_s) % 2)

    assert torch.equal(dihedral(n).table, by_law(law, 2 * n))
    assert torch.equal(cyclic(n).table, by_law(lambda x, y: (x + y) % n, n))
    turn = torch.stack([torch.arange(n), -torch.arange(n) % n])
    assert torch.equal(semidirect_product(cyclic(n), cyclic(2), turn).table, dihedral(n).table)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_dicyclic_groups_are_quaternions(n: int) -> None:
    """a is the rotation exp(πi/n), x is j: as complex 2 x 2 matrices."""
    made = dicyclic(n)
    half = torch.polar(torch.ones(1, dtype=torch.float64), torch.tensor([torch.pi / n], dtype=torch.float64))[0]
    a = torch.diag(torch.stack([half, half.conj()]))
    x = torch.tensor([[0, 1], [-1, 0]], dtype=torch.complex128)
    powers = [torch.linalg.matrix_power(a, k) for k in range(2 * n)]
    elements = torch.stack([*powers, *(power @ x for power in powers)])
    products = elements[:, None] @ elements
    assert torch.allclose(products, elements[made.table], atol=1e-10)


def test_the_order_of_elements_is_as_promised() -> None:
    arrays = cast("Permutations", symmetric(5).elements).arrays.tolist()
    assert arrays == sorted(arrays)
    arrays = cast("Permutations", permutation_group(["(0 1 2 3 4)", "(0 1 2)"]).elements).arrays.tolist()
    assert arrays == cast("Permutations", alternating(5).elements).arrays.tolist()
    labels = [label.replace("[", "").replace("]", "").split() for label in special_linear(2, 11).labels]
    numbers = [[int(entry) for entry in label] for label in labels]
    assert numbers[0] == [1, 0, 0, 1]
    assert numbers[1:] == sorted(numbers[1:])
    product = direct_product(cyclic(2), symmetric(3))
    assert product.labels == tuple(f"({x}, {label})" for x in range(2) for label in symmetric(3).labels)


def test_a_product_is_the_product_of_its_parts() -> None:
    left, right = quaternion(), symmetric(3)
    product = direct_product(left, right)
    for x in range(0, 48, 5):
        for y in range(48):
            both = left.table[x // 6, y // 6] * 6 + right.table[x % 6, y % 6]
            assert product.product(x, y) == both


def test_words_about_elements() -> None:
    whole = symmetric(4)
    x, y = whole.labels.index("(0 1 2 3)"), whole.labels.index("(3)(0 1)")
    assert whole.labels[whole.conjugate(x, by=y)] == "(0 2 3 1)"
    assert whole.product() == whole.identity
    assert whole.product(x, x, x, x) == whole.identity == whole.product(x, whole.inverse(x))
    assert not whole.is_abelian
    assert cyclic(6).is_abelian
    assert repr(symmetric(4, SYMPY_COSET_RANK)) == "Group('S4', order=24, ordering='sympy-coset-rank')"
    assert len(whole) == 24


@pytest.mark.parametrize("element", [-1, 24, True, 1.0])
def test_what_is_no_element_is_refused(element: int, untyped: None) -> None:
    with pytest.raises(OutOfRangeError, match=f"the elements of S4 are 0 … 23; {element} came"):
        symmetric(4).product(0, element)


def test_table_and_elements_are_of_one_size(untyped: None) -> None:
    with pytest.raises(ShapeError, match=r"a group of 2 elements needs a table \[n=2, n=2\]; \[3, 3\] came"):
        Group("odd", torch.zeros(3, 3, dtype=torch.long), Names(("a", "b")), ())
