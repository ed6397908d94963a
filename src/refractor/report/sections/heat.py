"""A function of (a, b) as a heat map, thinned out where the modulus is large."""

import torch
from torch import Tensor

from refractor.report.encode import quantise
from refractor.report.figures import Axis, Heat

MOST_CELLS = 256  # along one side of a heat map: more than a page has pixels for


def heat_of_pairs(title: str, values: Tensor) -> Heat:
    """Return the heat map of an array over (a, b), b to the right; it diverges where there are both signs."""
    stride = -(-len(values) // MOST_CELLS)
    low, high = (float(end) for end in torch.aminmax(values))
    diverging = low < 0 < high
    thinned = f" Every {stride}th a and b is drawn." if stride > 1 else ""
    return Heat(
        title,
        f"From {low:.3g} to {high:.3g} over all pairs (a, b).{thinned}",
        Axis("b"),
        Axis("a"),
        quantise(values[::stride, ::stride], centred=diverging),
        diverging,
        stride,
    )
