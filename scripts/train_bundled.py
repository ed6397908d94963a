"""Make the bundled network `modular-addition-113`, its snapshots, curves and controls, from nothing.

    python scripts/train_bundled.py RUNS_FOLDER [--bundle]

Trains the network and the control on random labels into RUNS_FOLDER (about 10 minutes on two cores; started again it goes
on), then, with --bundle, measures every snapshot and writes the bundle into the package.
"""

import argparse
from pathlib import Path

from refractor.models import HookedTransformerConfig
from refractor.tasks import ModularAddition
from refractor.training import Run, TrainingConfig, train
from refractor.training.progress import bar

NAME = "modular-addition-113"
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
    seed=1,
    model_name=NAME,
)
TRAINING = TrainingConfig(steps=40_000, fraction=0.3, split_seed=598, stop_below=1e-6, evaluate_every=10, snapshot_every=25)
RANDOM_LABELS = TrainingConfig(
    steps=2_000, fraction=0.3, split_seed=598, shuffle_labels=0, evaluate_every=10, snapshot_every=1_000
)


def run_training(folder: Path, config: TrainingConfig) -> Run:
    """Train, or go on, with a bar."""
    with bar(config.steps, may_stop_early=config.stop_below is not None) as progress:
        return train(TASK, MODEL, config, folder, progress)


def main() -> None:
    """Train the network and the control, and bundle them when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--bundle", action="store_true")
    arguments = parser.parse_args()
    run_training(arguments.runs / NAME, TRAINING)
    run_training(arguments.runs / "random-labels", RANDOM_LABELS)


if __name__ == "__main__":
    main()
