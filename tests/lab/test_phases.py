"""Phases of training, by their stated rules, on curves of every shape."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab.phases import phases

Curve = Sequence[float | None]


def ends(steps: list[int], excluded: Curve, test: Curve) -> list[int | None]:
    return [phase.end for phase in phases(steps, excluded, test)]


STEPS = [0, 100, 200, 300, 400, 500]
GROKKED_EXCLUDED = [4.7, 0.5, 2.0, 6.0, 9.0, 9.0]
GROKKED_TEST = [4.7, 20.0, 34.0, 12.0, 0.5, 0.001]


def test_a_run_that_grokked() -> None:
    found = phases(STEPS, GROKKED_EXCLUDED, GROKKED_TEST)
    assert [phase.end for phase in found] == [100, 300, 500]
    assert [str(phase) for phase in found] == [
        "memorisation ends at step 100", "circuit formation ends at step 300", "clean-up ends at step 500",
    ]  # fmt: skip
    assert found[1].rule == "test loss at most half its peak, after the peak: 12 after a peak of 34 at step 200"


def test_exactly_half_is_half_and_exactly_a_hundredth_is_not_below() -> None:
    assert ends(STEPS, GROKKED_EXCLUDED, [4.7, 20.0, 34.0, 17.0, 0.01, 0.01]) == [100, 300, None]


@pytest.mark.parametrize(
    ("excluded", "test", "expected"),
    [
        pytest.param(
            [4.7, 3.0, 2.0, 1.0, 0.5, 0.2], [4.7, 6.0, 9.0, 12.0, 15.0, 20.0], [None] * 3, id="only memorised"
        ),
        pytest.param([4.7, 4.7, 4.7, 4.7, 4.7, 4.7], [4.7] * 6, [None] * 3, id="nothing learned"),
        pytest.param([4.7, 4.6, 4.8, 4.7, 4.6, 4.9], [4.7, 4.8, 4.7, 4.6, 4.8, 4.7], [None] * 3, id="noise"),
        pytest.param(
            [4.7, 0.5, 0.6, 0.5, 0.6, 0.7], [4.7, 20.0, 21.0, 22.0, 21.0, 22.0], [None] * 3, id="a dent is no turn"
        ),
        pytest.param(
            [1.0, 2.0, 4.0, 8.0, 8.0, 9.0], [4.7, 20.0, 21.0, 22.0, 21.0, 22.0], [None] * 3, id="minimum at start"
        ),
        pytest.param(GROKKED_EXCLUDED, [4.7, 20.0, 34.0, 30.0, 25.0, 20.0], [100, None, None], id="test loss stays up"),
        pytest.param(GROKKED_EXCLUDED, [4.7, 20.0, 34.0, 12.0, 5.0, 1.0], [100, 300, None], id="no clean-up"),
        pytest.param(GROKKED_EXCLUDED, [4.7, 4.0, 2.0, 1.0, 0.1, 0.001], [100, 200, 500], id="generalised at once"),
        pytest.param(GROKKED_EXCLUDED, [None] * 6, [100, None, None], id="no test pairs"),
        pytest.param(GROKKED_EXCLUDED, [math.nan] * 6, [100, None, None], id="test loss not known"),
        pytest.param([None] * 6, GROKKED_TEST, [None, 300, 500], id="no split known"),
        pytest.param([None, 4.7, 0.5, 2.0, 9.0, 9.0], [math.nan, *GROKKED_TEST[1:]], [200, 300, 500], id="gaps"),
        pytest.param(GROKKED_EXCLUDED, [4.7, 0.005, 34.0, 12.0, 0.5, 0.001], [100, 300, 500], id="low before the peak"),
    ],
)
def test_phases_that_are_not_reached_say_so(
    excluded: list[float | None], test: list[float | None], expected: list[int | None]
) -> None:
    assert ends(STEPS, excluded, test) == expected
    for phase in phases(STEPS, excluded, test):
        assert ("not reached" in str(phase)) == (phase.end is None)
        assert phase.rule


def test_a_single_step_reaches_nothing() -> None:
    assert ends([0], [4.7], [4.7]) == [None, None, None]
    assert ends([7], [0.0], [0.0]) == [None, None, None]
    assert ends([0, 1, 2], [0.0] * 3, [0.0] * 3) == [None, None, None]


values = st.none() | st.floats(0, 50) | st.just(math.nan)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=12))
def test_any_curves_give_ends_that_obey_the_rules(curve: list[tuple[float | None, float | None]]) -> None:
    steps = list(range(0, 10 * len(curve), 10))
    excluded, test = [x for x, _ in curve], [y for _, y in curve]
    memorised, formed, clean = phases(steps, excluded, test)
    known = [(s, y) for s, y in zip(steps, test, strict=True) if y is not None and not math.isnan(y)]
    if memorised.end is not None:
        low = excluded[steps.index(memorised.end)]
        assert low == min(x for x in excluded if x is not None and not math.isnan(x))
        assert memorised.end != steps[-1]
    if formed.end is not None:
        assert dict(known)[formed.end] <= max(y for _, y in known) / 2
    if clean.end is not None:
        assert formed.end is not None
        assert clean.end >= formed.end
        assert dict(known)[clean.end] < 0.01


def test_bad_curves_are_named() -> None:
    with pytest.raises(ShapeError, match="2 steps, 1 excluded losses and 2 test losses came"):
        phases([0, 1], [1.0], [1.0, 2.0])
    with pytest.raises(ArgumentError, match="steps must be at least one and increase"):
        phases([], [], [])
    with pytest.raises(ArgumentError, match="steps must be at least one and increase"):
        phases([0, 2, 2], [1.0] * 3, [1.0] * 3)
