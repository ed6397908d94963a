"""Random frequency sets: what any set of the same size would have scored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.checks import check_int
from refractor.lab.projection import check_frequencies
from refractor.lab.scores import Score, Scores

COUNT = 50
SEED = 0


@dataclass(frozen=True)
class Control:
    """The same measure with random frequency sets of the same size in place of the one under test.

    Args:
        sets: the random sets, all different, none of them the one under test.
        scores: their scores, in the same order.

    """

    sets: tuple[tuple[int, ...], ...]
    scores: tuple[Scores, ...]

    def losses(self, name: str = "all") -> Float[Tensor, " sets"]:
        """Return the loss of every random set over "all", "train" or "test" pairs; empty where there are none."""
        return torch.tensor([score.loss for score in self._known(name)], dtype=torch.float64)

    def accuracies(self, name: str = "all") -> Float[Tensor, " sets"]:
        """Return the accuracy of every random set over "all", "train" or "test" pairs."""
        return torch.tensor([score.accuracy for score in self._known(name)], dtype=torch.float64)

    def median_loss(self, name: str = "all") -> float | None:
        """Return the median loss, None where there is no random set (or no such pairs)."""
        return _median(self.losses(name))

    def median_accuracy(self, name: str = "all") -> float | None:
        """Return the median accuracy, None where there is no random set (or no such pairs)."""
        return _median(self.accuracies(name))

    def __repr__(self) -> str:
        """Return how many sets there are, and their median loss over all pairs."""
        return f"Control({len(self.sets)} sets, median loss {self.median_loss()})"

    def _known(self, name: str) -> list[Score]:
        return [score for score in (scores.on(name) for scores in self.scores) if score is not None]


def _median(values: Tensor) -> float | None:
    return float(values.quantile(0.5)) if len(values) else None


def control_generator(generator: torch.Generator | None) -> torch.Generator:
    """Return `generator`, or a fresh one with seed 0: the same sets at every call."""
    return generator if generator is not None else torch.Generator().manual_seed(SEED)


def random_frequency_sets(
    p: int, frequencies: tuple[int, ...], count: int = COUNT, generator: torch.Generator | None = None
) -> tuple[tuple[int, ...], ...]:
    """Draw different random sets of as many frequencies as `frequencies` has, never that set itself.

    They are drawn from all of 1 … p // 2, so they may share members with it. Where no more than `count` other sets
    exist, all of them are returned; there is none when `frequencies` is empty or has every frequency.

    Args:
        p: the modulus.
        frequencies: the set under test.
        count: how many.
        generator: what draws them; a fresh one with seed 0 when left out.

    Raises:
        ArgumentError: p, a frequency or count is out of range.

    >>> random_frequency_sets(7, (2,))
    ((1,), (3,))

    """
    check_int("p", p, least=2)
    sets = random_sets(p // 2, [k - 1 for k in check_frequencies(frequencies, p)], count, generator)
    return tuple(tuple(k + 1 for k in chosen) for chosen in sets)


def random_sets(
    total: int, tested: Sequence[int], count: int = COUNT, generator: torch.Generator | None = None
) -> tuple[tuple[int, ...], ...]:
    """Draw different random subsets of 0 … total - 1, as large as `tested`, never that set itself.

    Where no more than `count` others exist, all of them are returned.

    Raises:
        ArgumentError: count is out of range.

    >>> random_sets(3, [1])
    ((0,), (2,))

    """
    check_int("count", count, least=0)
    own, size = tuple(sorted(tested)), len(tested)
    if math.comb(total, size) - 1 <= count:
        return tuple(chosen for chosen in combinations(range(total), size) if chosen != own)
    generator = control_generator(generator)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < count:  # ends: at least count + 1 sets exist besides the tested one's repeats
        sample = tuple(sorted(torch.randperm(total, generator=generator)[:size].tolist()))
        if sample != own:
            drawn[sample] = None
    return tuple(drawn)
