"""Restricted and excluded loss of a set of irreps: are they enough, and are they needed?

With P_K the projection of the logits, as functions of the answer w = x · y, on the matrix entries of ρ_r(w), r in K
(Chughtai, Chan and Nanda 2023, "A Toy Model of Universality"):

- restricted: the loss of `P_K L`, and of `P_K L + mean`. The study dropped the mean over pairs, which for some networks
  holds a bias that the answers need; Nanda et al. (2023) keep it. Both are given.
- excluded: the loss of `L - P_K L`.

Both stand beside the accuracy, beside ln n, beside random sets of as many irreps, and beside random subspaces of as
many dimensions: a small group has too few irreps for random sets to tell anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.lab.composition.keys import IrrepSet
from refractor.lab.composition.losses import IrrepSets, Removal, Subspaces, removed_scores, restricted_scores
from refractor.lab.composition.means import ClassMeans
from refractor.lab.composition.parts import row_parts
from refractor.lab.composition.view import CompositionView
from refractor.lab.controls import COUNT, Control, random_sets
from refractor.lab.pairs import PairSets
from refractor.lab.scores import Scores, chance_loss, is_confidently_wrong

SUBSPACES = 20  # (0 + 1) / (20 + 1) is below 0.05, and each takes as long as a set of irreps


@dataclass(frozen=True)
class RepLoss:
    """A restricted or excluded loss with everything it must be read beside.

    Args:
        kind: "restricted", "restricted with mean" or "excluded".
        irreps: the names of the set K.
        scores: loss and accuracy with all of K together.
        each: the same with one irrep at a time, for every irrep of the group, by name.
        control: the same with random sets of as many irreps; a set is given by the places of its irreps.
        subspaces: the same with random subspaces of as many dimensions.
        chance_loss: ln n.

    """

    kind: str
    irreps: tuple[str, ...]
    scores: Scores
    each: Mapping[str, Scores] = field(repr=False)
    control: Control
    subspaces: tuple[Scores, ...] = field(repr=False)
    chance_loss: float

    @property
    def confidently_wrong(self) -> bool:
        """Whether the loss (on train pairs where they are known) is above ln n: worse than equal odds."""
        return is_confidently_wrong(self.scores, self.chance_loss)


@dataclass(frozen=True, eq=False)
class RepLosses:
    """All losses of one set of irreps, from one pass over the pairs.

    Args:
        network: loss and accuracy of the network itself.
        restricted: with only the set.
        with_mean: with only the set and the mean over all pairs.
        excluded: without the set.
        extra: scores of what else was removed in the same pass.

    """

    network: Scores
    restricted: RepLoss
    with_mean: RepLoss
    excluded: RepLoss
    extra: tuple[tuple[Scores, ...], ...] = field(repr=False)


def rep_losses(
    view: CompositionView,
    means: ClassMeans,
    chosen: IrrepSet,
    pairs: PairSets,
    *,
    controls: int = COUNT,
    generator: torch.Generator,
    extra: Sequence[Removal] = (),
) -> RepLosses:
    """Measure a set of irreps on the network's own logits.

    Args:
        view: the network.
        means: its class means.
        chosen: the set.
        pairs: train and test pairs.
        controls: number of random sets and of random subspaces; 0 for none.
        generator: what draws them.
        extra: what else to remove in the same pass.

    """
    problem, places = view.problem, list(chosen.places)
    total = len(problem.irreps)
    random = tuple(
        tuple(place + 1 for place in places_)
        for places_ in (
            random_sets(total - 1, [place - 1 for place in places], controls, generator) if controls else ()
        )
    )
    sets = IrrepSets(row_parts(means.logits, problem.basis), [places, *([place] for place in range(total)), *random])
    subspaces = random_subspaces(view, chosen, controls, generator)
    spaces = Subspaces(subspaces, subspaces.mT @ means.logits)
    offset = means.logits.mean(0)
    nothing = IrrepSets(sets.parts, [[]])
    removed = removed_scores(view, [Removal(nothing), Removal(sets), Removal(spaces), *extra], pairs, means.largest)

    def loss(kind: str, scores: list[Scores], of_subspaces: list[Scores]) -> RepLoss:
        return RepLoss(
            kind,
            chosen.names,
            scores[0],
            dict(zip(problem.irreps.names, scores[1 : 1 + total], strict=True)),
            Control(random, tuple(scores[1 + total :])),
            tuple(of_subspaces),
            chance_loss(problem.order),
        )

    def restricted(kind: str, mean: Float[Tensor, " z"] | None) -> RepLoss:
        kept, of_subspaces = (restricted_scores(choices, pairs, view, mean) for choices in (sets, spaces))
        return loss(kind, kept, of_subspaces)

    return RepLosses(
        removed[0][0],
        restricted("restricted", None),
        restricted("restricted with mean", offset),
        loss("excluded", removed[1], removed[2]),
        tuple(tuple(scores) for scores in removed[3:]),
    )


def random_subspaces(
    view: CompositionView, chosen: IrrepSet, controls: int, generator: torch.Generator
) -> Float[Tensor, "sets n component"]:
    """Draw subspaces of the functions on the group without mean, of as many dimensions as a set of irreps spans.

    Args:
        view: the network.
        chosen: the set.
        controls: how many at most; never more than 20.
        generator: what draws them.

    Returns:
        An orthonormal basis of each; there is none of no dimension, nor of all dimensions.

    """
    problem = view.problem
    n, dimensions = problem.order, sum(problem.irreps.members[place].span_dim for place in chosen.places)
    count = min(controls, SUBSPACES) if 0 < dimensions < n - 1 else 0
    draws = torch.randn(count, n, dimensions, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(draws - draws.mean(1, keepdim=True)).Q
