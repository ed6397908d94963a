"""Questions, answers and splits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, UnknownNameError
from refractor.tasks import (
    ModularAddition,
    ModularArithmetic,
    ModularMultiplication,
    ModularSubtraction,
    SumOfSquares,
    split_rows,
)
from refractor.tasks.modular import OPERATIONS

PYTHON = {
    "modular-addition": lambda a, b: a + b,
    "modular-subtraction": lambda a, b: a - b,
    "modular-multiplication": lambda a, b: a * b,
    "modular-sum-of-squares": lambda a, b: a**2 + b**2,
    "modular-quadratic-form": lambda a, b: a**2 + a * b + b**2,
    "modular-cubic": lambda a, b: a**3 + a * b,
}


@given(p=st.integers(2, 24), name=st.sampled_from(sorted(OPERATIONS)))
def test_every_question_has_its_answer_in_a_major_order(p: int, name: str) -> None:
    task = ModularArithmetic(name, p)
    tokens, labels = task.tokens().tolist(), task.labels().tolist()
    assert tokens == [[a, b, p] for a in range(p) for b in range(p)]
    assert labels == [PYTHON[name](a, b) % p for a in range(p) for b in range(p)]
    assert (task.d_vocab, task.d_vocab_out, task.n_rows, task.n_ctx) == (p + 1, p, p * p, 3)


def test_every_operation_is_tested() -> None:
    assert set(PYTHON) == set(OPERATIONS)


def test_names_of_the_common_ones() -> None:
    assert ModularAddition(5).formula == "a + b"
    assert ModularSubtraction(5).name == "modular-subtraction"
    assert ModularMultiplication(5) == ModularArithmetic("modular-multiplication", 5)
    assert SumOfSquares(5).labels()[6] == 2


@pytest.mark.parametrize("p", [1, 0, -3, True])
def test_a_modulus_below_2_is_refused(p: int) -> None:
    with pytest.raises(ArgumentError, match="p must be an integer from 2 to"):
        ModularAddition(p)


def test_an_unknown_task_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no task is called 'modular-additon'. Nearest: 'modular-addition'"):
        ModularArithmetic("modular-additon", 5)


def test_the_published_splits_come_out() -> None:
    task = ModularAddition(113)
    first = task.tokens()[split_rows(task.n_rows, 0.3, 598).train[:5], :2].tolist()
    assert first == [[21, 31], [30, 98], [47, 10], [86, 21], [99, 83]]
    cyclic = split_rows(113**2, 0.3, 1)
    assert cyclic.train[:4].tolist() == [984, 3756, 6851, 9169]
    assert (len(cyclic.train), len(cyclic.test)) == (3830, 8939)
    assert split_rows(120**2, 0.4, 1).train[:4].tolist() == [9445, 8782, 14274, 383]


@given(n=st.integers(1, 300), fraction=st.floats(0.01, 1), seed=st.integers(0, 2**40))
def test_a_split_has_every_row_once(n: int, fraction: float, seed: int) -> None:
    if int(fraction * n) == 0:
        with pytest.raises(ArgumentError, match="leaves nothing to train on"):
            split_rows(n, fraction, seed)
        return
    state = torch.get_rng_state()
    split = split_rows(n, fraction, seed)
    assert torch.equal(state, torch.get_rng_state())
    assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(n))
    assert len(split.train) == int(fraction * n)


def test_a_share_of_one_leaves_no_test_rows() -> None:
    assert len(split_rows(9, 1, 0).test) == 0


@pytest.mark.parametrize("fraction", [0, -0.2, 1.01, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ArgumentError, match="fraction must be a fraction above 0 and at most 1"):
        split_rows(9, fraction, 0)
