"""Make the bundled networks `composition-S4` and `composition-S5`, their snapshots, curves and controls, from nothing.

Run: python scripts/train_bundled_groups.py RUNS_FOLDER [--only S4] [--bundle]

Trains each network and its control on random labels into RUNS_FOLDER (S4 a few minutes on one core, S5 twenty;
started again it goes on), then, with --bundle, writes the bundles into the package.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from bundling import (
    bundle_control,
    evaluated_steps,
    losses_at,
    memorised_step,
    nearest_steps,
    run_training,
    write_bundle,
)

from refractor.lab import analyse_snapshots
from refractor.models.bundle import BUNDLED
from refractor.models.pair_networks import PairNetworkConfig
from refractor.tasks import GroupComposition
from refractor.training import Run, TrainingConfig

SCRIPT = "scripts/train_bundled_groups.py"
GENERALISED = 0.99  # test accuracy; the published tables of the 2023 study date generalisation by it


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, one-layer MLPs of the published widths, elements in our canonical order."""

    seed: int
    training: TrainingConfig


RECIPES: Mapping[str, Recipe] = {
    # Half of the pairs, as in the published notebook. The held-out loss levels off near 1e-4, as there (3.8e-4).
    "S4": Recipe(3, TrainingConfig(steps=60_000, fraction=0.5, split_seed=3, evaluate_every=50, snapshot_every=500)),
    # The study trains on 0.4 of the pairs and needs 40,000 to 220,000 updates; 0.6 takes some 11,000, and 7,000 more
    # until the irreps that are not used have faded. With 0.7 it is 5,000, but a third of the held-out pairs is right
    # before the others are memorised: no control.
    "S5": Recipe(1, TrainingConfig(steps=20_000, fraction=0.6, split_seed=1, evaluate_every=50, snapshot_every=250)),
}


def main() -> None:
    """Train the networks and the controls, and bundle them when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="where the runs are kept, apart from the package")
    parser.add_argument("--only", choices=RECIPES, help="one group instead of all")
    parser.add_argument("--bundle", action="store_true", help="write the bundles into the package")
    arguments = parser.parse_args()
    for group in [arguments.only] if arguments.only else RECIPES:
        make(group, RECIPES[group], arguments.runs, arguments.bundle)


def make(group: str, recipe: Recipe, runs: Path, bundle: bool) -> None:
    """Train a network and its control, and bundle them when asked."""
    task = GroupComposition(group)
    name = f"composition-{group}"
    random = f"{name}-random-labels"
    model = PairNetworkConfig(architecture="mlp", n=task.n, seed=recipe.seed, model_name=name)
    shuffled = replace(recipe.training, steps=4_000, stop_below=None, shuffle_labels=0)
    network = run_training(task, model, recipe.training, runs / name)
    control = run_training(task, model, shuffled, runs / random)
    if bundle:
        bundle_network(network, BUNDLED / name)
        bundle_control(control, BUNDLED / random, SCRIPT)


def bundle_network(run: Run, folder: Path) -> None:
    """Write the network with six snapshots, its losses, and measures of some hundred of the steps that were kept.

    Step 0, the memorised one, two on the way to generalisation (equally spaced in log step), that, and the last.
    """
    memorised, generalised = memorised_step(run), generalised_step(run)
    between = [memorised * (generalised / memorised) ** share for share in (1 / 3, 2 / 3)]
    steps = nearest_steps(run, [0, memorised, *between, generalised, run.steps[-1]])
    named = {"step_0": 0, "memorised": memorised, "generalised": generalised, "last": steps[-1]}
    measured = analyse_snapshots(((step, run.load_model(step)) for step in run.steps), task_of(run), run.split)
    curves = {**run.curves, "measure_step": torch.tensor(measured.steps)}
    curves |= {f"measure/{name}": curve.values for name, curve in measured.curves.items()}
    facts = {"steps": named, "irreps_of_measures": list(measured.keys.names)}
    write_bundle(run, folder, steps, curves, SCRIPT, facts)


def task_of(run: Run) -> GroupComposition:
    """Return the task of a run, which is a composition.

    Raises:
        SystemExit: it is not.

    """
    if not isinstance(run.task, GroupComposition):
        raise SystemExit(f"{run.folder} is a run on {run.task.title}.")
    return run.task


def generalised_step(run: Run) -> int:
    """Return the first snapshot that answers what it was not trained on.

    Raises:
        SystemExit: there is none.

    """
    for step in evaluated_steps(run):
        if losses_at(run, step)["test_accuracy"] >= GENERALISED:
            return step
    raise SystemExit(f"{run.folder} did not generalise.")


if __name__ == "__main__":
    main()
