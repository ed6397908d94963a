"""Loss and accuracy of logits that were grouped by sum, over all, train and test pairs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import unknown_name
from refractor.lab.pairs import SETS, PairSets
from refractor.lab.row_scores import kept_part, removed_part
from refractor.lab.sums import SumLogits

ROUNDING = 1e-9  # a loss this close above that of guessing is that of guessing


@dataclass(frozen=True)
class Score:
    """How well logits answer a set of pairs.

    Args:
        loss: mean cross-entropy in nats, computed in float64.
        accuracy: share of pairs whose right answer has the highest logit. Where m answers share the highest logit (to
            rounding), the pair counts 1/m if the right one is among them: constant logits score 1/p, as guessing does.
        pairs: how many pairs.

    """

    loss: float
    accuracy: float
    pairs: int


@dataclass(frozen=True)
class Scores:
    """Loss and accuracy over all pairs and, where a split is known, over those trained on and those held out."""

    all: Score
    train: Score | None = None
    test: Score | None = None

    @property
    def unseen(self) -> Score:
        """The score on held-out pairs where there are some, else on all."""
        return self.all if self.test is None else self.test

    def on(self, name: str) -> Score | None:
        """Return the score on "all", "train" or "test"; None where that set is not known or empty.

        Raises:
            UnknownNameError: there is no such set.

        """
        return self.by_set()[name] if name in SETS else _unknown(name)

    def by_set(self) -> Mapping[str, Score | None]:
        """Return the scores by the name of the set."""
        return {"all": self.all, "train": self.train, "test": self.test}


def _unknown(name: str) -> None:
    raise unknown_name("set of pairs", name, SETS)


def chance_loss(p: int) -> float:
    """Return `ln p`, the loss of answering every question with equal odds. A loss above it is confidently wrong."""
    return math.log(p)


def is_confidently_wrong(scores: Scores, chance: float) -> bool:
    """Whether a loss (on train pairs where they are known) is above `chance`: worse than equal odds."""
    return (scores.train or scores.all).loss > chance * (1 + ROUNDING)


def class_scores(logits: Float[Tensor, "sets p p"], sums: SumLogits, pairs: PairSets) -> list[Scores]:
    """Score logits that depend on the sum alone, `logits[set, s, c]`: p rows, weighted by how many pairs have that sum.

    Returns:
        One `Scores` for each entry of the first axis.

    """
    loss, credit = kept_part(logits, torch.arange(sums.p), sums.largest)
    return _collect(loss[..., None], credit[..., None], sums, pairs)


def excluded_scores(taken: Float[Tensor, "sets p p"], sums: SumLogits, pairs: PairSets) -> list[Scores]:
    """Score `L[s, a, c] - taken[set, s, c]`: the full logits less a part that depends on the sum alone.

    Returns:
        One `Scores` for each entry of the first axis.

    """
    loss, credit = removed_part(sums.values, torch.arange(sums.p), taken, sums.largest)
    return _collect(loss, credit, sums, pairs)


def network_scores(sums: SumLogits, pairs: PairSets) -> Scores:
    """Score the logits as they are."""
    return excluded_scores(torch.zeros(1, sums.p, sums.p, dtype=torch.float64), sums, pairs)[0]


def _collect(
    loss: Float[Tensor, "sets p a"], credit: Float[Tensor, "sets p a"], sums: SumLogits, pairs: PairSets
) -> list[Scores]:
    """Average over the pairs of every set; the last axis has length 1 where all pairs of a class are alike."""
    means: dict[str, tuple[list[float], list[float], int]] = {}
    for name, members in pairs.members.items():
        weights = members[sums.pairs].double()
        count = int(weights.sum())
        weights = weights.sum(1, keepdim=True) if loss.shape[-1] == 1 else weights
        averages = [(part * weights).sum((1, 2)).div(count).tolist() for part in (loss, credit)]
        means[name] = (averages[0], averages[1], count)
    return [
        Scores(**{name: Score(losses[j], hits[j], count) for name, (losses, hits, count) in means.items()})
        for j in range(loss.shape[0])
    ]
