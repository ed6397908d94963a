"""Names for irreps that have none: dimension and a letter."""

from collections.abc import Sequence


def letter_names(dims: Sequence[int], prefix: str = "") -> list[str]:
    """Return "1d_a", "1d_b", "2d_a", …: the dimension, and a letter that counts within it.

    Args:
        dims: the dimensions, in order.
        prefix: what each name begins with.

    >>> letter_names([1, 1, 2], prefix="a4_")
    ['a4_1d_a', 'a4_1d_b', 'a4_2d_a']

    """
    counts: dict[int, int] = {}
    names = []
    for dim in dims:
        names.append(f"{prefix}{dim}d_{_letters(counts.get(dim, 0))}")
        counts[dim] = counts.get(dim, 0) + 1
    return names


def _letters(count: int) -> str:
    """Return a, b, …, z, aa, ab, … for 0, 1, 2."""
    word = ""
    while count >= 0:
        word = chr(ord("a") + count % 26) + word
        count = count // 26 - 1
    return word
