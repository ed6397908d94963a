"""Plans say what will be done: the operations that PyTorch counts, in an order that nothing beats."""

import itertools
import math

import chains
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from refractor.base.errors import UnknownNameError
from refractor.linalg import FactoredMatrix
from refractor.linalg.explain import QUESTIONS
from refractor.linalg.leading import Axis
from refractor.linalg.plan import Arithmetic, Operand, product_orders

CIRCUIT = FactoredMatrix(
    chains.draw(600, 24, dtype=torch.float32),
    chains.draw(3, 2, 24, 5, dtype=torch.float32),
    chains.draw(3, 2, 5, 24, dtype=torch.float32),
    chains.draw(24, 600, dtype=torch.float32),
)


@pytest.mark.parametrize(
    "question", ["eigenvalues", "trace", "S", "factored_svd", "norm", "sum", "var", "diagonal", "row_norms", "dense"]
)
def test_operations_are_those_that_are_counted(question: str) -> None:
    plan = CIRCUIT.explain(question)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        found = getattr(CIRCUIT, question)
        found = found() if callable(found) else found
    products = sum(step.flops for step in plan.steps if step.what.startswith(("(", "<", "Q[")))
    assert counter.get_total_flops() == pytest.approx(products, rel=0.05)


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_a_plan(question: str) -> None:
    plan = CIRCUIT.explain(question)
    assert plan.flops > 0
    assert plan.peak_bytes > 0
    assert str(plan).startswith(f"{question} of [3, 2, 600, 600] from 4 factors: ")
    assert str(plan).count("\n") == len(plan.steps)


def test_an_unknown_question_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no question is called 'eigenvalue'. Nearest: 'eigenvalues'"):
        CIRCUIT.explain("eigenvalue")


def price(tree: object, held: list[Operand]) -> tuple[int, Operand]:
    """Return operations of one order, written as nested pairs of places, counted anew from the definition."""
    if isinstance(tree, int):
        return 0, held[tree]
    assert isinstance(tree, tuple)
    (left_cost, left), (right_cost, right) = (price(part, held) for part in tree)
    axes = tuple(Axis(a.size, max(a.stored, b.stored)) for a, b in zip(left.axes, right.axes, strict=True))
    own = 2 * math.prod(axis.stored for axis in axes) * left.rows * left.cols * right.cols
    return left_cost + right_cost + own, Operand(left.rows, right.cols, axes)


def trees(start: int, stop: int) -> list[object]:
    if stop - start == 1:
        return [start]
    return [
        (left, right)
        for cut in range(start + 1, stop)
        for left, right in itertools.product(trees(start, cut), trees(cut, stop))
    ]


@pytest.mark.parametrize("seed", range(12))
def test_no_order_is_cheaper(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    widths = torch.randint(1, 40, (6,), generator=generator).tolist()
    shared = torch.randint(0, 2, (5, 2), generator=generator).tolist()
    held = [
        Operand(
            widths[at],
            widths[at + 1],
            tuple(Axis(size, 1 if once else size) for size, once in zip((3, 7), shared[at], strict=True)),
        )
        for at in range(5)
    ]
    best = product_orders(held, Arithmetic(item=4, flops=2))
    assert best[0].flops == min(price(tree, held)[0] for tree in trees(0, 5))
    assert all(one.peak > other.peak for one, other in itertools.pairwise(best))
