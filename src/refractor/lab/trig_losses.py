"""Restricted and excluded loss: are the key frequencies enough, and are they needed?

With P_K as in `projection` (Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability"):

- restricted: the loss of `P_K L + mean_(a, b) L`. Low: these frequencies are enough for the answers.
- excluded: the loss of `L - P_K L`. High: without them the answers are lost. Above ln p the network is not merely
  ignorant without them but confidently wrong.

Both are computed on all, train and test pairs, with all frequencies together and one at a time, beside the accuracy and
beside the same measure for random sets of as many frequencies. The restricted loss needs p rows, weighted by counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from refractor.base.errors import ArgumentError
from refractor.lab.controls import COUNT, Control, random_frequency_sets
from refractor.lab.pairs import PairSets, pair_sets
from refractor.lab.projection import check_frequencies, project
from refractor.lab.scores import Scores, chance_loss, class_scores, excluded_scores, is_confidently_wrong
from refractor.lab.sums import Logits, SumLogits, sum_logits


@dataclass(frozen=True)
class TrigLoss:
    """A restricted or excluded loss with everything it must be read beside.

    Args:
        kind: "restricted" or "excluded".
        frequencies: the set K.
        scores: loss and accuracy with all of K together.
        each: the same with one frequency of K at a time.
        control: the same with random sets of as many frequencies.
        chance_loss: ln p.

    """

    kind: Literal["restricted", "excluded"]
    frequencies: tuple[int, ...]
    scores: Scores
    each: Mapping[int, Scores]
    control: Control
    chance_loss: float

    @property
    def confidently_wrong(self) -> bool:
        """Whether the loss (on train pairs where they are known) is above ln p: worse than equal odds."""
        return is_confidently_wrong(self.scores, self.chance_loss)


def trig_restricted_loss(
    logits: Logits | SumLogits,
    frequencies: Iterable[int],
    *,
    p: int | None = None,
    pairs: PairSets | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> TrigLoss:
    """Return the loss of `P_K L + mean_(a, b) L`: only the frequencies K and the mean are kept.

    Args:
        logits: an array over (a, b, c) (then p is needed, and addition is meant), or logits already grouped by sum.
        frequencies: the set K, from 1 … p // 2.
        p: the modulus, for an array.
        pairs: train and test pairs; only all pairs when left out.
        controls: number of random sets of the same size.
        generator: what draws them; a fresh one with seed 0 when left out.

    Returns:
        A `TrigLoss`.

    Raises:
        ShapeError: the array has wrong axes, sizes or dtype.
        ArgumentError: p is missing or does not fit, a logit is not finite, or a frequency is out of range.

    >>> s = (torch.arange(7)[:, None] + torch.arange(7)) % 7
    >>> logits = 9 * torch.cos(2 * torch.pi * (s[:, :, None] - torch.arange(7)) / 7)
    >>> trig_restricted_loss(logits, [1], p=7).scores.all.accuracy
    1.0

    """
    sums, pairs = prepared(logits, p, pairs)

    def measure(sets: list[tuple[int, ...]]) -> list[Scores]:
        return class_scores(project(sums.means, sets, keep_mean=True), sums, pairs)

    return _trig_loss("restricted", measure, frequencies, sums.p, controls, generator)


def trig_excluded_loss(
    logits: Logits | SumLogits,
    frequencies: Iterable[int],
    *,
    p: int | None = None,
    pairs: PairSets | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> TrigLoss:
    """Return the loss of `L - P_K L`: the frequencies K are removed, everything else stays.

    The published figure is the one on train pairs. Arguments, result and errors are those of `trig_restricted_loss`.

    Raises:
        ShapeError: the array has wrong axes, sizes or dtype.
        ArgumentError: p is missing or does not fit, a logit is not finite, or a frequency is out of range.

    >>> s = (torch.arange(7)[:, None] + torch.arange(7)) % 7
    >>> logits = 9 * torch.cos(2 * torch.pi * (s[:, :, None] - torch.arange(7, dtype=torch.float64)) / 7)
    >>> round(trig_excluded_loss(logits, [1], p=7).scores.all.loss, 9) == round(chance_loss(7), 9)
    True

    """
    sums, pairs = prepared(logits, p, pairs)

    def measure(sets: list[tuple[int, ...]]) -> list[Scores]:
        return excluded_scores(project(sums.means, sets), sums, pairs)

    return _trig_loss("excluded", measure, frequencies, sums.p, controls, generator)


def prepared(logits: Logits | SumLogits, p: int | None, pairs: PairSets | None) -> tuple[SumLogits, PairSets]:
    """Return logits grouped by sum, and pairs that fit them.

    Raises:
        ArgumentError: p is missing for an array, or the pairs are those of another modulus.

    """
    if isinstance(logits, SumLogits):
        sums = logits
    else:
        if p is None:
            raise ArgumentError("p is needed to read an array of logits: pass p=<the modulus>.")
        sums = sum_logits(logits, p)
    if p is not None and p != sums.p:
        raise ArgumentError(f"p={p} came with logits grouped for p={sums.p}.")
    pairs = pairs if pairs is not None else pair_sets(sums.p)
    if pairs.p != sums.p:
        raise ArgumentError(f"pairs are those of p={pairs.p}, the logits those of p={sums.p}.")
    return sums, pairs


def _trig_loss(
    kind: Literal["restricted", "excluded"],
    measure: Callable[[list[tuple[int, ...]]], list[Scores]],
    frequencies: Iterable[int],
    p: int,
    controls: int,
    generator: torch.Generator | None,
) -> TrigLoss:
    chosen = check_frequencies(frequencies, p)
    singles = [(k,) for k in chosen]
    random = random_frequency_sets(p, chosen, controls, generator)
    scores = measure([chosen, *singles, *random])
    each = dict(zip(chosen, scores[1 : 1 + len(chosen)], strict=True))
    return TrigLoss(kind, chosen, scores[0], each, Control(random, tuple(scores[1 + len(chosen) :])), chance_loss(p))
