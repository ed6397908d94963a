"""Logits as a sum of cosines: `L[a, b, c] ~ sum_k alpha_k cos w_k(s - c)`, s the right answer."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.lab.labelled import Labelled
from refractor.lab.pairs import PairSets
from refractor.lab.projection import check_frequencies
from refractor.lab.scores import Scores, class_scores
from refractor.lab.spectra import by_frequency
from refractor.lab.sums import SumLogits

FLAT = 1e-20  # centred energy below this share of the whole is rounding: constant logits have no shape to explain


@dataclass(frozen=True, eq=False)
class LogitFit:
    """Least-squares fit of the logits, less their mean over outputs, by the cosines cos w_k(s - c).

    The cosines are orthogonal over (a, b, c), so every coefficient can be read on its own.

    Args:
        p: the modulus.
        coefficients: alpha_k for each frequency, in logits.
        similarity: cosine similarity of the centred logits with cos w_k(s - c), from -1 to 1.
        explained: `similarity ** 2`, the share of the centred logits' variance that frequency k explains.
        profile: mean centred logit at distance d = (c - s) mod p from the right answer; the cosine transform of
            this curve is alpha.

    """

    p: int
    coefficients: Labelled
    similarity: Labelled
    explained: Labelled
    profile: Labelled

    def explained_by(self, frequencies: tuple[int, ...]) -> float:
        """Return the share of the centred logits' variance that these frequencies explain together.

        Raises:
            ArgumentError: a frequency is out of range.

        """
        chosen = check_frequencies(frequencies, self.p)
        return float(sum(float(self.explained.values[k - 1]) for k in chosen))

    def curve(self, frequencies: tuple[int, ...]) -> Float[Tensor, " p"]:
        """Return `sum_k alpha_k cos w_k d` at every distance d from the right answer.

        Raises:
            ArgumentError: a frequency is out of range.

        """
        chosen = check_frequencies(frequencies, self.p)
        alpha = self.coefficients.values[[k - 1 for k in chosen]]
        return alpha @ cosine_table(self.p)[[k - 1 for k in chosen]]


def cosine_table(p: int) -> Float[Tensor, "freq p"]:
    """Return `cos(2 pi k d / p)` for k = 1 … p // 2 and d = 0 … p - 1."""
    k, d = torch.arange(1, p // 2 + 1), torch.arange(p)
    return torch.cos((k[:, None] * d % p).double() * (2 * torch.pi / p))


def fit_logits(sums: SumLogits) -> LogitFit:
    """Fit the logits by cosines of the distance from the right answer, for every frequency at once.

    The inner product of the centred logits with cos w_k(s - c) depends only on their sums over the pairs and
    outputs at each distance, p numbers; `|cos w_k(s - c)|² = p³ / 2` (p³ for k = p / 2).

    Returns:
        A `LogitFit`. Logits that are constant over outputs have coefficients and shares of 0.

    >>> from refractor.lab.sums import sum_logits
    >>> s = (torch.arange(5)[:, None] + torch.arange(5)) % 5
    >>> logits = 3 * torch.cos(2 * torch.pi * 2 * (s[:, :, None] - torch.arange(5)).double() / 5)
    >>> fit = fit_logits(sum_logits(logits, p=5))
    >>> round(float(fit.coefficients.values[1]), 12), round(fit.explained_by((2,)), 12)
    (3.0, 1.0)

    """
    p = sums.p
    centred = sums.means - sums.means.mean(1, keepdim=True)
    index = torch.arange(p)
    profile = centred[index, (index + index[:, None]) % p].mean(1)  # [d]: mean over s of column s + d
    table = cosine_table(p)
    squares = table.square().sum(1)  # p/2, or p for k = p/2
    coefficients = table @ profile / squares
    whole = float(sums.values.square().sum())
    energy = float((sums.values - sums.values.mean(2, keepdim=True)).square().sum())
    norms = squares.sqrt() * p  # |cos w_k(s - c)| over all p³ entries
    similarity = coefficients * norms / energy**0.5 if energy > FLAT * whole else torch.zeros_like(coefficients)
    coefficients = coefficients if energy > FLAT * whole else torch.zeros_like(coefficients)
    return LogitFit(
        p,
        by_frequency(coefficients),
        by_frequency(similarity),
        by_frequency(similarity.square()),
        Labelled(profile, ("distance",)),
    )


def cosine_fit_scores(fit: LogitFit, frequencies: tuple[int, ...], sums: SumLogits, pairs: PairSets) -> Scores:
    """Return loss and accuracy of the pure cosines `sum_k alpha_k cos w_k(s - c)`: nothing else of the network is left.

    Every pair has the same logits, shifted, so that all pairs have the same loss.

    Raises:
        ArgumentError: a frequency is out of range.

    """
    curve, index = fit.curve(frequencies), torch.arange(fit.p)
    logits = curve[(index - index[:, None]) % fit.p]
    return class_scores(logits[None], sums, pairs)[0]
