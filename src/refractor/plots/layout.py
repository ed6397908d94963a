"""What all figures share: template, title, size, the words on the axes, and the scale of colours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from numpy.typing import NDArray

from refractor.base.checks import check_float, check_int
from refractor.base.errors import ArgumentError, unknown_name

TEMPLATE = "plotly_white"


def set_layout(
    figure: go.Figure, *, title: str | None, width: int | None, height: int | None, template: str | None
) -> go.Figure:
    """Give `figure` its title, its size in pixels (`None`: as large as the page allows) and its template; return it.

    Raises:
        ArgumentError: the width or height is no integer of at least 10.
        UnknownNameError: plotly has no such template.

    """
    for name, size in (("width", width), ("height", height)):
        if size is not None:
            check_int(name, size, least=10)
    for part in (template or "none").split("+"):  # plotly's notation for a template laid over another
        if part != "none" and part not in pio.templates:
            raise unknown_name("plotly template", part, list(pio.templates))
    return figure.update_layout(
        title=None if title is None else {"text": title}, width=width, height=height, template=template or "none"
    )


def axis_titles(
    xaxis: str | None, yaxis: str | None, labels: Mapping[str, str] | None, defaults: tuple[str | None, str | None]
) -> tuple[str | None, str | None]:
    """Return the words on the x and y axis: `xaxis` and `yaxis`, or else those in `labels`, or else the defaults.

    Raises:
        ArgumentError: `labels` has a key other than "x" and "y".

    >>> axis_titles(None, "Loss", {"x": "Step"}, (None, None))
    ('Step', 'Loss')
    """
    given = dict(labels or {})
    unknown = [key for key in given if key not in ("x", "y")]
    if unknown:
        raise ArgumentError(f"labels must have no keys but 'x' and 'y'; {unknown[0]!r} came.")
    across = given.get("x", defaults[0]) if xaxis is None else xaxis
    up = given.get("y", defaults[1]) if yaxis is None else yaxis
    return across, up


def name_axes(figure: go.Figure, titles: tuple[str | None, str | None], *, log_x: bool, log_y: bool) -> None:
    """Write the titles at the x and y axis of `figure`, and make the axes logarithmic where asked."""
    figure.update_xaxes({"title": {"text": titles[0]}} | ({"type": "log"} if log_x else {}))
    figure.update_yaxes({"title": {"text": titles[1]}} | ({"type": "log"} if log_y else {}))


def colour_limits(
    values: NDArray[Any], zmin: float | None, zmax: float | None, midpoint: float | None
) -> tuple[float | None, float | None]:
    """Return the values at the two ends of a scale of colours.

    With a midpoint m and neither end given, the ends are m ± max |value − m|. An end that is missing mirrors the one
    that is given, where that lies on its own side of m; otherwise, and without a midpoint, it is the extreme of
    the data. Values that are not finite do not count. `(None, None)` says that no value is finite.

    Raises:
        ArgumentError: an end is no finite number, or `zmin` is not below `zmax`.

    >>> colour_limits(np.array([-1.0, 3.0]), None, None, 0.0)
    (-3.0, 3.0)
    >>> colour_limits(np.array([-1.0, 3.0]), None, 2.0, 0.0)
    (-2.0, 2.0)
    """
    low = None if zmin is None else check_float("zmin", zmin)
    high = None if zmax is None else check_float("zmax", zmax)
    if low is not None and high is not None and low >= high:
        raise ArgumentError(f"zmin must be below zmax; zmin={zmin} and zmax={zmax} came.")
    finite = values[np.isfinite(values)]
    if (low is not None and high is not None) or finite.size == 0:
        return low, high
    smallest, largest = float(finite.min()), float(finite.max())
    if midpoint is not None:
        middle = check_float("color_continuous_midpoint", midpoint)
        reach = max(abs(smallest - middle), abs(largest - middle)) or 1.0  # a constant array still needs a scale
        if low is None and high is None:
            return middle - reach, middle + reach
        smallest = 2 * middle - high if high is not None and high > middle else smallest
        largest = 2 * middle - low if low is not None and low < middle else largest
    if low is not None and low > largest:
        raise ArgumentError(f"zmin must not be above the largest value, {largest}, while zmax is None; {zmin} came.")
    if high is not None and high < smallest:
        raise ArgumentError(f"zmax must not be below the smallest value, {smallest}, while zmin is None; {zmax} came.")
    if low == largest or high == smallest:  # nothing lies between: any scale will do
        return (low, low + 1.0) if low is not None else (smallest - 1.0, high)
    if low is None and high is None and smallest == largest:
        return smallest - 1.0, largest + 1.0
    return smallest if low is None else low, largest if high is None else high
