"""How sparse a spectrum is, in one number, and what that number is for noise."""

import math

import torch
from torch import Tensor

from refractor.base.errors import ArgumentError


def gini(values: Tensor) -> float:
    """Return the Gini coefficient of non-negative numbers: 0 when all are equal, near 1 when few hold everything.

    With x sorted upwards, `G = sum_i (2 i - n - 1) x_i / (n sum_i x_i)`, i = 1 … n; at most 1 - 1/n. All zeros give 0.
    As a measure of sparsity: Hurley and Rickard (2009).

    Args:
        values: the numbers, any shape.

    Raises:
        ArgumentError: there are none, or one is negative or not finite.

    >>> gini(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    0.75

    """
    x = values.detach().cpu().double().flatten().sort().values
    if len(x) == 0 or not bool(torch.isfinite(x).all()) or float(x[0]) < 0:
        raise ArgumentError("values must be finite numbers of at least 0, one or more of them.")
    total = float(x.sum())
    if total == 0:
        return 0.0
    n = len(x)
    rank = torch.arange(1, n + 1, dtype=torch.float64)
    return float(((2 * rank - n - 1) * x.cpu()).sum()) / (n * total)


def noise_gini(*widths: int) -> float:
    """Return the Gini coefficient that the component norms of Gaussian noise have.

    The norm of a Gaussian vector of width w has a relative spread of about `1 / sqrt(2 w)`; along a product of two
    random matrices the squares add up. Nearly normal numbers of relative spread v have `G = v / sqrt(pi)`.

    Args:
        widths: number of columns; for a product, the widths on the way.

    >>> round(noise_gini(128), 4)
    0.0353

    """
    return math.sqrt(sum(1 / (2 * width) for width in widths) / math.pi)
