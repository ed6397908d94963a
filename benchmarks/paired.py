"""Honest ratios on a noisy machine: what is compared runs in turn, and the medians are divided."""

import statistics
import time
from collections.abc import Callable, Mapping


def time_in_turn(calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Run every call once per round, in rotating order, and return the seconds of each, by name."""
    for call in calls.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, peer: str) -> float:
    """Return the median over rounds of ours / peer, each round compared with itself."""
    return statistics.median(a / b for a, b in zip(seconds[ours], seconds[peer], strict=True))


def report(seconds: Mapping[str, list[float]], ours: str, peer: str, target: float) -> float:
    """Print both medians and their ratio beside the target (at most), and return the ratio."""
    value = ratio(seconds, ours, peer)
    verdict = "ok" if value <= target else "ABOVE"
    mine, other = (1e3 * statistics.median(seconds[name]) for name in (ours, peer))
    print(f"  {ours:<34} {mine:9.2f} ms   {peer:<28} {other:9.2f} ms   ratio {value:5.3f}  (<= {target})  {verdict}")
    return value
