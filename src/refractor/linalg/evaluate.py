"""Carrying out a plan: nodes become tensors, intermediates are let go as soon as they are used."""

from collections.abc import Sequence

from refractor.linalg.chain import Chain
from refractor.linalg.contract import multiply
from refractor.linalg.factor import Factor
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


def contracted(chain: Chain, what: str, limit: float | None = None) -> Factor:
    """Return the product of all factors, contracted in the cheapest order that fits."""
    if len(chain.factors) == 1:
        return chain.factors[0]
    node = choose(product_orders(operands(chain), arithmetic(chain)), what, chain, limit=limit)
    return evaluate(node, chain.factors)
