"""`scatter`: points, each with a name when the mouse is over it."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from refractor.base.errors import ShapeError
from refractor.plots.arrays import ArrayLike, check_names, to_numpy
from refractor.plots.layout import TEMPLATE, dress


def scatter(
    x: ArrayLike,
    y: ArrayLike,
    *,
    hover_name: Sequence[object] | ArrayLike | None = None,
    color: ArrayLike | None = None,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = None,
    labels: Mapping[str, str] | None = None,
    aspect: str = "auto",
    width: int | None = None,
    height: int | None = None,
    template: str = TEMPLATE,
) -> go.Figure:
    """Draw points.

    Args:
        x: [points].
        y: [points].
        hover_name: a name for each point, shown under the mouse.
        color: a number for each point, shown as a colour.
        title: of the figure.
        xaxis: title of the horizontal axis.
        yaxis: title of the vertical axis.
        labels: titles of the axes under "x" and "y".
        aspect: "equal" for the same scale on both axes, "auto" otherwise.
        width: in pixels.
        height: in pixels.
        template: a template that Plotly knows.

    Raises:
        ShapeError: x, y, names and colours have different sizes, or are no real numbers.

    >>> scatter([0, 1], [2, 3], hover_name=["a", "b"]).data[0].hovertext
    ('a', 'b')

    """
    across, up = to_numpy("x", x, (1,)), to_numpy("y", y, (1,))
    if len(across) != len(up):
        raise ShapeError(f"x and y must have as many points; {len(across)} and {len(up)} came.")
    names = check_names("hover_name", hover_name, len(across))
    marker: dict[str, object] = {}
    if color is not None:
        check_names("color", to_numpy("color", color, (1,)), len(across))
        marker = {"color": to_numpy("color", color, (1,)), "colorscale": "Viridis", "showscale": True}
    shown = None if names is None else [str(name) for name in names]
    figure = go.Figure(go.Scatter(x=across, y=up, mode="markers", hovertext=shown, marker=marker))
    if aspect == "equal":
        figure.update_yaxes(scaleanchor="x")
    return dress(
        figure, title=title, xaxis=xaxis, yaxis=yaxis, labels=labels, width=width, height=height, template=template
    )
