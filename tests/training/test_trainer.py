"""Training: what it computes, that it can be killed at any moment, and what it refuses."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from refractor.base.errors import ArgumentError, ConfigError, StoreError
from refractor.base.store import RunFolder, read_tensors
from refractor.models import HookedTransformer, HookedTransformerConfig
from refractor.tasks import ModularAddition, ModularArithmetic
from refractor.training import TrainingConfig, open_run, train
from refractor.training.config import is_due
from refractor.training.progress import bar

P = 7
TASK = ModularAddition(P)
MODEL = HookedTransformerConfig(
    n_layers=1, d_model=8, n_ctx=3, d_head=4, d_mlp=16, d_vocab=P + 1, d_vocab_out=P, act_fn="relu",
    normalization_type=None, seed=0,
)  # fmt: skip
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
        logits = model(tokens)[:, -1].double()
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        right = (logits.argmax(-1) == labels).double()
        for name, rows in (("train", run.split.train), ("test", run.split.test)):
            assert run.curves[f"{name}_loss"][place].item() == pytest.approx(losses[rows].mean().item(), rel=1e-6)
            assert run.curves[f"{name}_accuracy"][place].item() == pytest.approx(right[rows].mean().item())
        squares = sum(p.double().square().sum().item() for p in model.parameters())
        assert run.curves["sum_of_squares"][place].item() == pytest.approx(squares, rel=1e-9)
    assert run.load_model().b_in.abs().max() == 0
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
t.train(t.TASK, t.MODEL, config, sys.argv[1], save_seconds=float(sys.argv[2]))
"""


def start(folder: Path, save_seconds: float) -> subprocess.Popen[str]:
    code = SCRIPT.format(tests=str(Path(__file__).parent))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(folder), str(save_seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_until_it_trains(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_killed_at_any_moment_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = start(tmp_path / "whole", 100.0)
    assert whole.wait(120) == 0
    draw = random.Random(0)
    kills = 0
    for _ in range(12):
        process = start(tmp_path / "killed", 0.0)  # the state is written after every update: most kills hit a write
        wait_until_it_trains(process)
        try:
            process.wait(draw.uniform(0.02, 0.4))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0, process.stderr.read() if process.stderr else ""
        break
    else:
        assert start(tmp_path / "killed", 100.0).wait(120) == 0
    assert kills >= 3, "the run was over before it could be killed"
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    assert not list((tmp_path / "killed").rglob("*.tmp"))


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_saves_and_the_same_call_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path / "run", 1000.0)
    wait_until_it_trains(process)
    while not (tmp_path / "run" / "snapshots" / "step-0000050.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert "KeyboardInterrupt" in error
    state = RunFolder(tmp_path / "run").read_state()
    assert state is not None
    assert state[1] >= 50
    assert start(tmp_path / "run", 1000.0).wait(120) == 0
    assert start(tmp_path / "whole", 1000.0).wait(120) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "run")


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
    train(TASK, MODEL, config, tmp_path / "run")
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
