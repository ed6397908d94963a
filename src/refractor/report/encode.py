"""Numbers small enough for a page: rounded decimals, and bytes in base64 with the step between two of them."""

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

DIGITS = 5  # significant digits of a plotted number: finer than a pixel on any screen
LEVELS = 127  # of int8, on either side of 0


@dataclass(frozen=True)
class Quantised:
    """An array as signed bytes: `value = offset + scale * byte`.

    Args:
        bytes: the bytes in base64, in row-major order.
        shape: the sizes of the axes.
        offset: the value of byte 0.
        scale: the step from one byte to the next. No value is off by more than half of it.

    """

    bytes: str
    shape: tuple[int, ...]
    offset: float
    scale: float

    @property
    def precision(self) -> float:
        """The largest error, half a step."""
        return self.scale / 2


def quantise(values: Tensor, *, centred: bool) -> Quantised:
    """Write an array as signed bytes.

    Args:
        values: finite numbers, any shape.
        centred: whether 0 is exact and the range symmetric, as a diverging colour scale needs it; otherwise the bytes
            span the range from the smallest to the largest value.

    >>> quantise(torch.tensor([-2.0, 0.0, 1.0]), centred=True).precision * 254
    2.0

    """
    values = values.detach().double()
    low, high = (float(values.min()), float(values.max())) if values.numel() else (0.0, 0.0)
    offset = 0.0 if centred else (low + high) / 2
    reach = max(abs(low), abs(high)) if centred else (high - low) / 2
    scale = reach / LEVELS
    steps = (values - offset) / scale if scale > 0 else torch.zeros_like(values)
    data = steps.round().clamp(-LEVELS, LEVELS).to(torch.int8)
    text = base64.b64encode(data.contiguous().numpy().tobytes()).decode()
    return Quantised(text, tuple(values.shape), offset, scale)


def plain(number: float | None) -> float | None:
    """Return a number with five significant digits; None for what is missing or not finite.

    >>> plain(0.123456789), plain(float("nan"))
    (0.12346, None)
    """
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.{DIGITS}g}")


def numbers(values: Tensor | Iterable[float | None]) -> list[float | None]:
    """Return plain numbers of a one-dimensional array."""
    items = values.tolist() if isinstance(values, Tensor) else values
    return [plain(item) for item in items]
