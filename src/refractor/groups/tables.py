"""A group from any multiplication table, which is checked against the axioms; elements numbered anew."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups.elements import Names
from refractor.groups.group import Group
from refractor.groups.size import check_order

RELABELLED = "relabelled"


def from_table(
    table: Tensor | NDArray[np.integer] | Sequence[Sequence[int]],
    names: Sequence[str] | None = None,
    name: str = "group of a table",
) -> Group:
    """Return the group with a multiplication table, after checking that it is one.

    Closed, an identity, inverses, and (x · y) · z = x · (y · z) for all x, y, z. The last is checked exactly and with
    n² products for each y of a generating set (Light's test, in Clifford and Preston 1961): the y that satisfy it for
    all x and z are closed under the product.

    Args:
        table: `table[x, y]` is x · y, n by n integers from 0 to n - 1.
        names: how the elements are written, by default by their numbers.
        name: how the group is called.

    Raises:
        ShapeError: the table is not square or not of integers.
        ArgumentError: it is no group; the message names the element or the triple (x, y, z) that fails.
        BudgetError: the table is larger than allowed.

    >>> from_table([[0, 1], [1, 0]], names=["even", "odd"])
    Group('group of a table', order=2)
    >>> from_table([[0, 1, 2], [1, 0, 2], [2, 2, 0]])
    Traceback (most recent call last):
    refractor.base.errors.ArgumentError: the table is no group: (x · y) · z is not x · (y · z) for ...

    """
    given = _square(table)
    check_order(name, len(given))
    numbers = given.long().contiguous()
    labels = _labels(names, len(numbers))
    _check_closed(numbers)
    identity = _find_identity(numbers, labels)
    _check_inverses(numbers, identity, labels)
    return Group(name, numbers, Names(labels), _check_associative(numbers, identity, labels))


def relabelled(group: Group, order: Int[Tensor, " n"] | Sequence[int], ordering: str = RELABELLED) -> Group:
    """Return the same group with its elements in another order.

    Args:
        group: the group.
        order: every element once: element i of the result is element `order[i]` of the group.
        ordering: the name of the new order.

    Raises:
        ArgumentError: an element is missing or comes twice.

    >>> from refractor.groups import cyclic
    >>> relabelled(cyclic(3), [1, 0, 2]).table.tolist()
    [[2, 0, 1], [0, 1, 2], [1, 2, 0]]

    """
    places = torch.as_tensor(order)
    if places.shape != (group.order,) or not torch.equal(places.sort().values, torch.arange(group.order)):
        raise ArgumentError(
            f"relabelled needs each of the elements 0 … {group.order - 1} of {group.name} once; "
            f"{len(places)} numbers came, {len(places.unique())} of them different."
        )
    new = torch.empty_like(places)
    new[places] = torch.arange(group.order)
    table = new[group.table[places[:, None], places]]
    generators = tuple(int(new[generator]) for generator in group.generators)
    return Group(group.name, table, group.elements.take(places), generators, ordering)


def _square(table: Tensor | NDArray[np.integer] | Sequence[Sequence[int]]) -> Shaped[Tensor, "n n"]:
    """Return a table as a tensor, if it is square and of integers."""
    if not isinstance(table, Tensor | np.ndarray):
        strange = [entry for row in table for entry in row if isinstance(entry, bool) or not isinstance(entry, int)]
        if strange:
            raise ShapeError(f"a multiplication table must have integers as entries; {strange[0]!r} came.")
        lengths = {len(row) for row in table}
        if lengths != {len(table)}:
            raise ShapeError(
                f"a multiplication table must be square; {len(table)} rows of {sorted(lengths)} entries came."
            )
    numbers = torch.as_tensor(table).cpu()
    if numbers.ndim != 2 or numbers.shape[0] != numbers.shape[1] or not len(numbers):
        raise ShapeError(f"a multiplication table must be square, [n, n] with n ≥ 1; {list(numbers.shape)} came.")
    if numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
        raise ShapeError(f"a multiplication table must have integers as entries; dtype {numbers.dtype} came.")
    return numbers


def _labels(names: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Return the names of the elements, all different."""
    if names is None:
        return tuple(str(element) for element in range(n))
    if len(names) != n or len(set(names)) != n:
        raise ArgumentError(
            f"names must be {n} different ones, one for each element; {len(names)} came, {len(set(names))} of them "
            "different."
        )
    return tuple(names)


def _say(element: int, labels: Sequence[str]) -> str:
    """Write an element, with its name where it has one."""
    return str(element) if labels[element] == str(element) else f"{element} ({labels[element]})"


def _check_closed(table: Int[Tensor, "n n"]) -> None:
    n = len(table)
    outside = ((table < 0) | (table >= n)).nonzero()
    if len(outside):
        x, y = outside[0].tolist()
        raise ArgumentError(
            f"the table is no group: products must be elements 0 … {n - 1}; x · y = {int(table[x, y])} for "
            f"(x, y) = ({x}, {y})."
        )


def _find_identity(table: Int[Tensor, "n n"], labels: Sequence[str]) -> int:
    every = torch.arange(len(table))
    left, right = (table == every), (table == every[:, None])
    whole = (left.all(1) & right.all(0)).nonzero().flatten()
    if len(whole) == 0:
        fits = left.sum(1) + right.sum(0)
        e = int(fits.argmax())
        x = int((~(left[e] & right[:, e])).nonzero()[0])
        raise ArgumentError(
            f"the table is no group: no element e has e · x = x · e = x for all x. The nearest is {_say(e, labels)}, "
            f"but for x = {_say(x, labels)}: e · x = {_say(int(table[e, x]), labels)}, "
            f"x · e = {_say(int(table[x, e]), labels)}."
        )
    return int(whole[0])


def _check_inverses(table: Int[Tensor, "n n"], identity: int, labels: Sequence[str]) -> None:
    hits = table == identity
    lonely = (~(hits & hits.T).any(1)).nonzero().flatten()
    if len(lonely):
        x = int(lonely[0])
        raise ArgumentError(
            f"the table is no group: x = {_say(x, labels)} has no inverse, no y with x · y = y · x = e, "
            f"e = {_say(identity, labels)}."
        )


def _check_associative(table: Int[Tensor, "n n"], identity: int, labels: Sequence[str]) -> tuple[int, ...]:
    """Return generators, after Light's test for each of them."""
    inside = torch.zeros(len(table), dtype=torch.bool)
    inside[identity] = True
    generators: list[int] = []
    while not bool(inside.all()):
        y = int((~inside).nonzero()[0])
        wrong = table[table[:, y]] != table[:, table[y]]  # [x, z]: (x · y) · z against x · (y · z)
        if bool(wrong.any()):
            x, z = wrong.nonzero()[0].tolist()
            left, right = int(table[table[x, y], z]), int(table[x, table[y, z]])
            raise ArgumentError(
                f"the table is no group: (x · y) · z is not x · (y · z) for (x, y, z) = ({_say(x, labels)}, "
                f"{_say(y, labels)}, {_say(z, labels)}): {_say(left, labels)} and {_say(right, labels)}."
            )
        generators.append(y)
        inside = _reached(table, generators, inside)
    return tuple(generators)


def _reached(table: Int[Tensor, "n n"], generators: list[int], inside: Tensor) -> Tensor:
    """Return the products ((e · g) · g′) · … of generators."""
    inside = inside.clone()
    frontier = inside.nonzero().flatten()
    while len(frontier):
        products = table[frontier][:, generators].flatten()
        frontier = products[~inside[products]].unique()
        inside[frontier] = True
    return inside
