"""What stands along an axis of a figure: plain positions, numbers of the caller's, or names."""

from collections import Counter
from typing import Any

import numpy as np
import torch

from refractor.base.errors import ArgumentError, ShapeError
from refractor.plots.arrays import ArrayLike, to_numpy


def tick_names(name: str, names: ArrayLike | None, size: int, what: str) -> list[Any] | None:
    """Return `names` as a list of `size` strings or numbers, one for each of `what` (`None` stays `None`).

    Raises:
        ShapeError: there are more or fewer names than `size`, or a string came instead of a list.
        ArgumentError: an entry is neither a string nor a number.

    >>> tick_names("x", ["a", "b", "="], 3, "columns")
    ['a', 'b', '=']
    """
    if names is None:
        return None
    needs = f"{name} must have {size} entries, one for each of the {what}"
    if isinstance(names, str):
        raise ShapeError(f"{needs}; the string {names!r} came.")
    found = list(to_numpy(names, name) if isinstance(names, torch.Tensor) else names)
    if len(found) != size:
        raise ShapeError(f"{needs}; {len(found)} came.")
    return [_plain(name, item) for item in found]


def axis_ticks(names: list[Any] | None) -> tuple[list[Any] | None, dict[str, Any]]:
    """Return the coordinates that a trace gets, and the settings of the axis that shows `names` at them.

    Numbers are coordinates themselves. Strings make an axis of categories, so that "10" or "2024-01-01" is not read as
    a number or a date. Plotly draws equal categories at one place; names that repeat (tokens do) therefore
    become labels of the positions 0, 1, 2, ….

    >>> axis_ticks(["a", "b", "="])
    (['a', 'b', '='], {'type': 'category'})
    >>> axis_ticks(["the", "cat", "the"])
    (None, {'tickmode': 'array', 'tickvals': [0, 1, 2], 'ticktext': ['the', 'cat', 'the']})
    """
    if names is None:
        return None, {}
    words = [str(item) for item in names]
    if max(Counter(words).values(), default=1) > 1:
        return None, {"tickmode": "array", "tickvals": list(range(len(words))), "ticktext": words}
    if any(isinstance(item, str) for item in names):
        return words, {"type": "category"}
    return names, {}


def _plain(name: str, item: Any) -> str | int | float:
    """Return one tick name as a Python string or number."""
    if isinstance(item, torch.Tensor | np.generic) and item.ndim == 0:
        item = item.item()
    if not isinstance(item, str | int | float):
        raise ArgumentError(f"{name} must be a list of strings or numbers; it holds {type(item).__name__}.")
    return item
