"""Classes, subgroups, cosets and quotients: against SymPy, against Python, and against counts that are known."""

import gc
import weakref
from itertools import combinations

import pytest
import torch
from group_laws import check_axioms
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, BudgetError, OutOfRangeError
from refractor.groups import (
    Group,
    Subgroup,
    centre,
    commutator_subgroup,
    conjugacy_classes,
    conjugate_subgroup,
    cyclic,
    dihedral,
    embed,
    group,
    is_normal,
    left_cosets,
    normal_closure,
    normal_subgroups,
    normaliser,
    permutation_group,
    quotient,
    relabelled,
    right_cosets,
    subgroup,
    subgroup_classes,
    subgroups,
    symmetric,
)

NAMES = ["C1", "C12", "D6", "D7", "S4", "A5", "Q8", "Dic3", "SL(2,3)", "GL(2,3)", "Heis(3)", "F21", "C2 x S3"]

COUNTS = {  # classes, subgroups, subgroups up to conjugacy, normal subgroups, order of the centre and of the commutators
    "C1": (1, 1, 1, 1, 1, 1),
    "C12": (12, 6, 6, 6, 12, 1),
    "C113": (113, 2, 2, 2, 113, 1),
    "S3": (3, 6, 4, 3, 1, 3),
    "D4": (5, 10, 8, 6, 2, 2),
    "Q8": (5, 6, 6, 6, 2, 2),
    "S4": (5, 30, 11, 4, 1, 12),
    "A5": (5, 59, 9, 2, 1, 60),
    "S5": (7, 156, 19, 3, 1, 60),
    "D59": (31, 62, 4, 3, 1, 59),
    "SL(2,3)": (7, 15, 7, 4, 2, 8),
    "GL(2,3)": (8, 55, 16, 5, 2, 24),
    "Heis(3)": (11, 19, 11, 7, 3, 3),
    "A6": (7, 501, 22, 2, 1, 360),
    "C2 x C2 x C2": (8, 16, 16, 16, 8, 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_known_counts(name: str) -> None:
    made = group(name)
    found = (
        len(conjugacy_classes(made)),
        len(subgroups(made)),
        len(subgroup_classes(made)),
        len(normal_subgroups(made)),
        centre(made).order,
        commutator_subgroup(made).order,
    )
    assert found == COUNTS[name]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "every", "classes"), [("S6", 1455, 56), ("A7", 3786, 40), ("SL(2,7)", 224, 19)])
def test_known_counts_of_larger_groups(name: str, every: int, classes: int) -> None:
    found = subgroup_classes(group(name))
    assert (sum(map(len, found)), len(found)) == (every, classes)


def classes_in_python(made: Group) -> set[frozenset[int]]:
    rows, inverses = made.table.tolist(), made.inverses.tolist()
    every = range(made.order)
    return {frozenset(rows[rows[inverses[x]][g]][x] for x in every) for g in every}


@pytest.mark.parametrize("name", NAMES)
def test_classes(name: str) -> None:
    made = group(name)
    classes = conjugacy_classes(made)
    members = [classes.members(number).tolist() for number in range(len(classes))]
    assert {frozenset(each) for each in members} == classes_in_python(made)
    assert classes.sizes.tolist() == [len(each) for each in members]
    assert classes.representatives.tolist() == [min(each) for each in members]
    assert members[0] == [made.identity]
    assert classes.representatives[1:].tolist() == sorted(classes.representatives[1:].tolist())
    assert all(int(classes.index[x]) == number for number, each in enumerate(members) for x in each)


def test_classes_of_another_numbering_start_with_the_identity() -> None:
    made = relabelled(symmetric(4), [*range(23, -1, -1)])
    classes = conjugacy_classes(made)
    assert int(classes.index[made.identity]) == 0
    assert {frozenset(classes.members(i).tolist()) for i in range(5)} == classes_in_python(made)
    with pytest.raises(OutOfRangeError, match="the classes are 0 … 4; 5 came"):
        classes.members(5)


def test_classes_are_computed_once_and_let_the_group_go() -> None:
    made = symmetric(4)
    assert conjugacy_classes(made) is conjugacy_classes(made)
    watch = weakref.ref(made)
    del made
    gc.collect()
    assert watch() is None


def subgroups_in_python(made: Group) -> set[tuple[int, ...]]:
    """Every set that up to three elements generate; enough for the groups below."""
    rows = made.table.tolist()
    found = set()
    for chosen in (chosen for k in range(4) for chosen in combinations(range(made.order), k)):
        inside, waiting = {made.identity}, [made.identity]
        while waiting:
            x = waiting.pop()
            new = {rows[x][g] for g in chosen} - inside
            inside |= new
            waiting.extend(new)
        found.add(tuple(sorted(inside)))
    return found


@pytest.mark.parametrize("name", ["C1", "C12", "D4", "D6", "Q8", "A4", "C2 x C2 x C2", "C2 x S3", "Dic3"])
def test_every_subgroup_is_found(name: str) -> None:
    made = group(name)
    found = subgroups(made)
    assert [one.members for one in found] == sorted(subgroups_in_python(made), key=lambda each: (len(each), each))


@pytest.mark.parametrize("name", [*NAMES, "S5"])
def test_what_is_said_of_each_subgroup(name: str) -> None:
    made = group(name)
    classes = subgroup_classes(made)
    normal = normal_subgroups(made)
    for each in classes:
        for one in each:
            assert subgroup(made, one.generators) == one
            assert one.order * one.index == made.order
            assert is_normal(one) == (len(each) == 1) == (one in normal)
        assert normaliser(each[0]).index == len(each)
        assert {conjugate_subgroup(each[-1], x) for x in range(0, made.order, 3)} <= set(each)
    assert [each[0].order for each in classes] == sorted(each[0].order for each in classes)


def test_classes_of_subgroups_are_orbits() -> None:
    made = symmetric(4)
    for each in subgroup_classes(made):
        assert {conjugate_subgroup(each[0], x) for x in range(24)} == set(each)


@settings(max_examples=12)
@given(generators=st.lists(st.permutations(range(5)), min_size=1, max_size=3))
def test_structure_of_permutation_groups_is_that_of_sympy(generators: list[list[int]]) -> None:
    combinatorics = pytest.importorskip("sympy.combinatorics")
    theirs = combinatorics.PermutationGroup([combinatorics.Permutation(list(one)) for one in generators])
    made = permutation_group(generators)
    assert len(conjugacy_classes(made)) == len(theirs.conjugacy_classes())
    assert centre(made).order == theirs.center().order()
    assert commutator_subgroup(made).order == theirs.derived_subgroup().order()
    assert made.is_abelian == theirs.is_abelian
    whole = symmetric(5)
    inside = subgroup(whole, [whole.labels.index(label) for label in made.labels])
    assert inside.order == made.order
    closure = combinatorics.named_groups.SymmetricGroup(5).normal_closure(theirs)
    assert normal_closure(whole, inside.generators).order == closure.order()


@given(name=st.sampled_from(NAMES), data=st.data())
def test_what_is_normal_is_closed_under_conjugation(name: str, data: st.DataObject) -> None:
    made = group(name)
    one = subgroup(made, data.draw(st.lists(st.integers(0, made.order - 1), max_size=2)))
    members = set(one.members)
    assert is_normal(one) == all(made.conjugate(h, by=x) in members for h in one.generators for x in range(made.order))
    assert set(normal_closure(made, one.members).members) >= members


@pytest.mark.parametrize("name", NAMES)
def test_cosets(name: str) -> None:
    made = group(name)
    for one, *_ in subgroup_classes(made):
        left, right = left_cosets(one), right_cosets(one)
        x = torch.arange(made.order)
        together = made.table[made.inverses][:, x]
        assert torch.equal(left[:, None] == left, one.mask[together])  # x⁻¹ y in H
        assert torch.equal(right[:, None] == right, one.mask[made.table[:, made.inverses]])  # x y⁻¹ in H
        for labels in (left, right):
            assert labels.bincount().tolist() == [one.order] * one.index
            first = [labels.tolist().index(number) for number in range(one.index)]
            assert first == sorted(first)
        assert is_normal(one) == torch.equal(left, right)


@pytest.mark.parametrize("name", NAMES)
def test_quotients(name: str) -> None:
    made = group(name)
    for normal in normal_subgroups(made):
        found = quotient(made, normal)
        check_axioms(found.group)
        assert found.group.order == normal.index
        assert torch.equal(found.projection[made.table], found.group.table[found.projection[:, None], found.projection])
        kernel = (found.projection == found.group.identity).nonzero().flatten().tolist()
        assert tuple(kernel) == normal.members
    by_commutators = quotient(made, commutator_subgroup(made)).group
    assert by_commutators.is_abelian


def test_a_quotient_needs_a_normal_subgroup_of_the_group() -> None:
    made = symmetric(4)
    swap = subgroup(made, [made.labels.index("(2 3)")])
    with pytest.raises(ArgumentError) as caught:
        quotient(made, swap)
    said = str(caught.value)
    assert "a quotient needs a normal subgroup; Subgroup('S4', order=2, generators=[(2 3)]) is not" in said
    assert "x = 9 ((0 1 2 3)) and h = 1 ((2 3))" in said
    assert made.conjugate(1, by=9) not in swap.members
    with pytest.raises(ArgumentError, match="a subgroup of .* is needed; one of .* came, which is another object"):
        quotient(symmetric(4), subgroup(made, []))


def test_a_subgroup_as_a_value() -> None:
    made = dihedral(6)
    one = subgroup(made, [2, 4, 6])
    assert one == subgroup(made, [6, 2])
    assert one != subgroup(dihedral(6), [6, 2])
    assert len({one, subgroup(made, [6, 4])}) == 1
    assert repr(one) == "Subgroup('D6', order=6, generators=[r2, r0 s])"
    assert (len(one), one.order, one.index, one.generators) == (6, 6, 2, (2, 6))
    assert one.mask.nonzero().flatten().tolist() == list(one.members)
    assert embed(made, one.members).subgroup.order == 6
    assert subgroup(made, []).members == (0,)
    with pytest.raises(OutOfRangeError, match="the elements of D6 are 0 … 11; 12 came"):
        subgroup(made, [12])


def test_a_law_of_subgroups_can_fail() -> None:
    made = symmetric(3)
    odd = Subgroup(made, (0, 1, 2), (1, 2))  # not closed
    assert subgroup(made, odd.generators) != odd
    assert left_cosets(odd).bincount().tolist() != [3, 3]


def test_more_subgroups_than_asked_for_are_refused() -> None:
    made = symmetric(4)
    assert len(subgroups(made, most=30)) == 30
    with pytest.raises(BudgetError, match="S4 has more than 29 subgroups, as many as are listed. Pass a larger most="):
        subgroups(made, most=29)
    many = group(" x ".join(["C2"] * 4))
    assert len(normal_subgroups(many, most=67)) == 67
    with pytest.raises(BudgetError, match="has more than 66 normal subgroups, as many as are listed"):
        normal_subgroups(many, most=66)
    with pytest.raises(BudgetError, match="more than 66 subgroups"):
        subgroup_classes(many, most=66)
    with pytest.raises(ArgumentError, match="most must be an integer of at least 1; 0 came"):
        subgroups(made, most=0)


def test_long_cycles() -> None:
    made = cyclic(720)
    assert [one.order for one in subgroups(made)] == [d for d in range(1, 721) if 720 % d == 0]
    assert subgroup(made, [7]).order == 720
