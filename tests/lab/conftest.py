"""Oracles of the lab: the definitions, written out over all p² pairs, with no shortcut."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

SHARED = Path(__file__).parents[2].parent / "shared"
Mask = Tensor


def directions(p: int, k: int, sign: int) -> list[Tensor]:
    """Unit vectors over (a, b) along cos w_k(a ± b) and, where it is not zero, sin w_k(a ± b)."""
    a = torch.arange(p, dtype=torch.float64)
    angle = 2 * math.pi * k * (a[:, None] + sign * a) / p
    waves = [angle.cos(), angle.sin()] if 2 * k != p else [angle.cos()]
    return [wave / wave.norm() for wave in waves]


def projected(logits: Tensor, frequencies: Sequence[int], sign: int = 1) -> Tensor:
    """P_K L, one direction after the other, for every output."""
    result = torch.zeros_like(logits)
    for k in frequencies:
        for wave in directions(logits.shape[0], k, sign):
            result += wave[:, :, None] * (wave[:, :, None] * logits).sum((0, 1))
    return result


def scored(logits: Tensor, labels: Tensor, rows: Tensor | None = None) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, row by row."""
    flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.flatten()
    if rows is not None:
        flat, wanted = flat[rows], wanted[rows]
    loss = torch.nn.functional.cross_entropy(flat, wanted)
    return float(loss), float((flat.argmax(-1) == wanted).double().mean())


@pytest.fixture(scope="session")
def brute_projection() -> Callable[..., Tensor]:
    return projected


@pytest.fixture(scope="session")
def brute_score() -> Callable[..., tuple[float, float]]:
    return scored


@pytest.fixture(scope="session")
def published_folder() -> Callable[[str], Path]:
    def folder(name: str) -> Path:
        path = SHARED / "data" / "group_runs" / name
        if not path.is_dir():
            pytest.skip(f"the published run {name} is not at {path.parent}")
        return path

    return folder
