"""How long the measures of a p = 113 network take, beside the same measures written out over all p² pairs.

    python benchmarks/lab_measures.py [--p 113] [--rounds 5]

The network has random weights: time does not depend on what it learned. The written-out restricted and excluded losses
project every output on directions over (a, b) and score p² rows for each frequency set, as the definitions read. The
whole analysis is to take about 1 second. At the end: from which modulus the FFT beats the dense Fourier product.
"""

import argparse
import math
import statistics
from collections.abc import Callable

import torch

from paired import report, time_in_turn
from refractor.lab.analyse import analyse, analyse_network
from refractor.lab.fourier import fourier_basis
from refractor.lab.logit_fit import fit_logits
from refractor.lab.mixer import frequency_mixer
from refractor.lab.network import network_logits, view_network
from refractor.lab.neurons import neuron_frequencies
from refractor.lab.operations import sum_index
from refractor.lab.pairs import pair_sets
from refractor.lab.progress import measure_progress
from refractor.lab.sums import sum_logits
from refractor.lab.trig_losses import trig_excluded_loss, trig_restricted_loss
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularAddition
from refractor.tasks.splits import split_rows

KEYS = (16, 30, 56)


def build(p: int) -> HookedTransformer:
    """Return the network of the main task with random weights."""
    cfg = HookedTransformerConfig(
        n_layers=1, n_heads=4, d_model=128, d_head=32, d_mlp=512, d_vocab=p + 1, d_vocab_out=p, n_ctx=3, act_fn="relu",
        normalization_type=None, seed=0,
    )  # fmt: skip
    return HookedTransformer(cfg)


def written_out(logits: torch.Tensor, sets: list[tuple[int, ...]], *, keep: bool) -> list[float]:
    """Restricted (`keep`) or excluded losses as their definitions read."""
    p = logits.shape[-1]
    index = sum_index(p).flatten()
    flat = logits.reshape(p * p, p)
    losses = []
    for frequencies in sets:
        waves = [f(2 * math.pi * k * index.double() / p) for k in frequencies for f in (torch.cos, torch.sin)]
        directions = torch.stack([wave / wave.norm() for wave in waves])
        part = directions.T @ (directions @ flat)
        left = part + flat.mean(0) if keep else flat - part
        losses.append(float(torch.nn.functional.cross_entropy(left, index)))
    return losses


def measures(p: int, rounds: int) -> None:
    """Time every measure, and print it beside its written-out form where there is one."""
    task, split = ModularAddition(p), split_rows(p * p, 0.3, 1)
    model, pairs = build(p), pair_sets(p, split.train, split.test)
    view = view_network(model, task.tokens(), p)
    sums = sum_logits(view.logits, p)
    keys = tuple(k for k in KEYS if k <= p // 2) or (1,)
    fit = fit_logits(sums)
    sets = [keys, *((k,) for k in keys), *trig_restricted_loss(sums, keys).control.sets]
    calls: dict[str, Callable[[], object]] = {
        "run on all pairs, in float64": lambda: view_network(model, task.tokens(), p),
        "logits of all pairs only": lambda: network_logits(model, task.tokens(), p),
        "group logits by sum": lambda: sum_logits(view.logits, p),
        "cosine fit": lambda: fit_logits(sums),
        "restricted loss": lambda: trig_restricted_loss(sums, keys, pairs=pairs),
        "restricted, written out": lambda: written_out(view.logits, sets, keep=True),
        "excluded loss": lambda: trig_excluded_loss(sums, keys, pairs=pairs),
        "excluded, written out": lambda: written_out(view.logits, sets, keep=False),
        "neuron frequencies": lambda: neuron_frequencies(view.neurons, p),
        "mixer": lambda: frequency_mixer(sums, keys, pairs, fit),
        "progress at one step": lambda: measure_progress(sums, keys, pairs),
        "analyse(logits)": lambda: analyse(view.logits, p=p, train=split.train, test=split.test),
        "analyse_network": lambda: analyse_network(model, task, split),
    }
    seconds = time_in_turn(calls, rounds, warm_up=1)
    print(f"p = {p}, {len(sets)} frequency sets, {torch.get_num_threads()} threads")
    for name, values in seconds.items():
        print(f"  {name:<32} {1e3 * statistics.median(values):9.1f} ms")
    report(seconds, "restricted loss", "restricted, written out", 0.5)
    report(seconds, "excluded loss", "excluded, written out", 0.5)
    whole = statistics.median(seconds["analyse_network"])
    print(f"  the whole analysis: {whole:.2f} s (<= 1)  {'ok' if whole <= 1 else 'ABOVE'}")


def crossover(rounds: int) -> None:
    """Print from which modulus the FFT is faster."""
    print("transform of 200 functions, dense product against FFT")
    for p in (113, 257, 509, 1021, 2039, 4093):
        x = torch.randn(200, p, dtype=torch.float64)
        rows = fourier_basis(p).rows
        calls = {"dense": lambda x=x, rows=rows: x @ rows.T, "fft": lambda x=x: torch.fft.rfft(x)}
        seconds = time_in_turn(calls, rounds)
        dense, fft = (1e3 * statistics.median(seconds[name]) for name in calls)
        print(f"  p = {p:<5} dense {dense:8.2f} ms   fft {fft:8.2f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--p", type=int, default=113)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measures(options.p, options.rounds)
    crossover(options.rounds)
