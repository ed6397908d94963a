"""What the scripts that make bundled networks share: training with a bar, choosing snapshots, writing a bundle."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from refractor.base.store import RunFolder, digest
from refractor.models import HookedTransformerConfig
from refractor.models.pair_networks import PairNetworkConfig
from refractor.tasks.task import Task
from refractor.training import Run, TrainingConfig, train
from refractor.training.progress import bar

MEMORISED = 1e-3  # a network has memorised when it answers what it was trained on, with a loss below this


def run_training(
    task: Task, model: HookedTransformerConfig | PairNetworkConfig, config: TrainingConfig, folder: Path
) -> Run:
    """Train, or go on, with a bar."""
    with bar(config.steps, may_stop_early=config.stop_below is not None) as progress:
        return train(task, model, config, folder, progress)


def losses_at(run: Run, step: int) -> dict[str, float]:
    """Return the losses and accuracies at a step that was evaluated."""
    place = int((run.curves["step"] == step).nonzero()[0, 0])
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    return {name: run.curves[name][place].item() for name in names}


def evaluated_steps(run: Run) -> list[int]:
    """Return the steps of which weights and losses were kept."""
    return sorted(set(run.steps) & set(run.curves["step"].int().tolist()))


def memorised_step(run: Run) -> int:
    """Return the first snapshot that answers all it was trained on right, with a loss below `MEMORISED`.

    Raises:
        SystemExit: there is none.

    """
    for step in evaluated_steps(run):
        losses = losses_at(run, step)
        if losses["train_accuracy"] == 1 and losses["train_loss"] < MEMORISED:
            return step
    raise SystemExit(f"{run.folder} has not memorised what it was trained on.")


def nearest_steps(run: Run, marks: Sequence[float]) -> list[int]:
    """Return for each mark the step nearest to it of which weights and losses were kept.

    Raises:
        SystemExit: the steps do not increase: two marks fall on one, or the run went through its phases out of order.

    """
    steps = [min(evaluated_steps(run), key=lambda kept, mark=mark: abs(kept - mark)) for mark in marks]
    if sorted(set(steps)) != steps:
        raise SystemExit(f"two of the {len(steps)} snapshots fall on one step: {steps}.")
    return steps


def bundle_control(run: Run, folder: Path, script: str) -> None:
    """Write the network that was trained on permuted answers, as it was when it knew them."""
    step = memorised_step(run)
    write_bundle(run, folder, [step], run.curves, script, {"steps": {"last": step}})


def write_bundle(
    run: Run, folder: Path, steps: Sequence[int], curves: dict[str, torch.Tensor], script: str, facts: dict[str, Any]
) -> None:
    """Write a run folder with these snapshots and curves, and what they are and where they come from.

    Args:
        run: the run that was trained.
        folder: where the bundle goes; what was there is replaced.
        steps: the snapshots that are kept.
        curves: the curves that are kept.
        script: what made it.
        facts: what else the provenance says, with `steps`, the named ones.

    """
    if folder.exists():
        shutil.rmtree(folder)
    weights = {step: dict(run.load_model(step).state_dict()) for step in steps}
    there = RunFolder(run.folder).description()
    there.pop("format")
    there["provenance"] = {
        **run.provenance,
        "script": script,
        "bundled": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "updates": run.steps[-1],
        "losses": {str(step): losses_at(run, step) for step in steps},
        "sha256_of_tensors": {str(step): digest(tensors) for step, tensors in weights.items()},
        **facts,
    }
    bundle = RunFolder(folder)
    bundle.begin(there)
    for step, tensors in weights.items():
        bundle.write_snapshot(step, tensors)
    bundle.write_curves(curves)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: steps {list(steps)}, {size / 1e6:.2f} MB")
