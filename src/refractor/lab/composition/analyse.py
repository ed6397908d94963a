"""Measure a network that composes group elements: from its logits, or from weights and neurons as well."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups import Group, Irreps
from refractor.groups import group as group_named
from refractor.lab.composition.analysis import CompositionAnalysis, RuleScores
from refractor.lab.composition.geometry import gradient_symmetricity
from refractor.lab.composition.keys import IrrepSet, irrep_set, key_irreps_by_embedding, key_irreps_by_similarity
from refractor.lab.composition.losses import IrrepSets, restricted_scores
from refractor.lab.composition.means import ClassMeans, class_means
from refractor.lab.composition.neurons import RotationControl, rotation_control
from refractor.lab.composition.parts import character_fit, row_parts
from refractor.lab.composition.problem import Problem, problem
from refractor.lab.composition.rep_losses import SUBSPACES, rep_losses
from refractor.lab.composition.study_losses import study_choices, study_losses, study_removals
from refractor.lab.composition.verdict import reach_verdict
from refractor.lab.composition.view import CompositionView
from refractor.lab.composition.views import Network, view_composition, view_logits
from refractor.lab.composition.weights import embedding_shares, weight_measures
from refractor.lab.controls import COUNT, control_generator
from refractor.lab.pairs import PairSets, pair_sets
from refractor.lab.sums import Logits
from refractor.models.pair_networks import OneLayerMLP
from refractor.models.transformer import HookedTransformer
from refractor.tasks import GroupComposition, Split


def analyse_composition_logits(
    logits: Logits,
    group: Group | str,
    *,
    operation: str = "product",
    irreps: Irreps | None = None,
    train: Tensor | None = None,
    test: Tensor | None = None,
    keys: Iterable[str] | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> CompositionAnalysis:
    """Measure anybody's network from its logits on all pairs.

    Args:
        logits: over (x, y, z), [n, n, n] or [n * n, n] with pairs in x-major order; numpy or torch, any real floating
            dtype. Losses are computed in float64.
        group: the group, or its name; its elements are numbered as those of the logits.
        operation: "product" (the right answer is x · y) or "quotient" (x · y⁻¹).
        irreps: all real irreps of the group, if they are at hand.
        train: rows `x n + y` of the pairs trained on, if they are known.
        test: rows held out; all the others when left out.
        keys: names of irreps to use instead of the rule's.
        controls: number of random sets and random subspaces; 0 for none, then no verdict is reached.
        generator: what draws them; a fresh one with seed 0 when left out.

    Returns:
        A `CompositionAnalysis`; see `.verdict`, `.finding`, `.table()`.

    Raises:
        ShapeError: wrong axes, sizes or dtype.
        ArgumentError: a logit is not finite, rows are out of range, an unknown operation.
        UnknownNameError: an unknown group or irrep.

    >>> from refractor.groups import group, real_irreps
    >>> chosen = real_irreps(group("S4"))["standard"].character
    >>> table = group("S4").table
    >>> logits = 5 * chosen[table[table][:, :, group("S4").inverses]]
    >>> analyse_composition_logits(logits, "S4").verdict.claim
    'computes x · y in S4 with the irreps {standard}'

    """
    found = problem(group_named(group) if isinstance(group, str) else group, operation, irreps)
    return _measure(view_logits(logits, found), pair_sets(found.order, train, test), keys, controls, generator)


def analyse_composition(
    model: Network,
    task: GroupComposition,
    split: Split | None = None,
    *,
    asked: Problem | None = None,
    keys: Iterable[str] | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> CompositionAnalysis:
    """Measure a network by its logits, weights and neurons.

    Args:
        model: a small network of pairs, or a transformer that answers at "=".
        task: what it was asked; operations "product" and "quotient" of two factors.
        split: the pairs trained on and held out; None when they are not known.
        asked: the problem of the task, if it is at hand: it holds irreps and subgroups, which take time.
        keys: names of irreps to use instead of the rule's.
        controls: number of random sets and random subspaces.
        generator: what draws them; a fresh one with seed 0 when left out.

    Raises:
        ArgumentError: the network is of another order than the group, the task is no product, or a logit is not finite.

    """
    if task.factors != 2:
        raise ArgumentError(f"the measures are of products of two elements; {task.title} came.")
    found = problem(task.group, task.operation) if asked is None else asked
    if not torch.equal(found.answers.flatten(), task.labels()):
        raise ArgumentError(f"the task is {task.title}; a problem with other answers, {found!r}, came.")
    pairs = pair_sets(found.order) if split is None else pair_sets(found.order, split.train, split.test)
    view = view_composition(model, found)  # first, since it checks that the network is of the group's order
    symmetricity = math.nan
    if isinstance(model, HookedTransformer) or (isinstance(model, OneLayerMLP) and model.cfg.shared):
        symmetricity = gradient_symmetricity(model, found)
    return _measure(view, pairs, keys, controls, generator, symmetricity)


@torch.no_grad()
def _measure(
    view: CompositionView,
    pairs: PairSets,
    given: Iterable[str] | None,
    controls: int,
    generator: torch.Generator | None,
    symmetricity: float = math.nan,
) -> CompositionAnalysis:
    asked: Problem = view.problem
    means = class_means(view)
    fit = character_fit(means, asked)
    embeddings = embedding_shares(view)
    similar = key_irreps_by_similarity(fit.similarity, asked.irreps)
    sets = [similar]
    if embeddings is not None:
        sets.insert(0, key_irreps_by_embedding(fit.similarity, embeddings.centred, asked.irreps))
    if given is not None:
        sets.insert(0, irrep_set(asked.irreps, given))
    choices = study_choices(view, means, fit, similar)
    losses = rep_losses(
        view,
        means,
        sets[0],
        pairs,
        controls=controls,
        generator=control_generator(generator),
        extra=study_removals(*choices),
    )
    return CompositionAnalysis(
        problem=asked,
        pairs=pairs,
        view=view,
        means=means,
        fit=fit,
        keys=sets[0],
        rules=_rules(view, means.logits, sets, pairs),
        losses=losses,
        study=study_losses(view, means, pairs, similar, choices, losses),
        weights=None if embeddings is None else weight_measures(view, means, embeddings, tuple(sets), symmetricity),
        verdict=reach_verdict(asked, losses, _rotations(view, means, sets[0], controls, generator)),
    )


def _rotations(
    view: CompositionView, means: ClassMeans, keys: IrrepSet, controls: int, generator: torch.Generator | None
) -> RotationControl | None:
    """Compare neurons with rotated ones where every irrep is key, and where there are neurons."""
    functions = view.first_part if view.first_part is not None or means.hidden is None else means.hidden.over_first
    if functions is None or controls == 0 or len(keys.places) < len(view.problem.irreps) - 1:
        return None
    return rotation_control(functions, view.problem.basis, min(controls, SUBSPACES), control_generator(generator))


def _rules(view: CompositionView, logits: Tensor, sets: list[IrrepSet], pairs: PairSets) -> tuple[RuleScores, ...]:
    parts = row_parts(logits, view.problem.basis)
    scores = restricted_scores(IrrepSets(parts, [list(keys.places) for keys in sets]), pairs, view, logits.mean(0))
    return tuple(RuleScores(keys, score) for keys, score in zip(sets, scores, strict=True))
