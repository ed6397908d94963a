"""The contract for chains that nobody thought of: number of factors, widths, leading axes, groups, dtypes and ranks drawn."""

from dataclasses import dataclass

import chain_laws
import chains
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from refractor.linalg import FactoredMatrix, Grouped

SIZES = st.integers(1, 7)
DTYPES = st.sampled_from([torch.float64, torch.float64, torch.float32, torch.complex128, torch.bfloat16])


@dataclass(frozen=True)
class Drawn:
    """What one factor is to be: sizes stored, a group map for the last leading axis, columns of zeros."""

    sizes: tuple[int, ...]
    index: tuple[int, ...] | None
    with_zeros: bool
    seed: int
    dtype: torch.dtype

    def make(self) -> Tensor | Grouped:
        tensor = chains.draw(*self.sizes, dtype=self.dtype, seed=self.seed)
        if self.with_zeros:
            tensor = tensor * (torch.arange(tensor.shape[-1]) % 2)
        return tensor if self.index is None else Grouped(tensor, self.index)


@st.composite
def factors(draw: st.DrawFn, square: bool) -> tuple[Drawn, ...]:
    """Draw a chain; leading axes are full, shared or grouped for each factor by itself."""
    count = draw(st.integers(2, 5))
    widths = [draw(SIZES) for _ in range(count + 1)]
    if square:
        widths[-1] = widths[0]
    dtype, seed = draw(DTYPES), draw(st.integers(0, 10_000))
    leading = draw(st.lists(st.integers(1, 4), max_size=2))
    drawn = []
    for place in range(count):
        sizes, index = [size if draw(st.booleans()) else 1 for size in leading], None
        if leading and leading[-1] > 1 and draw(st.integers(0, 3)) == 0:
            sizes[-1] = draw(st.integers(1, leading[-1]))
            entry = st.integers(0, sizes[-1] - 1)
            index = tuple(draw(st.lists(entry, min_size=leading[-1], max_size=leading[-1])))
        shape = (*sizes, widths[place], widths[place + 1])
        drawn.append(Drawn(shape, index, draw(st.integers(0, 5)) == 0, seed + place, dtype))
    return tuple(drawn)


def hold(drawn: tuple[Drawn, ...], laws: dict[str, chain_laws.Law]) -> None:
    parts = tuple(each.make() for each in drawn)
    first, second, *more = parts
    matrix, dense = FactoredMatrix(first, second, *more), chains.multiplied(parts)
    assert matrix.shape == dense.shape
    for law in laws.values():
        law(matrix, dense)


@settings(max_examples=12)
@given(factors(square=False))
def test_any_chain(drawn: tuple[Drawn, ...]) -> None:
    hold(drawn, chain_laws.ANY)


@given(factors(square=True))
def test_any_square_chain(drawn: tuple[Drawn, ...]) -> None:
    hold(drawn, chain_laws.SQUARE_ONLY)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@settings(max_examples=300)
@given(factors(square=False))
def test_many_chains(drawn: tuple[Drawn, ...]) -> None:
    hold(drawn, chain_laws.ANY)
