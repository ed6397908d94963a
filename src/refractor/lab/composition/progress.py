"""Progress measures over a run, with one set of irreps for all of it, and the order in which irreps are learned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch

from refractor.lab.composition.analyse import analyse_composition
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.keys import (
    LEARNING_ORDER,
    IrrepSet,
    key_irreps_by_embedding,
    key_irreps_by_similarity,
)
from refractor.lab.composition.losses import IrrepSets, Removal, removed_scores, restricted_scores
from refractor.lab.composition.means import class_means
from refractor.lab.composition.parts import character_fit, row_parts
from refractor.lab.composition.problem import Problem, problem
from refractor.lab.composition.shares import hidden_shares, matrix_shares
from refractor.lab.composition.views import Network, view_composition
from refractor.lab.composition.weights import embedding_shares
from refractor.lab.labelled import Labelled
from refractor.lab.pairs import PairSets
from refractor.lab.phases import Phase
from refractor.lab.progress import label_curves, ordered_points, phases_of
from refractor.lab.weights import sum_of_squared_weights
from refractor.tasks import GroupComposition, Split

Snapshot: TypeAlias = tuple[int, Network]
"""A step, and the network at that step."""


@dataclass(frozen=True, eq=False)
class CompositionProgress:
    """Measures over a run.

    Args:
        steps: the steps, increasing.
        keys: the irreps used at every step: those of the last snapshot, unless they were given.
        curves: each measure over (step), by name: `loss.train`, `restricted_loss.all` (with the mean),
            `excluded_loss.train` …, `similarity.<r>`, `x_embed_explained`, `hidden_explained`,
            `sum_of_squared_weights`. A set of pairs that is not known has no curve.
        learned: for each irrep whose similarity rises above 0.05, the first step of which that is so, in that order.
        phases: memorisation, circuit formation, clean-up.
        last: the full analysis of the last snapshot.

    """

    steps: tuple[int, ...]
    keys: IrrepSet
    curves: Mapping[str, Labelled]
    learned: Mapping[str, int]
    phases: tuple[Phase, Phase, Phase]
    last: CompositionAnalysis

    def __repr__(self) -> str:
        """Return the steps, the irreps and the claim, not the curves."""
        return f"CompositionProgress({len(self.steps)} steps to {self.steps[-1]}, {self.last.verdict.claim!r})"


def analyse_composition_snapshots(
    snapshots: Iterable[Snapshot],
    task: GroupComposition,
    split: Split | None = None,
    *,
    keys: Iterable[str] | None = None,
    generator: torch.Generator | None = None,
) -> CompositionProgress:
    """Measure a run: the set of irreps is fixed once, from the last snapshot, and used at every step.

    Args:
        snapshots: (step, network), in order of steps; all are held at once, since the last is measured first.
        task: what the network was asked.
        split: the pairs trained on and held out; None when they are not known.
        keys: names of irreps to use instead of those of the last snapshot.
        generator: what draws the controls of the last snapshot; a fresh one with seed 0 when left out.

    Raises:
        ArgumentError: there is no snapshot, the steps do not increase, or a network does not fit the task.

    """
    points, steps = ordered_points(snapshots)
    asked = problem(task.group, task.operation)
    last = analyse_composition(points[-1][1], task, split, asked=asked, keys=keys, generator=generator)
    values: dict[str, list[float]] = {}
    for _, model in points:
        for name, value in measure_composition_progress(model, asked, last.keys, last.pairs).items():
            values.setdefault(name, []).append(value)
    return CompositionProgress(
        steps, last.keys, label_curves(steps, values), learned_irreps(steps, values), phases_of(steps, values), last
    )


@torch.no_grad()
def key_irreps_of(model: Network, asked: Problem) -> IrrepSet:
    """Return the key irreps of a network by the primary rule, without its losses: cheap."""
    view = view_composition(model, asked)
    similarity = character_fit(class_means(view), asked).similarity
    embeddings = embedding_shares(view)
    if embeddings is None:
        return key_irreps_by_similarity(similarity, asked.irreps)
    return key_irreps_by_embedding(similarity, embeddings.centred, asked.irreps)


@torch.no_grad()
def measure_composition_progress(model: Network, asked: Problem, keys: IrrepSet, pairs: PairSets) -> dict[str, float]:
    """Return the measures of one step by the names of their curves: cheap enough to run while training."""
    view = view_composition(model, asked)
    means = class_means(view)
    parts = row_parts(means.logits, asked.basis)
    chosen = [list(keys.places)]
    network, excluded = removed_scores(view, [Removal(IrrepSets(parts, [[], *chosen]))], pairs, means.largest)[0]
    restricted = restricted_scores(IrrepSets(parts, chosen), pairs, view, means.logits.mean(0))[0]
    values: dict[str, float] = {}
    for prefix, scores in (("", network), ("restricted_", restricted), ("excluded_", excluded)):
        for name, score in scores.by_set().items():
            if score is not None:
                values[f"{prefix}loss.{name}"] = score.loss
                values[f"{prefix}accuracy.{name}"] = score.accuracy
    similarity = character_fit(means, asked).similarity
    values |= {f"similarity.{name}": float(similarity[i]) for i, name in enumerate(asked.irreps.names) if i}
    for side, embedding in (("x", view.first_embedding), ("y", view.second_embedding)):
        if embedding is not None:
            values[f"{side}_embed_explained"] = matrix_shares(embedding, asked.basis).of(keys.places)
    if means.hidden is not None:
        values["hidden_explained"] = float(hidden_shares(means.hidden, asked).total[list(keys.places)].sum())
    return {**values, "sum_of_squared_weights": sum_of_squared_weights(view.weights)}


@torch.no_grad()
def similarities(model: Network, asked: Problem) -> dict[str, float]:
    """Return the similarity of a network's logits with the character of each irrep but the trivial one: cheap."""
    similarity = character_fit(class_means(view_composition(model, asked)), asked).similarity
    return {name: float(similarity[i]) for i, name in enumerate(asked.irreps.names) if i}


def learned_irreps(steps: tuple[int, ...], curves: Mapping[str, list[float]]) -> dict[str, int]:
    """Return the irreps in the order in which their similarity first rose above 0.05, with the step.

    >>> learned_irreps((0, 10, 20), {"similarity.sign": [0, 0, 0.3], "similarity.standard": [0, 0.1, 0.6]})
    {'standard': 10, 'sign': 20}
    """
    found: dict[str, int] = {}
    for name, curve in curves.items():
        if name.startswith("similarity."):
            first = next((step for step, value in zip(steps, curve, strict=True) if value > LEARNING_ORDER), None)
            if first is not None:
                found[name.removeprefix("similarity.")] = first
    return dict(sorted(found.items(), key=lambda item: item[1]))
