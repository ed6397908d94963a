"""Streaming: a product too large to hold is looked at in blocks of a fixed number of entries."""

import math
from collections.abc import Iterator

from torch import Tensor

from refractor.linalg.chain import Chain, part
from refractor.linalg.contract import upcast
from refractor.linalg.evaluate import contracted
from refractor.linalg.indexing import indexed

BLOCK = 4_000_000  # entries of the product that are formed at a time: 16 MB in float32
SIDES = 8_000_000  # entries of the two sides that are held at a time: 32 MB in float32


def pieces(matrix: Chain) -> Iterator[tuple[int, int, Chain]]:
    """Yield `(start, stop, part)`: the leading axes split, in flat order, into parts that are small enough to stream.

    A part is small in one of two ways: its whole product has at most BLOCK entries, or its two sides at the narrowest
    width have at most SIDES entries. What the matrices of a part share is contracted once for all of them.

    Yields:
        first and last (exclusive) place among the flat leading entries, and the part.

    """
    yield from _split(matrix, 0)


def _split(matrix: Chain, start: int) -> Iterator[tuple[int, int, Chain]]:
    count = math.prod(matrix.leading)
    if count == 0:
        return
    sides = count * matrix.mdim * (matrix.ldim + matrix.rdim)
    if count == 1 or sides <= SIDES or count * matrix.ldim * matrix.rdim <= BLOCK:
        yield start, start + count, matrix
        return
    axis = next(place for place, size in enumerate(matrix.leading) if size > 1)
    half = matrix.leading[axis] // 2
    for part_of in (slice(0, half), slice(half, None)):
        piece = indexed(matrix, (*(slice(None) for _ in range(axis)), part_of))
        yield from _split(piece, start)
        start += math.prod(piece.leading)


def sides(piece: Chain) -> tuple[Tensor, Tensor]:
    """Return both sides of the narrowest inner width, `[count, ldim, mdim]` and `[count, mdim, rdim]`."""
    count = math.prod(piece.leading)
    left = contracted(part(piece, 0, piece.waist), "a block").expanded()
    right = contracted(part(piece, piece.waist, len(piece.factors)), "a block").expanded()
    return (
        upcast(left).reshape(count, piece.ldim, piece.mdim),
        upcast(right).reshape(count, piece.mdim, piece.rdim),
    )


def strips(left: Tensor, right: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield `(rows, product of those rows)` of `left @ right`, at most BLOCK entries at a time.

    `left` is `[count, rows, width]`, `right` `[count, width, cols]`; the block is `[count, rows of the strip, cols]`.
    """
    count, rows, _ = left.shape
    step = max(1, BLOCK // max(1, count * right.shape[-1]))
    for start in range(0, rows, step):
        part_of = slice(start, min(rows, start + step))
        yield part_of, left[:, part_of] @ right
