"""How long all real irreps of a group take, with every check, beside spgrep and beside splitting without closed forms.

    python benchmarks/irreps.py [--rounds 7] [--largest 120]

The group with its table is made beforehand; irreps are made anew each time. Targets: S5 0.1 s, S6 and SL(2,7) 0.5 s, on
one thread and on two. spgrep finds complex irreps of any group from its regular representation, in memory n³, so it is
run only on groups up to `--largest` elements; its time leaves the making of that representation out. The last column of
numbers is the same irreps by splitting the regular representation, which is what a group without closed forms gets.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from spgrep.rep.enumerate import enumerate_unitary_irreps_from_regular_representation

from paired import ratio, time_in_turn
from refractor.groups import Group, group, real_irreps, regular
from refractor.groups.real_irreps import split_irreps

TARGETS = {"S5": 0.1, "S6": 0.5, "SL(2,7)": 0.5, "A6": None, "C113": None, "D59": None}


def fresh(g: Group) -> Group:
    """Return the group without what it remembers."""
    return Group(g.name, g.table, g.elements, g.generators, g.ordering)


def main() -> None:
    """Print medians, targets and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--largest", type=int, default=120, help="largest group that spgrep is run on")
    args = parser.parse_args()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        print(f"torch {torch.__version__}, {threads} thread(s), medians of {args.rounds} rounds in turn")
        for name, target in TARGETS.items():
            one_group(group(name), target, args.rounds, args.largest)


def one_group(g: Group, target: float | None, rounds: int, largest: int) -> None:
    """Time one group and print a line."""
    calls: dict[str, Callable[[], object]] = {
        "real_irreps": lambda: real_irreps(fresh(g)),
        "splitting": lambda: split_irreps(fresh(g)),
    }
    if g.order <= largest:
        matrices = regular(g).matrices.numpy()
        calls["spgrep"] = lambda: enumerate_unitary_irreps_from_regular_representation(matrices)
    seconds = time_in_turn(calls, rounds, warm_up=1)
    ours = statistics.median(seconds["real_irreps"])
    verdict = "" if target is None else f"(<= {1e3 * target:.0f} ms) {'ok' if ours <= target else 'ABOVE'}"
    line = f"  {g.name:<8} n = {g.order:<4} {1e3 * ours:8.1f} ms {verdict:<18}"
    for peer in list(calls)[1:]:
        median = 1e3 * statistics.median(seconds[peer])
        line += f"   {peer} {median:8.1f} ms, ratio {ratio(seconds, 'real_irreps', peer):6.3f}"
    print(line)


if __name__ == "__main__":
    main()
