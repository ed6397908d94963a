"""Composition in groups: the answers against permutations multiplied by hand, the published conventions, and refusals."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, BudgetError, ConfigError, UnknownNameError
from refractor.base.numerics import cross_entropy
from refractor.groups import Group, cyclic, group, symmetric
from refractor.groups.elements import Names, Permutations
from refractor.models.pair_networks import pair_network_of
from refractor.tasks import GroupComposition, ModularAddition, ModularSubtraction, Task, split_rows, task_from_dict
from refractor.tasks.composition import OPERATIONS

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "group_runs"


def then(*permutations: tuple[int, ...]) -> tuple[int, ...]:
    """The permutations one after the other, the first one first."""
    return tuple(_through(point, permutations) for point in range(len(permutations[0])))


def _through(point: int, permutations: tuple[tuple[int, ...], ...]) -> int:
    for permutation in permutations:
        point = permutation[point]
    return point


def back(permutation: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(permutation.index(point) for point in range(len(permutation)))


BY_HAND = {
    "product": then,
    "quotient": lambda x, y: then(x, back(y)),
    "conjugation": lambda x, y: then(back(y), x, y),
    "commutator": lambda x, y: then(back(x), back(y), x, y),
}


@pytest.mark.parametrize("ordering", ["canonical", "sympy-coset-rank"])
@pytest.mark.parametrize("operation", BY_HAND)
def test_every_answer_is_that_of_the_permutations(operation: str, ordering: str) -> None:
    task = GroupComposition("S4", operation, ordering)
    assert isinstance(task.group.elements, Permutations)
    elements = [tuple(row) for row in task.group.elements.arrays.tolist()]
    wanted = [elements.index(BY_HAND[operation](x, y)) for x, y in product(elements, elements)]
    assert task.labels().tolist() == wanted
    assert task.tokens().tolist() == [[x, y, 24] for x in range(24) for y in range(24)]


def test_every_operation_is_tested() -> None:
    assert set(BY_HAND) == set(OPERATIONS)
    formulas = {name: GroupComposition("C3", name).formula for name in OPERATIONS}
    assert formulas == {
        "product": "x · y",
        "quotient": "x · y⁻¹",
        "conjugation": "y⁻¹ · x · y",
        "commutator": "x⁻¹ · y⁻¹ · x · y",
    }


@pytest.mark.parametrize("k", [2, 3, 4])
def test_products_of_several_elements(k: int) -> None:
    task = GroupComposition("S3", factors=k)
    assert (task.n_rows, task.n_ctx, task.d_vocab, task.d_vocab_out) == (6**k, k + 1, 7, 6)
    tokens, labels = task.tokens().tolist(), task.labels().tolist()
    assert tokens == [[*elements, 6] for elements in product(range(6), repeat=k)]
    assert labels == [task.group.product(*row[:-1]) for row in tokens]
    assert task.formula == ("x · y" if k == 2 else " · ".join(f"x{i + 1}" for i in range(k)))


@given(p=st.integers(2, 12))
def test_cyclic_groups_are_modular_addition(p: int) -> None:
    task, modular = GroupComposition(f"C{p}"), ModularAddition(p)
    assert torch.equal(task.tokens(), modular.tokens())
    assert torch.equal(task.labels(), modular.labels())
    assert torch.equal(GroupComposition(f"C{p}", "quotient").labels(), ModularSubtraction(p).labels())
    assert (task.n, task.d_vocab, task.d_vocab_out, task.n_ctx) == (modular.n, p + 1, p, 3)


def test_the_published_splits_come_out() -> None:
    split = split_rows(GroupComposition("S5", ordering="sympy-coset-rank").n_rows, 0.4, seed=1)
    assert split.train[:4].tolist() == [9445, 8782, 14274, 383]
    assert (len(split.train), len(split.test)) == (5760, 8640)
    split = split_rows(GroupComposition("C113").n_rows, 0.3, seed=1)
    assert split.train[:4].tolist() == [984, 3756, 6851, 9169]
    assert (len(split.train), len(split.test)) == (3830, 8939)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published networks are not here (no licence to copy them)")
def test_a_published_network_knows_the_answers() -> None:
    """The losses of S5_MLP_seed2 that its authors wrote down; in another order of the elements nothing would be right."""
    weights = torch.load(PUBLISHED / "S5_MLP_seed2" / "model.pt", map_location="cpu", weights_only=True)
    model, task = pair_network_of(weights), GroupComposition("S5", ordering="sympy-coset-rank")
    split, tokens, labels = split_rows(task.n_rows, 0.4, seed=2), task.tokens(), task.labels()
    with torch.no_grad():
        losses = {
            name: cross_entropy(model(tokens[rows]), labels[rows]).mean().item() for name, rows in vars(split).items()
        }
    assert losses["train"] == pytest.approx(1.545226e-6, rel=1e-5)
    assert losses["test"] == pytest.approx(2.942890e-6, rel=1e-5)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published networks are not here (no licence to copy them)")
def test_the_network_of_the_notebook_has_its_loss() -> None:
    weights = torch.load(PUBLISHED / "S4_notebook" / "model.pt", map_location="cpu", weights_only=True)
    assert "W_E_a" in weights
    model, task = pair_network_of(weights), GroupComposition("S4", ordering="sympy-coset-rank")
    with torch.no_grad():
        loss = cross_entropy(model(task.tokens()), task.labels()).mean().item()
    assert loss == pytest.approx(1.8915e-4, rel=2e-4)


def test_stored_forms_open_again() -> None:
    tasks: list[Task] = [
        ModularAddition(7),
        GroupComposition("S4"),
        GroupComposition("S5", "commutator", "sympy-coset-rank"),
        GroupComposition("C2 x S3", factors=3),
        GroupComposition(symmetric(4)),
    ]
    for task in tasks:
        assert isinstance(task, Task)
        assert task_from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert ModularAddition(7).to_dict() == {"name": "modular-addition", "p": 7}  # as runs have always said it
    assert task_from_dict({"name": "composition", "group": "D4"}) == GroupComposition("D4")
    assert GroupComposition("S4") != GroupComposition("S4", ordering="sympy-coset-rank")
    assert GroupComposition("S4") != GroupComposition("S4", "quotient")
    assert GroupComposition("S4") == GroupComposition(symmetric(4))
    assert hash(GroupComposition("S4")) == hash(GroupComposition(symmetric(4)))
    assert (
        GroupComposition("S5", ordering="sympy-coset-rank").title
        == "composition x · y in S5 in the order sympy-coset-rank"
    )


def test_a_group_in_memory_is_a_task_that_no_run_can_describe() -> None:
    table = cyclic(4).table[[1, 0, 2, 3]]  # a table of no group at all: analyses look at answers, not at axioms
    strange = Group("C4", table, Names(tuple("abcd")), (1,))
    task = GroupComposition(strange)
    assert task.labels()[:4].tolist() == [1, 2, 3, 0]
    assert task != GroupComposition("C4")
    with pytest.raises(ArgumentError, match=r"Group\('C4', order=4\) was made in memory.*a run cannot describe it"):
        task.to_dict()
    nameless = Group("my group", cyclic(4).table, Names(tuple("abcd")), (1,))
    with pytest.raises(ArgumentError, match=r"Use a named group"):
        GroupComposition(nameless).to_dict()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"group": "S5", "operation": "prodct"}, UnknownNameError, "Nearest: 'product'"),
        ({"group": "T5"}, UnknownNameError, "'T5'"),
        ({"group": "S5", "ordering": "sympy"}, UnknownNameError, "sympy-coset-rank"),
        ({"group": "S5", "factors": 1}, ArgumentError, "factors must be an integer from 2"),
        ({"group": "S5", "operation": "quotient", "factors": 3}, ArgumentError, "factors=3 needs operation='product'"),
        ({"group": group("S4"), "ordering": "sympy-coset-rank"}, ArgumentError, "comes with the order 'canonical'"),
    ],
)
def test_what_is_no_task_is_refused_by_name(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        GroupComposition(**arguments)


def test_too_many_questions_are_refused_with_figures() -> None:
    task = GroupComposition("S5", factors=6)
    for questions in (task.tokens, task.labels):
        with pytest.raises(BudgetError, match=r"with 2985984000000 questions would hold .* TB"):
            questions()


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        (
            {"name": "compositon", "group": "S4"},
            UnknownNameError,
            "no task is called 'compositon'. Nearest: 'composition'",
        ),
        ({"name": "composition"}, ConfigError, "the task 'composition' needs group"),
        ({"name": "composition", "group": "S4", "order": "x"}, ConfigError, "Nearest: ordering"),
        ({"name": "modular-addition"}, ConfigError, "the task 'modular-addition' needs p"),
        ({"name": "modular-addition", "p": 5, "q": 1}, ConfigError, "'q' is nothing that"),
        ({}, UnknownNameError, "no task is called None"),
    ],
)
def test_stored_forms_that_are_none_are_refused(values: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        task_from_dict(values)
