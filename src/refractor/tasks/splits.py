"""Which questions are trained on, and which are held out."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.checks import check_fraction, check_int
from refractor.base.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the questions trained on and of those held out (which may be none), each in drawn order."""

    train: Int[Tensor, " train"]
    test: Int[Tensor, " test"]


def split_rows(n_rows: int, fraction: float, seed: int) -> Split:
    """Shuffle the rows with a seeded generator; the first `int(fraction * n_rows)` are trained on.

    The permutation is `torch.randperm` of a generator seeded with `seed`, on the CPU: the convention of the published
    runs (Nanda et al. 2023; Chughtai et al. 2023).

    Raises:
        ArgumentError: the fraction is not in (0, 1], or so small that nothing would be trained on.

    >>> split = split_rows(10, 0.3, seed=0)
    >>> len(split.train), len(split.test)
    (3, 7)

    """
    check_int("n_rows", n_rows, least=1)
    check_int("seed", seed, least=0, most=2**63 - 1)
    count = int(check_fraction("fraction", fraction) * n_rows)
    if count == 0:
        raise ArgumentError(f"fraction={fraction} of {n_rows} rows leaves nothing to train on; use 1/{n_rows} or more.")
    order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
    return Split(order[:count], order[count:])
