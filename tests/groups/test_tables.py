"""Tables that are groups, and tables that are none: the error names what really fails."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from group_laws import check_axioms
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, BudgetError, ShapeError
from refractor.groups import Group, from_table, group, relabelled, symmetric

NAMES = ["C1", "C2", "C6", "S3", "D4", "Q8", "A4", "C2 x C2 x C2", "F21", "S4"]

TRIPLE = re.compile(r"\(x, y, z\) = \((\d+), (\d+), (\d+)\): (\d+) and (\d+)\.")


def is_group(rows: Sequence[Sequence[int]]) -> bool:
    """The axioms, in Python, for all triples."""
    every = range(len(rows))
    if any(not 0 <= rows[x][y] < len(rows) for x in every for y in every):
        return False
    units = [e for e in every if all(rows[e][x] == x == rows[x][e] for x in every)]
    if not units or any(not any(rows[x][y] == units[0] == rows[y][x] for y in every) for x in every):
        return False
    return all(rows[rows[x][y]][z] == rows[x][rows[y][z]] for x in every for y in every for z in every)


def check_what_is_said(rows: Sequence[Sequence[int]], message: str) -> None:
    """Look for the failure that a message names in the table itself."""
    every = range(len(rows))
    triple = TRIPLE.search(message)
    if triple:
        x, y, z, left, right = (int(number) for number in triple.groups())
        assert (rows[rows[x][y]][z], rows[x][rows[y][z]]) == (left, right)
        assert left != right
    elif "has no inverse" in message:
        x, e = (int(number) for number in re.findall(r"[xe] = (\d+)(?: has|\.)", message))
        assert not any(rows[x][y] == e == rows[y][x] for y in every)
    elif "no element e" in message:
        assert not any(all(rows[e][x] == x == rows[x][e] for x in every) for e in every)
        said = re.search(r"nearest is (\d+), but for x = (\d+): e · x = (\d+), x · e = (\d+)\.", message)
        assert said is not None
        e, x, left, right = (int(number) for number in said.groups())
        assert (rows[e][x], rows[x][e]) == (left, right) != (x, x)
    else:
        said = re.search(r"x · y = (-?\d+) for \(x, y\) = \((\d+), (\d+)\)", message)
        assert said is not None, message
        value, x, y = (int(number) for number in said.groups())
        assert rows[x][y] == value
        assert value not in every


def check_verdict(rows: list[list[int]]) -> None:
    """A table is taken if it is a group; if not, what fails is named."""
    if is_group(rows):
        check_axioms(from_table(rows))
    else:
        with pytest.raises(ArgumentError, match="the table is no group: ") as caught:
            from_table(rows)
        check_what_is_said(rows, str(caught.value))


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**30))
def test_a_group_in_any_numbering_is_taken(name: str, seed: int) -> None:
    made = group(name)
    shuffled = relabelled(made, torch.randperm(made.order, generator=torch.Generator().manual_seed(seed)))
    again = from_table(shuffled.table)
    assert torch.equal(again.table, shuffled.table)
    assert again.identity == shuffled.identity
    assert len(again.generators) <= np.log2(made.order) + 1e-9  # each doubles what is generated, at least


@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_group_with_broken_entries_is_caught(name: str, data: st.DataObject) -> None:
    rows = group(name).table.tolist()
    places = st.integers(0, len(rows) - 1)
    for _ in range(data.draw(st.integers(1, 3))):
        rows[data.draw(places)][data.draw(places)] = data.draw(st.integers(-1, len(rows)))
    check_verdict(rows)


@given(name=st.sampled_from(NAMES[2:]), data=st.data())
def test_entries_that_change_places_are_caught(name: str, data: st.DataObject) -> None:
    rows = group(name).table.tolist()
    x, y, z = (data.draw(st.integers(0, len(rows) - 1)) for _ in range(3))
    rows[x][y], rows[x][z] = rows[x][z], rows[x][y]
    check_verdict(rows)


@given(n=st.integers(1, 4), data=st.data())
def test_tables_of_any_numbers(n: int, data: st.DataObject) -> None:
    check_verdict([[data.draw(st.integers(0, n - 1)) for _ in range(n)] for _ in range(n)])


def test_a_loop_that_is_no_group_is_caught() -> None:
    """A Latin square with an identity, two-sided inverses and x · x = e for all x: only associativity fails."""
    rows = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
    with pytest.raises(ArgumentError) as caught:
        from_table(rows)
    assert str(caught.value) == (
        "the table is no group: (x · y) · z is not x · (y · z) for (x, y, z) = (1, 1, 2): 2 and 4."
    )
    check_what_is_said(rows, str(caught.value))


def test_a_failure_that_only_the_second_generator_shows_is_caught() -> None:
    """The loop above times C_2, with C_2 first: the first generator found associates with everything."""
    loop = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
    rows = [[(x + y) % 2 + 2 * loop[x // 2][y // 2] for y in range(10)] for x in range(10)]
    assert all(rows[rows[x][1]][z] == rows[x][rows[1][z]] for x in range(10) for z in range(10))
    check_verdict(rows)


def test_the_checker_of_messages_can_fail() -> None:
    rows = group("C3").table.tolist()
    with pytest.raises(AssertionError):
        check_what_is_said(rows, "for (x, y, z) = (0, 1, 2): 0 and 1.")
    with pytest.raises(AssertionError):
        check_what_is_said(rows, "x = 1 has no inverse, no y with x · y = y · x = e, e = 0.")
    with pytest.raises(AssertionError):
        check_what_is_said(rows, "no element e has e · x = x · e = x for all x.")
    with pytest.raises(AssertionError):
        check_what_is_said(rows, "x · y = 3 for (x, y) = (0, 1)")


def test_names_are_used_in_labels_and_messages() -> None:
    made = from_table([[0, 1], [1, 0]], names=["even", "odd"], name="parity")
    assert made.labels == ("even", "odd")
    assert repr(made) == "Group('parity', order=2)"
    with pytest.raises(ArgumentError) as caught:
        from_table([[0, 1, 2], [1, 0, 2], [2, 2, 0]], names=["e", "a", "b"])
    assert str(caught.value) == (
        "the table is no group: (x · y) · z is not x · (y · z) for (x, y, z) = (1 (a), 2 (b), 2 (b)): 0 (e) and 1 (a)."
    )


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, np.int64])
def test_tables_of_any_integers_are_taken(kind: torch.dtype | type[np.int64]) -> None:
    rows = group("S3").table
    table = rows.to(kind) if isinstance(kind, torch.dtype) else rows.numpy().astype(kind)
    assert torch.equal(from_table(table).table, rows)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], "a multiplication table must be square"),
        ([[0, 1], [1]], r"a multiplication table must be square; 2 rows of \[1, 2\] entries came"),
        ([[0.0]], "a multiplication table must have integers as entries; 0.0 came"),
        ([["e"]], "a multiplication table must have integers as entries; 'e' came"),
        (torch.zeros(2, 2), "a multiplication table must have integers as entries; dtype torch.float32 came"),
        (torch.zeros(1, 1, dtype=torch.bool), "dtype torch.bool came"),
        (torch.zeros(2, 3, dtype=torch.long), r"a multiplication table must be square, \[n, n\] with n ≥ 1; \[2, 3\] came"),
        (torch.zeros(0, 0, dtype=torch.long), r"\[0, 0\] came"),
        (np.zeros(3, dtype=np.int64), r"\[3\] came"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_said(table: list[list[int]], words: str, untyped: None) -> None:
    with pytest.raises(ShapeError, match=words):
        from_table(table)


def test_names_that_do_not_fit_are_said() -> None:
    with pytest.raises(ArgumentError, match="names must be 2 different ones, one for each element; 2 came, 1 of them"):
        from_table([[0, 1], [1, 0]], names=["e", "e"])


def test_a_table_that_is_too_large_is_refused_before_it_is_checked() -> None:
    with pytest.raises(BudgetError, match="huge has 9,000 elements and a table of 648.0 MB"):
        from_table(torch.zeros(1, 1, dtype=torch.uint8).expand(9000, 9000), name="huge")


def test_relabelling_moves_table_elements_and_generators() -> None:
    made = symmetric(4)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    moved = relabelled(made, order)
    assert [moved.labels[i] for i in range(24)] == [made.labels[int(i)] for i in order]
    for x, y in ((0, 5), (7, 11), (23, 2)):
        assert moved.labels[moved.product(x, y)] == made.labels[made.product(int(order[x]), int(order[y]))]
    assert {moved.labels[g] for g in moved.generators} == {made.labels[g] for g in made.generators}
    assert moved.ordering == "relabelled"
    back: Group = relabelled(moved, order.argsort(), ordering="canonical")
    assert torch.equal(back.table, made.table)
    assert back.labels == made.labels


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [0, 1, 2, 3]])
def test_a_numbering_that_misses_elements_is_said(order: list[int]) -> None:
    with pytest.raises(ArgumentError, match="relabelled needs each of the elements 0 … 2 of C3 once; .* numbers came"):
        relabelled(group("C3"), order)
