"""Heat maps over pairs of elements, and of matrices with a row for each element."""

from collections.abc import Sequence

import torch
from torch import Tensor

from refractor.report.encode import quantise
from refractor.report.figures import Axis, Band, Heat
from refractor.report.sections.composition.arrangement import Arrangement
from refractor.report.sections.heat import MOST_CELLS


def map_of_pairs(
    title: str, values: Tensor, rows: Arrangement, columns: Arrangement, names: Sequence[str] = ()
) -> Heat:
    """Return the heat map of an array over pairs of elements, which stand as they were arranged.

    Args:
        title: what stands above it.
        values: over (x, y), drawn elements only, in their order.
        rows: the order of x.
        columns: the order of y.
        names: of the values 0, 1, …, where these are kinds.

    """
    low, high = (float(end) for end in torch.aminmax(values))
    diverging = low < 0 < high and not names
    said = f"{len(names)} kinds" if names else f"From {low:.3g} to {high:.3g} over the pairs drawn"
    return Heat(
        title,
        f"{said}.{_thinned(rows.stride, 'element')}",
        Axis("y"),
        Axis("x"),
        quantise(values, centred=diverging),
        diverging,
        1,
        rows.names,
        columns.names,
        rows.bands,
        columns.bands,
        list(names),
        rows.what if rows.what == columns.what else f"x {rows.what}, y {columns.what}",
    )


def map_of_rows(
    title: str, matrix: Tensor, rows: Arrangement, order: Tensor | None, across: str, bands: Sequence[Band] = ()
) -> Heat:
    """Return the heat map of a matrix with a row for each element.

    Args:
        title: what stands above it.
        matrix: over (element, column).
        rows: the order of the elements.
        order: the order of the columns; None for their own.
        across: what the columns are.
        bands: columns that belong together, in that order.

    """
    drawn = torch.arange(matrix.shape[1]) if order is None else order
    return _matrix(title, matrix[rows.elements][:, drawn], ("element", across), rows.names, drawn, rows.bands, bands)


def map_of_matrix(title: str, matrix: Tensor, down: str, across: str) -> Heat:
    """Return the heat map of a matrix."""
    stride = -(-len(matrix) // MOST_CELLS)
    names = [str(row) for row in range(0, len(matrix), stride)]
    return _matrix(title, matrix[::stride], (down, across), names, torch.arange(matrix.shape[1]), (), ())


def _matrix(
    title: str,
    matrix: Tensor,
    axes: tuple[str, str],
    rows: list[str],
    columns: Tensor,
    row_bands: Sequence[Band],
    column_bands: Sequence[Band],
) -> Heat:
    stride = -(-len(columns) // MOST_CELLS)
    values = matrix[:, ::stride]
    low, high = (float(end) for end in torch.aminmax(values))
    diverging = low < 0 < high
    bands = [Band(b.start // stride, -(-b.end // stride), b.label, b.strong) for b in column_bands]
    return Heat(
        title,
        f"From {low:.3g} to {high:.3g}.{_thinned(stride, axes[1])}",
        Axis(axes[1]),
        Axis(axes[0]),
        quantise(values, centred=diverging),
        diverging,
        1,
        rows,
        [str(column) for column in columns[::stride].tolist()],
        list(row_bands),
        bands,
    )


def _thinned(stride: int, what: str) -> str:
    return f" Every {stride}th {what} is drawn." if stride > 1 else ""
