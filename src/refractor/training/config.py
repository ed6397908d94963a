"""`TrainingConfig`: how a network is trained, as inert and validated data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from refractor.base.checks import check_float, check_fraction, check_int
from refractor.base.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Full-batch AdamW (Loshchilov & Hutter 2019) on the mean cross-entropy of the answers, in float64.

    The defaults are those of the published runs on modular addition (Nanda et al. 2023).

    Args:
        steps: number of updates, at most.
        lr: learning rate.
        weight_decay: decoupled weight decay; each update multiplies weights by `1 - lr * weight_decay`.
        betas: decay of the two moments.
        eps: added to the root of the second moment.
        warm_up: updates over which the learning rate rises linearly to `lr`; 0 for none.
        fraction: share of the questions trained on.
        split_seed: seed of the split.
        train_biases: whether parameters called `b_…` are trained or stay as they begin. A network of pairs has none
            unless it is asked for them, and then they must be trained.
        stop_below: stop when the loss on held-out questions is below this; None to do all steps.
        evaluate_every: the held-out loss is computed at steps 0, 1, 2, 5, 10, 20, 50 … and at every multiple of this.
        snapshot_every: weights are kept at steps 0, 1, 2, 5, 10, 20, 50 … and at every multiple of this.
        shuffle_labels: seed with which the answers of the questions trained on are permuted, so that there is nothing
            to learn but the answers themselves (a control); None leaves them right.

    Raises:
        ArgumentError: a value is out of range.

    """

    steps: int
    lr: float = 1e-3
    weight_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    warm_up: int = 0
    fraction: float = 0.3
    split_seed: int = 598
    train_biases: bool = False
    stop_below: float | None = None
    evaluate_every: int = 50
    snapshot_every: int = 500
    shuffle_labels: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        check_int("steps", self.steps, least=0)
        check_float("lr", self.lr, above=0)
        check_float("weight_decay", self.weight_decay, least=0)
        check_float("eps", self.eps, above=0)
        for beta in self._checked_betas():
            if check_float("betas", beta, least=0) >= 1:
                raise ConfigError(f"betas must be below 1; {self.betas} came.")
        check_int("warm_up", self.warm_up, least=0)
        check_fraction("fraction", self.fraction)
        check_int("split_seed", self.split_seed, least=0, most=2**63 - 1)
        if not isinstance(self.train_biases, bool):
            raise ConfigError(f"train_biases must be True or False; {self.train_biases!r} came.")
        if self.stop_below is not None:
            check_float("stop_below", self.stop_below, above=0)
        check_int("evaluate_every", self.evaluate_every, least=1)
        check_int("snapshot_every", self.snapshot_every, least=1)
        if self.shuffle_labels is not None:
            check_int("shuffle_labels", self.shuffle_labels, least=0, most=2**63 - 1)

    def _checked_betas(self) -> tuple[float, float]:
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise ConfigError(f"betas must be two numbers; {self.betas!r} came.")
        object.__setattr__(self, "betas", tuple(self.betas))
        return self.betas

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the update that leads from `step` to `step + 1`."""
        return self.lr * min(1.0, (step + 1) / self.warm_up) if self.warm_up else self.lr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**asdict(self), "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingConfig":
        """Build a configuration from a mapping of fields.

        Raises:
            ConfigError: a key is not a field, or `steps` is missing.

        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                near = ", ".join(nearest(key, known)) or ", ".join(known)
                raise ConfigError(f"{key!r} is no field of TrainingConfig. Nearest: {near}.")
        if "steps" not in values:
            raise ConfigError("TrainingConfig needs steps.")
        return cls(**{**values, "betas": tuple(values.get("betas", cls.betas))})


def is_due(step: int, every: int) -> bool:
    """Whether something that happens `every` so many steps, and at 0, 1, 2, 5, 10, 20, 50 …, happens at this one.

    >>> [step for step in range(101) if is_due(step, 40)]
    [0, 1, 2, 5, 10, 20, 40, 50, 80, 100]
    """
    if step % every == 0:
        return True
    while step % 10 == 0:
        step //= 10
    return step in (1, 2, 5)
