"""Orthogonal sweeps: reduce a chain from its outer ends to a small core with the same singular values.

From the left, `F1 F2 … Fc = Q R` with R no taller than wide. A tall matrix is replaced by its triangle as soon as that
pays: an embedding of 50257 rows becomes a square of d_model rows once, before any head touches it. Where to reduce,
and in which order to contract in between, is an exact program over the places where a triangle can be taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from refractor.linalg.chain import Chain, adjoint
from refractor.linalg.contract import multiply
from refractor.linalg.evaluate import evaluate
from refractor.linalg.factor import Factor
from refractor.linalg.plan import (
    Arithmetic,
    Node,
    Operand,
    arithmetic,
    choose,
    operands,
    orders,
    product,
    triangle,
    unbeaten,
)
from refractor.linalg.qr import orthonormal


def sweep_orders(chain: Sequence[Operand], cost: Arithmetic) -> tuple[Node, ...]:
    """Return the unbeaten ways to reduce the product of `chain` from the left to no more rows than columns."""
    table = orders(tuple(chain), cost)
    reached: list[tuple[Node, ...]] = []
    for stop in range(len(chain)):
        ways = [triangle(node, cost) for node in table[0][stop]]
        for start in range(1, stop + 1):
            ways += [
                triangle(product(carried, segment, cost), cost)
                for carried in reached[start - 1]
                for segment in table[start][stop - start]
            ]
        reached.append(unbeaten(ways))
    return reached[-1]


@dataclass(frozen=True, slots=True)
class Swept:
    """`chain = Q1 Q2 … R`: orthonormal factors from the outside in, and what is left of the product."""

    bases: tuple[Factor, ...]
    rest: Factor


def cut_of(chain: Chain) -> int:
    """Return the narrowest width of all as a cut: 0 (before the first factor) to k (after the last)."""
    return chain.widths.index(chain.rank_bound)


@dataclass(frozen=True, slots=True)
class Halves:
    """The two plans of a core: left of the narrowest width, and right of it (of the adjoint, from the right end)."""

    left: Node | None
    right: Node | None
    cut: int


def plan_halves(chain: Chain, what: str) -> Halves:
    """Plan the reduction of both sides of the narrowest width."""
    cut, cost = cut_of(chain), arithmetic(chain)
    held = operands(chain)
    flipped = tuple(Operand(each.cols, each.rows, each.axes, each.cast) for each in reversed(held[cut:]))
    left = choose(sweep_orders(held[:cut], cost), what, chain) if cut else None
    right = choose(sweep_orders(flipped, cost), what, chain) if flipped else None
    return Halves(left, right, cut)


def right_factors(chain: Chain, cut: int) -> tuple[Factor, ...]:
    """Return the factors right of the cut, adjoint and from the right end."""
    return adjoint(Chain.of(chain.factors[cut:], chain.leading)).factors if cut < len(chain.factors) else ()


def carried(chain: Chain, halves: Halves) -> tuple[Factor | None, Factor | None]:
    """Return what is left of both sides: `R_L [p, w]` and `R_R [q, w]` with the singular values of `R_L R_Rᴴ`."""
    left = evaluate(halves.left, chain.factors) if halves.left else None
    right = evaluate(halves.right, right_factors(chain, halves.cut)) if halves.right else None
    return left, right


def swept(node: Node, factors: Sequence[Factor]) -> Swept:
    """Carry a sweep out and keep the orthonormal factors that it takes out."""
    if node.kind == "triangle":
        below = swept(node.parts[0], factors)
        basis, rest = orthonormal(below.rest)
        return Swept((*below.bases, basis), rest)
    if node.kind == "product":
        left, right = node.operands
        if _has_triangle(left):
            below = swept(left, factors)
            return Swept(below.bases, multiply(below.rest, evaluate(right, factors)))
    return Swept((), evaluate(node, factors))


def _has_triangle(node: Node) -> bool:
    return node.kind == "triangle" or any(_has_triangle(part) for part in node.parts)
