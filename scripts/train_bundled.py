"""Make the bundled network `modular-addition-113`, its snapshots, curves and controls, from nothing.

Run: python scripts/train_bundled.py RUNS_FOLDER [--bundle]

Trains the network and the control on random labels into RUNS_FOLDER (10 to 20 minutes on two cores; started again it
goes on), then, with --bundle, measures every snapshot (minutes) and writes the bundle into the package.
"""

import argparse
from pathlib import Path

import torch
from bundling import bundle_control, memorised_step, nearest_steps, run_training, write_bundle

from refractor.lab import RunAnalysis, analyse_snapshots
from refractor.models import HookedTransformer, HookedTransformerConfig
from refractor.models.bundle import BUNDLED
from refractor.tasks import ModularAddition
from refractor.training import Run, TrainingConfig

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
SCRIPT = "scripts/train_bundled.py"


def main() -> None:
    """Train the network and the control, and bundle them when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="where the runs are kept, apart from the package")
    parser.add_argument("--bundle", action="store_true", help="write the bundle into the package")
    arguments = parser.parse_args()
    network = run_training(TASK, MODEL, TRAINING, arguments.runs / NAME)
    control = run_training(TASK, MODEL, RANDOM_LABELS, arguments.runs / RANDOM)
    if arguments.bundle:
        bundle_network(network, BUNDLED / NAME)
        bundle_control(control, BUNDLED / RANDOM, SCRIPT)


def bundle_network(run: Run, folder: Path) -> None:
    """Write the network with eight snapshots, its losses, and progress measures at 155 of the steps that were kept."""
    steps = [step for step in run.steps if step <= 200 or step % 50 == 0 or step == run.steps[-1]]
    print(f"measuring {len(steps)} snapshots …", flush=True)
    weights = ((step, HookedTransformer.from_pretrained(str(run.folder), checkpoint_value=step)) for step in steps)
    measured = analyse_snapshots(weights, TASK, run.split)
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
    write_bundle(run, folder, kept, curves, SCRIPT, {"steps": named, **found})


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
    return nearest_steps(run, [0, memorised / 5, memorised, *between, formed, clean, run.steps[-1]])


if __name__ == "__main__":
    main()
