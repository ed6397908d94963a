"""A run in three snapshots: one irrep is learned, then another; every curve is what a single analysis says."""

import copy

import composition_by_hand as by_hand
import pytest
import torch

from refractor.base.errors import ArgumentError
from refractor.groups import group, real_irreps
from refractor.lab import analyse_snapshots, load_network, phases
from refractor.lab.composition import (
    CompositionProgress,
    analyse_composition,
    analyse_composition_snapshots,
    measure_composition_progress,
    problem,
    rank_one_network,
)
from refractor.lab.composition.progress import key_irreps_of
from refractor.models.pair_networks import PairNetwork
from refractor.tasks import GroupComposition

S4 = group("S4")
TASK, SPLIT = GroupComposition(S4), by_hand.split_of(24)
FIRST, SECOND = "s4_2d", "standard"
STEPS = (0, 100, 300)


@pytest.fixture(scope="module")
def snapshots() -> list[tuple[int, PairNetwork]]:
    """Units in turn of either irrep: at first none is read out, then those of one, then all."""
    whole = rank_one_network(real_irreps(S4), [FIRST, SECOND], 1600, torch.Generator().manual_seed(0))
    networks = []
    for scales in ((1e-4, 1e-4), (1.0, 1e-3), (1.0, 1.0)):
        model = copy.deepcopy(whole)
        with torch.no_grad():
            model.W.mul_(torch.tensor(scales, dtype=torch.float64).repeat(800)[:, None] / 100)
        networks.append(model)
    return list(zip(STEPS, networks, strict=True))


@pytest.fixture(scope="module")
def progress(snapshots: list[tuple[int, PairNetwork]]) -> CompositionProgress:
    return analyse_composition_snapshots(iter(snapshots), TASK, SPLIT)


def test_similarity_does_not_know_how_large_logits_are(progress: CompositionProgress) -> None:
    """Read out with one ten-thousandth of the strength, both irreps are there from the first step."""
    assert progress.steps == STEPS
    assert progress.keys.names == (SECOND, FIRST)
    assert progress.learned == {FIRST: 0, SECOND: 0}
    assert float(progress.curves[f"similarity.{SECOND}"].values[1]) < 0.05
    assert repr(progress).startswith("CompositionProgress(3 steps to 300, 'computes x · y in S4")


def test_an_irrep_that_comes_later_is_learned_later(snapshots: list[tuple[int, PairNetwork]]) -> None:
    later = analyse_composition_snapshots(snapshots[1:], TASK, SPLIT)
    assert later.learned == {FIRST: 100, SECOND: 300}
    assert list(later.learned) == [FIRST, SECOND]


def test_curves_are_single_analyses(snapshots: list[tuple[int, PairNetwork]], progress: CompositionProgress) -> None:
    """With the irreps of the last snapshot at every step."""
    for place, (_, model) in enumerate(snapshots):
        table = analyse_composition(model, TASK, SPLIT, keys=progress.keys.names, controls=0).table()
        names = {
            "loss.train": "train_loss", "accuracy.test": "test_acc", "restricted_loss.all": "rep_restricted_loss_with_mean.all",
            "restricted_accuracy.test": "rep_restricted_accuracy_with_mean.test", "excluded_loss.train": "rep_excluded_loss.train",
            "similarity.standard": "logit_standard_rep_trace_similarity", "sum_of_squared_weights": "sum_of_squared_weights",
        }  # fmt: skip
        for curve, row in names.items():
            assert float(progress.curves[curve].values[place]) == pytest.approx(
                table[row].value, rel=1e-10, abs=1e-12
            ), curve
        for side in ("x", "y"):
            shares = sum(float(table[f"percent_{side}_embed_{name}_rep"].value) for name in progress.keys.names)  # pyright: ignore[reportArgumentType]
            assert float(progress.curves[f"{side}_embed_explained"].values[place]) == pytest.approx(shares, abs=1e-12)
        hidden = sum(float(table[f"total_percent_hidden_{name}_rep"].value) for name in progress.keys.names)  # pyright: ignore[reportArgumentType]
        assert float(progress.curves["hidden_explained"].values[place]) == pytest.approx(hidden, abs=1e-12)
    assert progress.curves["loss.all"].along("step") == STEPS


def test_phases_are_those_of_the_curves(progress: CompositionProgress) -> None:
    curves = progress.curves
    expected = phases(STEPS, curves["excluded_loss.train"].values.tolist(), curves["loss.test"].values.tolist())
    assert progress.phases == expected


def test_the_last_snapshot_is_measured_whole(
    snapshots: list[tuple[int, PairNetwork]], progress: CompositionProgress
) -> None:
    alone = analyse_composition(snapshots[-1][1], TASK, SPLIT)
    assert progress.last.verdict == alone.verdict
    assert progress.last.keys.names == alone.keys.names
    assert key_irreps_of(snapshots[-1][1], problem(S4)).names == alone.keys.names


def test_given_irreps_and_no_split(snapshots: list[tuple[int, PairNetwork]]) -> None:
    found = analyse_snapshots(snapshots[1:], TASK, keys=["sign"])
    assert found.keys.names == ("sign",)
    assert not [name for name in found.curves if "train" in name or "test" in name]
    assert [phase.end for phase in found.phases] == [None, None, None]


def test_one_step_at_a_time(snapshots: list[tuple[int, PairNetwork]], progress: CompositionProgress) -> None:
    values = measure_composition_progress(snapshots[1][1], problem(S4), progress.keys, progress.last.pairs)
    assert list(values) == list(progress.curves)
    assert values["loss.all"] == float(progress.curves["loss.all"].values[1])


def test_of_a_bundled_run() -> None:
    """The kept steps of a real run: the last is solved, and its irreps were learned on the way."""
    source = load_network("composition-S4")
    run = source.our_run()
    _, task = source.composition()
    points = [(step, run.load_model(step)) for step in (run.steps[0], run.steps[-1])]
    found = analyse_snapshots(points, task, source.split)
    assert isinstance(found, CompositionProgress)
    assert set(found.learned) <= set(found.keys.names)
    assert found.last.scores.all.accuracy > 0.99


def test_runs_that_are_none(snapshots: list[tuple[int, PairNetwork]]) -> None:
    with pytest.raises(ArgumentError, match="snapshots must have at least one; none came"):
        analyse_composition_snapshots([], TASK)
    with pytest.raises(ArgumentError, match=r"in order of increasing steps; \(300, 100, 0\) came"):
        analyse_composition_snapshots(snapshots[::-1], TASK)
    with pytest.raises(ArgumentError, match="A4 has 12 elements; the network is for 24"):
        analyse_composition_snapshots(snapshots, GroupComposition("A4"))
