"""Every subset of the key frequencies, with its score; and the parts a picture of them needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError, unknown_name
from refractor.lab.labelled import Labelled
from refractor.lab.logit_fit import LogitFit, fit_logits
from refractor.lab.pairs import PairSets, pair_sets
from refractor.lab.projection import check_frequencies, project, project_each
from refractor.lab.scores import Scores, class_scores
from refractor.lab.sums import SumLogits

MOST = 6  # frequencies; 2^6 = 64 rows are still a table that a page can hold


@dataclass(frozen=True, eq=False)
class FrequencyMixer:
    """What is left of a network when only some of its key frequencies are on.

    Args:
        frequencies: the frequencies that can be switched, at most 6.
        left_out: key frequencies beyond the 6 strongest.
        scores: for every subset, the score of `P_subset L + mean_(a, b) L`; the empty subset is the mean alone.
        coefficients: alpha_k of the cosine fit, over (freq): the logits are roughly `sum alpha_k cos w_k(s - c)`.
        parts: `P_k L` over (freq, s, c), exact.
        mean: mean over all pairs, over (c).

    """

    frequencies: tuple[int, ...]
    left_out: tuple[int, ...]
    scores: dict[tuple[int, ...], Scores]
    coefficients: Labelled
    parts: Labelled
    mean: Labelled

    def score(self, subset: Iterable[int]) -> Scores:
        """Return the score with just these frequencies on.

        Raises:
            UnknownNameError: one of them cannot be switched.

        """
        key = tuple(sorted(set(subset)))
        if key not in self.scores:
            raise unknown_name("subset of the switchable frequencies", key, [str(self.frequencies)])
        return self.scores[key]

    def logits(self, subset: Iterable[int]) -> Float[Tensor, "p p"]:
        """Return `P_subset L + mean_(a, b) L` over (s, c).

        Raises:
            ArgumentError: a frequency cannot be switched.

        """
        chosen = sorted(set(subset))
        if not set(chosen) <= set(self.frequencies):
            raise ArgumentError(f"subset must be among {self.frequencies}; {tuple(chosen)} came.")
        return self.parts.values[[self.frequencies.index(k) for k in chosen]].sum(0) + self.mean.values


def frequency_mixer(
    sums: SumLogits, frequencies: Iterable[int], pairs: PairSets | None = None, fit: LogitFit | None = None
) -> FrequencyMixer:
    """Return the table of all subsets of the key frequencies, and the waves that they add up from.

    Args:
        sums: logits grouped by sum.
        frequencies: the key frequencies; of more than 6, those with the largest similarity are taken.
        pairs: train and test pairs; only all pairs when left out.
        fit: the cosine fit of the same logits, if it is there already.

    Raises:
        ArgumentError: a frequency is out of range.

    """
    fit = fit if fit is not None else fit_logits(sums)
    chosen = check_frequencies(frequencies, sums.p)
    strongest = sorted(chosen, key=lambda k: -abs(float(fit.similarity.values[k - 1])))[:MOST]
    kept = tuple(sorted(strongest))
    subsets = [subset for size in range(len(kept) + 1) for subset in combinations(kept, size)]
    scores = class_scores(
        project(sums.means, subsets, keep_mean=True), sums, pairs if pairs is not None else pair_sets(sums.p)
    )
    labels = {"freq": kept}
    return FrequencyMixer(
        kept,
        tuple(k for k in chosen if k not in kept),
        dict(zip(subsets, scores, strict=True)),
        Labelled(fit.coefficients.values[[k - 1 for k in kept]], ("freq",), labels),
        Labelled(project_each(sums, kept), ("freq", "sum", "c"), labels),
        Labelled(sums.grand_mean, ("c",)),
    )
