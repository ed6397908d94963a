"""A registry of chains to ask questions of: shapes, leading axes, dtypes, ranks, and what is degenerate about them."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from refractor.linalg import FactoredMatrix, Grouped

Parts = tuple[Tensor | Grouped, ...]


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1000 * len(shape) + sum(shape))
    wide = torch.complex128 if dtype.is_complex else torch.float64
    return torch.randn(*shape, generator=generator, dtype=wide).to(dtype)


def orthonormal(rows: int, cols: int) -> Tensor:
    return torch.linalg.qr(draw(rows, cols))[0]


def deficient(rows: int, cols: int, rank: int) -> Tensor:
    return draw(rows, rank) @ draw(rank, cols, seed=1)


SQUARE: dict[str, Callable[[], Parts]] = {
    "two factors": lambda: (draw(7, 3), draw(3, 7)),
    "two factors, float32": lambda: (draw(9, 4, dtype=torch.float32), draw(4, 9, dtype=torch.float32)),
    "three factors": lambda: (draw(6, 5), draw(5, 4), draw(4, 6)),
    "four factors, shared ends": lambda: (draw(11, 5), draw(2, 3, 5, 2), draw(2, 3, 2, 5), draw(5, 11)),
    "five factors": lambda: (draw(8, 5), draw(3, 5, 4), draw(4, 3), draw(3, 3, 6), draw(6, 8)),
    "leading axes that broadcast": lambda: (draw(2, 1, 6, 3), draw(1, 4, 3, 5), draw(5, 6)),
    "equal groups": lambda: (Grouped(draw(3, 6, 2), [0, 0, 1, 1, 2, 2]), draw(6, 2, 6)),
    "equal groups on the right": lambda: (draw(2, 6, 6, 2), Grouped(draw(2, 3, 2, 6), [0, 0, 1, 1, 2, 2])),
    "uneven groups": lambda: (Grouped(draw(3, 6, 2), [1, 0, 0, 2, 1]), draw(5, 2, 6)),
    "groups on both sides": lambda: (Grouped(draw(2, 6, 2), [0, 0, 1, 1]), Grouped(draw(2, 2, 6), [0, 1, 1, 1])),
    "groups alone": lambda: (Grouped(draw(2, 6, 3), [0, 0, 0, 1]), draw(3, 6)),
    "wider inside than outside": lambda: (draw(3, 9), draw(9, 3)),
    "one by one": lambda: (draw(1, 4), draw(4, 1)),
    "inner width 1": lambda: (draw(2, 5, 1), draw(2, 1, 5)),
    "rank deficient factors": lambda: (deficient(7, 4, 2), draw(4, 7)),
    "zero": lambda: (torch.zeros(5, 3, dtype=torch.float64), draw(3, 5)),
    "zero among others": lambda: (draw(3, 5, 2) * torch.tensor([1.0, 0.0, 1.0])[:, None, None].double(), draw(2, 5)),
    "equal singular values": lambda: (orthonormal(6, 3), 2 * orthonormal(6, 3).mT),
    "identity": lambda: (torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)),
    "nilpotent": lambda: (torch.eye(4, dtype=torch.float64)[:, :3], torch.eye(4, dtype=torch.float64)[1:]),
    "no leading entries": lambda: (draw(0, 4, 2), draw(2, 4)),
    "complex": lambda: (draw(6, 3, dtype=torch.complex128), draw(3, 6, dtype=torch.complex128)),
    "complex stack": lambda: (
        draw(5, 4, dtype=torch.complex128),
        draw(2, 4, 2, dtype=torch.complex128),
        draw(2, 5, dtype=torch.complex128),
    ),
    "complex64": lambda: (draw(6, 3, dtype=torch.complex64), draw(3, 6, dtype=torch.complex64)),
    "bfloat16": lambda: (draw(3, 8, 4, dtype=torch.bfloat16), draw(4, 8, dtype=torch.bfloat16)),
    "float16": lambda: (
        draw(8, 4, dtype=torch.float16),
        draw(4, 5, dtype=torch.float16),
        draw(5, 8, dtype=torch.float16),
    ),
    "a long sum": lambda: (draw(5, 9000, dtype=torch.float32), draw(9000, 5, dtype=torch.float32)),
}
"""Square matrices, which can be asked for eigenvalues."""

OTHER: dict[str, Callable[[], Parts]] = {
    "tall": lambda: (draw(9, 3), draw(3, 4)),
    "wide": lambda: (draw(3, 6), draw(6, 4), draw(4, 10)),
    "tall enough for blocks": lambda: (draw(200, 4), draw(2, 4, 3), draw(3, 7)),
    "narrowest on the left": lambda: (draw(2, 6), draw(3, 6, 5), draw(5, 9)),
    "narrowest on the right": lambda: (draw(9, 6), draw(3, 6, 5), draw(5, 2)),
    "one row": lambda: (draw(2, 1, 4), draw(4, 6)),
    "one column": lambda: (draw(6, 4), draw(2, 4, 1)),
    "wider inside, stack": lambda: (draw(3, 2, 8), draw(8, 5)),
    "groups in a long chain": lambda: (
        draw(10, 6),
        Grouped(draw(2, 2, 6, 3), [0, 0, 0, 1, 1, 1]),
        draw(2, 6, 3, 6),
        draw(6, 8),
    ),
    "seven leading axes": lambda: (draw(1, 2, 1, 1, 2, 1, 2, 3, 2), draw(2, 1, 1, 1, 1, 3, 1, 2, 4)),
}

CASES = {**SQUARE, **OTHER}


def build(name: str) -> FactoredMatrix:
    first, second, *more = CASES[name]()
    return FactoredMatrix(first, second, *more)


def plain(part: Tensor | Grouped) -> Tensor:
    """Return what a part stands for, in float64, groups repeated."""
    if isinstance(part, Grouped):
        part = part.tensor.index_select(part.axis, torch.tensor(part.index))
    return part.to(torch.complex128 if part.is_complex() else torch.float64)


def multiplied(parts: Parts) -> Tensor:
    """Return the product, formed in float64 the plain way."""
    product = plain(parts[0])
    for part in parts[1:]:
        product = product @ plain(part)
    return product


def thinned(cases: Iterable[str]) -> list[Any]:
    """Return all cases, every second one only for the slow run."""
    marks = (), pytest.mark.slow
    return [pytest.param(case, marks=marks[place % 2]) for place, case in enumerate(cases)]
