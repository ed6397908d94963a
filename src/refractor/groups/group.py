"""`Group`: a finite group as its multiplication table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from refractor.base.errors import OutOfRangeError, ShapeError
from refractor.groups.elements import Elements

CANONICAL = "canonical"
"""Name of the element order that a family has by itself; see the functions that make the groups."""


@dataclass(frozen=True, eq=False)
class Group:
    """A finite group of n elements, which are the numbers 0 … n - 1.

    Nothing is checked here: `from_table` checks the axioms of a table that comes from elsewhere.

    Args:
        name: how it is called, e.g. "S5".
        table: `table[x, y]` is the product x · y. Of permutations, x is applied first.
        elements: what the elements are.
        generators: elements that generate the group; none for the trivial group.
        ordering: the name of the order of the elements.

    >>> from refractor.groups import symmetric
    >>> group = symmetric(3)
    >>> group, group.order, group.labels[3], group.inverse(3), group.labels[group.inverse(3)]
    (Group('S3', order=6), 6, '(0 1 2)', 4, '(0 2 1)')

    """

    name: str
    table: Int[Tensor, "n n"]
    elements: Elements
    generators: tuple[int, ...]
    ordering: str = field(default=CANONICAL)

    def __post_init__(self) -> None:
        """Check that table and elements are of one size.

        Raises:
            ShapeError: they are not.

        """
        if self.table.ndim != 2 or self.table.shape[0] != self.table.shape[1] or len(self.elements) != len(self.table):
            raise ShapeError(
                f"a group of {len(self.elements)} elements needs a table [n={len(self.elements)}, "
                f"n={len(self.elements)}]; {list(self.table.shape)} came."
            )

    def __repr__(self) -> str:
        """Return name and order, not the table."""
        ordering = "" if self.ordering == CANONICAL else f", ordering={self.ordering!r}"
        return f"Group({self.name!r}, order={self.order}{ordering})"

    def __len__(self) -> int:
        """Return the number of elements."""
        return self.order

    @property
    def order(self) -> int:
        """The number n of elements."""
        return len(self.table)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """How each element is written."""
        return tuple(self.elements.label(index) for index in range(self.order))

    @cached_property
    def identity(self) -> int:
        """The element e with e · x = x."""
        return int((self.table[:, 0] == 0).nonzero()[0])

    @cached_property
    def inverses(self) -> Int[Tensor, " n"]:
        """The inverse of each element."""
        return (self.table == self.identity).int().argmax(1)

    @cached_property
    def element_orders(self) -> Int[Tensor, " n"]:
        """The least k ≥ 1 with x · … · x (k times) = e, for each element x."""
        every = torch.arange(self.order)
        found, power = torch.ones_like(every), every
        while bool((running := power != self.identity).any()):
            found += running
            power = torch.where(running, self.table[power, every], power)
        return found

    @property
    def exponent(self) -> int:
        """The least k ≥ 1 with x · … · x (k times) = e for all x: the least common multiple of their orders."""
        return math.lcm(*self.element_orders.unique().tolist())

    @cached_property
    def is_abelian(self) -> bool:
        """Whether x · y = y · x for all elements."""
        return bool((self.table == self.table.T).all())

    def product(self, *elements: int) -> int:
        """Return the product of elements, from left to right; the identity for none.

        Raises:
            OutOfRangeError: one is no element.

        """
        result = self.identity
        for element in elements:
            result = int(self.table[result, self.check_element(element)])
        return result

    def inverse(self, element: int) -> int:
        """Return the inverse of an element.

        Raises:
            OutOfRangeError: it is no element.

        """
        return int(self.inverses[self.check_element(element)])

    def conjugate(self, element: int, by: int) -> int:
        """Return `by⁻¹ · element · by`.

        Raises:
            OutOfRangeError: one is no element.

        """
        return self.product(self.inverse(by), element, by)

    def check_element(self, element: int) -> int:
        """Return the element if it is one.

        Raises:
            OutOfRangeError: it is not.

        """
        if isinstance(element, bool) or not isinstance(element, int) or not 0 <= element < self.order:
            raise OutOfRangeError(f"the elements of {self.name} are 0 … {self.order - 1}; {element!r} came.")
        return element

    def mask(self, elements: Sequence[int]) -> Bool[Tensor, " n"]:
        """Return which elements are among `elements`.

        Raises:
            OutOfRangeError: one is no element.

        """
        inside = torch.zeros(self.order, dtype=torch.bool)
        inside[[self.check_element(element) for element in elements]] = True
        return inside
