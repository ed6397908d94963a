"""Direct products of groups."""

import math
from functools import reduce

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.elements import Tuples
from refractor.groups.group import Group
from refractor.groups.size import check_order


def direct_product(*groups: Group, name: str | None = None) -> Group:
    """Return G_1 x G_2 x …: tuples, multiplied part by part.

    The tuples are in lexicographic order, the last part running fastest: (x, y) of G x H is element x |H| + y. So the
    Kronecker product of a function on G and one on H is a function on G x H.

    Args:
        *groups: the factors, one or more.
        name: how the product is called, by default the names with " x " between.

    Raises:
        ArgumentError: no group came.
        BudgetError: the table would be too large.

    >>> from refractor.groups import cyclic, symmetric
    >>> group = direct_product(cyclic(2), symmetric(3))
    >>> group, group.labels[7]
    (Group('C2 x S3', order=12), '(1, (1 2))')

    """
    if not groups:
        raise ArgumentError("direct_product needs one group or more; none came.")
    called = name if name is not None else " x ".join(group.name for group in groups)
    orders = [group.order for group in groups]
    n = check_order(called, math.prod(orders))
    places = torch.stack(torch.unravel_index(torch.arange(n), orders), 1)
    table = reduce(_both, (group.table for group in groups))
    units = [group.identity for group in groups]
    generators = [
        _place((*units[:part], generator, *units[part + 1 :]), orders)
        for part, group in enumerate(groups)
        for generator in group.generators
    ]
    return Group(called, table, Tuples(tuple(group.elements for group in groups), places), tuple(generators))


def _both(left: Int[Tensor, "x x"], right: Int[Tensor, "y y"]) -> Int[Tensor, "n n"]:
    """Return the table of the product of two groups."""
    n, m = len(left), len(right)
    return (left[:, None, :, None] * m + right[None, :, None, :]).reshape(n * m, n * m)


def _place(parts: tuple[int, ...], orders: list[int]) -> int:
    """Return the number of a tuple, the last part running fastest."""
    return reduce(lambda place, pair: place * pair[1] + pair[0], zip(parts, orders, strict=True), 0)
