"""Which order of contraction is cheapest: an exact dynamic program over the chain.

The price of a product counts the union of what its operands tell apart along the leading axes, so that factors
which all heads share are contracted once. Every interval of the chain keeps all its orders that no other beats
in both operations and memory; what is left for the whole chain is exact for any limit of memory, because the
peak of a product grows with the peaks of its parts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar, runtime_checkable

from refractor.base.budget import HEADROOM, available_bytes, format_bytes
from refractor.base.errors import BudgetError
from refractor.linalg.chain import Chain
from refractor.linalg.leading import Axis, join_all

Item = TypeVar("Item")

UNASKED = 64_000_000  # bytes below which nobody asks how much memory is free
TALL = 16  # a matrix with so many times more rows than columns is reduced by blocks of rows, see qr.py
BATCHED = 32  # columns from which a shared matrix times many is one product each, not one with all columns side by side
QR_BLOCK = 1_750_000  # entries of such a block: with LAPACK's copies, 60 MB in float32


@dataclass(frozen=True, slots=True)
class Operand:
    """What the price of a factor depends on.

    Args:
        rows: rows of the matrix.
        cols: columns of the matrix.
        axes: how the leading axes are held.
        cast: bytes per entry of the copy in the dtype of contractions; 0 where none is needed.

    """

    rows: int
    cols: int
    axes: tuple[Axis, ...]
    cast: int = 0

    @property
    def entries(self) -> int:
        """Entries that are stored."""
        return math.prod(axis.stored for axis in self.axes) * self.rows * self.cols


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What one entry costs: `item` bytes, and `flops` operations per multiplication with addition."""

    item: int
    flops: int


@dataclass(frozen=True, slots=True)
class Node:
    """One way to a matrix: a factor, a product of two nodes, or the triangle R of a node's QR decomposition.

    Args:
        shape: what comes out.
        kind: `factor`, `product` or `triangle`.
        flops: floating-point operations of everything below and this.
        peak: bytes held at the worst moment besides the factors, the outcome included.
        held: bytes of the outcome (0 for a factor, which is there anyway).
        start: first factor of the interval.
        parts: the nodes it is made from; the first is evaluated first.
        swapped: whether the first part is the right operand.

    """

    shape: Operand
    kind: str
    flops: int
    peak: int
    held: int
    start: int
    parts: tuple["Node", ...] = ()
    swapped: bool = False

    @property
    def operands(self) -> tuple["Node", ...]:
        """The parts in the order of the formula."""
        return self.parts[::-1] if self.swapped else self.parts

    def formula(self, names: Sequence[str]) -> str:
        """Write the order: `(F1 (F2 F3))`."""
        if self.kind == "factor":
            return names[self.start]
        inner = " ".join(node.formula(names) for node in self.operands)
        return f"({inner})" if self.kind == "product" else f"R[{inner.removeprefix('(').removesuffix(')')}]"


def operands(chain: Chain) -> tuple[Operand, ...]:
    """Describe the factors of a chain for the planner."""
    item = chain.compute_dtype.itemsize
    cast = item if chain.compute_dtype != chain.dtype else 0
    return tuple(Operand(factor.rows, factor.cols, factor.axes, cast) for factor in chain.factors)


def arithmetic(chain: Chain) -> Arithmetic:
    """Return what one entry of the chain costs; a complex multiplication with addition is eight operations."""
    return Arithmetic(chain.compute_dtype.itemsize, 8 if chain.dtype.is_complex else 2)


def leaf(operand: Operand, place: int) -> Node:
    """Return the node of a factor."""
    return Node(operand, "factor", 0, 0, 0, place)


def product(left: Node, right: Node, cost: Arithmetic) -> Node:
    """Return the node of `left @ right`, its parts in the order that needs less memory."""
    axes = join_all(left.shape.axes, right.shape.axes)
    out = Operand(left.shape.rows, right.shape.cols, axes)
    nbytes = out.entries * cost.item
    copies = sum(_copies(left, right)) * cost.item
    together = left.held + right.held + copies + nbytes
    left_first = max(left.peak, left.held + right.peak, together)
    right_first = max(right.peak, right.held + left.peak, together)
    swapped = right_first < left_first
    return Node(
        shape=out,
        kind="product",
        flops=left.flops + right.flops + cost.flops * out.entries * left.shape.cols,
        peak=min(left_first, right_first),
        held=nbytes,
        start=left.start,
        parts=(right, left) if swapped else (left, right),
        swapped=swapped,
    )


def triangle(node: Node, cost: Arithmetic) -> Node:
    """Return the node of the triangle R of a QR decomposition; `node` itself where it has no more rows than columns."""
    rows, cols = node.shape.rows, node.shape.cols
    if rows <= cols:
        return node
    out = Operand(cols, cols, node.shape.axes)
    work = min(node.shape.entries, max(QR_BLOCK, cols * (cols + qr_block_rows(rows, cols)))) * cost.item
    return Node(
        shape=out,
        kind="triangle",
        flops=node.flops + cost.flops * node.shape.entries * cols,
        peak=max(node.peak, node.held + 2 * work + out.entries * cost.item),
        held=out.entries * cost.item,
        start=node.start,
        parts=(node,),
    )


def qr_block_rows(rows: int, cols: int) -> int:
    """Return how many rows of a matrix are reduced at a time: at least three times as many as it has columns."""
    return rows if rows < TALL * cols else max(3 * cols, QR_BLOCK // max(1, cols))


def _copies(one: Node, other: Node) -> tuple[int, int]:
    """Entries of the copies that a contraction makes of its operands: another dtype, or axes in another order.

    An own axis of the right operand has to be moved beside its columns, unless the left one has none and there are
    columns enough to batch. An own axis of the left one lies beside its rows already, unless both are batched besides.
    What is batched and was itself made by moving axes is put in order first.
    """
    left, right = one.shape, other.shape
    left_own = any(not a.shared and b.shared for a, b in zip(left.axes, right.axes, strict=True))
    right_own = any(not b.shared and a.shared for a, b in zip(left.axes, right.axes, strict=True))
    alone = all(axis.shared for axis in left.axes)
    both = any(not a.shared and not b.shared for a, b in zip(left.axes, right.axes, strict=True))
    return (
        left.entries if left.cast or (both and (left_own or one.kind == "product")) else 0,
        right.entries
        if right.cast or (right_own and not (right.cols >= BATCHED and alone)) or (both and other.kind == "product")
        else 0,
    )


def unbeaten(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes that no other beats in both operations and peak memory, fewest operations first."""
    kept: list[Node] = []
    for node in sorted(nodes, key=lambda node: (node.flops, node.peak)):
        if not kept or node.peak < kept[-1].peak:
            kept.append(node)
    return tuple(kept)


@lru_cache(maxsize=256)
def orders(chain: tuple[Operand, ...], cost: Arithmetic) -> tuple[tuple[tuple[Node, ...], ...], ...]:
    """Return, for every interval `i … j`, the unbeaten orders of its product as `table[i][j - i]`."""
    count = len(chain)
    table: list[list[tuple[Node, ...]]] = [[(leaf(operand, place),)] for place, operand in enumerate(chain)]
    for length in range(1, count):
        for start in range(count - length):
            found = [
                product(left, right, cost)
                for cut in range(length)
                for left in table[start][cut]
                for right in table[start + cut + 1][length - cut - 1]
            ]
            table[start].append(unbeaten(found))
    return tuple(tuple(row) for row in table)


def product_orders(chain: Sequence[Operand], cost: Arithmetic) -> tuple[Node, ...]:
    """Return the unbeaten orders of the product of all of `chain`."""
    return orders(tuple(chain), cost)[0][-1]


def rotated(items: Sequence[Item], cut: int) -> tuple[Item, ...]:
    """Return `items` from place `cut` on, then those before: the rotation whose product has the same eigenvalues."""
    return (*items[cut:], *items[:cut])


@runtime_checkable
class Priced(Protocol):
    """A plan with a price."""

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        ...

    @property
    def peak(self) -> int:
        """Bytes held at the worst moment."""
        ...


PlanT = TypeVar("PlanT", bound=Priced)


def choose(plans: Sequence[PlanT], what: str, chain: Chain, limit: float | None = None) -> PlanT:
    """Return the plan with the fewest operations among those that fit.

    Args:
        plans: plans for the same outcome.
        what: the question, for the message.
        chain: the chain that is asked.
        limit: bytes allowed; by default 90% of what is free.

    Raises:
        BudgetError: not even the leanest fits.

    """
    cheapest = min(plans, key=lambda plan: (plan.flops, plan.peak))
    if limit is None:
        if cheapest.peak <= UNASKED:
            return cheapest
        limit = HEADROOM * available_bytes(chain.device)
    fitting = [plan for plan in plans if plan.peak <= limit]
    if fitting:
        return min(fitting, key=lambda plan: (plan.flops, plan.peak))
    leanest = min(plan.peak for plan in plans)
    raise BudgetError(
        f"{what} of a chain of shape {list(chain.shape)} would hold {format_bytes(leanest)} in the leanest order, but "
        f"{format_bytes(limit)} may be used on {chain.device}. Ask for fewer leading entries at a time, e.g. M[:1]."
    )
