"""What `import refractor` costs beside `import torch`, each in a process of its own, in turn.

Run: python benchmarks/import_time.py [rounds]
"""

import statistics
import subprocess
import sys

TARGET = 1.15
CODE = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str) -> float:
    """Import a module in a new process and return the seconds that took."""
    run = subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True)
    return float(run.stdout)


def main() -> None:
    """Print both medians and the median of the ratios, pair by pair."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seconds("torch"), seconds("refractor")  # files into the cache of the disk
    pairs = [(seconds("torch"), seconds("refractor")) for _ in range(rounds)]
    torch_time, own_time = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(own / base for base, own in pairs)
    verdict = "ok" if ratio <= TARGET else "ABOVE"
    print(f"import torch {torch_time:.2f} s, refractor {own_time:.2f} s, ratio {ratio:.3f} (<= {TARGET})  {verdict}")


if __name__ == "__main__":
    main()
