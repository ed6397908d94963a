"""`line`: one curve or several."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from refractor.plots.arrays import ArrayLike, check_names, to_numpy
from refractor.plots.layout import TEMPLATE, dress


def line(
    y: ArrayLike,
    x: ArrayLike | None = None,
    *,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = None,
    labels: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    width: int | None = None,
    height: int | None = None,
    template: str = TEMPLATE,
) -> go.Figure:
    """Draw a curve [points], or one for each row of [curves, points].

    Args:
        y: the heights.
        x: where the points stand; 0, 1, 2 … by default. Names of points are allowed.
        title: of the figure.
        xaxis: title of the horizontal axis.
        yaxis: title of the vertical axis.
        labels: titles of the axes under "x" and "y".
        names: of the curves, for the legend.
        log_x: logarithmic horizontal axis.
        log_y: logarithmic vertical axis.
        width: in pixels.
        height: in pixels.
        template: a template that Plotly knows.

    Raises:
        ShapeError: the sizes of x, y and names do not fit, or y is no real numbers.

    >>> [trace.name for trace in line([[1, 2], [3, 4]], names=["a", "b"]).data]
    ['a', 'b']

    """
    heights = to_numpy("y", y, (1, 2))
    curves = heights[None] if heights.ndim == 1 else heights
    places = check_names("x", x, curves.shape[1])
    called = check_names("names", names, len(curves)) or ([None] if len(curves) == 1 else list(range(len(curves))))
    figure = go.Figure()
    for curve, name in zip(curves, called, strict=True):
        shown = None if name is None else str(name)
        where = places if places is not None else list(range(len(curve)))
        figure.add_trace(go.Scatter(x=where, y=curve, mode="lines", name=shown))
    figure.update_layout(showlegend=names is not None or len(curves) > 1)
    if log_x:
        figure.update_xaxes(type="log")
    if log_y:
        figure.update_yaxes(type="log")
    return dress(
        figure, title=title, xaxis=xaxis, yaxis=yaxis, labels=labels, width=width, height=height, template=template
    )
