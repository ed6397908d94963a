"""What `explain` predicts beside what is measured: operations of all matrix products, and the most bytes held.

    python benchmarks/explained_costs.py

Operations are counted by PyTorch's own counter, which sees matrix products only, so they are held against the product
steps of the plan. Bytes are the highest resident size while the question runs, in a process whose freed memory goes
back at once (glibc: MALLOC_MMAP_THRESHOLD_). Up to 1.5 × the prediction and 40 MB pass: the buffers and copies of BLAS
and LAPACK. GPT-2-small shapes, 20,000 tokens.
"""

import os
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

from _factored_shapes import D_MODEL, extra_bytes, weights
from refractor.linalg import FactoredMatrix

VOCABULARY = 20_000
QUESTIONS = (
    "eigenvalues", "trace", "S", "factored_svd", "norm", "sum", "var", "diagonal", "row_norms", "argmax",
)  # fmt: skip


def main() -> None:
    """Print predicted and measured figures, and their ratios."""
    torch.set_grad_enabled(False)
    w = weights()
    full = w["W_E"][:VOCABULARY] @ FactoredMatrix(w["W_V"][:2], w["W_O"][:2]) @ w["W_U"][:, :VOCABULARY]
    print(f"{list(full.shape)} of four factors, d_model {D_MODEL}")
    for question in QUESTIONS:
        plan = full.explain(question)

        def ask(question: str = question) -> object:
            found = getattr(full, question)
            return found() if callable(found) else found

        ask()
        counter = FlopCounterMode(display=False)
        with counter:
            ask()
        predicted = sum(step.flops for step in plan.steps if step.what.startswith(("(", "blocks", "<", "Q[")))
        measured = counter.get_total_flops()
        extra, held = extra_bytes(ask), plan.peak_bytes
        ratio = measured / predicted if predicted else float("nan")
        fits = extra <= 1.5 * held + 40e6
        print(
            f"  {question:<13} products {predicted / 1e9:8.2f} GFLOP predicted, {measured / 1e9:8.2f} counted, ratio "
            f"{ratio:5.2f} ({'ok' if 0.9 <= ratio <= 1.1 else 'OFF'})   bytes {held / 1e6:7.1f} MB predicted, "
            f"{extra / 1e6:7.1f} measured ({'ok' if fits else 'ABOVE'})",
            flush=True,
        )


if __name__ == "__main__":
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:  # read when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"})
    main()
