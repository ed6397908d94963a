"""A matrix as an image, or an array of three axes as one image per facet."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from refractor.base.checks import check_int, check_member
from refractor.base.errors import ArgumentError
from refractor.plots.arrays import ArrayLike, check_ndim, to_numpy
from refractor.plots.layout import TEMPLATE, colour_limits, set_layout
from refractor.plots.ticks import axis_ticks, tick_names


def imshow(
    data: ArrayLike,
    *,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = None,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    zmin: float | None = None,
    zmax: float | None = None,
    facet_col: int | None = None,
    facet_labels: Sequence[str] | None = None,
    facet_col_wrap: int | None = None,
    aspect: Literal["auto", "equal"] = "equal",
    color_continuous_scale: str | Sequence[str] = "RdBu",
    color_continuous_midpoint: float | None = 0.0,
    width: int | None = None,
    height: int | None = None,
    template: str | None = TEMPLATE,
) -> go.Figure:
    """Draw `data` as an image: row 0 at the top, red below zero, white at zero, blue above.

    Args:
        data: real numbers of shape [rows, columns], or of three axes, one of which `facet_col` names.
        title: words above the figure.
        xaxis: words below the columns.
        yaxis: words beside the rows.
        x: a name or number for every column.
        y: a name or number for every row.
        zmin: value at the lower end of the colours; `None`: see `color_continuous_midpoint`.
        zmax: value at the upper end of the colours.
        facet_col: the axis of `data` along which images stand side by side, all on one scale of colours.
        facet_labels: words above each image; `None`: `facet_col=0`, `facet_col=1`, ….
        facet_col_wrap: how many images stand in a row; `None`: all.
        aspect: "equal" makes cells square, "auto" fills the figure.
        color_continuous_scale: a colour scale by plotly's name, or a list of colours.
        color_continuous_midpoint: the value in the middle of the colours, which then reach equally far to both
            sides; `None`: they span the data.
        width: pixels; `None`: as wide as the page.
        height: pixels.
        template: name of a plotly template.

    Returns:
        Figure with one heatmap trace per image, over the shared `layout.coloraxis`.

    Raises:
        ShapeError: wrong number of axes, no values, complex values, names of the wrong number.
        ArgumentError: `facet_col` is no axis of `data`, limits that are no limits, unknown `aspect`.
        UnknownNameError: plotly has no such template.

    >>> figure = imshow([[0.0, -2.0], [1.0, 0.5]], title="Weights", x=["a", "b"])
    >>> figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax
    (-2.0, 2.0)
    """
    check_member("aspect", aspect, ("auto", "equal"))
    images = _images(to_numpy(data), facet_col)
    count, n_rows, n_columns = images.shape
    columns, x_settings = axis_ticks(tick_names("x", x, n_columns, "columns of data"))
    rows, y_settings = axis_ticks(tick_names("y", y, n_rows, "rows of data"))
    labels = tick_names("facet_labels", facet_labels, count, "facets")
    if facet_col is None and labels is not None:
        raise ArgumentError("facet_labels needs facet_col, the axis of data whose entries it names; None came.")
    limits = colour_limits(images, zmin, zmax, color_continuous_midpoint)
    if facet_col is not None and labels is None:
        labels = [f"facet_col={index}" for index in range(count)]
    figure, places = _panels(count, facet_col_wrap, labels)
    for (row, column), image in zip(places, images, strict=True):
        trace = go.Heatmap(z=image, x=columns, y=rows, coloraxis="coloraxis", hovertemplate=_hover(xaxis, yaxis))
        figure.add_trace(trace, row=row, col=column)
    figure.update_xaxes(x_settings).update_yaxes({"autorange": "reversed"} | y_settings)
    _join_axes(figure, places, xaxis, yaxis)
    if aspect == "equal":
        figure.update_xaxes(constrain="domain").update_yaxes(constrain="domain", constraintoward="top")
        figure.update_layout(yaxis={"scaleanchor": "x"})  # the axes of the other panels match these two
    figure.update_layout(coloraxis={"colorscale": color_continuous_scale, "cmin": limits[0], "cmax": limits[1]})
    return set_layout(figure, title=title, width=width, height=height, template=template)


def _images(array: NDArray[Any], facet_col: int | None) -> NDArray[Any]:
    """Return `array` as [facet, rows, columns]."""
    if facet_col is None:
        check_ndim("data", array, [2], "[rows, columns], or three axes together with facet_col=<axis>")
        return array[None]
    check_ndim("data", array, [3], f"of three axes, one of them facet_col={facet_col}")
    return np.moveaxis(array, check_int("facet_col", facet_col, least=-3, most=2), 0)


def _panels(count: int, wrap: int | None, labels: list[Any] | None) -> tuple[go.Figure, list[tuple[int, int]]]:
    """Return an empty figure of `count` panels and where each stands, as (row, column) counted from 1."""
    across = count if wrap is None else min(count, check_int("facet_col_wrap", wrap, least=1))
    down = -(-count // across)
    words = None if labels is None else [str(label) for label in labels]
    figure = make_subplots(
        rows=down,
        cols=across,
        subplot_titles=words,
        horizontal_spacing=min(0.02, 0.5 / across),
        vertical_spacing=min(0.12, 0.4 / down),
    )
    return figure, [(index // across + 1, index % across + 1) for index in range(count)]


def _join_axes(figure: go.Figure, places: list[tuple[int, int]], xaxis: str | None, yaxis: str | None) -> None:
    """Let all panels zoom together; write ticks and titles at the lowest of every column and the first of every row."""
    lowest = {column: row for row, column in places}  # the last row that has this column
    for row, column in places:
        low, first = lowest[column] == row, column == 1
        together = (row, column) != (1, 1)  # all others follow the first
        at_x = {"showticklabels": low, "title": {"text": xaxis if low else None}}
        at_y = {"showticklabels": first, "title": {"text": yaxis if first else None}}
        figure.update_xaxes(at_x | ({"matches": "x"} if together else {}), row=row, col=column)
        figure.update_yaxes(at_y | ({"matches": "y"} if together else {}), row=row, col=column)


def _hover(xaxis: str | None, yaxis: str | None) -> str:
    return f"{xaxis or 'x'}: %{{x}}<br>{yaxis or 'y'}: %{{y}}<br>value: %{{z}}<extra></extra>"
