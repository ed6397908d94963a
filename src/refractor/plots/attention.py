"""Attention patterns, one image per head, with the tokens at the axes."""

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from numpy.typing import NDArray

from refractor.base.errors import ArgumentError, ShapeError
from refractor.plots.arrays import ArrayLike, check_ndim, to_numpy
from refractor.plots.imshow import imshow
from refractor.plots.layout import TEMPLATE
from refractor.plots.ticks import tick_names

_PER_ROW = 4
_ROW_PIXELS = 320
_SLACK = 0.01  # bfloat16 rounds a probability by less


def attention(
    pattern: ArrayLike,
    tokens: ArrayLike | None = None,
    *,
    head_names: Sequence[str] | None = None,
    title: str | None = None,
    xaxis: str = "Key",
    yaxis: str = "Query",
    width: int | None = None,
    height: int | None = None,
    template: str | None = TEMPLATE,
) -> go.Figure:
    """Draw attention probabilities: from each query (row) to each key (column), white at 0 and dark at 1.

    Args:
        pattern: probabilities of shape [query, key] or [head, query, key].
        tokens: a name for every key, as text or token number. The queries are the last of the keys, as
            they are when earlier keys come from a cache.
        head_names: a name for every head; `None`: "head 0", "head 1", ….
        title: words above the figure.
        xaxis: words below the keys.
        yaxis: words beside the queries.
        width: pixels; `None`: as wide as the page.
        height: pixels; `None`: plotly's own for up to four heads, 320 per row of four heads for more.
        template: name of a plotly template.

    Returns:
        Figure with one heatmap trace per head, all on the colour scale from 0 to 1.

    Raises:
        ShapeError: wrong number of axes, no values, complex values, more queries than keys that have tokens,
            `tokens` or `head_names` of the wrong length.
        ArgumentError: values that are no probabilities.
        UnknownNameError: plotly has no such template.

    >>> figure = attention([[[1.0, 0.0], [0.3, 0.7]]], tokens=["<s>", "Hi"])
    >>> figure.layout.annotations[0].text, list(figure.data[0].x)
    ('head 0', ['&lt;s&gt;', 'Hi'])
    """
    array = to_numpy(pattern, "pattern")
    check_ndim("pattern", array, [2, 3], "[query, key] or [head, query, key]")
    _check_probabilities(array)
    several = array.ndim == 3
    if head_names is not None and not several:
        raise ArgumentError(f"head_names must be None for a pattern [query, key]; {head_names!r} came.")
    names = tick_names("head_names", head_names, len(array), "heads of pattern") if several else None
    keys, queries = _token_names(tokens, *array.shape[-2:])
    rows = -(-len(array) // _PER_ROW) if several else 1
    return imshow(
        array,
        title=title,
        xaxis=xaxis,
        yaxis=yaxis,
        x=keys,
        y=queries,
        zmin=0.0,
        zmax=1.0,
        facet_col=0 if several else None,
        facet_labels=[f"head {head}" for head in range(len(array))] if several and names is None else names,
        facet_col_wrap=_PER_ROW if several else None,
        color_continuous_scale="Blues",
        width=width,
        height=_ROW_PIXELS * rows if height is None and rows > 1 else height,
        template=template,
    )


def _check_probabilities(array: NDArray[Any]) -> None:
    wrong = array[(array < -_SLACK) | (array > 1 + _SLACK)]
    if wrong.size:
        raise ArgumentError(
            f"pattern must hold probabilities, from 0 to 1; {float(wrong[0])} came. imshow draws scores."
        )


def _token_names(tokens: ArrayLike | None, n_query: int, n_key: int) -> tuple[list[str] | None, list[str] | None]:
    """Return the names of the keys and of the queries, safe to be shown."""
    found = tick_names("tokens", tokens, n_key, "keys of pattern")
    if found is None:
        return None, None
    if n_query > n_key:
        raise ShapeError(
            f"pattern must have no more queries than keys where tokens are given; {n_query} and {n_key} came."
        )
    keys = [_shown(token) for token in found]
    return keys, keys[n_key - n_query :]


def _shown(token: str | int | float) -> str:
    """Return the token as text that plotly shows as it is: it would read `<s>` as a tag and break at a new line."""
    return html.escape(str(token), quote=False).replace("\n", "↵")
