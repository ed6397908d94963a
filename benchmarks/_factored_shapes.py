"""Weights with the shapes of GPT-2 small, random, the same for ours and the peer; and memory measured honestly."""

import ctypes
import gc
import threading
import time
from collections.abc import Callable

import psutil
import torch

LAYERS, HEADS, D_MODEL, D_HEAD, D_VOCAB = 12, 12, 768, 64, 50257


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return W_E, W_U and the stacked head weights, scaled as GPT-2's are initialised."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.02

    stack = (LAYERS, HEADS)
    return {
        "W_E": draw(D_VOCAB, D_MODEL),
        "W_U": draw(D_MODEL, D_VOCAB),
        "W_Q": draw(*stack, D_MODEL, D_HEAD),
        "W_K": draw(*stack, D_MODEL, D_HEAD),
        "W_V": draw(*stack, D_MODEL, D_HEAD),
        "W_O": draw(*stack, D_HEAD, D_MODEL),
    }


def extra_bytes(call: Callable[[], object]) -> int:
    """Return the most resident bytes that `call` adds to the process while it runs.

    Freed memory is handed back first, so that it cannot hide what is allocated; a thread reads the resident size
    every millisecond.
    """
    gc.collect()
    _trim()
    process = psutil.Process()
    before = process.memory_info().rss
    peak, stop = [before], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            peak[0] = max(peak[0], process.memory_info().rss)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
        peak[0] = max(peak[0], process.memory_info().rss)
    finally:
        stop.set()
        watcher.join()
    return peak[0] - before


def _trim() -> None:
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:  # not glibc: freed memory may hide a little of what is allocated
        print("  (malloc_trim is missing; peaks may be read too low)")


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
