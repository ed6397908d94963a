"""`imshow`: a matrix as a heat map, or several side by side."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from refractor.base.checks import check_member
from refractor.base.errors import ArgumentError, ShapeError
from refractor.plots.arrays import ArrayLike, check_names, to_numpy
from refractor.plots.layout import TEMPLATE, dress

DIVERGING = "RdBu"  # red below the centre, blue above; told apart by the colour-blind
ASPECTS = ("equal", "auto")


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
    facet_labels: ArrayLike | None = None,
    aspect: str = "equal",
    color_continuous_scale: str = DIVERGING,
    width: int | None = None,
    height: int | None = None,
    template: str = TEMPLATE,
) -> go.Figure:
    """Draw a matrix [rows, columns] as a heat map, the first row on top.

    Colours diverge from 0 unless limits are given: red below, blue above, both as far as the largest magnitude.

    Args:
        data: [rows, columns], or with `facet_col` three axes.
        title: of the figure.
        xaxis: title of the columns' axis.
        yaxis: title of the rows' axis.
        x: names of the columns.
        y: names of the rows.
        zmin: value of the first colour; minus the largest magnitude by default.
        zmax: value of the last colour; the largest magnitude by default.
        facet_col: axis of `data` along which heat maps stand side by side; each is titled `facet_col=<index>`.
        facet_labels: their titles instead.
        aspect: "equal" (square cells) or "auto" (fill the figure).
        color_continuous_scale: a colour scale that Plotly knows.
        width: in pixels.
        height: in pixels.
        template: a template that Plotly knows.

    Returns:
        The figure; heat maps share one colour scale.

    Raises:
        ShapeError: data, names or labels have the wrong axes or sizes, or are no real numbers.
        ArgumentError: facet_col is no axis, aspect is unknown, or zmin is not below zmax.

    >>> imshow([[1.0, -2.0]]).layout.coloraxis.cmin
    -2.0

    """
    check_member("aspect", aspect, ASPECTS)
    matrices = _facets(data, facet_col)
    rows, columns = matrices.shape[1:]
    column_names, row_names = check_names("x", x, columns), check_names("y", y, rows)
    if facet_col is None and facet_labels is not None:
        raise ArgumentError("facet_labels need facet_col, the axis that they name.")
    labels = check_names("facet_labels", facet_labels, len(matrices)) or [
        f"facet_col={i}" for i in range(len(matrices))
    ]
    figure = (
        go.Figure() if facet_col is None else make_subplots(1, len(matrices), subplot_titles=[str(t) for t in labels])
    )
    for place, matrix in enumerate(matrices):
        heat_map = go.Heatmap(z=matrix, x=column_names, y=row_names, coloraxis="coloraxis")
        figure.add_trace(heat_map, **({} if facet_col is None else {"row": 1, "col": place + 1}))
    lowest, highest = _limits(matrices, zmin, zmax)
    figure.update_layout(coloraxis={"colorscale": color_continuous_scale, "cmin": lowest, "cmax": highest})
    dress(figure, title=title, xaxis=xaxis, width=width, height=height, template=template)
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title_text=yaxis, **({} if facet_col is None else {"col": 1}))
    if aspect == "equal":
        _square_cells(figure, len(matrices))
    return figure


def _facets(data: ArrayLike, facet_col: int | None) -> np.ndarray:
    """Return [facet, rows, columns]."""
    if facet_col is None:
        array = to_numpy("data", data, (2, 3))
        if array.ndim == 3:
            raise ShapeError(
                f"data must have 2 axes, or 3 with facet_col; shape {list(array.shape)} came without facet_col. "
                "Pass facet_col=0 to draw one heat map for each entry of the first axis."
            )
        return array[None]
    array = to_numpy("data", data, (3,))
    if isinstance(facet_col, bool) or not -3 <= facet_col < 3:
        raise ArgumentError(f"facet_col must be an axis of data, 0, 1 or 2; {facet_col!r} came.")
    return np.moveaxis(array, facet_col, 0)


def _limits(matrices: np.ndarray, zmin: float | None, zmax: float | None) -> tuple[float, float]:
    finite = matrices[np.isfinite(matrices)] if matrices.dtype.kind == "f" else matrices
    largest = float(np.abs(finite.astype(float)).max()) if finite.size else 1.0
    largest = largest or 1.0
    lowest, highest = (-largest if zmin is None else zmin), (largest if zmax is None else zmax)
    if not lowest < highest:
        raise ArgumentError(f"zmin must be below zmax; {lowest} and {highest} came.")
    return lowest, highest


def _square_cells(figure: go.Figure, count: int) -> None:
    for place in range(1, count + 1):
        suffix = "" if place == 1 else str(place)
        figure.layout[f"yaxis{suffix}"].update(scaleanchor=f"x{suffix}", constrain="domain")
        figure.layout[f"xaxis{suffix}"].update(constrain="domain")
