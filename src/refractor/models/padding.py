"""Rows of different lengths as one tensor, and the mask that says what is padding."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from refractor.base.checks import check_member
from refractor.models.tokenizer import SIDES, Side


def pad_rows(
    rows: Sequence[Sequence[int]], pad_id: int, padding_side: Side
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"] | None]:
    """Return rows of tokens as one tensor, and which of its entries are real (None when all are).

    Args:
        rows: tokens of each text.
        pad_id: what fills up the shorter ones; the mask hides it.
        padding_side: where.

    >>> pad_rows([[5, 6, 7], [8]], 0, "left")[0].tolist()
    [[5, 6, 7], [0, 0, 8]]

    """
    check_member("padding_side", padding_side, SIDES)
    longest = max(len(row) for row in rows)
    tokens = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for index, row in enumerate(rows):
        place = slice(longest - len(row), None) if padding_side == "left" else slice(len(row))
        tokens[index, place] = torch.tensor(row, dtype=torch.long)
        mask[index, place] = True
    return tokens, None if bool(mask.all()) else mask


def padding_mask(
    tokens: Int[Tensor, "batch pos"], pad_id: int, padding_side: Side, bos_id: int | None = None
) -> Bool[Tensor, "batch pos"] | None:
    """Return which tokens of a padded batch are real, for tokens whose texts are gone. Forward passes never guess so.

    The run of `pad_id` at the padded end of a row is padding. Where `bos_id` is the same token, the row still begins
    with it: its last one on the left, position 0 on the right. A text that itself ends in `pad_id` cannot be told from
    padding on the right; `text_input` knows better.

    Args:
        tokens: the padded batch.
        pad_id: what it was filled up with.
        padding_side: where.
        bos_id: the token that every row begins with, if there is one.

    Returns:
        The mask, or None when nothing is padding.

    >>> padding_mask(torch.tensor([[9, 9, 3], [9, 4, 9]]), 9, "left", bos_id=9).tolist()
    [[False, True, True], [True, True, True]]

    """
    check_member("padding_side", padding_side, SIDES)
    real = tokens != pad_id
    if padding_side == "left":
        mask = real.cumsum(1) > 0
        if bos_id == pad_id:  # the pad right before the first real token, or the last of a row of nothing else
            mask = torch.cat([mask[:, 1:], torch.ones_like(mask[:, :1])], dim=1)
    else:
        mask = real.flip(1).cumsum(1).flip(1) > 0
        if bos_id == pad_id:
            mask[:, :1] = True
    return None if bool(mask.all()) else mask
