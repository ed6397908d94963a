"""What every group must satisfy, whoever made it. Each check raises AssertionError with what is wrong."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from refractor.groups import Group
from refractor.groups.elements import Elements, Matrices, Names, Permutations, Tuples


def check_axioms(group: Group) -> None:
    """Closed, identity, inverses, and associativity for all triples."""
    n, table = group.order, group.table
    every = torch.arange(n)
    assert (table.dtype, list(table.shape)) == (torch.long, [n, n]), "a table [n, n] of torch.long"
    assert bool(((table >= 0) & (table < n)).all()), "closed"
    assert torch.equal(table[group.identity], every), "identity on the left"
    assert torch.equal(table[:, group.identity], every), "identity on the right"
    assert bool((table[every, group.inverses] == group.identity).all()), "inverses on the right"
    assert bool((table[group.inverses, every] == group.identity).all()), "inverses on the left"
    places = table.numpy()
    small = places.astype(np.uint8 if n <= 256 else np.int16)  # few bytes to move
    assert np.array_equal(small[places], np.take(small, places, axis=1)), "associative"  # (x y) z against x (y z)


def check_generators(group: Group) -> None:
    """The generators generate, by products written in Python."""
    assert group.identity not in group.generators
    assert len(set(group.generators)) == len(group.generators)
    rows = group.table.tolist()
    reached, waiting = {group.identity}, [group.identity]
    while waiting:
        x = waiting.pop()
        for generator in group.generators:
            if rows[x][generator] not in reached:
                reached.add(rows[x][generator])
                waiting.append(rows[x][generator])
    assert len(reached) == group.order, "generators"


def check_elements(group: Group) -> None:
    """The elements multiply as the table says, are all different, and so are their labels."""
    assert len(group.elements) == group.order == len(set(group.labels)), "labels differ"
    assert bool(_products_agree(group.elements, group.table)), "products of elements"


def _products_agree(elements: Elements, table: Tensor) -> bool:
    if isinstance(elements, Permutations):
        arrays = elements.arrays
        products = torch.stack([arrays[:, row] for row in arrays])  # [x, y, k] is y[x[k]]
        return torch.equal(products, arrays[table])
    if isinstance(elements, Matrices):
        products = elements.values[:, None] @ elements.values % elements.modulus
        return torch.equal(products, elements.values[table])
    if isinstance(elements, Tuples):
        return len(elements.places.unique(dim=0)) == len(elements)
    return isinstance(elements, Names)


def check_orders(group: Group) -> None:
    """Orders of elements: by powers written in Python; they divide the order of the group (Lagrange)."""
    rows = group.table.tolist()
    for x, order in enumerate(group.element_orders.tolist()):
        power, count = x, 1
        while power != group.identity:
            power, count = rows[power][x], count + 1
        assert count == order, f"order of {x}"
        assert group.order % order == 0, f"order of {x} divides"
    assert group.exponent == _lcm(group.element_orders.tolist())


def _lcm(numbers: list[int]) -> int:
    result = 1
    for number in numbers:
        multiple = result
        while multiple % number:
            multiple += result
        result = multiple
    return result


LAWS: dict[str, Callable[[Group], None]] = {
    "axioms": check_axioms,
    "generators": check_generators,
    "elements": check_elements,
    "orders": check_orders,
}
