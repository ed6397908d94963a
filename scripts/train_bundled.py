"""Make the bundled network `modular-addition-113`, its snapshots, curves and controls, from nothing.

Run: python scripts/train_bundled.py RUNS_FOLDER [--bundle]

Trains the network and the control on random labels into RUNS_FOLDER (10 to 20 minutes on two cores; started again it
goes on), then, with --bundle, measures every snapshot (minutes) and writes the bundle into the package.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from refractor.base.store import RunFolder, digest
from refractor.lab import RunAnalysis, analyse_snapshots
from refractor.models import HookedTransformerConfig
from refractor.models.bundle import BUNDLED
from refractor.tasks import ModularAddition
from refractor.training import Run, TrainingConfig, train
from refractor.training.progress import bar

NAME = "modular-addition-113"
RANDOM = "modular-addition-113-random-labels"
TASK = ModularAddition(113)
MODEL = HookedTransformerConfig(
    n_layers=1,
    d_model=128,
    n_ctx=3,
    d_head=32,
    d_mlp=512,
    d_vocab=TASK.d_vocab,
    d_vocab_out=TASK.d_vocab_out,
    act_fn="relu",
    normalization_type=None,
    # Seed 999, that of the published notebook, gave seven frequencies and was still above 1e-6 after 21,800 updates.
    seed=1,
    model_name=NAME,
)
TRAINING = TrainingConfig(
    steps=40_000, fraction=0.3, split_seed=598, stop_below=1e-6, evaluate_every=10, snapshot_every=25
)
RANDOM_LABELS = TrainingConfig(
    steps=2_000, fraction=0.3, split_seed=598, shuffle_labels=0, evaluate_every=10, snapshot_every=1_000
)
MEMORISED = 1e-3  # a network has memorised when it answers what it was trained on, with a loss below this


def main() -> None:
    """Train the network and the control, and bundle them when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="where the runs are kept, apart from the package")
    parser.add_argument("--bundle", action="store_true", help="write the bundle into the package")
    arguments = parser.parse_args()
    network = run_training(arguments.runs / NAME, TRAINING)
    control = run_training(arguments.runs / RANDOM, RANDOM_LABELS)
    if arguments.bundle:
        bundle_network(network, BUNDLED / NAME)
        bundle_control(control, BUNDLED / RANDOM)


def run_training(folder: Path, config: TrainingConfig) -> Run:
    """Train, or go on, with a bar."""
    with bar(config.steps, may_stop_early=config.stop_below is not None) as progress:
        return train(TASK, MODEL, config, folder, progress)


def bundle_network(run: Run, folder: Path) -> None:
    """Write the network with eight snapshots, its losses, and progress measures at 155 of the steps that were kept."""
    steps = [step for step in run.steps if step <= 200 or step % 50 == 0 or step == run.steps[-1]]
    print(f"measuring {len(steps)} snapshots …", flush=True)
    measured = analyse_snapshots(((step, run.load_model(step)) for step in steps), run.task, run.split)
    memorised = memorised_step(run)
    kept = chosen_steps(run, measured, memorised)
    curves = dict(run.curves)
    curves["measure_step"] = torch.tensor(measured.steps)
    curves |= {f"measure/{name}": curve.values for name, curve in measured.curves.items()}
    named = {"step_0": 0, "memorised": memorised, "last": kept[-1]}
    found = {
        "frequencies_of_measures": list(measured.frequencies),
        "phases": {phase.name: phase.end for phase in measured.phases},
        "verdict": measured.verdict.claim,
    }
    write_bundle(run, folder, kept, curves, {"steps": named, **found})


def bundle_control(run: Run, folder: Path) -> None:
    """Write the network that was trained on permuted answers, as it was when it knew them."""
    step = memorised_step(run)
    write_bundle(run, folder, [step], run.curves, {"steps": {"last": step}})


def write_bundle(
    run: Run, folder: Path, steps: list[int], curves: dict[str, torch.Tensor], facts: dict[str, Any]
) -> None:
    """Write a run folder with these snapshots and curves, and what they are and where they come from."""
    if folder.exists():
        shutil.rmtree(folder)
    weights = {step: dict(run.load_model(step).state_dict()) for step in steps}
    there = RunFolder(run.folder).description()
    there.pop("format")
    there["provenance"] = {
        **run.provenance,
        "script": "scripts/train_bundled.py",
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
    print(f"{folder}: steps {steps}, {size / 1e6:.2f} MB")


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


def chosen_steps(run: Run, measured: RunAnalysis, memorised: int) -> list[int]:
    """Return eight snapshots that resolve every phase.

    Step 0, one before memorisation, the memorised one, two on the way to the end of circuit formation (equally spaced
    in log step), that end, the end of clean-up, and the last.

    Raises:
        SystemExit: the run did not reach every phase.

    """
    ends = [phase.end for phase in measured.phases[1:]]
    if any(end is None for end in ends):
        raise SystemExit(f"{run.folder} did not generalise: {', '.join(map(str, measured.phases))}.")
    formed, clean = (int(end or 0) for end in ends)
    between = [memorised * (formed / memorised) ** share for share in (1 / 3, 2 / 3)]
    wanted = [0, memorised / 5, memorised, *between, formed, clean, run.steps[-1]]
    steps = [min(evaluated_steps(run), key=lambda kept, mark=mark: abs(kept - mark)) for mark in wanted]
    if sorted(set(steps)) != steps:
        raise SystemExit(f"two of the eight snapshots fall on one step: {steps}.")
    return steps


if __name__ == "__main__":
    main()
