"""Character tables: exact values, orthogonality of rows and columns, and the arithmetic of sums of roots of unity."""

import cmath
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, OutOfRangeError
from refractor.groups import Cyclotomic, alternating, character_table, complex_irreps, group, real_irreps
from refractor.groups.classes import conjugacy_classes
from refractor.groups.cyclotomic import cyclotomic_polynomial, reduce_modulo

LAW = 1e-10


@pytest.mark.parametrize(
    "name", ["C1", "C12", "D8", "D59", "S5", "A5", "A6", "Q8", "F21", "Heis(3)", "SL(2,5)", "C2 x Q8"]
)
def test_rows_and_columns_are_orthogonal(name: str) -> None:
    g = group(name)
    table = character_table(g)
    values, sizes = table.values, torch.tensor(table.sizes, dtype=torch.complex128)
    assert sum(table.sizes) == g.order
    assert table.representatives[0] == g.identity
    gram = (values * sizes) @ values.mH / g.order
    assert (gram - torch.eye(len(gram))).abs().max() < LAW
    columns = values.mH @ values
    assert (columns - torch.diag(g.order / sizes)).abs().max() < 1e-8
    irreps = complex_irreps(real_irreps(g))
    assert (values[:, conjugacy_classes(g).index] - irreps.characters).abs().max() < LAW
    assert (values - irreps.characters[:, list(table.representatives)]).abs().max() < LAW


def test_symmetric_groups_have_integers() -> None:
    table = character_table(group("S6"))
    assert all(value.integer is not None for row in table.exact for value in row)


def test_exact_values() -> None:
    a5 = character_table(alternating(5))
    five = alternating(5).labels.index("(0 1 2 3 4)")
    assert str(a5.value("a5_3d_a", five)) == "(1+√5)/2"
    assert str(a5.value("a5_3d_b", five)) == "(1-√5)/2"
    assert str(a5.value("a5_5d_a", five)) == "0"
    f21 = character_table(group("F21"))
    assert {str(value) for value in f21.exact[-1]} == {"3", "0", "(-1+i√7)/2", "(-1-i√7)/2"}
    d7 = character_table(group("D7"))
    assert str(d7.value("freq_1", 3)) == "ζ_7^3+ζ_7^4"
    d8 = character_table(group("D8"))
    assert {"√2", "-√2"} <= {str(value) for value in d8.exact[4]}


def test_the_table_as_text() -> None:
    assert str(character_table(group("Q8"))) == "\n".join(
        [
            "   size  1   2   1   2   2",
            "  class  1   i  -1   j   k",
            "trivial  1   1   1   1   1",
            "   1d_a  1   1   1  -1  -1",
            "   1d_b  1  -1   1   1  -1",
            "   1d_c  1  -1   1  -1   1",
            "   4d_a  2   0  -2   0   0",
        ]
    )


def test_bad_names_and_elements() -> None:
    table = character_table(group("S4"))
    with pytest.raises(ArgumentError, match="the irreps of S4 are trivial, sign"):
        table.value("none", 0)
    with pytest.raises(OutOfRangeError, match="the classes are given by the elements"):
        table.value("sign", 23)


def test_cyclotomic_polynomials() -> None:
    assert cyclotomic_polynomial(1) == (-1, 1)
    assert cyclotomic_polynomial(12) == (1, 0, -1, 0, 1)
    assert -2 in cyclotomic_polynomial(105)  # the first with a coefficient beyond 1
    for m in (7, 30, 36, 105):
        units = [a for a in range(m) if math.gcd(a, m) == 1]
        assert len(cyclotomic_polynomial(m)) == len(units) + 1
        root = cmath.exp(2j * math.pi / m)
        assert abs(sum(c * root**k for k, c in enumerate(cyclotomic_polynomial(m)))) < 1e-9


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_numbers_keep_their_value(order: int, seed: int) -> None:
    counts = torch.randint(0, 3, (order,), generator=torch.Generator().manual_seed(seed)).tolist()
    number = Cyclotomic(order, tuple(counts))
    root = cmath.exp(2j * math.pi / order)
    assert abs(sum(c * root**k for k, c in enumerate(number.reduced)) - complex(number)) < 1e-9
    assert (number.integer is not None) == (len(number.conjugates) == 1)
    if number.integer is not None:
        assert abs(complex(number) - number.integer) < 1e-9
    elif len(number.conjugates) == 2 and "ζ" not in str(number):
        assert abs(complex(number) - read(str(number))) < 1e-9


def read(text: str) -> complex:
    """Read (t±s√f)/2 and its shorter forms without the code that wrote it."""
    halved = text.startswith("(")
    inner = text[1:-3] if halved else text
    total = 0j
    for signed in filter(None, inner.replace("-", "+-").split("+")):
        front, _, rest = signed.removeprefix("-").partition("√")
        size = (-1 if signed.startswith("-") else 1) * math.sqrt(int(rest or 1))
        digits = front.removesuffix("i")
        total += size * (1j if front.endswith("i") else 1) * int(digits or 1)
    return total / 2 if halved else total


def test_the_sum_that_vanishes() -> None:
    assert Cyclotomic(6, (1, 1, 1, 1, 1, 1)).integer == 0
    assert Cyclotomic(6, (0, 1, 0, 0, 0, 1)).integer == 1
    assert reduce_modulo((0, 0, 0, 1), 3) == (1, 0)


@pytest.mark.parametrize(
    ("order", "counts", "text"),
    [
        (3, (0, 1, 0), "ζ_3"),
        (6, (0, 0, 1, 0, 0, 0), "ζ_3"),
        (4, (0, 0, 0, 1), "-i"),
        (4, (1, 2, 0, 0), "1+2i"),
        (8, (0, 1, 0, 1, 0, 0, 0, 0), "i√2"),
        (8, (0, 1, 0, 0, 0, 0, 0, 1), "√2"),
        (5, (0, 1, 0, 0, 0), "ζ_5"),
        (9, (0, 1, 0, 0, 0, 0, 0, 0, 1), "ζ_9+ζ_9^8"),
        (9, (0, 3, 0, 0, 0, 0, 0, 0, 0), "3ζ_9"),
        (1, (5,), "5"),
    ],
)
def test_how_numbers_are_written(order: int, counts: tuple[int, ...], text: str) -> None:
    assert str(Cyclotomic(order, counts)) == text
