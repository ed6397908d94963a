"""Logits sorted by the sum of their operands: what every trigonometric measure reads."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab.operations import sum_index

Logits = Tensor | np.ndarray
"""Logits over (a, b, c) from anywhere: [p, p, p] or [p * p, p] in a-major order, any real floating dtype."""

FACTOR = 4  # cubes of p³ doubles held at once: the copy, its exponentials, one difference, and what numpy or torch adds


@dataclass(frozen=True, eq=False)
class SumLogits:
    """Logits of all pairs in float64, grouped by `s = (a + b) mod p` (or a - b), which is also the right answer.

    Args:
        p: the modulus.
        operation: "addition" or "subtraction".
        values: logits of the pair (a, b) of class s, `values[s, a, c]`; b follows from s and a.
        means: their mean over the p pairs of a class, `means[s, c]`.
        pairs: the row `a * p + b` of the pair that stands at [s, a].
        largest: the largest absolute logit.

    """

    p: int
    operation: str
    values: Float[Tensor, "p p p"] = field(repr=False)
    means: Float[Tensor, "p p"] = field(repr=False)
    pairs: Int[Tensor, "p p"] = field(repr=False)
    largest: float

    @property
    def grand_mean(self) -> Float[Tensor, " p"]:
        """The mean over all pairs, for each output."""
        return self.means.mean(0)

    def cube(self) -> Float[Tensor, "p p p"]:
        """Return the logits over (a, b, c)."""
        cube = torch.empty_like(self.values).reshape(-1, self.p)
        cube[self.pairs.flatten()] = self.values.reshape(-1, self.p)
        return cube.reshape(self.p, self.p, self.p)


def sum_logits(logits: Logits, p: int, operation: str = "addition") -> SumLogits:
    """Check an array of logits and group it by sum.

    Args:
        logits: over (a, b, c): [p, p, p], or [p * p, p] with pairs in a-major order; numpy or torch, any real floating
            dtype, any device. It is copied to the CPU in float64.
        p: the modulus.
        operation: "addition" or "subtraction".

    Returns:
        The grouped logits.

    Raises:
        ShapeError: wrong axes, sizes or dtype.
        ArgumentError: p is below 2, the operation is no sum, or some logit is NaN or infinite.
        BudgetError: p³ doubles, four times, do not fit into memory.

    >>> sum_logits(torch.zeros(9, 3), p=3).means.shape
    torch.Size([3, 3])

    """
    check_int("p", p, least=2)
    index = sum_index(p, operation)
    rows = checked_rows(logits, p, ("a", "b", "c"))
    pairs = index.flatten().argsort(stable=True).reshape(p, p)  # stable: within a class the pairs stay sorted by a
    values = rows[pairs.flatten()].reshape(p, p, p)
    largest = float(values.abs().max())
    if not math.isfinite(largest):
        wrong = (~torch.isfinite(rows)).nonzero()
        row, c = wrong[0].tolist()
        raise ArgumentError(
            f"logits must be finite; {len(wrong)} are not, the first is {rows[row, c].item()} at a={row // p}, "
            f"b={row % p}, c={c}."
        )
    return SumLogits(p, operation, values, values.mean(1), pairs, largest)


def checked_rows(logits: Logits, n: int, axes: tuple[str, str, str]) -> Float[Tensor, "pairs n"]:
    """Return logits as float64 rows [n * n, n] on the CPU.

    Args:
        logits: over three axes of n, or [n * n, n].
        n: the number of elements.
        axes: what the axes are called.

    Raises:
        ShapeError: wrong axes, sizes or dtype.
        BudgetError: n³ doubles, four times, do not fit into memory.

    """
    if isinstance(logits, np.ndarray):
        if logits.dtype.kind != "f":
            raise ShapeError(f"logits must be real floating point; a numpy array of {logits.dtype} came.")
        tensor = torch.from_numpy(np.ascontiguousarray(logits, dtype=np.float64))
    elif isinstance(logits, Tensor):
        if not logits.is_floating_point():
            raise ShapeError(f"logits must be real floating point; a tensor of {logits.dtype} came.")
        tensor = logits.detach()
    else:
        raise ShapeError(f"logits must be a torch tensor or a numpy array; {type(logits).__name__} came.")
    shape = list(tensor.shape)
    if shape not in ([n, n, n], [n * n, n]):
        first, second, out = axes
        raise ShapeError(
            f"logits must have shape [{first}={n}, {second}={n}, {out}={n}], or [pairs={n * n}, {out}={n}] with pairs "
            f"in {first}-major order; {shape} came.{_shape_hint(shape, n)}"
        )
    check_fits(FACTOR * 8 * n**3, f"the analysis of logits over {n} elements", "Take a smaller modulus or group.")
    return tensor.cpu().double().reshape(n * n, n)


def _shape_hint(shape: list[int], p: int) -> str:
    if len(shape) == 3 and shape[0] == p * p:
        return " That looks like logits at every position: take the last one, logits[:, -1]."
    if len(shape) >= 2 and shape[-1] == p + 1:
        return " The last axis has one output too many: drop the logit of '=', logits[..., :-1]."
    return ""
