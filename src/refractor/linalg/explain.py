"""What a question will cost before it is asked: order, operations and memory, from the plan that it will follow."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from refractor.base.budget import format_bytes
from refractor.base.errors import unknown_name
from refractor.linalg.blocks import BLOCK, pieces
from refractor.linalg.chain import Chain, part
from refractor.linalg.eigen import plan_rotation
from refractor.linalg.entries import places_at_once
from refractor.linalg.factor import Factor
from refractor.linalg.leading import Axis
from refractor.linalg.norms import gram_chains
from refractor.linalg.plan import Node, arithmetic, choose, operands, product_orders, rotated
from refractor.linalg.sweep import plan_halves
from refractor.linalg.trace import check_square, plan_trace


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Args:
        what: the step in words or as a formula, `F1` being the first factor.
        shape: what comes out; leading axes at the sizes that are computed.
        flops: floating-point operations.
        nbytes: bytes of the outcome.

    """

    what: str
    shape: tuple[int, ...]
    flops: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The plan of one question: its steps, all operations, and the most bytes that are held besides the factors.

    >>> import torch
    >>> from refractor.linalg import FactoredMatrix
    >>> W_E, W_U = torch.randn(50, 8), torch.randn(8, 50)
    >>> W_V, W_O = torch.randn(12, 8, 2), torch.randn(12, 2, 8)
    >>> print(FactoredMatrix(W_E, W_V, W_O, W_U).explain("eigenvalues"))
    eigenvalues of [12, 50, 50] from 4 factors: 12.6 kFLOP, at most 1.9 kB besides the factors
      (F4 F1)                         [8, 8]                   6.4 kFLOP  256 B
      (F3 (F4 F1))                    [12, 2, 8]               3.1 kFLOP  768 B
      ((F3 (F4 F1)) F2)               [12, 2, 2]                768 FLOP  192 B
      eigenvalues, float64            [12, 2]                  2.4 kFLOP  192 B

    """

    question: str
    shape: tuple[int, ...]
    factors: int
    steps: tuple[Step, ...]
    peak_bytes: int

    @property
    def flops(self) -> int:
        """All floating-point operations."""
        return sum(step.flops for step in self.steps)

    def __str__(self) -> str:
        lines = [
            f"{self.question} of {list(self.shape)} from {self.factors} factors: {format_flops(self.flops)}, at most "
            f"{format_bytes(self.peak_bytes)} besides the factors"
        ]
        for step in self.steps:
            shape = str(list(step.shape))
            lines.append(f"  {step.what:<30}  {shape:<20}  {format_flops(step.flops):>12}  {format_bytes(step.nbytes)}")
        return "\n".join(lines)

    __repr__ = __str__


def format_flops(count: float) -> str:
    """Write a number of operations for people.

    >>> format_flops(59_300_000_000)
    '59.3 GFLOP'
    """
    for unit in ("FLOP", "kFLOP", "MFLOP", "GFLOP"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "FLOP" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TFLOP"


def explain(matrix: Chain, question: str) -> Explanation:
    """Return the plan of a question: its order of contraction, operations and peak memory. Nothing is computed.

    Args:
        matrix: the matrix that would be asked.
        question: the name of a method or property, e.g. `svd`, `eigenvalues`, `argmax`.

    Raises:
        UnknownNameError: no question is called so; the message offers the nearest.

    """
    plan = QUESTIONS.get(question)
    if plan is None:
        raise unknown_name("question", question, QUESTIONS)
    steps, peak = plan(matrix)
    return Explanation(question, tuple(matrix.shape), len(matrix.factors), tuple(steps), peak)


Planned = tuple[list[Step], int]


def _names(count: int) -> list[str]:
    return [f"F{place + 1}" for place in range(count)]


def _steps(node: Node, names: Sequence[str]) -> list[Step]:
    """Return the steps of a node in the order in which they are carried out."""
    if node.kind == "factor":
        return []
    steps = [step for each in node.parts for step in _steps(each, names)]
    own = node.flops - sum(each.flops for each in node.parts)
    stored = [axis.stored for axis in node.shape.axes if not axis.shared]
    return [*steps, Step(node.formula(names), (*stored, node.shape.rows, node.shape.cols), own, node.held)]


def _core_flops(matrix: Chain, per_core: float, rows: int, cols: int) -> int:
    return int(math.prod(matrix.leading) * per_core * rows * cols * min(rows, cols))


def _bases(node: Node, names: Sequence[str]) -> list[Step]:
    """Return the orthonormal factors that a sweep takes out: `Q = T R⁻¹` for every triangle R."""
    steps = [step for each in node.parts for step in _bases(each, names)]
    if node.kind != "triangle":
        return steps
    tall = node.parts[0].shape
    stored = [axis.stored for axis in tall.axes if not axis.shared]
    item = node.held // max(1, node.shape.entries)
    shape, name = (*stored, tall.rows, tall.cols), node.formula(names).replace("R[", "Q[", 1)
    return [*steps, Step(name, shape, 2 * tall.entries * tall.cols, tall.entries * item)]


def _product(matrix: Chain) -> Planned:
    node = choose(product_orders(operands(matrix), arithmetic(matrix)), "dense", matrix, limit=math.inf)
    return _steps(node, _names(len(matrix.factors))), node.peak


def _rotation(matrix: Chain) -> Planned:
    check_square(matrix, "eigenvalues")
    plan = plan_rotation(matrix, "eigenvalues")
    names = rotated(_names(len(matrix.factors)), plan.cut)
    rank = matrix.rank_bound
    nbytes = math.prod(matrix.leading) * rank * 2 * matrix.compute_dtype.itemsize
    last = Step("eigenvalues, float64", (*matrix.leading, rank), _core_flops(matrix, 25, rank, rank), nbytes)
    return [*_steps(plan.node, names), last], plan.node.peak + nbytes


def _ring(matrix: Chain) -> Planned:
    plan = plan_trace(matrix)
    names = rotated(_names(len(matrix.factors)), plan.turn)
    own = plan.flops - plan.first.flops - plan.second.flops
    nbytes = math.prod(matrix.leading) * 8
    last = Step("<,>, float64", tuple(matrix.leading), own, nbytes)
    return [*_steps(plan.first, names), *_steps(plan.second, names), last], plan.peak + nbytes


def _reduction(matrix: Chain, *, vectors: bool, formed: bool) -> Planned:
    halves = plan_halves(matrix, "svd")
    names = _names(len(matrix.factors))
    steps, held, peak = [], 0, 0
    for node, labels in ((halves.left, names), (halves.right, [f"{name}ᴴ" for name in reversed(names)])):
        if node:
            steps += _steps(node, labels)
            peak = max(peak, held + node.peak)
            held += node.held
    rank, item = matrix.rank_bound, matrix.compute_dtype.itemsize
    count = math.prod(matrix.leading)
    rows = halves.left.shape.rows if halves.left else rank
    cols = halves.right.shape.rows if halves.right else rank
    core = Step(
        "core R_L R_Rᴴ, SVD, float64", (*matrix.leading, rank), _core_flops(matrix, 14, rows, cols), count * rank * item
    )
    steps.append(core)
    peak = max(peak, held + 8 * count * rows * cols)
    if vectors:
        for node, labels in ((halves.left, names), (halves.right, [f"{name}ᴴ" for name in reversed(names)])):
            bases = _bases(node, labels) if node else []
            steps += bases
            held += sum(step.nbytes for step in bases)
        peak = max(peak, held)
        for word, outer in (("U", matrix.ldim), ("V", matrix.rdim)):
            nbytes = count * outer * rank * item if formed else 0
            flops = 2 * count * outer * rank * rank if formed else 0
            steps.append(Step(f"{word}{'' if formed else ', factored'}", (*matrix.leading, outer, rank), flops, nbytes))
            held += nbytes
        peak = max(peak, held)
    return steps, peak


def _gram_names(chain: Chain, matrix: Chain) -> list[str]:
    """Name the factors of `Lᴴ L` or `R Rᴴ`, which is as long on both sides."""
    names, half = _names(len(matrix.factors)), len(chain.factors) // 2
    is_left = chain.factors[half] is matrix.factors[0]
    own = names[:half] if is_left else names[-half:]
    flipped = [f"{name}ᴴ" for name in reversed(own)]
    return [*flipped, *own] if is_left else [*own, *flipped]


def _grams(matrix: Chain) -> Planned:
    steps, held, peak = [], 0, 0
    for chain in gram_chains(matrix):
        node = choose(product_orders(operands(chain), arithmetic(chain)), "norm", chain)
        steps += _steps(node, _gram_names(chain, matrix))
        peak = max(peak, held + node.peak)
        held += node.held
    own = 2 * math.prod(matrix.leading) * matrix.rank_bound**2
    return [*steps, Step("<,>, float64", tuple(matrix.leading), own, math.prod(matrix.leading) * 8)], peak


def _stream(matrix: Chain) -> Planned:
    steps: dict[str, Step] = {}
    peak = 0
    cut = matrix.waist
    names = _names(len(matrix.factors))
    for _, _, piece in pieces(matrix):
        held = 0
        for chain, labels in ((part(piece, 0, cut), names[:cut]), (part(piece, cut, len(names)), names[cut:])):
            node = choose(product_orders(operands(chain), arithmetic(chain)), "a block", chain)
            for step in _steps(node, labels):
                _add(steps, f"{step.what} in parts", step)
            held += node.peak
        count = math.prod(piece.leading)
        entries = count * piece.ldim * piece.rdim
        block = min(entries, BLOCK) * matrix.compute_dtype.itemsize
        tile = Step("blocks of the product", piece.shape, 2 * entries * piece.mdim, block)
        _add(steps, tile.what, tile)
        tiles = count * piece.mdim * piece.rdim * matrix.compute_dtype.itemsize  # the right side once more, in tiles
        peak = max(peak, held + tiles + block)
    return list(steps.values()), peak


def _add(steps: dict[str, Step], what: str, step: Step) -> None:
    before = steps[what].flops if what in steps else 0
    steps[what] = Step(what, step.shape, before + step.flops, step.nbytes)


def _ends(matrix: Chain, *, rows: bool, cols: bool) -> Planned:
    """Plan sums: a row of ones on the left, a column of ones on the right."""
    axes = tuple(Axis(size, 1) for size in matrix.leading)
    factors, names = list(matrix.factors), _names(len(matrix.factors))
    if cols:
        factors.append(Factor(matrix.factors[-1].tensor.new_empty(()).expand(*(1,) * len(axes), matrix.rdim, 1), axes))
        names.append("1")
    if rows:
        factors.insert(
            0, Factor(matrix.factors[0].tensor.new_empty(()).expand(*(1,) * len(axes), 1, matrix.ldim), axes)
        )
        names.insert(0, "1ᵀ")
    chain = Chain.of(factors, matrix.leading)
    node = choose(product_orders(operands(chain), arithmetic(chain)), "sum", chain)
    return _steps(node, names), node.peak


def _variance(matrix: Chain) -> Planned:
    """Plan the variance of all entries: the norm of the matrix with centred columns, and their means."""
    (first, grams), (second, sums) = _grams(matrix), _ends(matrix, rows=True, cols=False)
    return [*first, *second], max(grams, sums) + matrix.factors[0].nbytes


def _lengths(matrix: Chain) -> Planned:
    """Plan lengths of rows: the right side reduced to a triangle, then the left side times that."""
    steps: dict[str, Step] = {}
    peak, names = 0, _names(len(matrix.factors))
    for _, _, piece in pieces(matrix):
        halves = plan_halves(piece, "row_norms")
        short, labels, held = list(piece.factors[: halves.cut]), names[: halves.cut], 0
        if halves.right:
            for step in _steps(halves.right, [f"{name}ᴴ" for name in reversed(names)]):
                _add(steps, f"{step.what} in parts", step)
            shape, held = halves.right.shape, halves.right.held
            blank = (
                piece.factors[-1]
                .tensor.new_empty(())
                .expand(*(axis.stored for axis in shape.axes), shape.cols, shape.rows)
            )
            short, labels = [*short, Factor(blank, shape.axes)], [*labels, "Rᴴ"]
        node = choose(
            product_orders([*operands(Chain.of(short, piece.leading))], arithmetic(piece)), "row_norms", piece
        )
        for step in _steps(node, labels):
            _add(steps, f"{step.what} in parts", step)
        peak = max(peak, halves.right.peak if halves.right else 0, held + node.peak)
    return list(steps.values()), peak


def _gather(matrix: Chain) -> Planned:
    check_square(matrix, "diagonal")
    steps, _ = _gathered(matrix, matrix.ldim)
    return steps, _gathered(matrix, min(matrix.ldim, places_at_once(matrix)))[1]


def _gathered(matrix: Chain, count: int) -> Planned:
    place = Axis(count, count)
    first, *middle, last = matrix.factors
    names = _names(len(matrix.factors))
    names[0], names[-1] = f"{names[0]}[i]", f"{names[-1]}[:, i]"
    one = matrix.factors[0].tensor.new_empty(())
    stored = [[axis.stored for axis in factor.axes] for factor in matrix.factors]
    gathered = [
        Factor(one.expand(*stored[0], count, 1, first.cols), (*first.axes, place)),
        *(Factor(each.tensor.unsqueeze(-3), (*each.axes, Axis(count, 1))) for each in middle),
        Factor(one.expand(*stored[-1], count, last.rows, 1), (*last.axes, place)),
    ]
    chain = Chain.of(gathered, (*matrix.leading, count))
    node = choose(product_orders(operands(chain), arithmetic(chain)), "diagonal", chain, limit=math.inf)
    taken = gathered[0].nbytes + gathered[-1].nbytes
    return _steps(node, names), node.peak + taken


def _values(matrix: Chain) -> Planned:
    return _reduction(matrix, vectors=False, formed=False)


def _vectors(matrix: Chain) -> Planned:
    return _reduction(matrix, vectors=True, formed=True)


def _factored_vectors(matrix: Chain) -> Planned:
    return _reduction(matrix, vectors=True, formed=False)


_PLANS: Mapping[Callable[[Chain], Planned], tuple[str, ...]] = {
    _product: ("AB", "dense", "block", "get_corner"),
    _rotation: ("eigenvalues", "eig", "identity_plus"),
    _ring: ("trace",),
    _values: ("S", "stable_rank", "participation_ratio", "effective_rank", "rank", "singular_clusters"),
    _vectors: ("svd", "U", "V", "Vh", "collapse_l", "collapse_r"),
    _factored_vectors: ("factored_svd", "make_even", "truncate", "round"),
    _grams: ("norm",),
    _stream: ("argmax", "topk", "max", "min", "rank_of", "diagonal_argmax_share"),
    _gather: ("diagonal", "entries"),
    lambda matrix: _ends(matrix, rows=True, cols=True): ("sum", "mean"),
    _variance: ("var",),
    _lengths: ("row_norms", "col_norms"),
}
QUESTIONS: Mapping[str, Callable[[Chain], Planned]] = MappingProxyType(
    {name: plan for plan, names in _PLANS.items() for name in names}
)
"""The plan of each question, by its name."""
