"""The verdict: does the network add by a few frequencies? Claim, statistic, control, and what stays undecided.

The four conditions of `conditions` must hold, for the key frequencies against random sets of as many. No verdict can be
reached for very small p, which has too few other sets, nor when every frequency is key. A table of right answers, 10
where c = a + b and 0 elsewhere, is the sum of all cosines in equal parts: it fails there.

Otherwise the claim reads `no algorithm found`.
"""

from refractor.lab.conditions import (
    LEAST_SETS,
    NOT_FOUND,
    SIGNIFICANCE,
    Condition,
    Verdict,
    Words,
    answers_condition,
    enough_condition,
    needed_condition,
    p_value,
    verdict_notes,
)
from refractor.lab.controls import Control
from refractor.lab.operations import SYMBOLS
from refractor.lab.scores import Scores
from refractor.lab.trig_losses import TrigLoss

SHOWN = 10  # frequencies written out in a sentence

WORDS = Words("frequencies", "sum", "ln p")

UNDISTINGUISHED = (
    "How the frequencies are multiplied is not decided: attention products (clock), absolute values of sums (pizza) "
    "and other circuits give the same logits. Nor is it decided that every neuron takes part, or that single neurons "
    "have one meaning."
)


def reach_verdict(operation: str, p: int, scores: Scores, restricted: TrigLoss, excluded: TrigLoss) -> Verdict:
    """Judge a network by its restricted and excluded loss.

    Args:
        operation: "addition" or "subtraction".
        p: the modulus.
        scores: of the network itself.
        restricted: with the frequencies under test.
        excluded: with the same frequencies.

    Returns:
        The verdict.

    """
    where = "test" if scores.test is not None else "all"
    kept, rest, ln_p = restricted.scores.unseen, excluded.scores.unseen, restricted.chance_loss
    conditions = (
        answers_condition(scores.unseen, where),
        enough_condition(kept, where, ln_p),
        needed_condition(rest, where, ln_p),
        _special(restricted, excluded, where, p),
    )
    found = all(condition.passed for condition in conditions)
    shown = name_set(restricted.frequencies, p)
    claim = f"computes a {SYMBOLS[operation]} b mod {p} with the frequencies {shown}" if found else NOT_FOUND
    statistic = (
        f"On {where} pairs: accuracy {scores.unseen.accuracy:.4g}, loss {scores.unseen.loss:.3g}; with only {shown} "
        f"and the mean, accuracy {kept.accuracy:.4g}, loss {kept.loss:.3g}; without them, accuracy "
        f"{rest.accuracy:.4g}, loss {rest.loss:.3g} (guessing: {1 / p:.3g}, {ln_p:.3g})."
    )
    return Verdict(
        found,
        claim,
        conditions,
        statistic,
        _control(restricted, excluded, where),
        UNDISTINGUISHED,
        verdict_notes(WORDS, scores, restricted.scores, excluded.scores, restricted.chance_loss),
    )


def finding(restricted: TrigLoss, excluded: TrigLoss, p: int) -> str:
    """Return the finding and its control as one line, over all pairs."""
    kept, rest, control = restricted.scores.all, excluded.scores.all, restricted.control
    random = "none exist"
    if control.sets:
        random = f"accuracy {control.median_accuracy():.3f}, loss {control.median_loss():.3g}"
    return (
        f"Keeping only frequencies {name_set(restricted.frequencies, p)} and the mean: accuracy {kept.accuracy:.3f}, "
        f"loss {kept.loss:.3g} (random sets: {random}). Removing them: accuracy {rest.accuracy:.3f}, "
        f"chance {1 / p:.3f}."
    )


def name_set(frequencies: tuple[int, ...], p: int) -> str:
    """Write a set of frequencies in braces; a long one is shortened, with its size.

    >>> name_set((16, 30, 56), 113), name_set(tuple(range(1, 57)), 113), name_set(tuple(range(3, 57)), 113)
    ('{16, 30, 56}', '{1 … 56}', '{3, 4, 5, … 56} (54 of 56)')
    """
    if len(frequencies) <= SHOWN:
        return "{" + ", ".join(str(k) for k in frequencies) + "}"
    if len(frequencies) == p // 2:
        return f"{{1 … {p // 2}}}"
    first = ", ".join(str(k) for k in frequencies[:3])
    return f"{{{first}, … {frequencies[-1]}}} ({len(frequencies)} of {p // 2})"


def _special(restricted: TrigLoss, excluded: TrigLoss, where: str, p: int) -> Condition:
    bound = f"at most {SIGNIFICANCE}"
    chance = max(
        p_value(restricted.scores.unseen.loss, restricted.control.losses(where).tolist(), low_is_good=True),
        p_value(excluded.scores.unseen.loss, excluded.control.losses(where).tolist(), low_is_good=False),
    )
    passed = chance <= SIGNIFICANCE
    sentence = f"a random set of as many frequencies does as well with probability {chance:.3g}; {bound} is needed"
    return Condition("special", passed, chance, bound, _no_control(restricted, p) or sentence)


def _no_control(restricted: TrigLoss, p: int) -> str | None:
    """Return why random sets cannot tell, None where they can."""
    size, count = len(restricted.frequencies), len(restricted.control.sets)
    if size == 0:
        return "no frequency is key: there is nothing to compare with"
    if size == p // 2:
        return (
            f"every frequency up to {p // 2} is key, as in any table of right answers: there is no set to compare with"
        )
    if count < LEAST_SETS:
        return f"only {count} other sets of {size} frequencies are compared with; at least {LEAST_SETS} are needed"
    return None


def _control(restricted: TrigLoss, excluded: TrigLoss, where: str) -> str:
    if not restricted.control.sets:
        return "There is no other set of as many frequencies to compare with."
    return (
        f"{len(restricted.control.sets)} random sets of {len(restricted.frequencies)} frequencies, on {where} pairs: "
        f"only they and the mean, {_range(restricted.control, where)}; without them, {_range(excluded.control, where)}."
    )


def _range(control: Control, where: str) -> str:
    losses, accuracies = control.losses(where), control.accuracies(where)
    return (
        f"loss {float(losses.min()):.3g} to {float(losses.max()):.3g}, accuracy {float(accuracies.min()):.3g} to "
        f"{float(accuracies.max()):.3g}"
    )
