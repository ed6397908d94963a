"""Cycle notation of permutations."""

import re
from collections.abc import Sequence

from refractor.base.errors import ArgumentError

CYCLES = re.compile(r"(\(\s*([0-9]{1,9}([\s,]+[0-9]{1,9})*)?\s*\)\s*)+")


def cycles_of(array: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the cycles of a permutation, fixed points as cycles of one, each from its least point, in that order.

    Args:
        array: array form: `array[k]` is where k goes.

    >>> cycles_of([2, 1, 0])
    ((0, 2), (1,))

    """
    seen: set[int] = set()
    found = []
    for start in range(len(array)):
        if start in seen:
            continue
        cycle, point = [start], array[start]
        while point != start:
            cycle.append(point)
            point = array[point]
        seen.update(cycle)
        found.append(tuple(cycle))
    return tuple(found)


def write_cycles(array: Sequence[int]) -> str:
    """Write a permutation in cycle notation, the last point first where it is fixed, so that the degree can be read.

    That is the notation of SymPy, in which the published notebook prints its elements.

    >>> write_cycles([0, 1, 2, 3]), write_cycles([1, 0, 2, 3]), write_cycles([2, 3, 0, 1])
    ('(3)', '(3)(0 1)', '(0 2)(1 3)')
    """
    moved = ["(" + " ".join(map(str, cycle)) + ")" for cycle in cycles_of(array) if len(cycle) > 1]
    last = len(array) - 1
    shown = [f"({last})"] if last >= 0 and array[last] == last else []
    return "".join([*shown, *moved]) or "()"


def read_cycles(text: str) -> list[int]:
    """Return the array form of a permutation in cycle notation, of as many points as the largest one asks for.

    Cycles that share points are applied from left to right.

    Args:
        text: cycles of points 0, 1, …, divided by spaces or commas.

    Raises:
        ArgumentError: the text is no cycle notation, or a cycle has a point twice.

    >>> read_cycles("(3)(0 1)"), read_cycles("(0 2)(1 3)")
    ([1, 0, 2, 3], [2, 3, 0, 1])

    """
    if CYCLES.fullmatch(text.strip()) is None:
        raise ArgumentError(f"a permutation in cycle notation reads like '(0 2)(1 3)'; {text!r} came.")
    cycles = [[int(point) for point in re.findall(r"[0-9]+", cycle)] for cycle in re.findall(r"\(([^)]*)\)", text)]
    array = list(range(1 + max((point for cycle in cycles for point in cycle), default=-1)))
    for cycle in cycles:
        if len(set(cycle)) < len(cycle):
            raise ArgumentError(f"a cycle has each point once; ({' '.join(map(str, cycle))}) in {text!r} does not.")
        image = dict(zip(cycle, [*cycle[1:], *cycle[:1]], strict=True))
        array = [image.get(point, point) for point in array]
    return array


def signature(array: Sequence[int]) -> int:
    """Return 1 for an even permutation and -1 for an odd one.

    >>> signature([1, 0, 2]), signature([1, 2, 0])
    (-1, 1)
    """
    return -1 if (len(array) - len(cycles_of(array))) % 2 else 1
