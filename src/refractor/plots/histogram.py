"""How often values fall into each of several intervals."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError
from refractor.plots.arrays import ArrayLike, check_ndim, to_numpy
from refractor.plots.layout import TEMPLATE, axis_titles, name_axes, set_layout


def histogram(
    values: ArrayLike,
    *,
    bins: int | ArrayLike = 50,
    density: bool = False,
    title: str | None = None,
    xaxis: str | None = None,
    yaxis: str | None = None,
    labels: Mapping[str, str] | None = None,
    log_y: bool = False,
    width: int | None = None,
    height: int | None = None,
    template: str | None = TEMPLATE,
) -> go.Figure:
    """Count how many of `values` fall into each bin; only the counts are in the figure, however many values come.

    Args:
        values: finite real numbers of any shape; the shape does not matter.
        bins: how many bins of equal width span the values, or their edges, increasing. A bin holds its lower edge,
            the last one also its upper edge; values outside of given edges are not counted.
        density: divide by (number counted × width), so that the area of the bars is 1.
        title: words above the figure.
        xaxis: words below the x axis.
        yaxis: words beside the y axis; `None`: "count", or "density".
        labels: the same two as {"x": …, "y": …}; `xaxis` and `yaxis` go first.
        log_y: logarithmic y axis.
        width: pixels; `None`: as wide as the page.
        height: pixels.
        template: name of a plotly template.

    Returns:
        Figure with one bar trace: `x` middles, `width` widths, `y` counts, `customdata` the [lower, upper] edges.

    Raises:
        ShapeError: no values, complex values.
        ArgumentError: values or edges that are not finite, fewer than 1 bin, edges that do not increase.
        UnknownNameError: plotly has no such template.

    >>> figure = histogram([0.0, 0.1, 0.9, 1.0, 1.0], bins=2)
    >>> figure.data[0].y.tolist()
    [2, 3]
    """
    flat = to_numpy(values, "values").astype(np.float64).reshape(-1)
    wrong = int((~np.isfinite(flat)).sum())
    if wrong:
        raise ArgumentError(f"values must be finite; {wrong} of {flat.size} are not.")
    wanted = _bins(bins)
    try:
        counts, edges = np.histogram(flat, bins=wanted, density=density)
    except ValueError as error:  # numpy: more bins than numbers that float64 has between the extremes
        raise ArgumentError(f"bins={bins} are too many for values from {flat.min()} to {flat.max()}.") from error
    xtitle, ytitle = axis_titles(xaxis, yaxis, labels, (None, "density" if density else "count"))
    bar = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges),
        customdata=np.stack([edges[:-1], edges[1:]], axis=1),
        hovertemplate=f"%{{customdata[0]}} … %{{customdata[1]}}<br>{ytitle}: %{{y}}<extra></extra>",
    )
    figure = go.Figure(bar).update_layout(bargap=0, showlegend=False)
    name_axes(figure, (xtitle, ytitle), log_x=False, log_y=log_y)
    return set_layout(figure, title=title, width=width, height=height, template=template)


def _bins(bins: int | ArrayLike) -> int | np.ndarray:
    """Return `bins` as numpy wants it: a number, or at least two edges that increase."""
    if isinstance(bins, int):
        return check_int("bins", bins, least=1)
    edges = to_numpy(bins, "bins").astype(np.float64)
    check_ndim("bins", edges, [1], "[edges]")
    if len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        raise ArgumentError(f"bins must be a number, or two or more finite edges that increase; {edges.tolist()} came.")
    return edges
