"""Cycle notation of permutations."""

from collections.abc import Sequence


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
    """Write a permutation in cycle notation, the last point first where it is fixed, so that the degree can be read off.

    That is the notation of SymPy, in which the published notebook prints its elements.

    >>> write_cycles([0, 1, 2, 3]), write_cycles([1, 0, 2, 3]), write_cycles([2, 3, 0, 1])
    ('(3)', '(3)(0 1)', '(0 2)(1 3)')
    """
    moved = ["(" + " ".join(map(str, cycle)) + ")" for cycle in cycles_of(array) if len(cycle) > 1]
    last = len(array) - 1
    shown = [f"({last})"] if last >= 0 and array[last] == last else []
    return "".join([*shown, *moved]) or "()"


def signature(array: Sequence[int]) -> int:
    """Return 1 for an even permutation and -1 for an odd one.

    >>> signature([1, 0, 2]), signature([1, 2, 0])
    (-1, 1)
    """
    return -1 if (len(array) - len(cycles_of(array))) % 2 else 1
