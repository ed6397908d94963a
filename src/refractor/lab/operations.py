"""Which sum a network is asked for, and the index s(a, b) on which its answer depends.

The measures of modular addition rest on one fact: the answer is a function of `s = (a + b) mod p`, and every value
of s is taken by exactly p of the p² pairs, so that cos w_k s and sin w_k s are orthogonal over all pairs. The same
holds with `s = (a - b) mod p`. Multiplication modulo a prime is addition of discrete logarithms, once the pairs and
answers that contain 0 are set aside: `discrete_log_cube` relabels its logits. Other operations (a² + b², a³ + ab …)
are no sums in any relabelling of a and b that is the same for both operands and the answer; they are refused.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.tasks.modular import ModularArithmetic

OPERATIONS = ("addition", "subtraction")
SIGNS = {"addition": 1, "subtraction": -1}
SYMBOLS = {"addition": "+", "subtraction": "−"}


def sum_index(p: int, operation: str = "addition") -> Int[Tensor, "p p"]:
    """Return `s[a, b] = (a + b) mod p`, or `(a - b) mod p` for subtraction: the right answer, and the class of a pair.

    Raises:
        ArgumentError: p is below 2, or the operation is neither addition nor subtraction.

    >>> sum_index(3)
    tensor([[0, 1, 2],
            [1, 2, 0],
            [2, 0, 1]])

    """
    check_int("p", p, least=2)
    check_operation(operation)
    a = torch.arange(p)
    return (a[:, None] + SIGNS[operation] * a) % p


def check_operation(operation: str) -> None:
    """Raise unless the measures are defined for `operation`.

    Raises:
        ArgumentError: the operation is no sum; the message says what to do for multiplication.

    """
    if operation == "multiplication":
        raise ArgumentError(
            "multiplication is a sum only of discrete logarithms: relabel the logits with "
            "lab.discrete_log_cube(logits, p) and analyse those with p - 1 and operation='addition'."
        )
    if operation not in OPERATIONS:
        raise ArgumentError(
            f"operation must be one of {', '.join(OPERATIONS)}; {operation!r} came. The sum direction of the "
            "trigonometric measures is not defined for others."
        )


def operation_of(task: ModularArithmetic) -> str:
    """Return which sum a task asks for: "addition" or "subtraction".

    Raises:
        ArgumentError: the task is no sum; the message says what to do for multiplication.

    >>> from refractor.tasks.modular import ModularSubtraction
    >>> operation_of(ModularSubtraction(7))
    'subtraction'

    """
    name = task.name.removeprefix("modular-")
    check_operation(name)
    return name


def primitive_root(p: int) -> int:
    """Return the least g whose powers run through 1 … p - 1 modulo the prime p.

    Raises:
        ArgumentError: p is no prime.

    >>> primitive_root(113)
    3

    """
    check_int("p", p, least=2)
    if any(p % divisor == 0 for divisor in range(2, int(p**0.5) + 1)):
        raise ArgumentError(f"discrete logarithms need a prime p; {p} came.")
    return next(g for g in range(1, p) if len({pow(g, e, p) for e in range(p - 1)}) == p - 1)


def discrete_log_cube(logits: Tensor, p: int) -> Float[Tensor, "q q q"]:
    """Relabel the logits of multiplication modulo a prime as those of addition modulo `q = p - 1`.

    With g the least primitive root, entry `[x, y, z]` of the result is `logits[g^x, g^y, g^z]`; g^x g^y = g^(x + y).
    Pairs with a zero operand are left out, and so is the logit of the answer 0: the softmax of the result runs over
    the p - 1 others, so its losses are slightly lower than those over all p answers.

    Args:
        logits: over (a, b, c), [p, p, p] or [p * p, p] in a-major order.
        p: a prime of at least 3.

    Returns:
        Logits over (log a, log b, log c), to be analysed with `p - 1` and "addition".

    Raises:
        ArgumentError: p is no prime, or is 2 (one pair would be left).
        ShapeError: the logits have other axes or sizes.

    >>> product = torch.arange(5)[:, None] * torch.arange(5) % 5
    >>> discrete_log_cube(torch.eye(5)[product], 5).argmax(-1)[1]
    tensor([1, 2, 3, 0])

    """
    check_int("p", p, least=3)
    powers = _powers(p)
    if list(logits.shape) not in ([p, p, p], [p * p, p]):
        raise ShapeError(
            f"logits must have shape [a={p}, b={p}, c={p}] or [pairs={p * p}, c={p}]; {list(logits.shape)} came."
        )
    return logits.reshape(p, p, p)[powers][:, powers][:, :, powers]


def discrete_log_rows(rows: Int[Tensor, " rows"], p: int) -> Int[Tensor, " left"]:
    """Relabel rows `a * p + b` of a split as rows `log a * (p - 1) + log b`; those with a zero operand are left out.

    Raises:
        ArgumentError: p is no prime, or is 2.

    >>> discrete_log_rows(torch.tensor([0, 6, 7]), 5)  # (0, 0), (1, 1), (1, 2)
    tensor([0, 1])

    """
    check_int("p", p, least=3)
    logarithms = torch.zeros(p, dtype=torch.long)
    logarithms[_powers(p)] = torch.arange(p - 1)
    a, b = rows // p, rows % p
    kept = (a != 0) & (b != 0)
    return logarithms[a[kept]] * (p - 1) + logarithms[b[kept]]


def _powers(p: int) -> Int[Tensor, " q"]:
    g = primitive_root(p)
    return torch.tensor([pow(g, e, p) for e in range(p - 1)])
