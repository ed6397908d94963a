"""Conditions of a verdict: what must hold before an algorithm counts as found, whatever the group.

1. answers: accuracy of at least 0.99, the mark at which runs are called generalising (Chughtai et al. 2023). A network
   that stores its training pairs fails here, whatever its spectrum looks like.
2. enough: keeping only the parts under test and the mean leaves a loss of at most ln n / 100: of the ln n nats that
   separate guessing from certainty, 99% are kept.
3. needed: removing these parts leaves a loss of at least ln n / 2: half or more of them are lost.
4. special: random parts as large do not do as well. With r of m random ones at least as good, the chance that a random
   one is this good is (r + 1) / (m + 1), which must be at most 0.05, for 2 and for 3. So at least 19 others must exist.

Each is judged on pairs that were not trained on (on all pairs where no split is known).
"""

from dataclasses import dataclass

from refractor.lab.scores import Score, Scores, is_confidently_wrong

NOT_FOUND = "no algorithm found"
LEAST_ACCURACY = 0.99
ENOUGH = 0.01  # of ln n
NEEDED = 0.5  # of ln n
SIGNIFICANCE = 0.05
LEAST_SETS = round(1 / SIGNIFICANCE) - 1  # so that (0 + 1) / (m + 1) can reach the significance
LEAK = 0.01  # accuracy above the network's own that is worth a note


@dataclass(frozen=True)
class Condition:
    """One condition of the verdict.

    Args:
        name: "answers", "enough", "needed" or "special".
        passed: whether it holds.
        value: the number that was compared.
        bound: with what, e.g. "at least 0.99".
        sentence: number, bound and control in words.

    """

    name: str
    passed: bool
    value: float | None
    bound: str
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What was found, on what ground, against which control, and what stays undecided.

    Args:
        found: whether all conditions hold.
        claim: the claim; exactly "no algorithm found" where one fails.
        conditions: the four conditions.
        statistic: the numbers behind the claim, in one sentence.
        control: the same for random frequency sets, in one sentence.
        undistinguished: what the measures cannot tell apart.
        notes: what a reader should know besides, e.g. that an excluded loss is above ln p.

    """

    found: bool
    claim: str
    conditions: tuple[Condition, ...]
    statistic: str
    control: str
    undistinguished: str
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(condition for condition in self.conditions if not condition.passed)


def p_value(value: float, control: list[float], *, low_is_good: bool) -> float:
    """Return `(r + 1) / (n + 1)`, r of the n control values being at least as good as `value`.

    >>> p_value(1.0, [2.0, 3.0, 0.5], low_is_good=True)
    0.5
    """
    as_good = sum(other <= value if low_is_good else other >= value for other in control)
    return (as_good + 1) / (len(control) + 1)


def answers_condition(score: Score, where: str) -> Condition:
    """Return whether the network answers the pairs it was not trained on."""
    return Condition(
        "answers",
        score.accuracy >= LEAST_ACCURACY,
        score.accuracy,
        f"at least {LEAST_ACCURACY}",
        f"accuracy on {where} pairs is {score.accuracy:.4g}; at least {LEAST_ACCURACY} is needed",
    )


def enough_condition(score: Score, where: str, chance_loss: float, log: str = "ln p") -> Condition:
    """Return whether the parts under test are enough; `log` is how ln n is written."""
    bound = ENOUGH * chance_loss
    return Condition(
        "enough",
        score.loss <= bound,
        score.loss,
        f"at most {bound:.3g}",
        f"restricted loss on {where} pairs is {score.loss:.3g}; at most {bound:.3g} (1% of {log}) is needed",
    )


def needed_condition(score: Score, where: str, chance_loss: float, log: str = "ln p") -> Condition:
    """Return whether the parts under test are needed; `log` is how ln n is written."""
    bound = NEEDED * chance_loss
    return Condition(
        "needed",
        score.loss >= bound,
        score.loss,
        f"at least {bound:.3g}",
        f"excluded loss on {where} pairs is {score.loss:.3g}; at least {bound:.3g} (half of {log}) is needed",
    )


@dataclass(frozen=True)
class Words:
    """How a wing of the lab calls what its notes speak of.

    Args:
        parts: what is kept or removed, e.g. "frequencies".
        shared: what pairs have in common whose logits are averaged, e.g. "sum".
        log: how the loss of guessing is written, e.g. "ln p".

    """

    parts: str
    shared: str
    log: str


def verdict_notes(words: Words, network: Scores, kept: Scores, removed: Scores, chance: float) -> tuple[str, ...]:
    """Return what a reader of a verdict should know besides.

    Args:
        words: of the wing.
        network: scores of the network itself.
        kept: with only the parts under test and the mean.
        removed: without them.
        chance: the loss of guessing.

    """
    notes = []
    own, alone = network.unseen.accuracy, kept.unseen.accuracy
    if alone > own + LEAK:
        notes.append(
            f"The key {words.parts} alone answer more pairs than the network does ({alone:.3g} against {own:.3g}): the "
            f"projection averages over all pairs with the same {words.shared}, those that were stored included, and so "
            "reads their answers. This is no sign of an algorithm."
        )
    if is_confidently_wrong(removed, chance):
        where, score = ("train", removed.train) if removed.train else ("all", removed.all)
        notes.append(
            f"Without these {words.parts} the network is confidently wrong: the excluded loss on {where} pairs, "
            f"{score.loss:.3g}, is above {words.log} = {chance:.3g}, which equal odds would give."
        )
    return tuple(notes)
