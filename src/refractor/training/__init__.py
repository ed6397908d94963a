"""One trainer: task and network in, a run on disk out."""

from refractor.training.config import TrainingConfig
from refractor.training.last_position import last_logits
from refractor.training.run import Run, open_run
from refractor.training.trainer import train

__all__ = ["Run", "TrainingConfig", "last_logits", "open_run", "train"]
