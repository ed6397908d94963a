"""Arithmetic modulo p as questions for a network: tokens `[a, b, =]`, answer `a ∘ b mod p`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import unknown_name

Operation = Callable[[Tensor, Tensor], Tensor]

OPERATIONS: Mapping[str, tuple[str, Operation]] = MappingProxyType(
    {
        "modular-addition": ("a + b", lambda a, b: a + b),
        "modular-subtraction": ("a - b", lambda a, b: a - b),
        "modular-multiplication": ("a * b", lambda a, b: a * b),
        "modular-sum-of-squares": ("a² + b²", lambda a, b: a * a + b * b),
        "modular-quadratic-form": ("a² + a b + b²", lambda a, b: a * a + a * b + b * b),
        "modular-cubic": ("a³ + a b", lambda a, b: a * a * a + a * b),
    }
)
"""For each task by name: its formula, and the function (before reduction modulo p)."""


@dataclass(frozen=True)
class ModularArithmetic:
    """Every question `a ∘ b mod p` for `0 ≤ a, b < p`, in a-major order: row `a p + b` asks for (a, b).

    Args:
        name: a key of `OPERATIONS`, such as "modular-addition".
        p: the modulus, 2 or more; it need not be prime or odd.

    Raises:
        ArgumentError: p is below 2.
        UnknownNameError: no operation has that name.

    >>> task = ModularAddition(3)
    >>> task.tokens()[:4].tolist(), task.labels()[:4].tolist()
    ([[0, 0, 3], [0, 1, 3], [0, 2, 3], [1, 0, 3]], [0, 1, 2, 1])

    """

    name: str
    p: int

    def __post_init__(self) -> None:
        """Check name and modulus."""
        if self.name not in OPERATIONS:
            raise unknown_name("task", self.name, OPERATIONS)
        check_int("p", self.p, least=2, most=2**20)  # a³ + a b stays below 2**63

    @property
    def title(self) -> str:
        """The kind with its modulus, for people."""
        return f"{self.name} with p={self.p}"

    @property
    def n(self) -> int:
        """Number of residues, p."""
        return self.p

    @property
    def formula(self) -> str:
        """The answer as a formula, before reduction modulo p."""
        return OPERATIONS[self.name][0]

    @property
    def d_vocab(self) -> int:
        """Number of tokens: the residues 0 … p - 1, and p for the sign "="."""
        return self.p + 1

    @property
    def d_vocab_out(self) -> int:
        """Number of answers."""
        return self.p

    @property
    def n_ctx(self) -> int:
        """Length of a question."""
        return 3

    @property
    def n_rows(self) -> int:
        """Number of questions."""
        return self.p * self.p

    def tokens(self) -> Int[Tensor, "rows 3"]:
        """Return all questions `[a, b, p]`."""
        a = torch.arange(self.p)
        equals = torch.full((self.n_rows,), self.p)
        return torch.stack([a.repeat_interleave(self.p), a.repeat(self.p), equals], dim=1)

    def labels(self) -> Int[Tensor, " rows"]:
        """Return all answers."""
        tokens = self.tokens()
        return OPERATIONS[self.name][1](tokens[:, 0], tokens[:, 1]) % self.p

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `task_from_dict` makes the task again."""
        return {"name": self.name, "p": self.p}


def ModularAddition(p: int) -> ModularArithmetic:
    """Return the task `a + b mod p`."""
    return ModularArithmetic("modular-addition", p)


def ModularSubtraction(p: int) -> ModularArithmetic:
    """Return the task `a - b mod p`."""
    return ModularArithmetic("modular-subtraction", p)


def ModularMultiplication(p: int) -> ModularArithmetic:
    """Return the task `a b mod p`."""
    return ModularArithmetic("modular-multiplication", p)


def SumOfSquares(p: int) -> ModularArithmetic:
    """Return the task `a² + b² mod p`."""
    return ModularArithmetic("modular-sum-of-squares", p)
