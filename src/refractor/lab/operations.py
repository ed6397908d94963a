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

from refractor.base.checks import check_int, check_member
from refractor.base.errors import ArgumentError

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
            "multiplication is a sum only of discrete logarithms: relabel the logits with lab.discrete_log_cube(logits, "
            "p) and analyse those with p - 1 and operation='addition'."
        )
    check_member("operation", operation, OPERATIONS)


def operation_of(labels: Tensor, p: int) -> str:
    """Return the operation whose right answers are `labels`, for pairs in a-major order.

    Args:
        labels: the right answers, [p * p].
        p: the modulus.

    Returns:
        "addition" or "subtraction".

    Raises:
        ArgumentError: the labels are those of neither; the message says so for multiplication in particular.

    >>> operation_of(torch.tensor([0, 1, 1, 0]), 2)
    'addition'

    """
    table = labels.reshape(-1).long().cpu()
    for operation in OPERATIONS:
        if torch.equal(table, sum_index(p, operation).flatten()):
            return operation
    a = torch.arange(p)
    if torch.equal(table, (a[:, None] * a % p).flatten()):
        check_operation("multiplication")
    raise ArgumentError(
        f"labels are those of neither a + b nor a - b modulo {p}: the sum direction of the trigonometric measures is not "
        "defined for this task."
    )


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


def discrete_log_cube(logits: Float[Tensor, "p p p"], p: int) -> Float[Tensor, "q q q"]:
    """Relabel the logits of multiplication modulo a prime as those of addition modulo `q = p - 1`.

    With g the least primitive root, entry `[x, y, z]` of the result is `logits[g^x, g^y, g^z]`; g^x g^y = g^(x + y).
    Pairs with a zero operand are left out, and so is the logit of the answer 0: the softmax of the result runs over
    the p - 1 others, so its losses are slightly lower than those over all p answers.

    Args:
        logits: over (a, b, c).
        p: a prime.

    Raises:
        ArgumentError: p is no prime, or is 2 (nothing is left to analyse).

    >>> product = torch.arange(5)[:, None] * torch.arange(5) % 5
    >>> discrete_log_cube(torch.eye(5)[product], 5).argmax(-1)[1]
    tensor([1, 2, 3, 0])

    """
    check_int("p", p, least=3)
    g = primitive_root(p)
    powers = torch.tensor([pow(g, e, p) for e in range(p - 1)])
    return logits[powers][:, powers][:, :, powers]
