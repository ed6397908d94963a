"""Training the small networks of two elements: what is computed, kept, opened again and refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from refractor.base.errors import ArgumentError, ConfigError, StoreError, UnknownNameError
from refractor.base.store import RunFolder, read_tensors
from refractor.models import HookedTransformer, HookedTransformerConfig
from refractor.models.pair_networks import BilinearNet, OneLayerMLP, PairNetworkConfig, QuadraticNetwork
from refractor.models.pair_networks.build import CLASSES, build_pair_network
from refractor.tasks import GroupComposition, ModularAddition
from refractor.training import TrainingConfig, open_run, train

TASK = GroupComposition("S3")
MLP = PairNetworkConfig(architecture="mlp", n=6, d_embed=8, d_hidden=16, seed=0)
TRAINING = TrainingConfig(steps=30, fraction=0.7, split_seed=1, evaluate_every=10, snapshot_every=10, weight_decay=0.1)
KINDS: dict[str, PairNetworkConfig] = {
    "mlp": MLP,
    "with biases": replace(MLP, biases=True),
    "shared": replace(MLP, shared=True),
    "two layers": replace(MLP, hidden_layers=2, biases=True),
    "bilinear": PairNetworkConfig(architecture="bilinear", n=6, d_embed=16, seed=0),
    "bilinear, shared": PairNetworkConfig(architecture="bilinear", n=6, d_embed=16, seed=0, shared=True),
    "quadratic": PairNetworkConfig(architecture="quadratic", n=6, d_hidden=16, seed=0),
}


def training(kind: str, **changes: Any) -> TrainingConfig:
    return replace(TRAINING, train_biases=KINDS[kind].biases, **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_is_torchs_adamw_on_the_float64_loss(tmp_path: Path, kind: str) -> None:
    run = train(TASK, KINDS[kind], training(kind, steps=5, snapshot_every=1), tmp_path / "run")
    model = build_pair_network(KINDS[kind])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1)
    tokens, labels = TASK.tokens()[run.split.train], TASK.labels()[run.split.train]
    for step in range(6):
        logits = model(tokens)
        loss = torch.nn.functional.cross_entropy(logits.double(), labels)
        seen = run.curves["train_loss"][run.curves["step"] == step]
        assert len(seen) == (step in (0, 1, 2, 5))
        assert seen.tolist() == pytest.approx([loss.item()] * len(seen), rel=1e-6)
        for (name, mine), truth in zip(run.load_model(step).named_parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(mine, truth, rtol=2e-4, atol=2e-6, msg=lambda m, name=name: f"{name}: {m}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_opens_as_what_it_is(tmp_path: Path, kind: str) -> None:
    run = train(TASK, KINDS[kind], training(kind), tmp_path / "run")
    again = open_run(tmp_path / "run")
    model = again.load_model()
    assert type(model) is CLASSES[KINDS[kind].architecture]
    assert (again.task, again.model_config, again.training) == (TASK, KINDS[kind], training(kind))
    assert run.steps == again.steps == (0, 1, 2, 5, 10, 20, 30)
    assert all(parameter.requires_grad for parameter in model.parameters())
    tokens, labels = TASK.tokens(), TASK.labels()
    for name, rows in vars(run.split).items():
        logits = model(tokens[rows]).detach().double()
        loss = torch.nn.functional.cross_entropy(logits, labels[rows]).item()
        assert run.curves[f"{name}_loss"][-1].item() == pytest.approx(loss, rel=1e-6)
        right = (logits.argmax(-1) == labels[rows]).double().mean().item()
        assert run.curves[f"{name}_accuracy"][-1].item() == pytest.approx(right)


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_learns_a_table(tmp_path: Path, kind: str) -> None:
    config = training(kind, steps=200, lr=2e-2, fraction=1, evaluate_every=200)
    config = replace(config, weight_decay=0.0)
    run = train(TASK, KINDS[kind], config, tmp_path / "run")
    commutes = KINDS[kind].architecture == "bilinear" and KINDS[kind].shared  # x y and y x look the same to it
    assert run.curves["train_accuracy"][-1] == pytest.approx(1.0) or commutes
    assert run.curves["train_loss"][-1] < (0.5 if commutes else 0.01)


@pytest.mark.parametrize("kind", ["mlp", "two layers", "bilinear", "quadratic"])
def test_a_run_in_two_parts_is_the_run_in_one(tmp_path: Path, kind: str) -> None:
    def stop(step: int, train_loss: float, test_loss: float) -> None:
        if step == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TASK, KINDS[kind], training(kind), tmp_path / "parts", stop, save_seconds=0.0)
    train(TASK, KINDS[kind], training(kind), tmp_path / "parts")
    train(TASK, KINDS[kind], training(kind), tmp_path / "whole")
    for file in ("state.safetensors", "snapshots/step-0000030.safetensors"):
        one, two = (read_tensors(tmp_path / name / file)[0] for name in ("parts", "whole"))
        assert one.keys() == two.keys()
        assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_modular_tasks_are_taken_too(tmp_path: Path) -> None:
    run = train(ModularAddition(5), replace(MLP, n=5), TRAINING, tmp_path / "run")
    assert isinstance(run.load_model(), OneLayerMLP)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["task"] == {"name": "modular-addition", "p": 5}


def test_transformers_are_asked_about_groups_with_the_sign_behind(tmp_path: Path) -> None:
    for task in (TASK, GroupComposition("S3", factors=3)):
        config = HookedTransformerConfig(
            n_layers=1, d_model=8, n_ctx=task.n_ctx, d_head=4, d_vocab=7, d_vocab_out=6, act_fn="relu", seed=0,
            normalization_type=None,
        )  # fmt: skip
        run = train(task, config, replace(TRAINING, fraction=0.5), tmp_path / str(task.factors))
        model = open_run(run.folder).load_model()
        assert isinstance(model, HookedTransformer)
        logits = model(task.tokens()[run.split.train])[:, -1]
        loss = torch.nn.functional.cross_entropy(logits.double(), task.labels()[run.split.train]).item()
        assert run.curves["train_loss"][-1].item() == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize(
    ("task", "config", "changes", "text"),
    [
        (GroupComposition("S4"), MLP, {}, r"composition x · y in S4 needs n=24; the network has 6"),
        (
            GroupComposition("S3", factors=3),
            MLP,
            {},
            r"questions of 3 elements; a network with architecture='mlp' reads",
        ),
        (TASK, replace(MLP, biases=True), {}, r"train_biases=False would leave them at 0. Use train_biases=True"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, task: GroupComposition, config: PairNetworkConfig, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        train(task, config, replace(TRAINING, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path: Path) -> None:
    train(TASK, MLP, TRAINING, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"task.operation = 'product', but 'quotient' came"):
        train(GroupComposition("S3", "quotient"), MLP, TRAINING, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model.d_hidden = 16, but 17 came"):
        train(TASK, replace(MLP, d_hidden=17), TRAINING, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"task.p = None, but 6 came|task.name = 'composition', but"):
        train(ModularAddition(6), MLP, TRAINING, tmp_path / "run")


@pytest.mark.usefixtures("untyped")
def test_a_description_that_means_nothing_is_refused(tmp_path: Path) -> None:
    run = train(TASK, MLP, replace(TRAINING, steps=1), tmp_path / "run")
    told = RunFolder(run.folder).description()
    for part, change, error, text in (
        ("task", {"group": "T3"}, UnknownNameError, "'T3'"),
        ("model", {"d_embd": 3}, ConfigError, "'d_embd' is no field of PairNetworkConfig"),
        ("model", {"architecture": "os.system"}, ArgumentError, "architecture must be one of"),
        ("task", None, StoreError, "says nothing about task"),
    ):
        changed = {**told, part: change and {**told[part], **change}}
        (run.folder / "run.json").write_text(json.dumps(changed))
        with pytest.raises(error, match=text):
            open_run(run.folder)


def test_the_classes_are_those_of_the_architectures() -> None:
    assert set(CLASSES.values()) == {OneLayerMLP, BilinearNet, QuadraticNetwork}


def test_reading_a_network_draws_no_random_numbers(tmp_path: Path) -> None:
    run = train(TASK, replace(MLP, seed=None), replace(TRAINING, steps=1), tmp_path / "run")
    before = torch.get_rng_state()
    run.load_model()
    assert torch.equal(before, torch.get_rng_state())
