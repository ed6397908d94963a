"""The numbering of the published networks, and how their notebook writes permutations."""

import hashlib
from typing import cast

import pytest
import torch
from seed4_elements import PRINTED_ELEMENTS

from refractor.base.errors import ArgumentError, StoreError
from refractor.groups import alternating, group, orderings, signatures, symmetric
from refractor.groups.cycles import cycles_of, read_cycles, signature, write_cycles
from refractor.groups.elements import Permutations

HASHES = {"S4": "57a1319e215567d2", "S5": "698cba89dd9b2e36", "S6": "f6cd9b8a2490f53c", "A5": "c1fe2f30b875c921"}
FIRST = {
    "S4": "0123 1230 2301 3120",
    "S5": "01423 12034 23140 34201",
    "S6": "013524 124035 235140 340251",
    "A5": "01234 12340 23401 34012",
}
IDENTITIES = {"S4": 0, "S5": 20, "S6": 60, "A5": 0}


@pytest.mark.parametrize("name", HASHES)
def test_the_published_numbering(name: str) -> None:
    made = group(name, ordering="sympy-coset-rank")
    arrays = cast("Permutations", made.elements).arrays
    assert hashlib.sha256(arrays.to(torch.uint8).numpy().tobytes()).hexdigest()[:16] == HASHES[name]
    assert ["".join(map(str, array)) for array in arrays[:4].tolist()] == FIRST[name].split()
    assert made.identity == IDENTITIES[name]
    ours = cast("Permutations", group(name).elements).arrays
    assert sorted(arrays.tolist()) == ours.tolist()


def test_a_changed_table_of_representatives_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {**orderings.REPRESENTATIVES, "S4": ("0123 1230 2301 3120", "0123 0231 0312", "0132 0123")}
    monkeypatch.setattr(orderings, "REPRESENTATIVES", changed)
    with pytest.raises(StoreError, match="the elements of S4 in the order sympy-coset-rank have the hash"):
        symmetric(4, "sympy-coset-rank")


def test_elements_are_written_as_the_notebook_prints_them() -> None:
    made = symmetric(4, "sympy-coset-rank")
    signs, orders = signatures(made).tolist(), made.element_orders.tolist()
    lines = [f"{x}: {made.labels[x]}, signature: {signs[x]}, order: {orders[x]}\n" for x in range(24)]
    assert "".join(lines) == PRINTED_ELEMENTS


def test_cycles_are_written_as_sympy_writes_them() -> None:
    combinatorics = pytest.importorskip("sympy.combinatorics")
    for label, array in zip(
        symmetric(5).labels, cast("Permutations", symmetric(5).elements).arrays.tolist(), strict=True
    ):
        theirs = combinatorics.Permutation(array)
        assert (label, signature(array)) == (str(theirs), theirs.signature())
        assert read_cycles(label) == array


def test_cycles() -> None:
    assert cycles_of([]) == ()
    assert write_cycles([]) == "()"
    assert read_cycles("()") == []
    assert read_cycles("(0 1)(1 2)") == [2, 0, 1]  # 0 to 1 to 2
    assert read_cycles(" (10, 2) ")[10] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(0 1", r"a permutation in cycle notation reads like '\(0 2\)\(1 3\)'; '\(0 1' came"),
        ("0 1", "reads like"),
        ("", "reads like"),
        ("(0 -1)", "reads like"),
        ("(0 1 0)", r"a cycle has each point once; \(0 1 0\) in '\(0 1 0\)' does not"),
    ],
)
def test_what_is_no_cycle_is_said(text: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        read_cycles(text)


def test_signatures_are_a_homomorphism_onto_signs() -> None:
    made = symmetric(5)
    signs = signatures(made)
    assert torch.equal(signs[made.table], signs[:, None] * signs)
    assert int(signs.sum()) == 0
    assert bool((signatures(alternating(5)) == 1).all())
    with pytest.raises(ArgumentError, match="signatures are those of permutations; the elements of D4 are names"):
        signatures(group("D4"))
