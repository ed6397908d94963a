"""Young's orthogonal form (1931): matrices of adjacent transpositions on the standard tableaux of a shape.

A tableau of n boxes holds 0 … n - 1, growing along rows and down columns. The content of a box is column minus row.
With r = content of i + 1 minus content of i in the tableau t, the transposition of i and i + 1 does

    s_i t = t / r + sqrt(1 - 1 / r²) t′,       t′ = t with i and i + 1 exchanged

(where r = ±1 there is no such tableau, and the root is 0). The matrices are symmetric and orthogonal. The shape (n) is
trivial, (1, …, 1) the sign, (n - 1, 1) the standard representation.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.groups.cycles import signature

Partition = tuple[int, ...]
Tableau = tuple[int, ...]


def partitions(n: int, most: int | None = None) -> list[Partition]:
    """Return the partitions of n into falling parts, largest first part first.

    Args:
        n: the number.
        most: the largest part allowed; by default n.

    >>> partitions(4)
    [(4,), (3, 1), (2, 2), (2, 1, 1), (1, 1, 1, 1)]

    """
    if n == 0:
        return [()]
    return [(part, *rest) for part in range(min(n, most or n), 0, -1) for rest in partitions(n - part, part)]


def conjugate_partition(shape: Partition) -> Partition:
    """Return the shape with rows and columns exchanged.

    >>> conjugate_partition((3, 1))
    (2, 1, 1)

    """
    return tuple(sum(part > column for part in shape) for column in range(shape[0] if shape else 0))


def write_partition(shape: Partition) -> str:
    """Write a partition as irreps are called by it.

    >>> write_partition((4, 2)), write_partition((3,))
    ('(4,2)', '(3)')

    """
    return "(" + ",".join(map(str, shape)) + ")"


def tableaux(shape: Partition) -> list[Tableau]:
    """Return the standard tableaux of a shape, each as the row of 0, 1, …, n - 1.

    >>> tableaux((2, 1))
    [(0, 0, 1), (0, 1, 0)]

    """
    words: list[tuple[Tableau, Partition]] = [((), (0,) * len(shape))]
    for _ in range(sum(shape)):
        words = [
            ((*word, row), (*filled[:row], filled[row] + 1, *filled[row + 1 :]))
            for word, filled in words
            for row in range(len(shape))
            if filled[row] < (shape[row] if row == 0 else min(shape[row], filled[row - 1]))
        ]
    return [word for word, _ in words]


def transposition_matrices(shape: Partition) -> list[Float[Tensor, "dim dim"]]:
    """Return the matrix of each adjacent transposition (0 1), (1 2), … in Young's orthogonal form.

    Args:
        shape: a partition of n.

    >>> [matrix.tolist() for matrix in transposition_matrices((1, 1, 1))]
    [[[-1.0]], [[-1.0]]]

    """
    words = tableaux(shape)
    place = {word: index for index, word in enumerate(words)}
    contents = [_contents(word) for word in words]
    found = []
    for i in range(sum(shape) - 1):
        matrix = torch.zeros(len(words), len(words), dtype=torch.float64)
        for index, word in enumerate(words):
            r = contents[index][i + 1] - contents[index][i]
            matrix[index, index] = 1 / r
            if abs(r) > 1:
                swapped = (*word[:i], word[i + 1], word[i], *word[i + 2 :])
                matrix[place[swapped], index] = (1 - 1 / r**2) ** 0.5
        found.append(matrix)
    return found


def halves(shape: Partition) -> list[Float[Tensor, "dim half"]]:
    """Return bases of what a self-conjugate shape splits into under even permutations.

    T t = sgn(t) t*, t* the tableau with rows and columns exchanged and sgn(t) the sign of its reading word, takes ρ(x)
    to sgn(x) ρ(x), so it commutes with even permutations. T is symmetric or skew. If symmetric, its eigenspaces ±1 are
    two inequivalent representations of real type. If skew, T² = -1: one representation of complex type, whose basis
    t_1, …, T t_1, … shows it.

    Args:
        shape: a partition that equals its conjugate.

    Returns:
        Two bases of half the dimension, or one of the full dimension.

    >>> [basis.shape[1] for basis in halves((3, 1, 1))], [basis.shape[1] for basis in halves((2, 2))]
    ([3, 3], [2])

    """
    words = tableaux(shape)
    place = {word: index for index, word in enumerate(words)}
    exchange = torch.zeros(len(words), len(words), dtype=torch.float64)
    for index, word in enumerate(words):
        exchange[place[_transposed(word)], index] = _reading_sign(word)
    firsts = [index for index, word in enumerate(words) if index < place[_transposed(word)]]
    starts = torch.eye(len(words), dtype=torch.float64)[:, firsts]
    partners = exchange @ starts
    if bool((exchange == exchange.T).all()):
        return [(starts + partners) / 2**0.5, (starts - partners) / 2**0.5]
    return [torch.cat([starts, partners], 1)]


def _columns(word: Tableau) -> list[int]:
    return [word[:k].count(row) for k, row in enumerate(word)]


def _contents(word: Tableau) -> list[int]:
    return [column - row for column, row in zip(_columns(word), word, strict=True)]


def _transposed(word: Tableau) -> Tableau:
    return tuple(_columns(word))


def _reading_sign(word: Tableau) -> int:
    """Return the sign of the entries read row by row, as a permutation."""
    return signature(sorted(range(len(word)), key=lambda k: (word[k], k)))
