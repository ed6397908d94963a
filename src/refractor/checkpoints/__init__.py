"""Trained networks by name or path."""

from refractor.checkpoints.bundle import bundled_folder, bundled_names
from refractor.checkpoints.load import load

__all__ = ["bundled_folder", "bundled_names", "load"]
