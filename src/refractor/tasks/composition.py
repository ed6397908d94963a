"""Composition in a finite group as questions for a network: tokens `[x, y, =]`, answer x · y or another word."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, BudgetError, UnknownNameError, unknown_name
from refractor.groups.group import CANONICAL, Group
from refractor.groups.named import group as group_named

COMPOSITION = "composition"

Word = Callable[[Group, Tensor, Tensor], Tensor]


def _product(group: Group, x: Tensor, y: Tensor) -> Tensor:
    return group.table[x, y]


def _quotient(group: Group, x: Tensor, y: Tensor) -> Tensor:
    return group.table[x, group.inverses[y]]


def _conjugation(group: Group, x: Tensor, y: Tensor) -> Tensor:
    return group.table[group.table[group.inverses[y], x], y]


def _commutator(group: Group, x: Tensor, y: Tensor) -> Tensor:
    return group.table[group.table[group.inverses[x], group.inverses[y]], group.table[x, y]]


OPERATIONS: Mapping[str, tuple[str, Word]] = MappingProxyType(
    {
        "product": ("x · y", _product),
        "quotient": ("x · y⁻¹", _quotient),
        "conjugation": ("y⁻¹ · x · y", _conjugation),
        "commutator": ("x⁻¹ · y⁻¹ · x · y", _commutator),
    }
)
"""For each operation by name: its formula, and the function of two columns of elements."""


@dataclass(frozen=True, init=False, eq=False)
class GroupComposition:
    """Every question `x ∘ y` for elements x, y of a group of n, in x-major order: row `x n + y` asks for (x, y).

    Operations: "product" x · y (Chughtai, Chan & Nanda 2023), "quotient" x · y⁻¹, "conjugation" y⁻¹ · x · y and
    "commutator" x⁻¹ · y⁻¹ · x · y. With `factors=k` a question has k elements and asks for x1 · … · xk.

    Args:
        group: a name such as "S5", or a group.
        operation: a key of `OPERATIONS`.
        ordering: the order of the elements of a named group; "sympy-coset-rank" is that of the published networks.
        factors: how many elements a product has, 2 or more.

    Raises:
        UnknownNameError: no group, order of the elements or operation has that name.
        ArgumentError: a number is out of range, more than two factors are asked for an operation of two elements, or
            `ordering` is not that of the group that is given.

    >>> task = GroupComposition("S3")
    >>> task.tokens()[7].tolist(), task.labels()[7].item(), task.group.labels[1]
    ([1, 1, 6], 0, '(1 2)')
    >>> GroupComposition("C5", "quotient").labels()[:5].tolist()
    [0, 4, 3, 2, 1]

    """

    group: Group
    operation: str
    factors: int

    def __init__(
        self, group: str | Group = "S5", operation: str = "product", ordering: str | None = None, factors: int = 2
    ) -> None:
        if operation not in OPERATIONS:
            raise unknown_name("operation of two elements", operation, OPERATIONS)
        check_int("factors", factors, least=2, most=64)
        if factors > 2 and operation != "product":
            raise ArgumentError(f"{operation} is of two elements; factors={factors} needs operation='product'.")
        if isinstance(group, Group):
            if ordering not in (None, group.ordering):
                raise ArgumentError(
                    f"{group!r} comes with the order {group.ordering!r} of its elements, so ordering={ordering!r} "
                    "cannot be had. Leave it out, or give the group's name."
                )
            found = group
        else:
            found = group_named(group, CANONICAL if ordering is None else ordering)
        for name, value in (("group", found), ("operation", operation), ("factors", factors)):
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Whether all questions and answers are the same, and called the same."""
        if not isinstance(other, GroupComposition):
            return NotImplemented
        same = self._key == other._key
        return same and torch.equal(self.group.table, other.group.table)

    def __hash__(self) -> int:
        """Return a hash that equal tasks share."""
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str, str, int]:
        return self.group.name, self.ordering, self.operation, self.factors

    @property
    def ordering(self) -> str:
        """The name of the order of the elements."""
        return self.group.ordering

    @property
    def name(self) -> str:
        """How this kind of task is called."""
        return COMPOSITION

    @property
    def title(self) -> str:
        """The kind with its parameters, for people."""
        order = "" if self.ordering == CANONICAL else f" in the order {self.ordering}"
        return f"{COMPOSITION} {self.formula} in {self.group.name}{order}"

    @property
    def formula(self) -> str:
        """The answer as a formula."""
        if self.factors > 2:
            return " · ".join(f"x{place}" for place in range(1, self.factors + 1))
        return OPERATIONS[self.operation][0]

    @property
    def n(self) -> int:
        """Number of elements."""
        return self.group.order

    @property
    def d_vocab(self) -> int:
        """Number of tokens: the elements 0 … n - 1, and n for the sign "="."""
        return self.n + 1

    @property
    def d_vocab_out(self) -> int:
        """Number of answers."""
        return self.n

    @property
    def n_ctx(self) -> int:
        """Length of a question, "=" included."""
        return self.factors + 1

    @property
    def n_rows(self) -> int:
        """Number of questions."""
        return self.n**self.factors

    def tokens(self) -> Int[Tensor, "rows pos"]:
        """Return all questions `[x, y, n]`, or `[x1, …, xk, n]`.

        Raises:
            BudgetError: they would not fit into memory.

        """
        self._check_fits(self.n_ctx)
        return torch.stack([*self._columns(), torch.full((self.n_rows,), self.n)], dim=1)

    def labels(self) -> Int[Tensor, " rows"]:
        """Return all answers.

        Raises:
            BudgetError: they would not fit into memory.

        """
        self._check_fits(1)
        if self.factors == 2:
            x = torch.arange(self.n)
            return OPERATIONS[self.operation][1](self.group, x[:, None], x[None, :]).flatten()
        answers = torch.arange(self.n)
        for _ in range(self.factors - 1):  # row r n + x of the next asks for (what row r asks for) · x
            answers = self.group.table[answers].flatten()
        return answers

    def _columns(self) -> list[Tensor]:
        """Return the elements of all questions, one column for each place, the first slowest."""
        n, k = self.n, self.factors
        every = torch.arange(n)
        return [every.repeat_interleave(n ** (k - 1 - place)).repeat(n**place) for place in range(k)]

    def _check_fits(self, columns: int) -> None:
        what = f"{self.title} with {self.n_rows} questions"
        check_fits(16 * columns * self.n_rows, what, "Take fewer factors, or a smaller group.")  # result and parts

    @cached_property
    def _is_named(self) -> bool:
        """Whether name and order alone give the same group again."""
        try:
            named = group_named(self.group.name, self.ordering)
        except (UnknownNameError, ArgumentError, BudgetError):
            return False
        return named.table.shape == self.group.table.shape and torch.equal(named.table, self.group.table)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `task_from_dict` makes the task again.

        Raises:
            ArgumentError: the group has no name that gives it again.

        """
        if not self._is_named:
            raise ArgumentError(
                f"{self.group!r} was made in memory, and no name gives the same table again, so a run cannot describe "
                'it. Use a named group (refractor.groups.group("S5")); measures take this task as it is.'
            )
        return {
            "name": COMPOSITION,
            "group": self.group.name,
            "operation": self.operation,
            "ordering": self.ordering,
            "factors": self.factors,
        }
