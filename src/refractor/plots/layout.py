"""What every figure has: a title, axis titles, a size."""

from collections.abc import Mapping

import plotly.graph_objects as go

TEMPLATE = "plotly_white"
"""The template of our figures; pass it to Plotly's own functions to make theirs look alike."""


def dress(
    figure: go.Figure,
    *,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = None,
    labels: Mapping[str, str] | None = None,
    width: int | None = None,
    height: int | None = None,
    template: str = TEMPLATE,
) -> go.Figure:
    """Put titles, sizes and template on a figure, and return it.

    Args:
        figure: the figure, which is changed.
        title: above it.
        xaxis: title of the horizontal axis.
        yaxis: title of the vertical axis.
        labels: titles of the axes under "x" and "y", as Plotly Express takes them; `xaxis` and `yaxis` go before.
        width: in pixels.
        height: in pixels.
        template: a template that Plotly knows.

    """
    titles = labels or {}
    figure.update_layout(template=template, width=width, height=height, title=title)
    figure.update_xaxes(title_text=xaxis or titles.get("x"))
    figure.update_yaxes(title_text=yaxis or titles.get("y"))
    return figure
