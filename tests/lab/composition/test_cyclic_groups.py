"""In cyclic groups the measures of irreps are those of frequencies: both wings of the lab must agree."""

from collections.abc import Callable

import pytest
import torch
from published_groups import Studied

from refractor.groups import cyclic
from refractor.lab import fit_logits, pair_sets, sum_logits, trig_excluded_loss, trig_restricted_loss
from refractor.lab.composition import analyse_composition_logits
from refractor.lab.composition.rep_losses import RepLoss
from refractor.lab.scores import Scores
from refractor.lab.trig_losses import TrigLoss

LAW = 1e-10


def drawn(p: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(p, p, p, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def same(ours: Scores, others: Scores) -> None:
    for where, score in ours.by_set().items():
        other = others.on(where)
        assert (score is None) == (other is None)
        if score is not None and other is not None:
            assert score.loss == pytest.approx(other.loss, abs=LAW, rel=LAW), where
            assert score.accuracy == pytest.approx(other.accuracy, abs=LAW), where
            assert score.pairs == other.pairs


def agree(loss: RepLoss, trig: TrigLoss, p: int, frequencies: tuple[int, ...]) -> None:
    same(loss.scores, trig.scores)
    for k in frequencies:
        same(loss.each["sign" if 2 * k == p else f"freq_{k}"], trig.each[k])


@pytest.mark.parametrize(("p", "frequencies"), [(7, (1, 3)), (12, (2, 6)), (9, (3,)), (2, (1,))])
@pytest.mark.parametrize(("operation", "sums"), [("product", "addition"), ("quotient", "subtraction")])
def test_irreps_of_a_cyclic_group_are_frequencies(
    p: int, frequencies: tuple[int, ...], operation: str, sums: str
) -> None:
    logits, train = drawn(p), torch.arange(0, p * p, 2)
    names = ["sign" if 2 * k == p else f"freq_{k}" for k in frequencies]
    analysis = analyse_composition_logits(logits, cyclic(p), operation=operation, train=train, keys=names, controls=0)
    grouped, pairs = sum_logits(logits, p, sums), pair_sets(p, train)
    agree(
        analysis.losses.with_mean, trig_restricted_loss(grouped, frequencies, pairs=pairs, controls=0), p, frequencies
    )
    agree(analysis.losses.excluded, trig_excluded_loss(grouped, frequencies, pairs=pairs, controls=0), p, frequencies)
    same(analysis.scores, trig_excluded_loss(grouped, (), pairs=pairs, controls=0).scores)


@pytest.mark.parametrize("p", [7, 12])
def test_similarities_are_those_with_cosines(p: int) -> None:
    logits = drawn(p)
    fit = fit_logits(sum_logits(logits, p))
    similarity = analyse_composition_logits(logits, f"C{p}", controls=0).similarity
    for k in range(1, p // 2 + 1):
        assert similarity["sign" if 2 * k == p else f"freq_{k}"] == pytest.approx(
            float(fit.similarity.values[k - 1]), abs=LAW
        )


def test_of_c113_both_wings_say_the_same(studied: Callable[[str], Studied]) -> None:
    analysis = studied("C113_T_seed1").analysis
    frequencies = tuple(int(name.removeprefix("freq_")) for name in analysis.irreps)
    every = torch.arange(113)
    _, logits = analysis.view.network.rows(every.repeat_interleave(113), every.repeat(113))
    assert logits is not None
    grouped = sum_logits(logits, 113)
    kept = trig_restricted_loss(grouped, frequencies, pairs=analysis.pairs, controls=0)
    removed = trig_excluded_loss(grouped, frequencies, pairs=analysis.pairs, controls=0)
    agree(analysis.losses.with_mean, kept, 113, frequencies)
    agree(analysis.losses.excluded, removed, 113, frequencies)
    table = analysis.table()
    assert table["rep_restricted_loss_with_mean.all"].value == pytest.approx(5.56835e-8, rel=1e-5)
    assert table["rep_excluded_loss.train"].value == pytest.approx(9.05578, rel=1e-5)
    for k, loss in zip((16, 30, 56), (3.35060, 2.25656, 0.264769), strict=True):
        assert table[f"rep_excluded_loss.train.r=freq_{k}"].value == pytest.approx(loss, rel=1e-5)
