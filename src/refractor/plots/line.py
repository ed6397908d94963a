"""Curves over a common x axis."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from refractor.plots.arrays import ArrayLike, check_ndim, to_numpy
from refractor.plots.layout import TEMPLATE, axis_titles, name_axes, set_layout
from refractor.plots.ticks import axis_ticks, tick_names


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
    markers: bool = False,
    width: int | None = None,
    height: int | None = None,
    template: str | None = TEMPLATE,
) -> go.Figure:
    """Draw one curve, or several over the same points.

    Args:
        y: real numbers of shape [points] or [lines, points].
        x: a number or name for every point; `None`: 0, 1, 2, ….
        title: words above the figure.
        xaxis: words below the x axis.
        yaxis: words beside the y axis.
        labels: the same two as {"x": …, "y": …}; `xaxis` and `yaxis` go first.
        names: a name for every line, shown in a legend; `None`: their index, where there are several.
        log_x: logarithmic x axis; points at x ≤ 0 cannot be drawn on one.
        log_y: logarithmic y axis; points at y ≤ 0 cannot be drawn on one.
        markers: a dot at every point.
        width: pixels; `None`: as wide as the page.
        height: pixels.
        template: name of a plotly template.

    Returns:
        Figure with one trace per line.

    Raises:
        ShapeError: wrong number of axes, no values, complex values, rows of unequal lengths, `x` or `names` of another.
        ArgumentError: unknown key in `labels`.
        UnknownNameError: plotly has no such template.

    >>> figure = line([[3.0, 1.0, 0.1], [3.0, 2.9, 0.2]], names=["train", "test"], labels={"x": "Step"}, log_y=True)
    >>> [trace.name for trace in figure.data]
    ['train', 'test']
    """
    array = to_numpy(y, "y")
    check_ndim("y", array, [1, 2], "[points] or [lines, points]")
    rows = array.reshape(-1, array.shape[-1])
    points = tick_names("x", x, rows.shape[1], "points of y")
    legend = tick_names("names", names, len(rows), "lines of y")
    words = [str(name) for name in (range(len(rows)) if legend is None else legend)]
    if points is None:
        points = list(range(rows.shape[1]))
    numbers = not any(isinstance(point, str) for point in points)
    coordinates, settings = (points, {}) if numbers else axis_ticks(points)  # a curve may return to the same number
    figure = go.Figure()
    for row, word in zip(rows, words, strict=True):
        figure.add_trace(go.Scatter(x=coordinates, y=row, name=word, mode="lines+markers" if markers else "lines"))
    figure.update_xaxes(settings)
    name_axes(figure, axis_titles(xaxis, yaxis, labels, (None, None)), log_x=log_x, log_y=log_y)
    figure.update_layout(showlegend=legend is not None or len(rows) > 1)
    return set_layout(figure, title=title, width=width, height=height, template=template)
