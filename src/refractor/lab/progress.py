"""Progress measures at one moment of training, and over a run with one frequency set for all of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, TypeVar

import torch

from refractor.base.errors import ArgumentError
from refractor.lab.analyse import analyse, analyse_network
from refractor.lab.analysis import Analysis
from refractor.lab.conditions import Verdict
from refractor.lab.labelled import Labelled
from refractor.lab.network import network_logits, neuron_logit_map
from refractor.lab.operations import operation_of
from refractor.lab.pairs import PairSets, pair_sets
from refractor.lab.phases import Phase, phases
from refractor.lab.projection import check_frequencies
from refractor.lab.scores import Scores, network_scores
from refractor.lab.spectra import fourier_spectrum
from refractor.lab.sums import Logits, SumLogits, sum_logits
from refractor.lab.trig_losses import trig_excluded_loss, trig_restricted_loss
from refractor.lab.weights import sum_of_squared_weights
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularArithmetic
from refractor.tasks.splits import Split

Network = TypeVar("Network")
Snapshot: TypeAlias = tuple[int, HookedTransformer | Logits]
"""A step, and the network at that step or its logits on all pairs."""

SCORE_CURVES = ("loss", "accuracy", "restricted_loss", "restricted_accuracy", "excluded_loss", "excluded_accuracy")
WEIGHT_CURVES = ("sum_of_squared_weights", "gini.W_E", "gini.W_L")


@dataclass(frozen=True)
class Progress:
    """Progress measures at one step.

    Args:
        scores: loss and accuracy of the network.
        restricted: with only the fixed frequencies and the mean.
        excluded: without them.

    """

    scores: Scores
    restricted: Scores
    excluded: Scores


def measure_progress(sums: SumLogits, frequencies: Iterable[int], pairs: PairSets | None = None) -> Progress:
    """Return restricted and excluded loss at one moment, without controls: cheap enough to run while training.

    Args:
        sums: logits grouped by sum (`sum_logits(logits, p)`).
        frequencies: the fixed frequency set.
        pairs: train and test pairs; only all pairs when left out.

    Raises:
        ArgumentError: a frequency is out of range, or the pairs are those of another modulus.

    """
    chosen = check_frequencies(frequencies, sums.p)
    pairs = pairs if pairs is not None else pair_sets(sums.p)
    restricted = trig_restricted_loss(sums, chosen, pairs=pairs, controls=0)
    excluded = trig_excluded_loss(sums, chosen, pairs=pairs, controls=0)
    return Progress(network_scores(sums, pairs), restricted.scores, excluded.scores)


@dataclass(frozen=True, eq=False)
class RunAnalysis:
    """Progress measures over a run.

    Args:
        steps: the steps, increasing.
        frequencies: the set used at every step: that of the last snapshot, unless it was given.
        curves: each measure over (step), by name: `loss.train`, `restricted_loss.all`, `excluded_loss.train` …,
            and for networks `sum_of_squared_weights`, `gini.W_E`, `gini.W_L`. A set of pairs that is not known has
            no curve.
        phases: memorisation, circuit formation, clean-up.
        last: the full analysis of the last snapshot.

    """

    steps: tuple[int, ...]
    frequencies: tuple[int, ...]
    curves: Mapping[str, Labelled]
    phases: tuple[Phase, Phase, Phase]
    last: Analysis

    def __repr__(self) -> str:
        """Return the steps, the phases and the claim, not the curves."""
        found = "; ".join(str(phase) for phase in self.phases)
        return f"RunAnalysis({len(self.steps)} steps to {self.steps[-1]}, {found}, {self.verdict.claim!r})"

    @property
    def verdict(self) -> Verdict:
        """The verdict about the last snapshot."""
        return self.last.verdict


def analyse_snapshots(
    snapshots: Iterable[Snapshot],
    task: ModularArithmetic,
    split: Split | None = None,
    *,
    frequencies: Iterable[int] | None = None,
    generator: torch.Generator | None = None,
) -> RunAnalysis:
    """Measure a run: the frequency set is fixed once, from the last snapshot, and used at every step.

    Args:
        snapshots: (step, network or logits), in order of steps; all are held at once, since the last is measured
            first. Logits are [p, p, p] or [p * p, p].
        task: modular addition or subtraction.
        split: the pairs trained on and held out; None when they are not known.
        frequencies: a set to use instead of that of the last snapshot.
        generator: what draws the control of the last snapshot; a fresh one with seed 0 when left out.

    Returns:
        A `RunAnalysis`.

    Raises:
        ArgumentError: there is no snapshot, the steps do not increase, or something does not fit the task.
        ShapeError: logits of the wrong axes, sizes or dtype.

    """
    points, steps = ordered_points(snapshots)
    last = _analyse_last(points[-1][1], task, split, frequencies, generator)
    operation = last.operation
    values: dict[str, list[float]] = {}
    for _, network in points:
        for name, value in _point(network, task, operation, last.frequencies, last.pairs).items():
            values.setdefault(name, []).append(value)
    whole = {name: curve for name, curve in values.items() if len(curve) == len(steps)}
    return RunAnalysis(steps, last.frequencies, label_curves(steps, whole), phases_of(steps, whole), last)


def ordered_points(snapshots: Iterable[tuple[int, Network]]) -> tuple[list[tuple[int, Network]], tuple[int, ...]]:
    """Return snapshots as a list, and their steps.

    Raises:
        ArgumentError: there is none, or the steps do not increase.

    """
    points = list(snapshots)
    if not points:
        raise ArgumentError("snapshots must have at least one; none came.")
    steps = tuple(step for step, _ in points)
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise ArgumentError(f"snapshots must come in order of increasing steps; {steps} came.")
    return points, steps


def label_curves(steps: tuple[int, ...], values: Mapping[str, list[float]]) -> dict[str, Labelled]:
    """Label curves by their steps."""
    return {
        name: Labelled(torch.tensor(curve, dtype=torch.float64), ("step",), {"step": steps})
        for name, curve in values.items()
    }


def phases_of(steps: tuple[int, ...], curves: Mapping[str, list[float]]) -> tuple[Phase, Phase, Phase]:
    """Return the phases from curves by name; a curve that is missing leaves its phases not reached."""
    nothing: list[float | None] = [None] * len(steps)
    return phases(steps, curves.get("excluded_loss.train", nothing), curves.get("loss.test", nothing))


def progress_values(progress: Progress) -> dict[str, float]:
    """Return the measures of one step by the names of their curves."""
    values = {}
    for prefix, scores in (
        ("", progress.scores),
        ("restricted_", progress.restricted),
        ("excluded_", progress.excluded),
    ):
        for name, score in scores.by_set().items():
            if score is not None:
                values[f"{prefix}loss.{name}"] = score.loss
                values[f"{prefix}accuracy.{name}"] = score.accuracy
    return values


def _analyse_last(
    network: HookedTransformer | Logits,
    task: ModularArithmetic,
    split: Split | None,
    frequencies: Iterable[int] | None,
    generator: torch.Generator | None,
) -> Analysis:
    if isinstance(network, HookedTransformer):
        return analyse_network(network, task, split, frequencies=frequencies, generator=generator)
    train, test = (None, None) if split is None else (split.train, split.test)
    operation = operation_of(task)
    return analyse(
        network, p=task.p, operation=operation, train=train, test=test, frequencies=frequencies, generator=generator
    )


def _point(
    network: HookedTransformer | Logits,
    task: ModularArithmetic,
    operation: str,
    frequencies: tuple[int, ...],
    pairs: PairSets,
) -> dict[str, float]:
    p = task.p
    if not isinstance(network, HookedTransformer):
        return progress_values(measure_progress(sum_logits(network, p, operation), frequencies, pairs))
    logits = network_logits(network, task.tokens(), p)
    values = progress_values(measure_progress(sum_logits(logits, p, operation), frequencies, pairs))
    values["sum_of_squared_weights"] = sum_of_squared_weights(dict(network.named_parameters()))
    values["gini.W_E"] = fourier_spectrum(network.embed.W_E[:p]).gini
    output_map = neuron_logit_map(network)
    if output_map is not None:
        values["gini.W_L"] = fourier_spectrum(output_map.T).gini
    return values
