"""Questions about GPT-2-small-shaped circuits: FactoredMatrix beside transformer-lens 4.3's, in one process.

    pip install transformer-lens==4.3.*            # the peer, in an environment of its own
    python benchmarks/factored_matrix.py [--rounds 3] [--only eigenvalues ...]

Ours and the peer take turns; the ratio is the median over rounds of peer / ours. Where the peer needs too much memory
it is asked for two layers, and its time is multiplied by six.
The extra memory of ours is the highest resident size while it runs. Without the peer only
ours is timed.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from _factored_shapes import D_VOCAB, HEADS, LAYERS, extra_bytes, seconds, weights
from refractor.linalg import FactoredMatrix, pairwise_norms

try:
    from transformer_lens import FactoredMatrix as Peer
    from transformer_lens.utilities.matrix import composition_scores
except ImportError:
    Peer = composition_scores = None


@dataclass(frozen=True)
class Comparison:
    """One question, asked of both.

    Args:
        name: what is asked.
        ours: asks ours.
        peer: asks the peer, of `1 / share` of the heads; None where it cannot.
        target: how many times faster ours is to be.
        most: megabytes that ours may take besides the factors; None where none are promised.
        share: what the peer's time is multiplied by.

    """

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object] | None
    target: float
    most: float | None = None
    share: int = 1


def comparisons(w: dict[str, torch.Tensor]) -> list[Comparison]:
    """Return every question with its target."""
    OV = FactoredMatrix(w["W_V"], w["W_O"])
    QK = FactoredMatrix(w["W_Q"], w["W_K"].mT)
    full = w["W_E"] @ OV @ w["W_U"]

    def theirs(layers: slice = slice(None)) -> "Peer":
        return Peer(w["W_V"][layers], w["W_O"][layers])

    def theirs_full(layers: slice = slice(None)) -> "Peer":
        return w["W_E"] @ theirs(layers) @ w["W_U"]

    two = slice(0, 2)
    causal = torch.ones(LAYERS, LAYERS).triu(1).bool()[:, None, :, None].expand(LAYERS, HEADS, LAYERS, HEADS)
    norms = [OV.norm, QK.norm]

    def scores() -> list[torch.Tensor]:
        own, queries = (ask() for ask in norms)
        return [
            pairwise_norms(OV, right, causal) / (own[:, :, None, None] * size)
            for right, size in ((QK, queries), (QK.T, queries), (OV, own))
        ]

    def their_scores() -> list[torch.Tensor]:
        qk = Peer(w["W_Q"], w["W_K"].mT)
        return [composition_scores(theirs(), right) for right in (qk, qk.T, theirs())]

    return [
        Comparison("eigenvalues of 144 full OV", lambda: full.eigenvalues, lambda: theirs_full().eigenvalues, 17, 150),
        Comparison("  singular values of the same", lambda: full.S, lambda: theirs_full(two).S, 22, 100, 6),
        Comparison("  SVD, vectors left factored", full.factored_svd, lambda: theirs_full(two).svd(), 14, None, 6),
        Comparison("  SVD, vectors formed", full.svd, lambda: theirs_full(two).svd(), 3, None, 6),
        Comparison("SVD of 144 OV circuits", OV.svd, lambda: theirs().svd(), 1.8),
        Comparison("  singular values alone", lambda: OV.S, lambda: theirs().S, 4),
        Comparison("  Frobenius norms", OV.norm, lambda: theirs().norm(), 20),
        Comparison("K-, Q-, V-composition, all pairs", scores, their_scores, 15, 700),
    ]  # fmt: skip


def compare(question: Comparison, rounds: int) -> None:
    """Print one line: times, ratio and memory beside their targets."""
    question.ours()
    extra = extra_bytes(question.ours) / 1e6
    if question.peer is None or Peer is None:
        ours = statistics.median(seconds(question.ours) for _ in range(rounds))
        print(f"{question.name:<34} ours {ours:7.3f} s, {extra:6.0f} MB extra   (no peer)", flush=True)
        return
    pairs = []
    for _ in range(rounds):
        mine = statistics.median(seconds(question.ours) for _ in range(3))
        pairs.append((mine, seconds(question.peer) * question.share))
    ratio = statistics.median(peer / ours for ours, peer in pairs)
    ours, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
    fits = "" if question.most is None else f" (<= {question.most:.0f}: {'ok' if extra <= question.most else 'ABOVE'})"
    verdict = "ok" if ratio >= question.target else "BELOW"
    times = f" (x {question.share})" if question.share > 1 else ""
    print(
        f"{question.name:<34} ours {ours:7.3f} s   peer {peer:7.3f} s{times}   "
        f"ratio {ratio:5.1f} (>= {question.target}: {verdict})   {extra:5.0f} MB extra{fits}",
        flush=True,
    )


def copying_rows(w: dict[str, torch.Tensor], heads: int) -> None:
    """Print the rate of the search for every row's largest entry beside the rates of plain products."""
    OV = FactoredMatrix(w["W_V"].flatten(0, 1)[:heads], w["W_O"].flatten(0, 1)[:heads])
    full = w["W_E"] @ OV @ w["W_U"]
    left, right = torch.randn(1024, 64), torch.randn(64, 2048)
    square = torch.randn(2048, 2048)
    rates: dict[str, list[float]] = {"tile": [], "square": [], "ours": []}
    work = 2 * 64 * D_VOCAB**2 * heads
    full[:1].diagonal_argmax_share()
    out = torch.empty(1024, 2048)
    for _ in range(3):
        tiles = seconds(lambda: [torch.mm(left, right, out=out) for _ in range(200)])
        rates["tile"].append(200 * 2 * 64 * 1024 * 2048 / tiles)
        rates["square"].append(4 * 2 * 2048**3 / seconds(lambda: [square @ square for _ in range(4)]))
        rates["ours"].append(work / seconds(full.diagonal_argmax_share))
    tile, gemm, ours = (statistics.median(rates[name]) / 1e9 for name in ("tile", "square", "ours"))
    extra = extra_bytes(full.diagonal_argmax_share) / 1e6
    share = ours / gemm
    print(
        f"argmax of each of {D_VOCAB} rows, {heads} heads   ours {ours:6.1f} GFLOP/s   "
        f"products of 2048 x 2048 "
        f"{gemm:6.1f}, of 1024 x 64 x 2048 {tile:6.1f}   share {share:.2f} "
        f"(>= 0.6: {'ok' if share >= 0.6 else 'BELOW'})   "
        f"{extra:5.0f} MB extra (<= 500: {'ok' if extra <= 500 else 'ABOVE'})",
        flush=True,
    )


def main() -> None:
    """Ask everything, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="parts of the names of questions")
    parser.add_argument("--heads", type=int, default=12, help="heads of the search for the largest entry of each row")
    arguments = parser.parse_args()
    if Peer is None:
        print("transformer-lens is not installed: only ours is timed (pip install 'transformer-lens==4.3.*').")
    torch.set_grad_enabled(False)
    w = weights()
    for question in comparisons(w):
        if not arguments.only or any(part in question.name for part in arguments.only):
            compare(question, arguments.rounds)
    if not arguments.only or any(part in "argmax" for part in arguments.only):
        copying_rows(w, arguments.heads)


if __name__ == "__main__":
    main()
