"""`Run`: a training run that was kept, read back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from refractor.base.errors import StoreError
from refractor.base.store import RunFolder
from refractor.tasks.splits import Split, split_rows
from refractor.tasks.stored import task_from_dict
from refractor.tasks.task import Task
from refractor.training.config import TrainingConfig
from refractor.training.network import Network, NetworkConfig, network_config_from_dict, unfilled_network


@dataclass(frozen=True, eq=False)
class Run:
    """A run on disk. Weights are read when they are asked for.

    Args:
        folder: where it lies.
        task: the questions.
        model_config: the network.
        training: how it was trained.
        steps: the steps of which weights are kept, in order.
        curves: losses, accuracies and the sum of squared weights by name, each [steps evaluated], with "step".
        provenance: when, with what, and where from.

    """

    folder: Path
    task: Task
    model_config: NetworkConfig
    training: TrainingConfig
    steps: tuple[int, ...]
    curves: dict[str, Tensor]
    provenance: dict[str, Any]

    @property
    def split(self) -> Split:
        """Which questions were trained on."""
        return split_rows(self.task.n_rows, self.training.fraction, self.training.split_seed)

    def load_model(self, step: int | None = None) -> Network:
        """Return the network after `step` updates, a transformer or a network of pairs; by default the last kept.

        Raises:
            StoreError: no weights of that step are kept (the nearest is named), or the file is damaged.

        """
        if step is None:
            if not self.steps:
                raise StoreError(f"{self.folder} holds no weights yet.")
            step = self.steps[-1]
        model = unfilled_network(self.model_config)
        model.load_state_dict(RunFolder(self.folder).read_snapshot(step, model.cfg.torch_dtype))
        return model.requires_grad_(requires_grad=True)


def open_run(folder: Path | str) -> Run:
    """Read a run folder.

    Raises:
        StoreError: the folder holds no run, or its files are damaged or of another run.
        ConfigError: its settings have keys that this version does not know.
        UnknownNameError: its task, or the group of its task, is none that this version knows.

    """
    store = RunFolder(Path(folder))
    description = store.description()
    missing = [part for part in ("task", "model", "training") if not isinstance(description.get(part), dict)]
    if missing:
        raise StoreError(f"{store.path / 'run.json'} says nothing about {', '.join(missing)}.")
    return Run(
        folder=store.path,
        task=task_from_dict(description["task"]),
        model_config=network_config_from_dict(description["model"]),
        training=TrainingConfig.from_dict(description["training"]),
        steps=tuple(store.steps()),
        curves={name: torch.as_tensor(curve) for name, curve in store.read_curves().items()},
        provenance=dict(description.get("provenance", {})),
    )
