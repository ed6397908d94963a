"""The trainer: full-batch, and exactly resumable.

An update depends on the weights, the moments and the step alone, so a run that was killed and is started again with the
same command on the same machine with as many threads goes on bit for bit as if nothing had happened. That holds on the
CPU; a GPU may add the same numbers in another order each time, killed or not.
"""

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from refractor.base.errors import ConfigError, StoreError
from refractor.base.store import RunFolder
from refractor.tasks.splits import split_rows
from refractor.tasks.task import Task
from refractor.training.ask import questions_for
from refractor.training.config import TrainingConfig, is_due
from refractor.training.interrupt import deferred_interrupt
from refractor.training.network import NetworkConfig, build_network, check_biases, check_fit
from refractor.training.progress import Progress, silent
from refractor.training.run import Run, open_run

CURVES = ("step", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "sum_of_squares")
SAVE_SECONDS = 10.0  # between two writes of the state; what a kill costs at most, besides the write itself


def train(
    task: Task,
    model_config: NetworkConfig,
    config: TrainingConfig,
    folder: Path | str,
    progress: Progress = silent,
    save_seconds: float = SAVE_SECONDS,
) -> Run:
    """Train a network, or go on with a run that was begun in `folder`.

    Args:
        task: the questions.
        model_config: the network, a transformer or a network of pairs; it must fit the task.
        config: the training.
        folder: where the run is kept; it is made if need be.
        progress: told of every step; `training.progress.bar()` shows a bar.
        save_seconds: time between two writes of the state. It does not change the run.

    Returns:
        The finished run.

    Raises:
        ConfigError: the network does not fit the task, or the folder holds a run with other settings (they are named).
        StoreError: the folder's files are damaged or cannot be written, or another process trains in it.
        KeyboardInterrupt: Ctrl-C, after the state was written; the same call goes on.

    """
    check_fit(task, model_config)
    check_biases(model_config, config)
    split_rows(task.n_rows, config.fraction, config.split_seed)  # an empty split is refused before anything is written
    store = RunFolder(Path(folder))
    with _locked(store.path):
        begin_or_check(store, task, model_config, config)
        store.clean()
        _Trainer(task, model_config, config, store, save_seconds).run(progress)
    return open_run(store.path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"another process is training in {folder}.") from error
    except OSError as error:
        raise StoreError(f"{folder} cannot be used as a run folder: {error.strerror or error}.") from error
    try:
        yield
    finally:
        lock.release()


def begin_or_check(store: RunFolder, task: Task, model_config: NetworkConfig, config: TrainingConfig) -> None:
    """Describe a new run, or check that the one that is there has the same settings.

    Raises:
        ConfigError: it has others; the message names each, what it is there and what came.

    """
    wanted = {
        "task": task.to_dict(),
        "model": model_config.to_dict(),
        "training": config.to_dict(),
    }
    if not store.exists:
        store.begin({**wanted, "provenance": _provenance()})
        return
    there = store.description()
    for part, settings in wanted.items():
        for key, value in settings.items():
            old = there.get(part, {}).get(key)
            if old != value:
                raise ConfigError(
                    f"{store.path} holds a run with {part}.{key} = {old!r}, but {value!r} came. "
                    "Use the same settings to go on with it, or another folder."
                )


def _provenance() -> dict[str, Any]:
    return {
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


@dataclass
class _Trainer:
    """One process's part of a run: the network, the optimiser, and the curves so far."""

    task: Task
    model_config: NetworkConfig
    config: TrainingConfig
    store: RunFolder
    save_seconds: float
    rows: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = build_network(self.model_config)
        tokens, labels = self.task.tokens(), self.task.labels()
        split = split_rows(self.task.n_rows, self.config.fraction, self.config.split_seed)
        if self.config.shuffle_labels is not None:
            generator = torch.Generator().manual_seed(self.config.shuffle_labels)
            labels[split.train] = labels[split.train][torch.randperm(len(split.train), generator=generator)]
        device = self.model_config.device
        self.train_questions, self.test_questions = (
            questions_for(self.model, tokens[rows].to(device), labels[rows].to(device))
            for rows in (split.train, split.test)
        )
        self.trained = {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if self.config.train_biases or not name.rsplit(".", 1)[-1].startswith("b_")
        }
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self.trained)
        c = self.config
        self.optimizer = torch.optim.AdamW(
            self.trained.values(), lr=c.lr, betas=c.betas, eps=c.eps, weight_decay=c.weight_decay, fused=True
        )

    def run(self, progress: Progress) -> None:
        """Do the updates that are left."""
        step = self._load()
        if step is None:
            return
        with deferred_interrupt() as interrupt:
            saved = time.monotonic()
            while True:
                logits = self.train_questions.logits()
                loss = self.train_questions.loss(logits)
                self._look(step, logits.detach(), loss.detach(), progress)
                if self._is_over(step):
                    break
                self._update(loss, step)
                step += 1
                if interrupt.requested or time.monotonic() - saved >= self.save_seconds:
                    self._save(step)
                    saved = time.monotonic()
                    interrupt.raise_if_requested()
            self.store.write_snapshot(step, self.model.state_dict())
            self._save(step, over=True)
            interrupt.raise_if_requested()

    def _update(self, loss: Tensor, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.param_groups[0]["lr"] = self.config.learning_rate(step)
        self.optimizer.step()

    def _is_over(self, step: int) -> bool:
        target = self.config.stop_below
        reached = target is not None and self.rows[-1][0] == step and self.rows[-1][2] < target
        return reached or step >= self.config.steps

    def _look(self, step: int, logits: Tensor, loss: Tensor, progress: Progress) -> None:
        """Take down losses and keep weights where they are due."""
        if is_due(step, self.config.evaluate_every) or step == self.config.steps:
            test_loss, test_accuracy = self.test_questions.evaluate()
            squares = sum(parameter.detach().double().square().sum().item() for parameter in self.model.parameters())
            accuracy = self.train_questions.accuracy(logits)
            self.rows.append([step, loss.item(), test_loss, accuracy, test_accuracy, squares])
        if is_due(step, self.config.snapshot_every):
            self.store.write_snapshot(step, self.model.state_dict())
        progress(step, self.rows[-1][1], self.rows[-1][2])

    def _save(self, step: int, over: bool = False) -> None:
        tensors = {f"weight/{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.trained.items():
            for key, tensor in self.optimizer.state[parameter].items():
                tensors[f"moment/{name}/{key}"] = tensor
        table = torch.tensor(self.rows, dtype=torch.float64).reshape(-1, len(CURVES))
        tensors |= {f"curve/{name}": table[:, place] for place, name in enumerate(CURVES)}
        self.store.write_state(step, {**tensors, "over": torch.tensor(over)})

    def _load(self) -> int | None:
        """Return the step to go on from (0 for a new run), or None when the run is over."""
        state = self.store.read_state()
        if state is None:
            return 0
        tensors, step = state
        if bool(tensors["over"]):
            return None
        self.model.load_state_dict(_under("weight/", tensors))
        for name, parameter in self.trained.items():
            moments = _under(f"moment/{name}/", tensors)
            # Laid out like the parameter, as the optimiser lays them out itself: the same arithmetic, bit for bit.
            self.optimizer.state[parameter] = {
                key: torch.empty_like(parameter).copy_(tensor) if tensor.ndim else tensor
                for key, tensor in moments.items()
            }
        self.rows = torch.stack([tensors[f"curve/{name}"] for name in CURVES], dim=1).tolist()
        return step


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
