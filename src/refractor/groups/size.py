"""How large a group may be: its table has n² entries, so the size is looked at before anything is made."""

from refractor.base.budget import check_fits, format_bytes
from refractor.base.checks import check_int
from refractor.base.errors import BudgetError

MOST_ELEMENTS = 8192
"""Largest group that is made unless told otherwise. Its table holds 537 MB; S_7 (5,040 elements) 203 MB."""

ENTRY = 8  # bytes of one entry of a table: torch.long, which indexes without a copy


def table_bytes(order: int) -> int:
    """Return the bytes of the table of a group of this order.

    >>> table_bytes(720)
    4147200
    """
    return ENTRY * order * order


def check_order(name: str, order: int, most: int | None = None, *, bound: str = "") -> int:
    """Return the order of a group if its table may be made.

    Args:
        name: the group, as messages call it.
        order: how many elements it has.
        most: the largest order allowed; by default 8,192.
        bound: "at least " if more elements may be there than `order`.

    Raises:
        ArgumentError: `most` is no positive integer.
        BudgetError: the group is larger, or its table does not fit the memory that is free.

    >>> check_order("S8", 40320)
    Traceback (most recent call last):
    refractor.base.errors.BudgetError: S8 has 40,320 elements and a table of 13.0 GB; ...

    """
    allowed = MOST_ELEMENTS if most is None else check_int("most", most, least=1)
    if order > allowed:
        raise BudgetError(
            f"{name} has {bound}{order:,} elements and a table of {bound}{format_bytes(table_bytes(order))}; "
            f"{allowed:,} elements ({format_bytes(table_bytes(allowed))}) are allowed. "
            f"Take a smaller group{'' if most is None else ', or a larger most='}."
        )
    if order > MOST_ELEMENTS:
        # twice: columns are filled first and then laid out as rows
        check_fits(2 * table_bytes(order), f"the table of {name}", "Take a smaller group.")
    return order
