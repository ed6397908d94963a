"""Loss and credit of rows, by every way that they are computed: powers of the odds, direct sums, row by row."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.lab import row_scores
from refractor.lab.row_scores import kept_part, removed_part

seeds = st.integers(0, 2**32)
scales = st.sampled_from([1e-6, 0.1, 3.0, 40.0, 300.0, 1e5])
laws = settings(max_examples=60)

Case = tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, float, float, bool]:
    return draw(seeds), draw(scales), draw(scales), draw(st.booleans())


def made(case: tuple[int, float, float, bool]) -> Case:
    """Logits of 4 classes with 3 members and 5 outputs, and three parts to take away; whole numbers tie often."""
    seed, scale, taken_scale, whole = case
    generator = torch.Generator().manual_seed(seed)
    values = scale * torch.randn(4, 3, 5, dtype=torch.float64, generator=generator)
    taken = taken_scale * torch.randn(3, 4, 5, dtype=torch.float64, generator=generator)
    if whole:
        values = scale * torch.randint(0, 3, (4, 3, 5), generator=generator).double()
        taken = scale * torch.randint(0, 2, (3, 4, 5), generator=generator).double()
    return values, torch.randint(5, (4,), generator=generator), taken, float(values.abs().max() + taken.abs().max())


def by_rows(values: torch.Tensor, right: int, largest: float) -> tuple[float, float]:
    """One row: minus the logarithm of the odds; 1/m for one of m that share the highest logit to rounding."""
    loss = float(values.logsumexp(0) - values[right])
    best = [c for c in range(len(values)) if float(values[c]) >= float(values.max()) - row_scores.TIE * largest]
    return loss, 1 / len(best) if right in best else 0.0


def check_removed(case: tuple[int, float, float, bool]) -> None:
    values, right, taken, largest = made(case)
    losses, credit = removed_part(values, right, taken, largest)
    for place in range(3):
        for s in range(4):
            for a in range(3):
                loss, hit = by_rows(values[s, a] - taken[place, s], int(right[s]), largest)
                assert float(losses[place, s, a]) == pytest.approx(loss, rel=1e-9, abs=1e-10 * max(1.0, largest / 100))
                assert float(credit[place, s, a]) == pytest.approx(hit)


@laws
@given(cases())
def test_what_is_left(case: tuple[int, float, float, bool]) -> None:
    check_removed(case)


@pytest.mark.parametrize(("name", "value"), [("SAFE_RANGE", 0.0), ("SLACK", 0.6)])
def test_what_is_left_by_the_slower_ways(name: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges that count as too wide are computed directly; rows that are not settled are looked at."""
    monkeypatch.setattr(row_scores, name, value)
    for seed in range(12):
        check_removed((seed, 3.0, 3.0, seed % 2 == 0))


@laws
@given(cases())
def test_what_is_kept(case: tuple[int, float, float, bool]) -> None:
    values, right, _, largest = made(case)
    logits = values.permute(1, 0, 2).contiguous()  # a set for each member
    losses, credit = kept_part(logits, right, largest)
    for place in range(3):
        for s in range(4):
            loss, hit = by_rows(logits[place, s], int(right[s]), largest)
            assert float(losses[place, s]) == pytest.approx(loss, rel=1e-9, abs=1e-10 * max(1.0, largest / 100))
            assert float(credit[place, s]) == pytest.approx(hit)


def test_no_sets_no_scores() -> None:
    values, right, taken, largest = made((0, 1.0, 1.0, False))
    losses, credit = removed_part(values, right, taken[:0], largest)
    assert losses.shape == credit.shape == (0, 4, 3)
