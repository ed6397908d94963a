"""`attention`: which positions are read from where, head by head."""

from collections.abc import Sequence

import plotly.graph_objects as go

from refractor.base.errors import ShapeError
from refractor.plots.arrays import ArrayLike, check_names, to_numpy
from refractor.plots.imshow import imshow
from refractor.plots.layout import TEMPLATE


def attention(
    pattern: ArrayLike,
    tokens: Sequence[object] | ArrayLike | None = None,
    *,
    head_names: Sequence[str] | None = None,
    title: str | None = None,
    width: int | None = None,
    height: int | None = None,
    template: str = TEMPLATE,
) -> go.Figure:
    """Draw attention patterns, colours from 0 to 1.

    Args:
        pattern: [query_pos, key_pos], or [head, query_pos, key_pos].
        tokens: what stands at each key position (and, where there are as many, each query position).
        head_names: titles of the heads; "head 0" … by default.
        title: of the figure.
        width: in pixels.
        height: in pixels.
        template: a template that Plotly knows.

    Raises:
        ShapeError: the pattern has other axes, or names do not fit.

    >>> figure = attention([[1.0, 0.0], [0.3, 0.7]], tokens=["a", "b"])
    >>> figure.layout.coloraxis.cmax
    1.0

    """
    heads = to_numpy("pattern", pattern, (2, 3))
    if heads.ndim == 2:
        heads = heads[None]
    names = check_names("head_names", head_names, len(heads)) or [f"head {index}" for index in range(len(heads))]
    queries, keys = heads.shape[1:]
    columns = _positions(tokens, keys)
    if columns is not None and queries not in (keys, 1):
        raise ShapeError(f"tokens can name both axes only of a square pattern; [{queries}, {keys}] came.")
    rows = columns if queries == keys else None
    return imshow(
        heads,
        facet_col=0,
        facet_labels=names,
        x=columns,
        y=rows,
        xaxis="attended to",
        yaxis="from",
        zmin=0.0,
        zmax=1.0,
        color_continuous_scale="Blues",
        title=title,
        width=width,
        height=height,
        template=template,
    )


def _positions(tokens: Sequence[object] | ArrayLike | None, count: int) -> list[str] | None:
    """Return a name for each position; the same token may stand at several, so the position is part of the name."""
    names = check_names("tokens", tokens, count)
    if names is None:
        return None
    texts = [str(name) for name in names]
    return texts if len(set(texts)) == count else [f"{place}: {text}" for place, text in enumerate(texts)]
