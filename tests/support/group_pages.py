"""Runs of networks that compose elements of groups, every odd kind that a page must survive among them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from refractor.base.store import RunFolder
from refractor.models import HookedTransformerConfig
from refractor.models.pair_networks import PairNetworkConfig
from refractor.tasks import GroupComposition, ModularAddition
from refractor.tasks.task import Task
from refractor.training import TrainingConfig, open_run, train


def composed(
    folder: Path,
    task: Task,
    architecture: str = "mlp",
    steps: int = 20,
    fraction: float = 0.6,
    shuffle: int | None = None,
    snapshot_every: int = 10,
    **network: Any,
) -> Path:
    """A run folder of a small network; it has learned nothing unless it trains long."""
    if architecture == "transformer":
        config = HookedTransformerConfig.from_dict(
            {
                "n_layers": 1,
                "n_heads": 2,
                "d_model": 12,
                "d_head": 6,
                "d_mlp": 16,
                "n_ctx": task.n_ctx,
                "act_fn": "relu",
                "normalization_type": None,
                "seed": 0,
                "d_vocab": task.d_vocab,
                "d_vocab_out": task.n,
                **network,
            }
        )
    else:
        widths = {"mlp": {"d_embed": 8, "d_hidden": 12}, "bilinear": {"d_embed": 8}, "quadratic": {"d_hidden": 12}}
        config = PairNetworkConfig.from_dict(
            {"architecture": architecture, "n": task.n, "seed": 0, **widths[architecture], **network}
        )
    training = TrainingConfig(
        steps=steps,
        fraction=fraction,
        split_seed=0,
        evaluate_every=5,
        snapshot_every=snapshot_every,
        shuffle_labels=shuffle,
        train_biases=bool(network.get("biases")),
    )
    train(task, config, training, folder)
    return folder


def blank_network(folder: Path) -> Path:
    """A network of zeros: constant logits, dead neurons, no key irrep."""
    composed(folder, GroupComposition("S3"), steps=0)
    weights = open_run(folder).load_model().state_dict()
    RunFolder(folder).write_snapshot(0, {name: torch.zeros_like(tensor) for name, tensor in weights.items()})
    return folder


def without_any_curves(folder: Path) -> Path:
    """A run that kept weights and nothing else."""
    composed(folder, GroupComposition("S3"))
    (folder / "state.safetensors").unlink()
    return folder


ODD_GROUPS: dict[str, Callable[[Path], Path]] = {
    "S3": lambda folder: composed(folder, GroupComposition("S3")),
    "C2": lambda folder: composed(folder, GroupComposition("C2"), fraction=0.8),
    "Q8, quadratic": lambda folder: composed(folder, GroupComposition("Q8"), "quadratic"),
    "C5, bilinear": lambda folder: composed(folder, GroupComposition("C5"), "bilinear"),
    "D4, quotient": lambda folder: composed(folder, GroupComposition("D4", "quotient")),
    "biases, shared": lambda folder: composed(folder, GroupComposition("S3"), biases=True, shared=True),
    "two layers": lambda folder: composed(folder, GroupComposition("S3"), hidden_layers=2),
    "transformer": lambda folder: composed(folder, GroupComposition("S3"), "transformer"),
    "attention only": lambda folder: composed(
        folder, GroupComposition("S3"), "transformer", attn_only=True, d_mlp=None
    ),
    "modulo 5": lambda folder: composed(folder, ModularAddition(5)),
    "no test pairs": lambda folder: composed(folder, GroupComposition("S3"), fraction=1.0),
    "permuted answers": lambda folder: composed(folder, GroupComposition("S3"), shuffle=1),
    "untrained": lambda folder: composed(folder, GroupComposition("S3"), steps=0),
    "memorised": lambda folder: composed(folder, GroupComposition("D5"), steps=300, fraction=0.4, snapshot_every=300),
    "zeros": blank_network,
    "no curves": without_any_curves,
}
