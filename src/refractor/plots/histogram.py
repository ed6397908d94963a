"""`histogram`: how often values occur."""

from collections.abc import Mapping

import plotly.graph_objects as go

from refractor.base.checks import check_int
from refractor.plots.arrays import ArrayLike, to_numpy
from refractor.plots.layout import TEMPLATE, dress


def histogram(
    values: ArrayLike,
    *,
    bins: int | None = None,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = "count",
    labels: Mapping[str, str] | None = None,
    width: int | None = None,
    height: int | None = None,
    template: str = TEMPLATE,
) -> go.Figure:
    """Draw how often values occur; all axes of `values` are counted together.

    Args:
        values: numbers with any number of axes.
        bins: number of bins, at most; Plotly's choice by default.
        title: of the figure.
        xaxis: title of the horizontal axis.
        yaxis: title of the vertical axis.
        labels: titles of the axes under "x" and "y".
        width: in pixels.
        height: in pixels.
        template: a template that Plotly knows.

    Raises:
        ShapeError: values are empty or no real numbers.
        ArgumentError: bins is below 1.

    >>> histogram([[1, 2], [2, 3]]).data[0].x.tolist()
    [1, 2, 2, 3]

    """
    counted = to_numpy("values", values, tuple(range(1, 9))).ravel()
    most = None if bins is None else check_int("bins", bins, least=1)
    figure = go.Figure(go.Histogram(x=counted, nbinsx=most))
    return dress(
        figure, title=title, xaxis=xaxis, yaxis=yaxis, labels=labels, width=width, height=height, template=template
    )
