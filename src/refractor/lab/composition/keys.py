"""Key irreps: which representations a network computes with, by each rule that can be applied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.checks import check_float
from refractor.base.errors import ArgumentError
from refractor.groups import Irreps
from refractor.lab.composition.shares import Shares

PUBLISHED = 0.005
"""Similarity above which the study of 2023 calls an irrep key. The smallest value it kept is 0.0050118."""

FACTOR = 10.0
"""How far above the idle irreps a key irrep stands in the embeddings."""

LEARNING_ORDER = 0.05
"""Similarity above which the study counts an irrep as learned, to order the irreps of a run."""


@dataclass(frozen=True, eq=False)
class IrrepSet:
    """A set of irreps, and the rule that picked it.

    Args:
        rule: its short name.
        statement: the rule in words.
        places: the places of the irreps among all, increasing; never that of the trivial one.
        names: their names.

    """

    rule: str
    statement: str
    places: tuple[int, ...]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        """Return rule and names."""
        return f"IrrepSet({self.rule!r}, {{{', '.join(self.names)}}})"


def irrep_set(irreps: Irreps, chosen: Iterable[str | int], rule: str = "given", statement: str = "") -> IrrepSet:
    """Make a set of irreps from names or places.

    Raises:
        ArgumentError: one is the trivial irrep, or a place is out of range.
        UnknownNameError: there is no irrep of that name.

    """
    places: set[int] = set()
    for item in chosen:
        place = irreps.index(item) if isinstance(item, str) else item
        if isinstance(place, bool) or not isinstance(place, int) or not 1 <= place < len(irreps):
            raise ArgumentError(
                f"a set of irreps of {irreps.group.name} has names, or places from 1 to {len(irreps) - 1}; {item!r} "
                "came. The trivial irrep, place 0, is in no set: it is the mean."
            )
        places.add(place)
    ordered = tuple(sorted(places))
    return IrrepSet(rule, statement or "given by the caller", ordered, tuple(irreps.names[i] for i in ordered))


def key_irreps_by_similarity(
    similarity: Float[Tensor, " irrep"], irreps: Irreps, threshold: float = PUBLISHED
) -> IrrepSet:
    """Return the irreps whose character is similar to the logits: the rule of the study of 2023.

    Args:
        similarity: cosine between the centred logits and each character, over (x, y, z).
        irreps: the irreps.
        threshold: what it must exceed.

    Raises:
        ArgumentError: the threshold is negative or no number.

    """
    check_float("threshold", threshold, least=0)
    chosen = [place for place in range(1, len(irreps)) if float(similarity[place]) > threshold]
    statement = f"similarity of the logits with the character above {threshold:g} (Chughtai, Chan and Nanda 2023)"
    return irrep_set(irreps, chosen, "similarity", statement)


def key_irreps_by_embedding(
    similarity: Float[Tensor, " irrep"], shares: Sequence[Shares], irreps: Irreps, factor: float = FACTOR
) -> IrrepSet:
    """Return the irreps that the logits follow and that stand out in both embeddings: the primary rule.

    An irrep is key when its similarity is above 0.005 and, in each centred embedding, its share per dimension is at
    least ten times the median of the irreps that are not similar. Harmonics that the nonlinearity makes of a key irrep
    reach the logits, and so pass the similarity rule, but not the embeddings.

    The median is taken over the idle irreps, not over all: a network of a small group may use most of them.

    Args:
        similarity: cosine between the centred logits and each character.
        shares: the shares of the irreps in each centred embedding.
        irreps: the irreps.
        factor: how far above the idle irreps.

    """
    similar = similarity > PUBLISHED
    idle = ~similar
    idle[0] = False
    chosen = similar.clone()
    for share in shares:
        density = share.values / share.null.clamp_min(torch.finfo(torch.float64).tiny)
        floor = float(density[idle].quantile(0.5)) if bool(idle.any()) else 0.0
        chosen &= density >= factor * floor
    statement = (
        f"similarity above {PUBLISHED:g}, and a share of each centred embedding, for its dimensions, of at least "
        f"{factor:g} times the median of the irreps that are not similar"
    )
    return irrep_set(irreps, [int(place) for place in chosen.nonzero()], "embedding", statement)
