"""The curves of a run: those that were recorded, and progress measures from snapshots where none were."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from refractor.lab.frequencies import key_frequencies_of_logits
from refractor.lab.load import Source
from refractor.lab.logit_fit import fit_logits
from refractor.lab.operations import operation_of
from refractor.lab.pairs import pair_sets
from refractor.lab.phases import Phase, phases
from refractor.lab.progress import measure_progress, progress_values
from refractor.lab.sums import SumLogits, sum_logits
from refractor.training.last_position import last_logits
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
        frequencies: the set behind the restricted and excluded losses: that of the last snapshot. Empty where there is
            none, and then these losses are missing.
        origin: where the restricted and excluded losses come from, in words.

    """

    series: Mapping[str, Curve]
    phases: tuple[Phase, ...] | None
    frequencies: tuple[int, ...]
    origin: str


def read_curves(source: Source) -> Curves:
    """Return the curves of the run a source belongs to.

    Restricted and excluded losses are read where the run kept them (curves called `measure/…`). Otherwise they are
    computed from at most 25 of its snapshots, evenly chosen, with the key frequencies of the last one.

    Raises:
        StoreError: a snapshot is damaged.
        ArgumentError: the task is no sum.

    """
    run = source.our_run()
    found = _recorded(run)
    measured = {name: curve for name, curve in _kept_measures(run).items() if name in SHOWN}
    frequencies = _recorded_frequencies(run) if measured else None
    if frequencies is None:
        frequencies = key_frequencies_of_logits(fit_logits(_sums(source, run.steps[-1]))).frequencies
    origin = "Restricted and excluded losses were recorded with the run."
    if not measured and frequencies:
        measured, count = _measure(source, frequencies)
        origin = f"Restricted and excluded losses were computed from {count} of its {len(run.steps)} snapshots."
    elif not measured:
        origin = "Restricted and excluded losses are missing: the last snapshot has no key frequency."
    series = {name: (found | measured)[name] for name in SHOWN if name in found or name in measured}
    if "restricted_loss.test" in series:
        series.pop("restricted_loss.all", None)
    return Curves(series, _phases(series), frequencies, origin)


def _recorded(run: Run) -> dict[str, Curve]:
    if "step" not in run.curves:
        return {}
    pairs = {name: run.curves[key] for name, key in RECORDED.items() if key in run.curves}
    return _curves(run.curves["step"], pairs)


def _recorded_frequencies(run: Run) -> tuple[int, ...] | None:
    """Return the set with which measures were recorded, None where the run does not say."""
    said = run.provenance.get("frequencies_of_measures")
    return tuple(map(int, said)) if isinstance(said, list) else None


def _kept_measures(run: Run) -> dict[str, Curve]:
    steps = run.curves.get("measure_step")
    if steps is None:
        return {}
    return _curves(
        steps, {name.removeprefix(PREFIX): curve for name, curve in run.curves.items() if name.startswith(PREFIX)}
    )


def _curves(steps: Tensor, values: Mapping[str, Tensor]) -> dict[str, Curve]:
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


def _measure(source: Source, frequencies: tuple[int, ...]) -> tuple[dict[str, Curve], int]:
    steps = chosen_steps(source.our_run().steps)
    pairs = pair_sets(source.task.n, source.split.train, source.split.test)
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in progress_values(measure_progress(_sums(source, step), frequencies, pairs)).items():
            if name in SHOWN and name not in LOSSES:
                values.setdefault(name, []).append(value)
    return _curves(torch.tensor(steps), {name: torch.tensor(curve).double() for name, curve in values.items()}), len(
        steps
    )


def chosen_steps(steps: tuple[int, ...]) -> list[int]:
    """Return at most 25 steps, evenly spaced in their order, the first and the last among them.

    >>> chosen_steps((0, 10, 20)), len(chosen_steps(tuple(range(100))))
    ([0, 10, 20], 25)
    """
    count = min(len(steps), MOST_SNAPSHOTS)
    places = torch.linspace(0, len(steps) - 1, count).round().int().tolist()
    return [steps[place] for place in dict.fromkeys(places)]


def _sums(source: Source, step: int) -> SumLogits:
    model, task = replace(source, step=step).modular()
    with torch.no_grad():
        logits = last_logits(model, task.tokens())
    return sum_logits(logits, task.p, operation_of(task))


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
