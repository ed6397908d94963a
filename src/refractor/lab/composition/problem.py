"""`Problem`: which group element is asked for, and which pairs (x, y) have it as their right answer.

Every measure of this wing rests on one fact: the answer w is x · y (or x · y⁻¹), and for every w and x there is exactly
one y. So the n² pairs fall into n classes of n pairs, and a function of the answer alone has n values.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import ArgumentError, BudgetError
from refractor.groups import EntryBasis, Group, Irreps, Subgroup, entry_basis, real_irreps, subgroup_classes

OPERATIONS = ("product", "quotient")
MOST_ELEMENTS = 1000  # of a group whose subgroups are searched
MOST_SUBGROUPS = 2000  # of which cosets are compared; S6 has 1,455


@dataclass(frozen=True, eq=False)
class Problem:
    """A group, its irreps, and the right answers.

    Args:
        group: the group.
        operation: "product" (x · y) or "quotient" (x · y⁻¹).
        irreps: all real irreps, the trivial one first.
        basis: orthonormal functions on the group, made of the entries of the irreps.
        answers: the right answer of every pair, `answers[x, y]`.

    """

    group: Group
    operation: str
    irreps: Irreps
    basis: EntryBasis
    answers: Int[Tensor, "x y"]

    def __repr__(self) -> str:
        """Return group and operation."""
        return f"Problem({self.group.name}, {self.operation})"

    @property
    def order(self) -> int:
        """The number n of elements."""
        return self.group.order

    @cached_property
    def partners(self) -> Int[Tensor, "s x"]:
        """The y with which x has the answer w, `partners[w, x]`."""
        return self.answers.argsort(1).T.contiguous()

    @cached_property
    def subgroups(self) -> tuple[tuple[Subgroup, ...], ...]:
        """All subgroups but the trivial one and the group itself, conjugate ones together, largest first.

        None where there are too many.
        """
        if self.order > MOST_ELEMENTS:
            return ()
        try:
            found = subgroup_classes(self.group, MOST_SUBGROUPS)
        except BudgetError:
            return ()
        proper = [each for each in found if 1 < each[0].order < self.order]
        return tuple(sorted(proper, key=lambda each: -each[0].order))

    @property
    def formula(self) -> str:
        """The answer, written."""
        return {"product": "x · y", "quotient": "x · y⁻¹"}[self.operation]


def problem(group: Group, operation: str = "product", irreps: Irreps | None = None) -> Problem:
    """Set up the measures of a group.

    Args:
        group: the group.
        operation: "product" or "quotient".
        irreps: all its real irreps, if they are at hand; computed when left out.

    Raises:
        ArgumentError: the operation has no n classes of n pairs, or the irreps are those of another group.
        BudgetError: the group is too large for its irreps to be computed.

    >>> from refractor.groups import symmetric
    >>> problem(symmetric(3)).partners[0]  # the inverses: their product with x is the identity
    tensor([0, 1, 2, 4, 3, 5])

    """
    check_operation(operation)
    if irreps is None:
        irreps = real_irreps(group)
    elif irreps.group is not group and not torch.equal(irreps.group.table, group.table):
        raise ArgumentError(f"the irreps are those of {irreps.group.name} in another order, not of {group.name}.")
    answers = group.table if operation == "product" else group.table[:, group.inverses]
    return Problem(group, operation, irreps, entry_basis(irreps), answers)


def check_operation(operation: str) -> None:
    """Raise unless the measures are defined for an operation.

    Raises:
        ArgumentError: they are not.

    """
    if operation not in OPERATIONS:
        raise ArgumentError(
            f"operation must be one of {', '.join(OPERATIONS)}; {operation!r} came. For others some answers have more "
            "pairs than others, and the measures of representations are not defined."
        )
