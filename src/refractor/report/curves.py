"""The curves of a run: those that were recorded, and progress measures from snapshots where none were."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from refractor.lab.phases import Phase, phases
from refractor.training.run import Run

MOST_SNAPSHOTS = 25  # measured for one page: a quarter of a second each at p = 113
PREFIX = "measure/"
LOSSES = ("loss.train", "loss.test")
RECORDED = {"loss.train": "train_loss", "loss.test": "test_loss", "sum_of_squared_weights": "sum_of_squares"}
"""Names under which the trainer keeps what the measures call otherwise."""
SHOWN = (*LOSSES, "restricted_loss.test", "restricted_loss.all", "excluded_loss.train", "sum_of_squared_weights")


@dataclass(frozen=True, eq=False)
class Curve:
    """One measure over the steps at which it is known.

    Args:
        name: the measure, e.g. `excluded_loss.train`.
        steps: increasing steps.
        values: one finite number for each.

    """

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of a run on one step axis.

    Args:
        series: by name: `loss.train`, `loss.test`, `restricted_loss.test` (or `.all` where no pair is held out),
            `excluded_loss.train`, `sum_of_squared_weights`. What is not known, or nowhere finite, is missing.
        phases: memorisation, circuit formation, clean-up; None where there is no curve at all.
        keys: the frequencies, or the names of the irreps, behind the restricted and excluded losses: those of the last
            snapshot. Empty where there is none, and then these losses are missing.
        origin: where the restricted and excluded losses come from, in words.
        similarity: for each key irrep by name, the similarity of the logits with its character.
        learned: for each irrep, the first of these steps at which its similarity is above 0.05, in that order.

    """

    series: Mapping[str, Curve]
    phases: tuple[Phase, ...] | None
    keys: tuple[int, ...] | tuple[str, ...]
    origin: str
    similarity: Mapping[str, Curve] = field(default_factory=dict)
    learned: Mapping[str, int] = field(default_factory=dict)


Series = dict[str, Curve]


def curves_of(run: Run, measured: Series, keys: tuple[int, ...] | tuple[str, ...], origin: str) -> Curves:
    """Put together what a run recorded and what was measured besides."""
    found = recorded(run)
    series = {name: (found | measured)[name] for name in SHOWN if name in found or name in measured}
    if "restricted_loss.test" in series:
        series.pop("restricted_loss.all", None)
    return Curves(series, _phases(series), keys, origin)


def recorded(run: Run) -> Series:
    """Return the losses and the sum of squared weights that the trainer kept."""
    if "step" not in run.curves:
        return {}
    pairs = {name: run.curves[key] for name, key in RECORDED.items() if key in run.curves}
    return finite_curves(run.curves["step"], pairs)


def kept_measures(run: Run) -> Series:
    """Return the measures that were kept with the run, by their names."""
    steps = run.curves.get("measure_step")
    if steps is None:
        return {}
    return finite_curves(
        steps, {name.removeprefix(PREFIX): curve for name, curve in run.curves.items() if name.startswith(PREFIX)}
    )


def finite_curves(steps: Tensor, values: Mapping[str, Tensor]) -> Series:
    """Return the curves with at least one finite value; other points are left out."""
    curves = {}
    for name, tensor in values.items():
        if len(tensor) != len(steps):
            continue
        points = [
            (int(step), float(value))
            for step, value in zip(steps.tolist(), tensor.tolist(), strict=True)
            if math.isfinite(value)
        ]
        if points:
            curves[name] = Curve(name, tuple(step for step, _ in points), tuple(value for _, value in points))
    return curves


def chosen_steps(steps: tuple[int, ...]) -> list[int]:
    """Return at most 25 steps, evenly spaced in their order, the first and the last among them.

    >>> chosen_steps((0, 10, 20)), len(chosen_steps(tuple(range(100))))
    ([0, 10, 20], 25)
    """
    count = min(len(steps), MOST_SNAPSHOTS)
    places = torch.linspace(0, len(steps) - 1, count).round().int().tolist()
    return [steps[place] for place in dict.fromkeys(places)]


def _phases(series: Mapping[str, Curve]) -> tuple[Phase, ...] | None:
    """Find the phases on the union of the steps of both curves."""
    known = {
        name: dict(zip(series[name].steps, series[name].values, strict=True)) if name in series else {}
        for name in ("excluded_loss.train", "loss.test")
    }
    steps = sorted(set().union(*known.values()))
    if not steps:
        return None
    excluded, test = (tuple(curve.get(step) for step in steps) for curve in known.values())
    return phases(steps, excluded, test)
