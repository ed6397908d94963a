"""The losses as the study of 2023 defines them, under the names of its files.

- `hidden_restricted_loss_<r>`, `hidden_excluded_loss_<r>`: from the hidden layer, `(Q_r Q_rᵀ H) U` on all pairs with no
  mean, and `(H - Q_r Q_rᵀ H) U` on train pairs. Of a transformer U is `W_out W_U`: the skip path is left out of both.
- `logit_restricted_loss_<r>`, `logit_excluded_loss_<r>`: the same for the single character direction of the logits.
- `total_…`: for all irreps whose similarity is above 0.005 together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from refractor.lab.composition.keys import IrrepSet
from refractor.lab.composition.losses import IrrepSets, Removal, restricted_scores
from refractor.lab.composition.means import ClassMeans
from refractor.lab.composition.parts import CharacterFit, character_parts, row_parts
from refractor.lab.composition.rep_losses import RepLoss, RepLosses
from refractor.lab.composition.view import CompositionView
from refractor.lab.pairs import PairSets
from refractor.lab.scores import Scores


@dataclass(frozen=True, eq=False)
class StudyLoss:
    """One kind of loss of the study.

    Args:
        total: with the key irreps together.
        each: with one irrep at a time, in the order of the irreps, the trivial one included.

    """

    total: Scores
    each: tuple[Scores, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class StudyLosses:
    """All of them; those of the hidden layer are None where only logits are known.

    Args:
        keys: the irreps that are key by the study's rule.
        hidden_restricted: from the hidden layer.
        hidden_restricted_with_mean: the key irreps together, with the mean of the hidden layer kept.
        hidden_excluded: from the hidden layer.
        logit_restricted: from the characters.
        logit_excluded: from the characters.

    """

    keys: IrrepSet
    hidden_restricted: StudyLoss | None
    hidden_restricted_with_mean: Scores | None
    hidden_excluded: StudyLoss | None
    logit_restricted: StudyLoss
    logit_excluded: StudyLoss


def study_choices(
    view: CompositionView, means: ClassMeans, fit: CharacterFit, keys: IrrepSet
) -> tuple[IrrepSets, IrrepSets | None]:
    """Return the parts that the study keeps or removes: along the characters, and of the hidden layer."""
    together, each = [list(keys.places)], [[place] for place in range(len(view.problem.irreps))]
    characters = IrrepSets(character_parts(fit, view.problem), together + each)
    if not view.width:
        return characters, None
    # Where the hidden layer gives all of the logits, single irreps are measured with them: see `rep_losses`.
    return characters, IrrepSets(row_parts(means.read, view.problem.basis), together + ([] if view.whole else each))


def study_removals(characters: IrrepSets, hidden: IrrepSets | None) -> list[Removal]:
    """Return what has to be removed in the pass over all pairs, in the order in which `study_losses` reads it."""
    return [Removal(characters), *([Removal(hidden, own=False)] if hidden is not None else [])]


def study_losses(
    view: CompositionView,
    means: ClassMeans,
    pairs: PairSets,
    keys: IrrepSet,
    choices: tuple[IrrepSets, IrrepSets | None],
    losses: RepLosses,
) -> StudyLosses:
    """Collect the losses.

    Args:
        view: the network.
        means: its class means.
        pairs: train and test pairs.
        keys: the irreps that are key by the study's rule.
        choices: what `study_choices` gave.
        losses: of the network's own logits, measured with the scores of `study_removals` as extra.

    """
    characters, hidden = choices

    def loss(scores: Sequence[Scores], like: RepLoss) -> StudyLoss:
        return StudyLoss(scores[0], tuple(scores[1:]) or tuple(like.each.values()))

    return StudyLosses(
        keys,
        None if hidden is None else loss(restricted_scores(hidden, pairs, view), losses.restricted),
        None if hidden is None else _with_mean(view, means, hidden, pairs),
        None if hidden is None else loss(losses.extra[1], losses.excluded),
        loss(restricted_scores(characters, pairs, view), losses.restricted),
        loss(losses.extra[0], losses.excluded),
    )


def _with_mean(view: CompositionView, means: ClassMeans, hidden: IrrepSets, pairs: PairSets) -> Scores:
    return restricted_scores(IrrepSets(hidden.parts, hidden.sets[:1]), pairs, view, means.read.mean(0))[0]
