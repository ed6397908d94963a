"""Networks by name or folder: bundled ones, runs of ours, and those of the 2023 study as they were stored."""

import json
import shutil
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import torch

from refractor.base.errors import ArgumentError, CheckpointError, ConfigError, StoreError, UnknownNameError
from refractor.base.numerics import cross_entropy
from refractor.groups import group
from refractor.lab import Source, load_network
from refractor.models import HookedTransformer
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig
from refractor.tasks import GroupComposition, ModularArithmetic, split_rows
from refractor.training import TrainingConfig, train

MODULAR = "modular-addition-113"
S4 = {"group": "SymmetricGroup", "group_parameter": 4, "model": "OneLayerMLP", "frac_train": 0.5, "seed": 1}


def losses(source: Source) -> tuple[float, float]:
    """Mean float64 losses of the pairs trained on and held out; the last position of a transformer answers."""
    with torch.no_grad():
        logits = source.model(source.task.tokens())
    rows = cross_entropy(logits if logits.ndim == 2 else logits[:, -1], source.task.labels())
    return rows[source.split.train].mean().item(), rows[source.split.test].mean().item()


def weights(n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"W_x": (n, 4), "W_y": (n, 4), "W": (8, 3), "W_U": (3, n)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Path]:
    def write(config: dict[str, Any], state: dict[str, torch.Tensor]) -> Path:
        (tmp_path / "cfg.json").write_text(json.dumps(config))
        torch.save(state, tmp_path / "model.pt")
        return tmp_path

    return write


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "S3"
    model = PairNetworkConfig(architecture="mlp", n=6, d_embed=4, d_hidden=3, seed=0)
    config = TrainingConfig(steps=20, fraction=0.5, split_seed=3, evaluate_every=10, snapshot_every=10)
    train(GroupComposition("S3"), model, config, folder)
    return folder


# ---- bundled networks and runs of ours -----------------------------------------------------------------------------


def test_a_bundled_name_is_found_with_its_moment() -> None:
    last, first, control = (load_network(MODULAR + tail) for tail in ("", "@0", "/memorised"))
    assert isinstance(last.task, ModularArithmetic)
    assert (last.name, last.task.p, last.published) == (MODULAR, 113, None)
    assert last.step == last.our_run().steps[-1]
    assert first.step == 0
    assert control.step == last.our_run().provenance["steps"]["memorised"]
    assert len(last.split.train) == 3830
    model, task = last.modular()
    assert isinstance(model, HookedTransformer)
    assert task.p == 113
    assert losses(last)[1] < 1e-6


def test_a_run_folder_is_found_at_its_last_snapshot(ours: Path) -> None:
    for source in (load_network(ours), load_network(str(ours))):
        assert (source.name, source.step) == (str(ours), 20)
        assert source.task == GroupComposition("S3")
        assert torch.equal(source.split.train, split_rows(36, 0.5, 3).train)
        assert isinstance(source.model, OneLayerMLP)
        assert torch.equal(source.model.W_x, source.our_run().load_model(20).get_parameter("W_x"))
    with pytest.raises(ArgumentError, match=r"is a OneLayerMLP for composition x · y in S3; .* calculates modulo p"):
        load_network(ours).modular()


def test_a_source_cannot_be_changed(ours: Path) -> None:
    source = load_network(ours)
    with pytest.raises(FrozenInstanceError):
        source.step = 0  # pyright: ignore[reportAttributeAccessIssue]  that is the point
    assert source.model is not source.model


# ---- the 2023 study ------------------------------------------------------------------------------------------------


def test_a_published_folder_has_task_split_and_epochs(published: Callable[..., Path]) -> None:
    state = weights(24)
    source = load_network(published({**S4, "num_epochs": 7}, state))
    task = source.task
    assert isinstance(task, GroupComposition)
    assert (task.group.name, task.ordering, task.operation, source.step, source.run) == (
        "S4",
        "sympy-coset-rank",
        "product",
        7,
        None,
    )
    assert torch.equal(source.split.train, torch.randperm(576, generator=torch.Generator().manual_seed(1))[:288])
    x, y = 5, 17
    both = torch.cat([state["W_x"][x], state["W_y"][y]])
    torch.testing.assert_close(source.model(torch.tensor([[x, y]]))[0], torch.relu(both @ state["W"]) @ state["W_U"])
    assert task.labels()[x * 24 + y] == group("S4", ordering="sympy-coset-rank").product(x, y)
    with pytest.raises(ArgumentError, match="is a network of the 2023 study, of which only the last weights were kept"):
        source.our_run()


@pytest.mark.parametrize(
    ("family", "parameter", "name", "order"),
    [("CyclicGroup", 7, "C7", 7), ("DihedralGroup", 5, "D5", 10), ("AlternatingGroup", 5, "A5", 60)],
)
def test_groups_of_the_study_are_those_of_ours(
    published: Callable[..., Path], family: str, parameter: int, name: str, order: int
) -> None:
    source = load_network(published({**S4, "group": family, "group_parameter": parameter}, weights(order)))
    task = source.task
    assert isinstance(task, GroupComposition)
    assert (task.group.name, task.n, source.step) == (name, order, None)
    assert task.ordering == ("sympy-coset-rank" if name == "A5" else "canonical")


def test_keys_of_the_earliest_configurations_are_accepted(published: Callable[..., Path]) -> None:
    config = {**S4, "metrics": [], "notes": "words", "layers": {"embed_dim": 4, "hidden_dim": 3}}
    assert load_network(published(config, weights(24))).task.n == 24
    with pytest.raises(ConfigError, match=r"unknown keys \['note'\]"):
        load_network(published({**S4, "note": ""}, weights(24)))


def test_a_network_for_another_group_is_refused(published: Callable[..., Path]) -> None:
    source = load_network(published(S4, weights(23)))
    with pytest.raises(CheckpointError, match="is said to be about S4, which has 24 elements; its weights are for 23"):
        _ = source.model
    with pytest.raises(ConfigError, match=r"group must be one of .*; \"__import__\('os'\)\" came"):
        load_network(published({**S4, "group": "__import__('os')"}, weights(24)))
    with pytest.raises(UnknownNameError, match="S3.*known for S4, S5, S6, A5"):
        load_network(published({**S4, "group_parameter": 3}, weights(6)))


def test_the_published_losses_come_out(published_folder: Callable[[str], Path]) -> None:
    source = load_network(published_folder("S5_MLP_seed2"))
    assert (len(source.split.train), source.step) == (5760, 250_000)
    assert losses(source) == (pytest.approx(1.545226e-6, rel=1e-5), pytest.approx(2.942890e-6, rel=1e-5))


@pytest.mark.parametrize(
    "name", ["A5_MLP_seed1", "A5_T_seed1", "C113_MLP_seed1", "D59_MLP_seed1", "S5_MLP_seed1", "S5_T_seed1"]
)
def test_losses_of_the_summary_come_out(published_folder: Callable[[str], Path], name: str) -> None:
    folder = published_folder(name)
    summary = json.loads((folder / "summary_metrics.json").read_text())
    found = losses(load_network(folder))
    assert found == (pytest.approx(summary["train_loss"], rel=1e-5), pytest.approx(summary["test_loss"], rel=1e-5))


def test_the_s4_network_of_the_notebook(published_folder: Callable[[str], Path]) -> None:
    source = load_network(published_folder("S4_notebook"))
    assert (len(source.split.train), source.task.n, source.step) == (288, 24, 200_000)
    assert sum(losses(source)) / 2 == pytest.approx(1.8915e-4, rel=2e-4)


# ---- what is not there ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "modular-adition-113",
            "'modular-adition-113' is neither a bundled network nor a folder.*'modular-addition-113'",
        ),
        ("composition-S6", "neither a bundled network nor a folder. Bundled: 'composition-S"),
        ("gpt9", "'gpt9' is neither a bundled network nor a folder. Bundled: "),
    ],
)
def test_an_unknown_name_offers_the_nearest(name: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_network(name)


def test_a_folder_without_a_run_says_what_is_missing(tmp_path: Path, published: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError, match=r"folder without run.json, .* and without cfg.json and model.pt"):
        load_network(tmp_path)
    folder = published(S4, weights(24))
    (folder / "cfg.json").unlink()
    with pytest.raises(CheckpointError, match=r"has model.pt but no cfg.json; a run of the 2023 study has both"):
        load_network(folder)
    published(S4, weights(24))
    (folder / "model.pt").unlink()
    with pytest.raises(CheckpointError, match=r"has cfg.json but no model.pt"):
        load_network(folder)


def test_damaged_runs_and_moments_that_do_not_exist_are_named(ours: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ours, tmp_path / "copy"))
    (copy / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run.json"):
        load_network(copy)
    shutil.rmtree(copy / "snapshots")
    shutil.copy(ours / "run.json", copy / "run.json")
    with pytest.raises(CheckpointError, match="holds no snapshots"):
        load_network(copy)
    with pytest.raises(ArgumentError, match="there is no snapshot of step 3"):
        load_network(f"{MODULAR}@3")
