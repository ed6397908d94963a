"""Training: what it computes, that it can be killed at any moment, and what it refuses."""

import errno
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from refractor.base.errors import ArgumentError, CheckpointError, ConfigError, StoreError
from refractor.base.store import RunFolder, read_tensors
from refractor.models import HookedTransformer, HookedTransformerConfig
from refractor.models.pair_networks import PairNetworkConfig
from refractor.tasks import ModularAddition, ModularArithmetic
from refractor.training import TrainingConfig, open_run, train
from refractor.training.config import is_due
from refractor.training.last_position import last_logits
from refractor.training.progress import Progress, bar

P = 7
TASK = ModularAddition(P)
MODEL = HookedTransformerConfig(
    n_layers=1, d_model=8, n_ctx=3, d_head=4, d_mlp=16, d_vocab=P + 1, d_vocab_out=P, act_fn="relu",
    normalization_type=None, seed=0,
)  # fmt: skip
PAIRS = PairNetworkConfig(architecture="mlp", n=P, d_embed=8, d_hidden=16, seed=0)
NETWORKS = {"transformer": MODEL, "mlp": PAIRS}
TRAINING = TrainingConfig(steps=40, fraction=0.7, split_seed=1, evaluate_every=10, snapshot_every=20)


def contents(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {str(path.relative_to(folder)): read_tensors(path)[0] for path in sorted(folder.rglob("*.safetensors"))}


def assert_same_run(one: Path, two: Path) -> None:
    a, b = contents(one), contents(two)
    assert a.keys() == b.keys()
    for file, tensors in a.items():
        assert tensors.keys() == b[file].keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor.nan_to_num(nan=-7.0), b[file][name].nan_to_num(nan=-7.0)), f"{file}: {name}"


def test_an_update_is_adamw_on_the_float64_loss(tmp_path: Path) -> None:
    """Against the algorithm as published: decoupled decay, bias-corrected moments, epsilon outside the root."""
    config = replace(TRAINING, steps=5, warm_up=3, weight_decay=0.5, train_biases=True, snapshot_every=1)
    run = train(TASK, MODEL, config, tmp_path / "run")
    model = HookedTransformer(MODEL)
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in model.named_parameters()}
    tokens, labels = TASK.tokens()[run.split.train], TASK.labels()[run.split.train]
    for step in range(5):
        loss = torch.nn.functional.cross_entropy(model(tokens)[:, -1].double(), labels)
        if step in run.curves["step"]:
            seen = run.curves["train_loss"][run.curves["step"] == step]
            assert seen.item() == pytest.approx(loss.item(), rel=1e-6)
        model.zero_grad()
        loss.backward()
        rate = 1e-3 * min(1, (step + 1) / 3)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None
                first, second = moments[name]
                first.mul_(0.9).add_(0.1 * parameter.grad)
                second.mul_(0.98).add_(0.02 * parameter.grad**2)
                step_size = (first / (1 - 0.9 ** (step + 1))) / ((second / (1 - 0.98 ** (step + 1))).sqrt() + 1e-8)
                parameter.mul_(1 - rate * 0.5).sub_(rate * step_size)
        for (name, mine), truth in zip(run.load_model(step + 1).named_parameters(), model.parameters(), strict=True):
            if name.endswith("b_K"):  # its gradient is zero but for rounding, which AdamW blows up to full size
                continue
            torch.testing.assert_close(mine, truth, rtol=2e-4, atol=2e-6, msg=lambda m, name=name: f"{name}: {m}")


def test_curves_and_snapshots_are_where_they_are_due(tmp_path: Path) -> None:
    run = train(TASK, MODEL, TRAINING, tmp_path / "run")
    assert run.steps == (0, 1, 2, 5, 10, 20, 40)
    assert run.curves["step"].tolist() == [0, 1, 2, 5, 10, 20, 30, 40]
    tokens, labels = TASK.tokens(), TASK.labels()
    for place, step in ((0, 0), (5, 20), (7, 40)):
        model = run.load_model(step)
        assert isinstance(model, HookedTransformer)
        for name, rows in (("train", run.split.train), ("test", run.split.test)):
            logits = last_logits(model, tokens[rows]).detach().double()
            loss = torch.nn.functional.cross_entropy(logits, labels[rows]).item()
            right = (logits.argmax(-1) == labels[rows]).double().mean().item()
            assert run.curves[f"{name}_loss"][place].item() == pytest.approx(loss, rel=1e-12)  # the loss is of float64
            assert run.curves[f"{name}_accuracy"][place].item() == pytest.approx(right)
        squares = sum(p.double().square().sum().item() for p in model.parameters())
        assert run.curves["sum_of_squares"][place].item() == pytest.approx(squares, rel=1e-9)
    trained = run.load_model()
    assert isinstance(trained, HookedTransformer)
    assert trained.b_in.abs().max() == 0
    assert run.provenance["torch"] == torch.__version__


def test_a_network_learns(tmp_path: Path) -> None:
    run = train(TASK, MODEL, replace(TRAINING, steps=300, lr=1e-2, weight_decay=0.1), tmp_path / "run")
    assert run.curves["train_loss"][-1] < 0.05 < run.curves["train_loss"][0]


def test_it_stops_below_the_loss_that_is_asked_for(tmp_path: Path) -> None:
    config = replace(TRAINING, steps=400, lr=1e-2, weight_decay=0.1, stop_below=1.5, fraction=0.9)
    run = train(TASK, MODEL, config, tmp_path / "run")
    last = int(run.curves["step"][-1])
    assert last < 400
    assert run.curves["test_loss"][-1] < 1.5 <= run.curves["test_loss"][:-1].min()
    assert run.steps[-1] == last


def test_a_share_of_one_leaves_no_held_out_loss(tmp_path: Path) -> None:
    run = train(TASK, MODEL, replace(TRAINING, fraction=1, stop_below=1e-3), tmp_path / "run")
    assert run.curves["test_loss"].isnan().all()
    assert run.curves["test_accuracy"].isnan().all()
    assert run.curves["train_loss"].isfinite().all()
    assert run.steps[-1] == 40


def test_permuted_labels_keep_their_counts_and_change_only_the_training_rows(tmp_path: Path) -> None:
    config = replace(TRAINING, steps=400, shuffle_labels=0, lr=1e-2, weight_decay=0.0)
    run = train(TASK, MODEL, config, tmp_path / "run")
    assert run.curves["train_loss"][-1] < run.curves["train_loss"][0] / 2
    predicted = run.load_model()(TASK.tokens()[run.split.train])[:, -1].argmax(-1)
    assert (predicted == TASK.labels()[run.split.train]).double().mean() < 0.5


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    train(TASK, MODEL, TRAINING, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    train(TASK, MODEL, TRAINING, tmp_path / "run")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import test_trainer as t
from dataclasses import replace
config = replace(t.TRAINING, steps=400, evaluate_every=7, snapshot_every=50)
print("begin", flush=True)
t.train(t.TASK, t.NETWORKS[sys.argv[3]], config, sys.argv[1], save_seconds=float(sys.argv[2]))
"""


@contextmanager
def started(folder: Path, save_seconds: float, network: str = "transformer") -> Iterator[subprocess.Popen[str]]:
    """Train in a process of its own, from when it begins to train; it is over when the block is left."""
    code = SCRIPT.format(tests=str(Path(__file__).parent))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(folder), str(save_seconds), network]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begin\n"
            yield process
        finally:
            process.kill()


def written_at(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def train_to_the_end(folder: Path, network: str = "transformer") -> None:
    with started(folder, 1000.0, network) as process:
        error = process.communicate(timeout=120)[1]
        assert process.returncode == 0, error


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
@pytest.mark.parametrize("network", ["mlp", pytest.param("transformer", marks=pytest.mark.slow)])  # one trainer
def test_killed_at_any_moment_it_goes_on_bit_for_bit(tmp_path: Path, network: str) -> None:
    train_to_the_end(tmp_path / "whole", network)
    draw, state = random.Random(0), tmp_path / "killed" / "state.safetensors"
    for kill in range(5):
        with started(
            tmp_path / "killed", 0.0, network
        ) as process:  # it writes after every update: most kills hit a write
            before = written_at(state)
            while kill and written_at(state) == before:  # so that each part gets further; the first may not begin
                time.sleep(0.001)
            time.sleep(draw.uniform(0.0, 0.1))
            assert process.poll() is None, "the run was over before it could be killed"
            process.kill()
    reached = RunFolder(tmp_path / "killed").read_state()
    assert reached is not None
    assert 0 < reached[1] < 400
    train_to_the_end(tmp_path / "killed", network)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    assert not list((tmp_path / "killed").rglob("*.tmp"))


def test_runs_that_differ_in_one_bit_are_told_apart(tmp_path: Path) -> None:
    one, two = (train(TASK, MODEL, replace(TRAINING, steps=3), tmp_path / name).folder for name in ("one", "two"))
    assert_same_run(one, two)
    state = RunFolder(two).read_state()
    assert state is not None
    name = next(name for name in state[0] if name.startswith("moment/"))
    state[0][name].view(torch.int32).flatten()[0] ^= 1
    RunFolder(two).write_state(state[1], state[0])
    with pytest.raises(AssertionError, match=r"state.safetensors: moment/"):
        assert_same_run(one, two)


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_saves_and_the_same_call_goes_on(tmp_path: Path) -> None:
    with started(tmp_path / "run", 1000.0) as process:
        while not (tmp_path / "run" / "snapshots" / "step-0000050.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    state = RunFolder(tmp_path / "run").read_state()
    assert state is not None
    assert 50 <= state[1] < 400
    train_to_the_end(tmp_path / "run")
    train_to_the_end(tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def interrupt_at(step: int) -> Progress:
    def press(seen: int, train_loss: float, test_loss: float) -> None:
        if seen == step:
            signal.raise_signal(signal.SIGINT)

    return press


@pytest.mark.parametrize("step", [0, 17, 40])
def test_ctrl_c_is_not_lost_whenever_it_comes(tmp_path: Path, step: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(TASK, MODEL, TRAINING, tmp_path / "run", interrupt_at(step), save_seconds=1000.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    state = RunFolder(tmp_path / "run").read_state()
    assert state is not None
    assert state[1] == min(step + 1, 40)
    train(TASK, MODEL, TRAINING, tmp_path / "run")
    train(TASK, MODEL, TRAINING, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_when_the_run_is_written_does_not_change_it(tmp_path: Path) -> None:
    for name, seconds in (("often", 0.0), ("never", 1000.0)):
        train(TASK, MODEL, TRAINING, tmp_path / name, save_seconds=seconds)
    assert_same_run(tmp_path / "often", tmp_path / "never")


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = 0

    def full_after_twelve(handle: int) -> None:
        nonlocal writes
        writes += 1
        if writes > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_after_twelve)
    with pytest.raises(StoreError, match=r"could not be written: No space left on device"):
        train(TASK, MODEL, TRAINING, tmp_path / "run", save_seconds=0.0)
    monkeypatch.undo()
    run = open_run(tmp_path / "run")
    assert run.steps
    assert run.load_model(run.steps[-1]).W_E.isfinite().all()
    train(TASK, MODEL, TRAINING, tmp_path / "run")
    train(TASK, MODEL, TRAINING, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file cannot be used as a run folder: (File exists|Not a directory)"):
        train(TASK, MODEL, TRAINING, tmp_path / "file")
    with pytest.raises(StoreError, match=r"file/run cannot be used as a run folder: Not a directory"):
        train(TASK, MODEL, TRAINING, tmp_path / "file" / "run")


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path: Path) -> None:
    train(TASK, MODEL, TRAINING, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"training.lr = 0.001, but 0.5 came. Use the same settings.*another folder"):
        train(TASK, MODEL, replace(TRAINING, lr=0.5), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model.seed = 0, but 3 came"):
        train(TASK, replace(MODEL, seed=3), TRAINING, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"task.name = 'modular-addition', but 'modular-cubic' came"):
        train(ModularArithmetic("modular-cubic", P), MODEL, TRAINING, tmp_path / "run")


def test_a_network_that_does_not_fit_the_task_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"modular-addition with p=11 needs d_vocab=12; the network has 8"):
        train(ModularAddition(11), MODEL, TRAINING, tmp_path / "run")
    with pytest.raises(ConfigError, match="needs n_ctx of at least 3; the network has 2"):
        train(TASK, replace(MODEL, n_ctx=2), TRAINING, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_two_trainers_in_one_folder_are_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(StoreError, match="another process is training in"):
        train(TASK, MODEL, TRAINING, tmp_path)


def test_damaged_files_stop_the_run_and_are_named(tmp_path: Path) -> None:
    config = replace(TRAINING, steps=50)
    run = train(TASK, MODEL, config, tmp_path / "run")
    snapshot = RunFolder(run.folder).snapshot_path(20)
    RunFolder(run.folder).write_snapshot(20, {name: t.double() for name, t in run.load_model(20).state_dict().items()})
    with pytest.raises(
        StoreError, match=r"step-0000020.safetensors holds '.*' as torch.float64; .*run.json says torch.f"
    ):
        run.load_model(20)
    snapshot.write_bytes(snapshot.read_bytes()[:1000])
    with pytest.raises(StoreError, match=r"step-0000020.safetensors cannot be read, it is truncated"):
        run.load_model(20)
    weights = dict(run.load_model(10).state_dict())
    RunFolder(run.folder).write_snapshot(10, {**weights, "embed.W_E": weights["embed.W_E"][1:]})
    with pytest.raises(CheckpointError, match=r"'embed.W_E' must have shape \[8, 8\]; \[7, 8\]"):
        run.load_model(10)
    with pytest.raises(StoreError, match=r"has no snapshot of step 33; the nearest is step 40"):
        run.load_model(33)
    state = tmp_path / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-5])
    with pytest.raises(StoreError, match=r"state.safetensors cannot be read"):
        train(TASK, MODEL, config, tmp_path / "run")
    run_json = tmp_path / "run" / "run.json"
    run_json.write_text('{"format": 1, "task": {}}')
    with pytest.raises(StoreError, match="says nothing about model, training"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"steps": -1}, "steps must be an integer"),
        ({"lr": 0.0}, "lr must be a finite number above 0"),
        ({"lr": math.nan}, "lr must be a finite number"),
        ({"betas": [0.9]}, "betas must be two numbers"),
        ({"betas": [0.9, 1.0]}, "betas must be below 1"),
        ({"fraction": 0.0}, "fraction must be a fraction above 0"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"stop_below": 0.0}, "stop_below"),
        ({"evaluate_every": 0}, "evaluate_every"),
        ({"learning_rate": 1}, "'learning_rate' is no field of TrainingConfig"),
        ({"stepz": 1}, "'stepz' is no field of TrainingConfig. Nearest: steps"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_settings_are_named(change: dict[str, object], text: str) -> None:
    with pytest.raises((ArgumentError, ConfigError), match=text):
        TrainingConfig.from_dict({"steps": 3, **change})


def test_settings_survive_a_trip_through_plain_values() -> None:
    assert TrainingConfig.from_dict(TRAINING.to_dict()) == TRAINING
    with pytest.raises(ConfigError, match="needs steps"):
        TrainingConfig.from_dict({})


def test_what_is_due_does_not_depend_on_where_a_run_ends() -> None:
    assert [step for step in range(300) if is_due(step, 100)] == [0, 1, 2, 5, 10, 20, 50, 100, 200]


def test_the_bar_shows_losses_on_stderr_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with bar(40, may_stop_early=True) as progress:
        train(TASK, MODEL, TRAINING, tmp_path / "run", progress)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "40/40" in shown.err
    assert "at most" in shown.err
    assert "train" in shown.err
