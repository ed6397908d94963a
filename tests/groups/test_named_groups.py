"""Groups by name, and what is said about names and sizes that are none."""

import pytest
import torch

from refractor.base.errors import ArgumentError, BudgetError, RefractorError, UnknownNameError
from refractor.groups import Group, cyclic, dihedral, group, quaternion, symmetric
from refractor.groups.size import check_order

ORDERS = {
    "C113": 113,
    "D59": 118,
    "S5": 120,
    "A5": 60,
    "Q8": 8,
    "Q16": 16,
    "Dic3": 12,
    "SL(2,7)": 336,
    "GL(2,3)": 48,
    "AGL(1,17)": 272,
    "Heis(3)": 27,
    "F21": 21,
    "C2 x S3": 12,
    "C2 × C2 x C2": 8,
    "SL(2, 3)xC2": 48,
    " A4 ": 12,
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_a_named_group(name: str) -> None:
    assert group(name).order == ORDERS[name]


@pytest.mark.parametrize(
    "name", ["C6", "D4", "S4", "A5", "Q8", "Dic3", "SL(2,3)", "GL(2,3)", "AGL(1,5)", "Heis(3)", "F21", "C2 x S3"]
)
def test_a_group_is_called_by_its_name(name: str) -> None:
    assert group(name).name == name


def test_a_name_means_the_function_of_that_name() -> None:
    assert torch.equal(group("D7").table, dihedral(7).table)
    assert torch.equal(group("Q8").table, quaternion().table)
    published = group("S4", ordering="sympy-coset-rank")
    assert torch.equal(published.table, symmetric(4, "sympy-coset-rank").table)
    assert published.ordering == "sympy-coset-rank"
    assert group("A5", ordering="sympy-coset-rank").identity == 0


SAID: dict[str, tuple[type[RefractorError], str]] = {
    "s5": (UnknownNameError, "no group is called 's5'. Nearest: 'S5'. Forms: C113, D59, S5, A5, Q8, Dic3, F21, Heis(3), SL(2,7), GL(2,3), AGL(1,17), and products such as C2 x S3."),
    "DD59": (UnknownNameError, "no group is called 'DD59'. Nearest: 'D59'"),
    "SL(2;7)": (UnknownNameError, "no group is called 'SL(2;7)'. Nearest: 'SL(2,7)', 'GL(2,7)'"),
    "C2 x DD3": (UnknownNameError, "no group is called 'DD3'. Nearest: 'D3'. It is part of 'C2 x DD3'."),
    "C2 x": (UnknownNameError, "A product has a group on both sides of each x."),
    "S55x": (UnknownNameError, "no group is called 'S55x'. Nearest: 'S5'."),
    "S55": (BudgetError, "S55 has at least 2,432,902,008,176,640,000 elements"),
    "SL(2)": (UnknownNameError, "no group is called 'SL(2)'"),
    "C-3": (UnknownNameError, "no group is called 'C-3'. Nearest: 'C3'"),
    "C0": (ArgumentError, "n must be an integer of at least 1; 0 came."),
    "D0": (ArgumentError, "n must be an integer of at least 1; 0 came."),
    "S0": (ArgumentError, "n must be an integer of at least 1; 0 came."),
    "Q12": (ArgumentError, "a quaternion group has 8, 16, 32, … elements, a power of 2; 12 came. dicyclic(3) has 12 elements."),
    "Q9": (ArgumentError, "a quaternion group has 8, 16, 32, … elements, a power of 2; 9 came."),
    "F12": (ArgumentError, "a Frobenius group F_n has n = p q elements, p a prime and q > 1 a divisor of p - 1, such as 21 or 20; 12 came."),
    "F13": (ArgumentError, "13 came."),
    "SL(2,4)": (ArgumentError, "SL(2,4) is a group over the field of 4 elements, and 4 must be a prime here. The matrices modulo 4, no field, are special_linear(2, 4)."),
    "Heis(1)": (ArgumentError, "modulus must be an integer from 2 to 1048576; 1 came."),
    "S8": (BudgetError, "S8 has 40,320 elements and a table of 13.0 GB; 8,192 elements (536.9 MB) are allowed. Take a smaller group."),
    "A8": (BudgetError, "A8 has 20,160 elements and a table of 3.3 GB"),
    "S999999999": (BudgetError, "S999999999 has"),
    "C100000": (BudgetError, "C100000 has 100,000 elements and a table of 80.0 GB"),
    "D5000": (BudgetError, "D5000 has 10,000 elements"),
    "GL(4,3)": (BudgetError, "GL(4,3) has 24,261,120 elements"),
    "SL(2,101)": (BudgetError, "SL(2,101) has 1,030,200 elements and a table of 8.5 TB"),
    "S5 x S5": (BudgetError, "S5 x S5 has 14,400 elements and a table of 1.7 GB"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_what_is_no_group_is_said(name: str) -> None:
    kind, words = SAID[name]
    with pytest.raises(kind) as caught:
        group(name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "ordering", "words"),
    [
        ("S5", "sympy", "no order of the elements is called 'sympy'. Nearest: 'sympy-coset-rank'."),
        ("S7", "sympy-coset-rank", "no group with that order of its elements is called 'S7'"),
        ("D59", "sympy-coset-rank", "The order 'sympy-coset-rank' is known for S4, S5, S6, A5."),
        ("C2 x S4", "sympy-coset-rank", "no group with that order of its elements is called 'C2 x S4'"),
    ],
)
def test_an_order_that_is_not_known_is_said(name: str, ordering: str, words: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        group(name, ordering=ordering)
    assert words in str(caught.value)


def test_a_name_is_a_text(untyped: None) -> None:
    with pytest.raises(ArgumentError, match=r'group needs a name such as "S5"; 5 \(int\) came'):
        group(5)  # pyright: ignore[reportArgumentType]


def test_sizes_are_allowed_up_to_a_limit() -> None:
    assert check_order("G", 8192) == 8192
    assert check_order("G", 10, most=10) == 10
    with pytest.raises(BudgetError, match="G has at least 11 elements and a table of at least 968 B; 10 elements"):
        check_order("G", 11, most=10, bound="at least ")
    with pytest.raises(BudgetError, match="the table of G would hold 160.0 TB, but"):
        check_order("G", 3_162_277, most=10**7)
    with pytest.raises(ArgumentError, match="most must be an integer of at least 1; 0 came"):
        check_order("G", 1, most=0)


def test_the_largest_named_group_is_made() -> None:
    made: Group = cyclic(1000)
    assert made.product(999, 999) == 998
