"""What is no algorithm is not called one: lookup tables, networks before training, memory, random labels."""

import composition_by_hand as by_hand
import pytest
import torch

from refractor.base.errors import ArgumentError
from refractor.groups import Group, alternating, group, real_irreps
from refractor.lab import analyse, load_network
from refractor.lab.composition import (
    CompositionAnalysis,
    analyse_composition,
    problem,
    rank_one_network,
)
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig
from refractor.tasks import GroupComposition, split_rows

NOTHING = "no algorithm found"
S4, A5 = group("S4"), alternating(5)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def failed(analysis: CompositionAnalysis) -> set[str]:
    assert analysis.verdict.found == (analysis.verdict.claim != NOTHING)
    return {condition.name for condition in analysis.verdict.failed}


def right_answers(g: Group, size: float = 10.0) -> torch.Tensor:
    return size * torch.nn.functional.one_hot(g.table, g.order).double()


def lookup(g: Group) -> OneLayerMLP:
    """One neuron for each pair, on for it alone: ReLU(1[x] + 1[y] - 1), read out as its answer."""
    n = g.order
    width = n * n
    cfg = PairNetworkConfig(architecture="mlp", n=n, d_embed=width, d_hidden=width, biases=True, dtype=torch.float64)
    model = OneLayerMLP(cfg)
    x, y = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    one = torch.eye(width, dtype=torch.float64)
    every = torch.arange(n)[:, None]
    model.load_state_dict(
        {
            "W_x": (x == every).double(), "W_y": (y == every).double(), "W": torch.cat([one, one]),
            "W_U": 10 * torch.nn.functional.one_hot(g.table.flatten(), n).double(),
            "b_1": -torch.ones(width, dtype=torch.float64), "b_U": torch.zeros(n, dtype=torch.float64),
        }
    )  # fmt: skip
    return model


@pytest.mark.parametrize("g", [S4, A5], ids=["S4", "A5"])
def test_a_table_of_right_answers(g: Group) -> None:
    """Every irrep is key, in parts as large as its dimension squared: nothing is left to compare with, so nothing is claimed."""
    analysis = analyse(right_answers(g), group=g)
    assert analysis.irreps == analysis.problem.irreps.names[1:]
    assert failed(analysis) == {"special"}
    assert analysis.verdict.conditions[3].sentence == (
        "every irrep is key, as in any table of right answers: there is nothing to compare with"
    )
    assert analysis.verdict.control == "There is no other subspace of as many dimensions to compare with."


def test_a_lookup_table_of_neurons() -> None:
    """It answers everything; but its neurons are no purer in irreps than after random rotations."""
    analysis = analyse_composition(lookup(S4), GroupComposition(S4))
    assert analysis.scores.all.accuracy == 1
    assert failed(analysis) == {"special"}
    assert "after 20 random rotations" in analysis.verdict.conditions[3].sentence


def test_all_irreps_one_to_a_neuron() -> None:
    """A network that uses every irrep is told from a lookup table by its neurons."""
    irreps = real_irreps(S4)
    model = rank_one_network(irreps, irreps.names[1:], 2400, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.W.mul_(10 / 2400)
    analysis = analyse_composition(model, GroupComposition(S4))
    assert failed(analysis) == set()
    assert analysis.verdict.claim == (
        "computes x · y in S4 with all its irreps, {sign, standard, standard_sign, s4_2d}, one to a neuron"
    )
    by_logits = analyse(analysis.view.read(analysis.view.hidden_table(slice(None)).flatten(0, 1)), group=S4)
    assert failed(by_logits) == {"special"}  # of logits alone nothing can be said


@pytest.mark.parametrize("kind", [*by_hand.NETWORKS, "transformer", "attention"])
def test_networks_before_training(kind: str) -> None:
    asked = problem(group("A4"))
    analysis = analyse_composition(
        by_hand.network(kind, 12), GroupComposition(asked.group), by_hand.split_of(12), asked=asked
    )
    assert "answers" in failed(analysis)


@pytest.mark.parametrize("seed", [0, 1])
def test_memory(seed: int) -> None:
    """Pairs trained on are right, the others random. Averaging over pairs with one answer reads the stored ones: that is noted."""
    split = split_rows(60 * 60, 0.5, seed)
    right = A5.table.flatten()
    logits = drawn(3600, 60, seed=seed)
    logits[split.train] += 15 * torch.nn.functional.one_hot(right[split.train], 60)
    analysis = analyse(logits, group=A5, train=split.train, test=split.test)
    assert analysis.scores.train is not None
    assert analysis.scores.train.accuracy == 1
    assert "answers" in failed(analysis)
    assert analysis.verdict.notes[0].startswith(
        "The key irreps alone answer more pairs than the network does (1 against"
    )
    assert analysis.verdict.notes[0].endswith("This is no sign of an algorithm.")


def test_random_labels() -> None:
    labels = torch.randint(60, (3600,), generator=torch.Generator().manual_seed(0))
    logits = 15 * torch.nn.functional.one_hot(labels, 60).double() + drawn(3600, 60)
    analysis = analyse(logits, group=A5)
    assert {"answers", "enough"} <= failed(analysis)


def test_constant_logits() -> None:
    analysis = analyse(torch.zeros(24, 24, 24), group=S4)
    assert analysis.irreps == ()
    assert {"answers", "enough", "special"} <= failed(analysis)
    assert analysis.verdict.conditions[3].sentence == "no irrep is key: there is nothing to compare with"


def test_without_controls_nothing_is_claimed() -> None:
    irreps = real_irreps(S4)
    logits = (8 * irreps["standard"].character)[S4.table[S4.table][:, :, S4.inverses]]
    assert failed(analyse(logits, group=S4)) == set()
    bare = analyse(logits, group=S4, controls=0)
    assert failed(bare) == {"special"}
    few = analyse(logits, group=S4, controls=5)
    assert few.verdict.conditions[3].sentence == "only 5 random subspaces are compared with; at least 19 are needed"


def test_irreps_that_do_nothing_are_neither_enough_nor_needed() -> None:
    irreps = real_irreps(A5)
    logits = (8 * irreps["standard"].character)[A5.table[A5.table][:, :, A5.inverses]]
    wrong = analyse(logits, group=A5, keys=["a5_3d_a"])
    assert failed(wrong) == {"enough", "needed", "special"}
    assert wrong.keys.rule == "given"
    assert wrong.verdict.statistic.startswith("On all pairs: accuracy 1, loss ")
    with pytest.raises(ArgumentError, match="place 0, is in no set: it is the mean"):
        analyse(logits, group=A5, keys=["trivial"])


def test_random_sets_of_irreps_stand_beside_where_there_are_enough() -> None:
    """C59 has 406 other pairs of frequencies: 50 of them are drawn, besides 20 subspaces of four dimensions."""
    analysis = analyse(two_cosines(), group="C59")
    assert len(analysis.losses.with_mean.control.sets) == 50
    assert "50 random sets of as many irreps" in analysis.verdict.control
    assert "20 random subspaces of as many dimensions" in analysis.verdict.control
    assert analysis.verdict.conditions[3].value == pytest.approx(1 / 21)
    assert analysis.finding.startswith("Keeping only the irreps {freq_5, freq_8} and the mean: accuracy 1.000")
    assert analysis.finding.endswith("chance 0.017.")


def two_cosines() -> torch.Tensor:
    wave = torch.arange(59, dtype=torch.float64) * 2 * torch.pi / 59
    one = 30 * (5 * wave).cos() + 30 * (8 * wave).cos()
    a = torch.arange(59)
    return one[(a[:, None, None] + a[:, None] - a) % 59]


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        (
            "composition-S4",
            "computes x · y in S4 with all its irreps, {sign, standard, standard_sign, s4_2d}, one to a neuron",
        ),
        ("composition-S4/step-0", NOTHING),
        ("composition-S4/memorised", NOTHING),
        ("composition-S4/random-labels", NOTHING),
        ("composition-S5", "computes x · y in S5 with the irreps {sign, standard, s5_5d_a}"),
        ("composition-S5/memorised", NOTHING),
    ],
)
def test_bundled_networks(name: str, claim: str) -> None:
    source = load_network(name)
    assert analyse_composition(*source.composition(), source.split).verdict.claim == claim


def test_the_undecided_is_said() -> None:
    verdict = analyse(right_answers(S4), group=S4).verdict
    assert verdict.undistinguished.startswith("How the representations are multiplied is not decided:")
    assert "given without a label" in verdict.undistinguished
