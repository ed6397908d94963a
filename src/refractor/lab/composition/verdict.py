"""The verdict: does the network compose by a few irreps? Claim, statistic, control, and what stays undecided.

The four conditions of `lab.conditions` must hold for the key irreps. They are special when random subspaces of as many
dimensions do worse and, where the group has at least 19 other sets of as many irreps, random sets of them do too.

Where every irrep is key, as in networks of small groups, nothing is left to compare with: any table of right
answers, 10 where z = x · y and 0 elsewhere, has them all. Then the neurons must show it: each computes with one irrep,
and more so than after random rotations of all functions on the group. Of logits alone nothing can be said then.
"""

from refractor.lab.composition.neurons import RotationControl
from refractor.lab.composition.problem import Problem
from refractor.lab.composition.rep_losses import RepLoss, RepLosses
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
from refractor.lab.scores import Scores

SHOWN = 10  # irreps written out in a sentence

WORDS = Words("irreps", "answer", "ln n")

UNDISTINGUISHED = (
    "How the representations are multiplied is not decided: products of matrices, sums of coset indicators and other "
    "circuits give the same logits, and for single networks that is disputed. Gradient symmetricity and distance "
    "irrelevance are given without a label for that reason."
)


def reach_verdict(problem: Problem, losses: RepLosses, rotations: RotationControl | None = None) -> Verdict:
    """Judge a network by its restricted and excluded loss.

    Args:
        problem: what the network was asked.
        losses: of the key irreps.
        rotations: how pure its neurons are, where every irrep is key and there are neurons.

    """
    kept, removed, network = losses.with_mean, losses.excluded, losses.network
    where, chance = "test" if network.test is not None else "all", kept.chance_loss
    conditions = (
        answers_condition(network.unseen, where),
        enough_condition(kept.scores.unseen, where, chance, "ln n"),
        needed_condition(removed.scores.unseen, where, chance, "ln n"),
        _special(problem, kept, removed) if rotations is None else _pure(rotations),
    )
    found = all(condition.passed for condition in conditions)
    shown = name_irreps(kept.irreps, len(problem.irreps) - 1)
    how = f"the irreps {shown}" if rotations is None else f"all its irreps, {shown}, one to a neuron"
    claim = f"computes {problem.formula} in {problem.group.name} with {how}" if found else NOT_FOUND
    rest = removed.scores.unseen
    statistic = (
        f"On {where} pairs: accuracy {network.unseen.accuracy:.4g}, loss {network.unseen.loss:.3g}; with only {shown} "
        f"and the mean, accuracy {kept.scores.unseen.accuracy:.4g}, loss {kept.scores.unseen.loss:.3g}; without them, "
        f"accuracy {rest.accuracy:.4g}, loss {rest.loss:.3g} (guessing: {1 / problem.order:.3g}, {chance:.3g})."
    )
    return Verdict(
        found,
        claim,
        conditions,
        statistic,
        _control(kept, removed, where),
        UNDISTINGUISHED,
        verdict_notes(WORDS, network, kept.scores, removed.scores, chance),
    )


def finding(losses: RepLosses, problem: Problem) -> str:
    """Return the finding and its control as one line, over all pairs."""
    kept, rest = losses.with_mean.scores.all, losses.excluded.scores.all
    random = "none exist"
    spaces = losses.with_mean.subspaces
    if spaces:
        middle = sorted(spaces, key=lambda scores: scores.all.loss)[len(spaces) // 2].all
        random = f"accuracy {middle.accuracy:.3f}, loss {middle.loss:.3g}"
    shown = name_irreps(losses.with_mean.irreps, len(problem.irreps) - 1)
    return (
        f"Keeping only the irreps {shown} and the mean: accuracy {kept.accuracy:.3f}, loss {kept.loss:.3g} (random "
        f"subspaces of as many dimensions: {random}). Removing them: accuracy {rest.accuracy:.3f}, chance "
        f"{1 / problem.order:.3f}."
    )


def name_irreps(names: tuple[str, ...], total: int) -> str:
    """Write a set of irreps in braces; a long one is shortened, with its size.

    >>> name_irreps(("sign", "standard"), 6)
    '{sign, standard}'
    """
    if len(names) <= SHOWN:
        return "{" + ", ".join(names) + "}"
    return "{" + ", ".join(names[:3]) + f", … {names[-1]}}} ({len(names)} of {total})"


def _special(problem: Problem, kept: RepLoss, removed: RepLoss) -> Condition:
    bound = f"at most {SIGNIFICANCE}"
    chances = [
        p_value(kept.scores.unseen.loss, [scores.unseen.loss for scores in kept.subspaces], low_is_good=True),
        p_value(removed.scores.unseen.loss, [scores.unseen.loss for scores in removed.subspaces], low_is_good=False),
    ]
    if len(kept.control.sets) >= LEAST_SETS:
        chances += [
            p_value(kept.scores.unseen.loss, _losses(kept.control.scores), low_is_good=True),
            p_value(removed.scores.unseen.loss, _losses(removed.control.scores), low_is_good=False),
        ]
    chance = max(chances)
    passed = chance <= SIGNIFICANCE
    sentence = f"a random part of as many dimensions does as well with probability {chance:.3g}; {bound} is needed"
    return Condition("special", passed, chance, bound, _no_control(problem, kept) or sentence)


def _pure(rotations: RotationControl) -> Condition:
    chance = p_value(rotations.purity, list(rotations.rotated), low_is_good=False)
    sentence = (
        f"every irrep is key, so that no other set is left to compare with; but a neuron has {rotations.purity:.3g} of "
        f"its energy in one irrep on average, and at most {max(rotations.rotated):.3g} after {len(rotations.rotated)} "
        f"random rotations: as pure by chance with probability {chance:.3g}; at most {SIGNIFICANCE} is needed"
    )
    return Condition("special", chance <= SIGNIFICANCE, chance, f"at most {SIGNIFICANCE}", sentence)


def _losses(scores: tuple[Scores, ...]) -> list[float]:
    return [score.unseen.loss for score in scores]


def _no_control(problem: Problem, kept: RepLoss) -> str | None:
    """Return why random parts cannot tell, None where they can."""
    if not kept.irreps:
        return "no irrep is key: there is nothing to compare with"
    if len(kept.irreps) == len(problem.irreps) - 1:
        return "every irrep is key, as in any table of right answers: there is nothing to compare with"
    if len(kept.subspaces) < LEAST_SETS:
        return f"only {len(kept.subspaces)} random subspaces are compared with; at least {LEAST_SETS} are needed"
    return None


def _control(kept: RepLoss, removed: RepLoss, where: str) -> str:
    if not kept.subspaces:
        return "There is no other subspace of as many dimensions to compare with."
    text = (
        f"{len(kept.subspaces)} random subspaces of as many dimensions, on {where} pairs: only they and the mean, "
        f"{_range(kept.subspaces)}; without them, {_range(removed.subspaces)}."
    )
    count = len(kept.control.sets)
    if count:
        text += (
            f" {count} {'other' if count < LEAST_SETS else 'random'} sets of as many irreps: only they and the mean, "
            f"{_range(kept.control.scores)}; without them, {_range(removed.control.scores)}."
        )
    return text


def _range(scores: tuple[Scores, ...]) -> str:
    losses, accuracies = _losses(scores), [score.unseen.accuracy for score in scores]
    return f"loss {min(losses):.3g} to {max(losses):.3g}, accuracy {min(accuracies):.3g} to {max(accuracies):.3g}"
