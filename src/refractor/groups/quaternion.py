"""Dicyclic groups, the quaternion group among them."""

import torch

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError
from refractor.groups.elements import Names
from refractor.groups.group import Group
from refractor.groups.size import check_order

QUATERNIONS = ("1", "i", "-1", "-i", "j", "k", "-j", "-k")


def dicyclic(n: int) -> Group:
    """Return Dic_n of 4n elements: a^2n = 1, x² = a^n, x⁻¹ a x = a⁻¹.

    Element k + 2n s stands for a^k x^s, so (k, s)(k′, s′) = (k + (-1)^s k′ + n s s′, s + s′).

    Args:
        n: a quarter of the order. Dic_1 is C_4, Dic_2 the quaternion group.

    Raises:
        ArgumentError: n is below 1.
        BudgetError: the table would be too large.

    >>> dicyclic(3).labels[7], dicyclic(3).element_orders.tolist()
    ('a1 x', [1, 6, 3, 2, 3, 6, 4, 4, 4, 4, 4, 4])

    """
    element = torch.arange(check_order(f"Dic{n}", 4 * check_int("n", n, least=1)))
    power, other = element % (2 * n), element // (2 * n)
    turned = power[:, None] + torch.where(other[:, None] == 1, -power, power) + n * other[:, None] * other
    names = tuple(f"a{k}" for k in range(2 * n)) + tuple(f"a{k} x" for k in range(2 * n))
    return Group(f"Dic{n}", turned % (2 * n) + 2 * n * ((other[:, None] + other) % 2), Names(names), (1, 2 * n))


def quaternion(order: int = 8) -> Group:
    """Return the (generalised) quaternion group of 8, 16, 32, … elements: Dic_n of order 4n, n a power of 2.

    That of order 8 has the elements 1, i, -1, -i, j, k, -j, -k, in this order.

    Raises:
        ArgumentError: the order is no power of 2 from 8 on.
        BudgetError: the table would be too large.

    >>> group = quaternion()
    >>> group.labels[group.product(group.labels.index("i"), group.labels.index("j"))]
    'k'

    """
    if check_int("order", order, least=8) & (order - 1):
        near = f" dicyclic({order // 4}) has {order} elements." if order % 4 == 0 else ""
        raise ArgumentError(f"a quaternion group has 8, 16, 32, … elements, a power of 2; {order} came.{near}")
    group = dicyclic(order // 4)
    return Group(f"Q{order}", group.table, Names(QUATERNIONS) if order == 8 else group.elements, group.generators)
