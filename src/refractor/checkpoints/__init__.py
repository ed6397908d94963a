"""Trained networks by name or path: ours, and those of every common family."""

from refractor.checkpoints.adapters import ADAPTERS
from refractor.checkpoints.drawn import drawn
from refractor.checkpoints.load import load
from refractor.checkpoints.streamed import StreamedWeights, stream
from refractor.checkpoints.verify import Check, Verification, verify
from refractor.checkpoints.writing import save_pretrained

__all__ = [
    "ADAPTERS",
    "Check",
    "StreamedWeights",
    "Verification",
    "drawn",
    "load",
    "save_pretrained",
    "stream",
    "verify",
]
