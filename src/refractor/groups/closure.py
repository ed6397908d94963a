"""The multiplication table of permutations or matrices, from products by a few generators only."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def table_from_right_products(right: Int[Tensor, "generator n"], identity: int) -> Int[Tensor, "n n"]:
    """Return the table of a group from `right[g, x] = x · g` for generators g.

    Every element y is a word in the generators: y = y′ · g for a shorter y′. Then x · y = (x · y′) · g, so the column
    of y is a gather of the column of y′: n² table look-ups, and n products for each generator, in place of n² products.

    Args:
        right: products of every element with every generator.
        identity: the identity.

    >>> table_from_right_products(torch.tensor([[1, 2, 0]]), identity=0)
    tensor([[0, 1, 2],
            [1, 2, 0],
            [2, 0, 1]])

    """
    n = right.shape[1]
    columns = torch.empty(n, n, dtype=torch.long)  # columns[y] is the column of y: written and read along its rows
    columns[identity] = torch.arange(n)
    done = torch.zeros(n, dtype=torch.bool)
    done[identity] = True
    frontier = torch.tensor([identity])
    while len(frontier):
        following = [frontier[:0]]
        for products in right:
            reached = products[frontier]
            new = ~done[reached]
            source, target = frontier[new], reached[new]
            columns[target] = products[columns[source]]
            done[target] = True
            following.append(target)
        frontier = torch.cat(following)
    return columns.T.contiguous()


def generated(
    identity: Int[Tensor, "*form"],
    generators: Sequence[Int[Tensor, "*form"]],
    times: Callable[[Tensor, Tensor], Tensor],
    most: int,
) -> Int[Tensor, "n *form"]:
    """Return all products of the generators, the identity first, or as many as show that there are more than `most`.

    Args:
        identity: the identity.
        generators: the generators.
        times: `times(elements, generator)` is the product of every element with a generator.
        most: how many elements may come.

    """
    seen = set(_as_bytes(identity[None]))
    found, frontier = [identity[None]], identity[None]
    while len(frontier) and len(seen) <= most:
        following = [frontier[:0]]
        for generator in generators:
            products = times(frontier, generator)
            new = []
            for place, row in enumerate(_as_bytes(products)):
                if row not in seen:
                    seen.add(row)
                    new.append(place)
            following.append(products[new])
        frontier = torch.cat(following)
        found.append(frontier)
    return torch.cat(found)


def lexicographic(arrays: Int[Tensor, "n *form"]) -> Int[Tensor, " n"]:
    """Return the places of arrays in lexicographic order."""
    columns = arrays.flatten(1).numpy().T
    if len(columns) == 0:  # permutations of no points: the identity alone
        return torch.arange(len(arrays))
    return torch.from_numpy(np.lexsort(columns[::-1]))


def right_products(
    arrays: Int[Tensor, "n *form"], products: Sequence[Int[Tensor, "n *form"]]
) -> Int[Tensor, "generator n"]:
    """Return the index of each product among the elements.

    Args:
        arrays: the elements, all different.
        products: for each generator, the product of every element with it.

    """
    index = {row: place for place, row in enumerate(_as_bytes(arrays))}
    found = [[index[row] for row in _as_bytes(product)] for product in products]
    return torch.tensor(found, dtype=torch.long).reshape(len(products), len(arrays))


def _as_bytes(arrays: Tensor) -> list[bytes]:
    rows = np.ascontiguousarray(arrays.flatten(1).numpy().astype(np.int32))
    return [row.tobytes() for row in rows]
