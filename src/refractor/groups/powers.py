"""Powers of elements: doublings, and one generator for each cyclic subgroup."""

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.groups.group import Group
from refractor.groups.integers import prime_factors


def doublings(group: Group, element: int) -> list[int]:
    """Return x, x², x⁴, x⁸, …: every power of x is a product of some of these.

    >>> from refractor.groups import cyclic
    >>> doublings(cyclic(9), 1)
    [1, 2, 4, 8]

    """
    found, longest = [element], int(group.element_orders[element])
    while 2 ** len(found) < longest:
        found.append(int(group.table[found[-1], found[-1]]))
    return found


def cyclic_generators(group: Group) -> Int[Tensor, " n"]:
    """Return for each x the least y that generates the same cyclic subgroup.

    >>> from refractor.groups import cyclic
    >>> cyclic_generators(cyclic(6)).tolist()
    [0, 1, 2, 3, 2, 1]

    """
    every, orders = torch.arange(group.order), group.element_orders
    least, power = every, every
    for exponent in range(2, int(orders.max())):
        power = group.table[power, every]
        coprime = torch.gcd(torch.tensor(exponent), orders) == 1
        least = torch.where(coprime, torch.minimum(least, power), least)
    return least


def prime_power_cyclic(group: Group) -> Int[Tensor, " at"]:
    """Return the least generator of each cyclic subgroup whose order is a power of a prime, the trivial one left out.

    >>> from refractor.groups import cyclic
    >>> prime_power_cyclic(cyclic(12)).tolist()
    [3, 4, 6]

    """
    orders = group.element_orders
    powers = torch.tensor([len(prime_factors(order)) == 1 for order in range(1, int(orders.max()) + 1)])
    return ((cyclic_generators(group) == torch.arange(group.order)) & powers[orders - 1]).nonzero().flatten()
