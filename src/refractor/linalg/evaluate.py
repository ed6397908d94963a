"""Carrying out a plan: nodes become tensors, intermediates are let go as soon as they are used."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from refractor.linalg.chain import Chain
from refractor.linalg.contract import multiply, upcast
from refractor.linalg.factor import Factor, expand_leading
from refractor.linalg.plan import Node, arithmetic, choose, operands, product_orders
from refractor.linalg.qr import triangle_of


def evaluate(node: Node, factors: Sequence[Factor]) -> Factor:
    """Return the matrix that `node` describes, made from `factors` in the order that it gives."""
    if node.kind == "factor":
        return factors[node.start]
    if node.kind == "triangle":
        return triangle_of(evaluate(node.parts[0], factors))
    first = evaluate(node.parts[0], factors)
    second = evaluate(node.parts[1], factors)
    return multiply(second, first) if node.swapped else multiply(first, second)


def evaluate_watched(node: Node, factors: Sequence[Factor]) -> tuple[Factor, float]:
    """Return what `evaluate` does for products, and by how much cancellation may have enlarged relative rounding.

    Each product counts `|left| |right| / (sqrt(inner) |out|)`, at least 1, of the matrix where that is largest: about 1
    for unrelated factors, and large where the columns of the left meet what they annihilate.
    """
    if node.kind == "factor":
        return factors[node.start], 1.0
    (left, before), (right, after) = (evaluate_watched(each, factors) for each in node.operands)
    out = multiply(left, right)
    sizes = [expand_leading(_length(each), each.axes, trailing=0) for each in (left, right, out)]
    ratio = sizes[0] * sizes[1] / (max(1, left.cols) ** 0.5 * sizes[2])
    ratio = torch.where(sizes[0] * sizes[1] > 0, ratio, 1).nan_to_num(nan=math.inf)
    return out, before * after * max(1.0, float(ratio.max()) if ratio.numel() else 1.0)


def _length(factor: Factor) -> Tensor:
    return torch.linalg.vector_norm(upcast(factor.tensor), dim=(-2, -1))


def contracted(chain: Chain, what: str, limit: float | None = None) -> Factor:
    """Return the product of all factors, contracted in the cheapest order that fits."""
    if len(chain.factors) == 1:
        return chain.factors[0]
    return evaluate(plan_product(chain, what, limit), chain.factors)


def plan_product(chain: Chain, what: str, limit: float | None = None) -> Node:
    """Return the cheapest order that fits of the product of all factors."""
    return choose(product_orders(operands(chain), arithmetic(chain)), what, chain, limit=limit)
