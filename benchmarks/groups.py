"""How long finite groups take: the multiplication table of S_6, its structure, and the subgroups of S_5.

    python benchmarks/groups.py [--rounds 7]

The table of S_6 is to take at most 0.1 s. Beside it stands the same table in plain Python, a dictionary of tuples, and
for S_5 the table by products of SymPy's permutations.
"""

import argparse
import statistics
from collections.abc import Callable
from itertools import permutations

import torch
from sympy.combinatorics import Permutation
from sympy.combinatorics.named_groups import SymmetricGroup

from paired import report, time_in_turn
from refractor.groups import conjugacy_classes, from_table, group, normal_subgroups, subgroups, symmetric

TABLE_OF_S6 = 0.1
SUBGROUPS_OF_S5 = 0.2


def plain_table(n: int) -> list[list[int]]:
    """Return the table of S_n by Python alone."""
    elements = list(permutations(range(n)))
    place = {element: i for i, element in enumerate(elements)}
    return [[place[tuple(right[k] for k in left)] for right in elements] for left in elements]


def sympy_table(n: int) -> list[list[int]]:
    """Return the table of S_n by SymPy's products."""
    elements = list(SymmetricGroup(n).generate())
    place = {element: i for i, element in enumerate(elements)}
    return [[place[Permutation(left.array_form) * right] for right in elements] for left in elements]


def main(rounds: int) -> None:
    """Print medians, ratios and targets."""
    print(f"{torch.get_num_threads()} threads")
    table = group("S6").table
    calls: dict[str, Callable[[], object]] = {
        "S6 with table": lambda: symmetric(6),
        "S6, published order": lambda: symmetric(6, "sympy-coset-rank"),
        "S6 in plain Python": lambda: plain_table(6),
        "S5 with table": lambda: symmetric(5),
        "S5 by SymPy": lambda: sympy_table(5),
        "a table of 720 checked": lambda: from_table(table),
        "SL(2,7) with table": lambda: group("SL(2,7)"),
        "AGL(1,17) with table": lambda: group("AGL(1,17)"),
        "classes of S6": lambda: conjugacy_classes(symmetric(6)),
        "subgroups of S5 (156)": lambda: subgroups(symmetric(5)),
        "subgroups of S6 (1455)": lambda: subgroups(symmetric(6)),
        "normal subgroups of S6": lambda: normal_subgroups(symmetric(6)),
    }
    seconds = time_in_turn(calls, rounds, warm_up=1)
    for name, values in seconds.items():
        print(f"  {name:<28} {1e3 * statistics.median(values):9.1f} ms")
    report(seconds, "S6 with table", "S6 in plain Python", 0.1)
    report(seconds, "S5 with table", "S5 by SymPy", 0.1)
    for name, target in (("S6 with table", TABLE_OF_S6), ("subgroups of S5 (156)", SUBGROUPS_OF_S5)):
        value = statistics.median(seconds[name])
        print(f"  {name}: {value:.3f} s (<= {target})  {'ok' if value <= target else 'ABOVE'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    main(parser.parse_args().rounds)
