"""Loss and accuracy when parts of the logits are kept or removed, for many choices at once.

- restricted: only some part is kept. Parts depend on the answer alone: n rows, weighted by how many pairs have them.
- excluded: that part is removed. It takes one more pass over all pairs, for all choices together.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.lab.composition.parts import Parts
from refractor.lab.composition.view import Block, CompositionView
from refractor.lab.pairs import PairSets
from refractor.lab.row_scores import kept_part, removed_part
from refractor.lab.scores import Score, Scores

KEPT_BYTES = 2**24  # of kept logits at a time


class Choices(ABC):
    """Several parts of the logits, functions of (w, z), made when they are asked for."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are."""

    @abstractmethod
    def rows(self, classes: Int[Tensor, " s"]) -> Float[Tensor, "sets s z"]:
        """Return each part in the rows of some classes."""


@dataclass(frozen=True, eq=False)
class IrrepSets(Choices):
    """The parts of sets of irreps.

    Args:
        parts: the part of each irrep.
        sets: which irreps each choice has; an empty one is no part at all.

    """

    parts: Parts = field(repr=False)
    sets: Sequence[Sequence[int]]

    def __len__(self) -> int:
        """Return how many sets there are."""
        return len(self.sets)

    def rows(self, classes: Int[Tensor, " s"]) -> Float[Tensor, "sets s z"]:
        """Add up the parts of each set."""
        members = torch.zeros(len(self.sets), len(self.parts), dtype=torch.float64)
        for row, chosen in zip(members, self.sets, strict=True):
            row[list(chosen)] = 1.0
        parts = self.parts.rows(classes)
        return (members @ parts.flatten(1)).unflatten(1, parts.shape[1:])


@dataclass(frozen=True, eq=False)
class Subspaces(Choices):
    """Projections of the class means on subspaces of the functions on the group.

    Args:
        bases: an orthonormal basis of each.
        coefficients: what the class means are in it.

    """

    bases: Float[Tensor, "sets n component"] = field(repr=False)
    coefficients: Float[Tensor, "sets component z"] = field(repr=False)

    def __len__(self) -> int:
        """Return how many subspaces there are."""
        return len(self.bases)

    def rows(self, classes: Int[Tensor, " s"]) -> Float[Tensor, "sets s z"]:
        """Project on each."""
        return self.bases[:, classes] @ self.coefficients


@dataclass(frozen=True, eq=False)
class Removal:
    """Parts to be removed, and from what.

    Args:
        choices: the parts.
        own: whether from the network's own logits, or from what the output map makes of the hidden layer.

    """

    choices: Choices
    own: bool = True


def restricted_scores(
    choices: Choices, pairs: PairSets, view: CompositionView, offset: Float[Tensor, " z"] | None = None
) -> list[Scores]:
    """Score each part alone.

    Args:
        choices: the parts.
        pairs: the pairs to average over.
        view: the network, for the number of pairs of each class.
        offset: added to every row, e.g. the mean over all pairs.

    Returns:
        One `Scores` for each part.

    """
    if len(choices) == 0:
        return []
    n, answers = view.problem.order, view.problem.answers.flatten()
    totals = _Totals(len(choices), pairs)
    weights = torch.stack([torch.bincount(answers[mask], minlength=n) for mask in pairs.members.values()], 1).double()
    for classes in torch.arange(n).split(max(1, KEPT_BYTES // (8 * n * max(1, len(choices))))):
        kept = choices.rows(classes)
        if offset is not None:
            kept = kept + offset
        losses, credit = kept_part(kept, classes, float(kept.abs().max()))
        totals.add(losses @ weights[classes], credit @ weights[classes])
    return totals.averages()


def removed_scores(
    view: CompositionView, removals: Sequence[Removal], pairs: PairSets, largest: float
) -> list[list[Scores]]:
    """Score the logits without each part, in one pass over all pairs.

    Args:
        view: the network.
        removals: what is removed, and from what.
        pairs: the pairs to average over.
        largest: the largest absolute logit.

    Returns:
        For each removal, one `Scores` for each part.

    """
    totals = [_Totals(len(removal.choices), pairs) for removal in removals]
    for block in view.blocks():
        masks = torch.stack([mask[block.rows].flatten() for mask in pairs.members.values()], 1).double()
        for values, places in _by_logits(block, removals, view.whole):
            rows = [removals[place].choices.rows(block.classes) for place in places]
            taken = torch.cat(rows)
            losses, credit = removed_part(values, block.classes, taken, largest)
            sums = (losses.flatten(1) @ masks, credit.flatten(1) @ masks)
            sizes = [len(part) for part in rows]
            for place, loss, hits in zip(places, *(part.split(sizes) for part in sums), strict=True):
                totals[place].add(loss, hits)
    return [total.averages() for total in totals]


def _by_logits(
    block: Block, removals: Sequence[Removal], whole: bool
) -> list[tuple[Float[Tensor, "s x z"], list[int]]]:
    """Group the removals by the logits they are removed from, so that exponentials are taken once."""
    everything = list(range(len(removals)))
    if whole:
        return [(block.logits, everything)]
    groups = [
        (block.logits, [place for place in everything if removals[place].own]),
        (block.read, [place for place in everything if not removals[place].own]),
    ]
    return [(values, places) for values, places in groups if places]


class _Totals:
    """Losses and hits of several choices, added up over the pairs of each set."""

    def __init__(self, count: int, pairs: PairSets) -> None:
        self.counts = {name: pairs.count(name) for name in pairs.members}
        self.losses = torch.zeros(count, len(self.counts), dtype=torch.float64)
        self.hits = torch.zeros_like(self.losses)

    def add(self, losses: Float[Tensor, "sets pairs"], hits: Float[Tensor, "sets pairs"]) -> None:
        self.losses += losses
        self.hits += hits

    def averages(self) -> list[Scores]:
        counts = torch.tensor(list(self.counts.values()))
        return [
            Scores(
                **{
                    name: Score(loss, hit, count)
                    for (name, count), loss, hit in zip(self.counts.items(), losses, hits, strict=True)
                }
            )
            for losses, hits in zip((self.losses / counts).tolist(), (self.hits / counts).tolist(), strict=True)
        ]
