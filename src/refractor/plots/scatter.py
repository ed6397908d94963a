"""Points in a plane."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from refractor.base.checks import check_member
from refractor.base.errors import ShapeError
from refractor.plots.arrays import ArrayLike, check_ndim, to_numpy
from refractor.plots.layout import TEMPLATE, axis_titles, name_axes, set_layout
from refractor.plots.ticks import tick_names


def scatter(
    x: ArrayLike,
    y: ArrayLike,
    *,
    hover_name: ArrayLike | None = None,
    color: ArrayLike | None = None,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = None,
    labels: Mapping[str, str] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    aspect: Literal["auto", "equal"] = "auto",
    color_continuous_scale: str | list[str] = "Viridis",
    width: int | None = None,
    height: int | None = None,
    template: str | None = TEMPLATE,
) -> go.Figure:
    """Draw a dot at every (x, y).

    Args:
        x: real numbers of shape [points].
        y: real numbers of shape [points].
        hover_name: a name for every point, shown under the mouse.
        color: a number for every point, drawn on a scale of colours, or a name: points of the same name
            share a colour and an entry in the legend.
        title: words above the figure.
        xaxis: words below the x axis.
        yaxis: words beside the y axis.
        labels: the same two as {"x": …, "y": …}; `xaxis` and `yaxis` go first.
        log_x: logarithmic x axis; points at x ≤ 0 cannot be drawn on one.
        log_y: logarithmic y axis; points at y ≤ 0 cannot be drawn on one.
        aspect: "equal" draws a step of 1 equally long on both axes, "auto" fills the figure.
        color_continuous_scale: scale for numbers, by plotly's name or as a list of colours.
        width: pixels; `None`: as wide as the page.
        height: pixels.
        template: name of a plotly template.

    Returns:
        Figure with one trace, or one per name in `color`, in the order in which the names first come.

    Raises:
        ShapeError: wrong number of axes, no values, complex values, unequal lengths.
        ArgumentError: unknown `aspect`, unknown key in `labels`.
        UnknownNameError: plotly has no such template.

    >>> figure = scatter([0, 1, 2], [0, 1, 4], color=["even", "odd", "even"], xaxis="n", yaxis="n²")
    >>> [(trace.name, trace.y.tolist()) for trace in figure.data]
    [('even', [0, 4]), ('odd', [1])]
    """
    check_member("aspect", aspect, ("auto", "equal"))
    across, up = to_numpy(x, "x"), to_numpy(y, "y")
    check_ndim("x", across, [1], "[points]")
    check_ndim("y", up, [1], "[points]")
    if len(across) != len(up):
        raise ShapeError(f"y must have shape [points={len(across)}], as x has; {list(up.shape)} came.")
    names = tick_names("hover_name", hover_name, len(across), "points")
    colours = tick_names("color", color, len(across), "points")
    xtitle, ytitle = axis_titles(xaxis, yaxis, labels, ("x", "y"))
    hover = f"{xtitle}: %{{x}}<br>{ytitle}: %{{y}}"
    texts = None if names is None else np.array([str(name) for name in names], dtype=object)
    common: dict[str, Any] = {
        "mode": "markers",
        "hovertemplate": hover if names is None else f"%{{hovertext}}<br>{hover}",
    }
    figure = go.Figure()
    if colours is not None and any(isinstance(colour, str) for colour in colours):
        words = [str(colour) for colour in colours]
        for word in dict.fromkeys(words):
            chosen = np.array([other == word for other in words])
            text = None if texts is None else texts[chosen]
            figure.add_trace(go.Scatter(x=across[chosen], y=up[chosen], name=word, hovertext=text, **common))
        figure.update_layout(showlegend=True)
    else:
        marker = None if colours is None else {"color": colours, "coloraxis": "coloraxis"}
        figure.add_trace(go.Scatter(x=across, y=up, hovertext=texts, marker=marker, name="", **common))
        figure.update_layout(showlegend=False)
        if colours is not None:
            figure.update_layout(coloraxis={"colorscale": color_continuous_scale})
    name_axes(figure, (xtitle, ytitle), log_x=log_x, log_y=log_y)
    if aspect == "equal":
        figure.update_yaxes(scaleanchor="x")
    return set_layout(figure, title=title, width=width, height=height, template=template)
