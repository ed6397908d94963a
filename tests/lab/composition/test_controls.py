"""What losses stand beside: random sets of irreps, random subspaces, ln n; each scored by its definition."""

import math
import statistics

import composition_by_hand as by_hand
import pytest
import torch

from refractor.groups import group
from refractor.lab.composition import analyse_composition_logits, irrep_set, problem
from refractor.lab.composition.means import class_means
from refractor.lab.composition.rep_losses import SUBSPACES, random_subspaces, rep_losses
from refractor.lab.composition.views import view_logits
from refractor.lab.controls import random_sets
from refractor.lab.pairs import pair_sets
from refractor.lab.scores import Scores

LAW = 1e-10


def drawn(n: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(n * n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def close(scores: Scores, logits: torch.Tensor, right: torch.Tensor) -> None:
    loss, accuracy = by_hand.score(logits, right)
    assert scores.all.loss == pytest.approx(loss, abs=LAW, rel=LAW)
    assert scores.all.accuracy == pytest.approx(accuracy, abs=LAW)


@pytest.mark.parametrize("scale", [1e-3, 3.0, 400.0])
def test_controls_are_scored_like_what_they_control(scale: float) -> None:
    """With logits of size 400 exponentials underflow, and every row is computed directly."""
    asked = problem(group("D4"))
    logits, pairs = drawn(8, scale), pair_sets(8)
    view = view_logits(logits, asked)
    means, chosen = class_means(view), irrep_set(asked.irreps, [1, 4])
    found = rep_losses(view, means, chosen, pairs, controls=4, generator=torch.Generator().manual_seed(7))
    assert len(found.excluded.control.sets) == 4
    mean = logits.mean(0)
    for places, *scores in zip(
        found.restricted.control.sets,
        *(loss.control.scores for loss in (found.restricted, found.with_mean, found.excluded)),
        strict=True,
    ):
        assert len(places) == 2
        assert places != chosen.places
        part = sum(by_hand.over_pairs(asked.irreps.members[place], asked.answers) @ logits for place in places)
        for one, values in zip(scores, (part, part + mean, logits - part), strict=True):
            close(one, torch.as_tensor(values), asked.answers)
    bases = random_subspaces(view, chosen, 4, replayed(7, found.restricted.control.sets, asked.irreps.names))
    assert bases.shape == (4, 8, 5)  # of as many dimensions as a sign and the matrices 2 x 2
    for place, basis in enumerate(bases):
        part = by_hand.projector(basis[asked.answers.flatten()]) @ logits
        for loss, values in (
            (found.restricted, part), (found.with_mean, part + mean), (found.excluded, logits - part)
        ):  # fmt: skip
            close(loss.subspaces[place], values, asked.answers)


def replayed(seed: int, sets: tuple[tuple[int, ...], ...], names: tuple[str, ...]) -> torch.Generator:
    """The generator as it is once the sets were drawn."""
    generator = torch.Generator().manual_seed(seed)
    again = random_sets(len(names) - 1, [0, 3], len(sets), generator)
    assert [tuple(place + 1 for place in one) for one in again] == list(sets)
    return generator


def test_random_subspaces_have_no_mean_and_are_orthonormal() -> None:
    asked = problem(group("S4"))
    view, chosen = view_logits(drawn(24), asked), irrep_set(asked.irreps, ["standard"])
    bases = random_subspaces(view, chosen, 50, torch.Generator().manual_seed(0))
    assert bases.shape == (SUBSPACES, 24, 9)
    assert float(bases.sum(1).abs().max()) < LAW
    assert float((bases.mT @ bases - torch.eye(9)).abs().max()) < LAW
    nothing, everything = irrep_set(asked.irreps, []), irrep_set(asked.irreps, range(1, 5))
    for chosen in (nothing, everything):
        assert len(random_subspaces(view, chosen, 50, torch.Generator())) == 0


def test_the_table_shows_medians_of_the_controls_and_ln_n() -> None:
    analysis = analyse_composition_logits(drawn(8), "D4", keys=["sign", "freq_1"], controls=5)
    table, losses = analysis.table(), analysis.losses
    chance = math.log(8)
    assert table["all_loss"].control == pytest.approx(chance)
    assert table["all_acc"].control == 1 / 8
    for stem, loss in (("rep_restricted_loss", losses.restricted), ("rep_excluded_loss", losses.excluded)):
        assert loss.chance_loss == pytest.approx(chance)
        of_sets, of_spaces = loss.control.scores, loss.subspaces
        for rows, beside in (("all", of_sets), ("all.subspaces", of_spaces)):
            middle = statistics.median(scores.all.loss for scores in beside)
            assert table[f"{stem}.{rows}"].control == pytest.approx(middle)
            assert len(beside) == 5
        assert table[f"{stem}.all.r=trivial"].control == pytest.approx(chance)


def test_worse_than_guessing_is_noted() -> None:
    asked = problem(group("S3"))
    right = asked.answers.flatten()
    logits = 20 * torch.nn.functional.one_hot(right, 6).double()
    found = analyse_composition_logits(logits, "S3", keys=asked.irreps.names[1:], controls=0).losses
    assert found.excluded.scores.all.loss == pytest.approx(math.log(6))  # nothing is left: equal odds, not worse
    assert not found.excluded.confidently_wrong
    assert not found.restricted.confidently_wrong
    upside_down = analyse_composition_logits(-logits, "S3", controls=0).losses
    assert upside_down.restricted.scores.all.loss == pytest.approx(math.log(6))  # no irrep is similar: nothing is kept
    assert upside_down.network.all.loss > math.log(6)
