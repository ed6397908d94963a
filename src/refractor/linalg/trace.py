"""The trace: a cyclic contraction whose last step is an inner product, so that nothing square is ever formed."""

from dataclasses import dataclass

from jaxtyping import Inexact
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.linalg.chain import Chain, beside
from refractor.linalg.contract import product_inner, upcast, wide_dtype
from refractor.linalg.evaluate import evaluate
from refractor.linalg.factor import Factor, expand_leading
from refractor.linalg.leading import join_all
from refractor.linalg.plan import Node, arithmetic, choose, operands, orders, rotated


@dataclass(frozen=True, slots=True)
class TracePlan:
    """`trace = <first, second>`: two parts of the chain, read round from factor `turn`."""

    turn: int
    first: Node
    second: Node

    @property
    def flops(self) -> int:
        """Operations of both parts and of their inner product."""
        entries = self.first.shape.entries
        for axis, other in zip(
            self.first.shape.axes, join_all(self.first.shape.axes, self.second.shape.axes), strict=True
        ):
            entries = entries // max(1, axis.stored) * other.stored
        return self.first.flops + self.second.flops + 2 * entries

    @property
    def peak(self) -> int:
        """Bytes at the worst moment, the first part being made first."""
        return max(self.first.peak, self.first.held + self.second.peak)


def trace(matrix: Chain) -> Inexact[Tensor, "*leading"]:
    """Trace of each matrix: the sum of its diagonal, which is the sum of its eigenvalues.

    `tr(F1 … Fk) = sum_xy P[x, y] Q[y, x]` for the cheapest way to read the chain round as `P Q`, added up in
    float64. Differentiable.

    Returns:
        `[*leading]` in the dtype of contractions.

    Raises:
        ShapeError: the matrices are not square.

    >>> import torch
    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])).trace()
    tensor(11.)

    """
    check_square(matrix, "trace")
    found = trace_factor(matrix)
    return expand_leading(found.tensor[..., 0, 0], found.axes, trailing=0).to(matrix.compute_dtype)


def trace_factor(chain: Chain) -> Factor:
    """Return the traces as a factor of 1 × 1 matrices in float64, with leading axes as fine as the chain holds them."""
    if len(chain.factors) == 1:
        only = chain.factors[0]
        diagonal = upcast(only.tensor).diagonal(dim1=-2, dim2=-1)
        return only.with_tensor(diagonal.to(wide_dtype(diagonal)).sum(-1)[..., None, None])
    plan = plan_trace(chain)
    factors = rotated(chain.factors, plan.turn)
    return product_inner(evaluate(plan.first, factors), evaluate(plan.second, factors))


def plan_trace(chain: Chain) -> TracePlan:
    """Return the cheapest cyclic contraction: every way to cut the ring in two parts, each part in its best order."""
    held, cost = operands(chain), arithmetic(chain)
    count = len(held)
    plans: list[TracePlan] = []
    for turn in range(1, count + 1):
        table = orders(rotated(held, turn % count), cost)
        for length in range(count - turn + 1 if turn < count else 1, count):
            plans += [
                TracePlan(turn % count, first, second)
                for first in table[0][length - 1]
                for second in table[length][count - length - 1]
            ]
    return choose(plans, "trace", chain)


def check_square(chain: Chain, what: str) -> None:
    """Raise unless the matrices are square.

    Raises:
        ShapeError: they are not.

    """
    if chain.ldim != chain.rdim:
        raise ShapeError(f"{what} needs square matrices; the shape is {list(chain.shape)}.")


def trace_of_product(left: Chain, right: Chain) -> Tensor:
    """Return `sum over leading entries of Re tr(left right)`, a float64 scalar that gradients are taken of."""
    found = trace_factor(beside(left, right))
    return expand_leading(found.tensor[..., 0, 0], found.axes, trailing=0).sum().real
