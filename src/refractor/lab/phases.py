"""Three phases of training, by stated rules on curves, each of which may be 'not reached'.

After Nanda et al. (2023): memorisation, circuit formation, clean-up. The rules are fixed here so that anybody's curves
give the same answer:

- memorisation ends at the minimum of the excluded loss on train pairs, if the curve turns there: it has come down below
  half its first value, and rises afterwards above twice the minimum. Smaller dents are noise, and at the last step the
  loss may still be falling;
- circuit formation ends at the first step after the peak of the test loss at which it is at most half the peak;
- clean-up ends at the first step, from there on, at which the test loss is below 0.01.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from refractor.base.errors import ArgumentError, ShapeError

CLEAN = 0.01
TURN = 2.0  # factor by which a curve must fall and rise again for its minimum to be a turn and no dent
NOT_REACHED = "not reached"
NAMES = ("memorisation", "circuit formation", "clean-up")


@dataclass(frozen=True)
class Phase:
    """One phase and the step at which it ends.

    Args:
        name: "memorisation", "circuit formation" or "clean-up".
        end: the step; None when it was not reached.
        rule: the rule and what came of it, in words.

    """

    name: str
    end: int | None
    rule: str

    def __str__(self) -> str:
        """Return e.g. `memorisation ends at step 1400` or `clean-up: not reached`."""
        return f"{self.name}: {NOT_REACHED}" if self.end is None else f"{self.name} ends at step {self.end}"


def phases(
    steps: Sequence[int], excluded_train: Sequence[float | None], test_loss: Sequence[float | None]
) -> tuple[Phase, Phase, Phase]:
    """Find where the three phases end.

    Args:
        steps: increasing optimiser steps.
        excluded_train: excluded loss on train pairs at each step, with one and the same frequency set. None or NaN
            where it is not known.
        test_loss: loss on held-out pairs at each step; None or NaN where there are none.

    Returns:
        Memorisation, circuit formation, clean-up.

    Raises:
        ShapeError: the curves have different lengths.
        ArgumentError: there is no step, or the steps do not increase.

    >>> [str(phase) for phase in phases([0, 10, 20, 30, 40], [4.7, 1.0, 3.0, 8.0, 9.0], [4.7, 20.0, 15.0, 5.0, 0.001])]
    ['memorisation ends at step 10', 'circuit formation ends at step 30', 'clean-up ends at step 40']

    """
    if not len(steps) == len(excluded_train) == len(test_loss):
        raise ShapeError(
            f"the curves must have one value for each step; {len(steps)} steps, {len(excluded_train)} excluded losses "
            f"and {len(test_loss)} test losses came."
        )
    if not steps or any(later <= earlier for earlier, later in pairwise(steps)):
        raise ArgumentError("steps must be at least one and increase.")
    memorised = _memorisation(_known(steps, excluded_train))
    formed = _circuit(_known(steps, test_loss))
    return memorised, formed, _cleanup(_known(steps, test_loss), formed)


def _known(steps: Sequence[int], values: Sequence[float | None]) -> list[tuple[int, float]]:
    pairs = zip(steps, values, strict=True)
    return [(int(step), float(value)) for step, value in pairs if value is not None and not math.isnan(value)]


def _memorisation(curve: list[tuple[int, float]]) -> Phase:
    rule = "minimum of the excluded loss on train pairs"
    if not curve:
        return Phase(NAMES[0], None, f"{rule}: no such loss is known")
    place = min(range(len(curve)), key=lambda i: curve[i][1])
    step, value = curve[place]
    if value >= curve[0][1] / TURN:
        return Phase(NAMES[0], None, f"{rule}: {value:.3g} at step {step} is not below half its first value")
    if max(later for _, later in curve[place:]) <= TURN * value:
        return Phase(NAMES[0], None, f"{rule}: {value:.3g} at step {step}, and no rise above twice that afterwards")
    return Phase(NAMES[0], step, f"{rule}: {value:.3g}")


def _circuit(curve: list[tuple[int, float]]) -> Phase:
    rule = "test loss at most half its peak, after the peak"
    if not curve:
        return Phase(NAMES[1], None, f"{rule}: there are no test pairs")
    place = max(range(len(curve)), key=lambda i: curve[i][1])
    peak = curve[place]
    for step, value in curve[place + 1 :]:
        if value <= peak[1] / 2 and value < peak[1]:
            return Phase(NAMES[1], step, f"{rule}: {value:.3g} after a peak of {peak[1]:.3g} at step {peak[0]}")
    return Phase(NAMES[1], None, f"{rule}: it stays above half its peak of {peak[1]:.3g}")


def _cleanup(curve: list[tuple[int, float]], formed: Phase) -> Phase:
    rule = f"test loss below {CLEAN}, after circuit formation"
    if formed.end is None:
        return Phase(NAMES[2], None, f"{rule}: circuit formation was not reached")
    for step, value in curve:
        if step >= formed.end and value < CLEAN:
            return Phase(NAMES[2], step, f"{rule}: {value:.3g}")
    return Phase(NAMES[2], None, f"{rule}: it stays above")
