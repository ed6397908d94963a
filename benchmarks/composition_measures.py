"""How long all measures of a network that composes group elements take, beside the same written as they are defined.

    python benchmarks/composition_measures.py [--rounds 5] [--without-s6]

The networks are two MLPs of the 2023 study (S5_MLP_seed2, S6_MLP_seed1) where `../shared/data/group_runs` has them,
else networks of their sizes with random weights and given irreps; the time hardly depends on the weights. Targets: an
S5 checkpoint 0.15 s with the problem of its group at hand, and the S6 network 20 s and 0.5 GB in a process of its own.

The plain way, for S5 and with no control: for every irrep the cube of its character over all n³ triples, the basis of
its entries over all n² pairs, and one pass of the output map for every restricted and every excluded loss.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch

from paired import ratio, time_in_turn
from refractor.groups import entry_basis, group, real_irreps
from refractor.lab import load_network
from refractor.lab.composition import Problem, analyse_composition, analyse_composition_logits, problem
from refractor.lab.composition.means import class_means
from refractor.lab.composition.progress import measure_composition_progress
from refractor.lab.composition.views import view_composition
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig
from refractor.tasks import GroupComposition, Split, split_rows

RUNS = Path(__file__).parents[2] / "shared" / "data" / "group_runs"
S5_SECONDS, S6_SECONDS, S6_BYTES = 0.15, 20.0, 500_000_000
GIVEN = {"S5": ("sign", "standard"), "S6": ("standard", "standard_sign", "s6_5d_a", "s6_5d_b")}

Network = tuple[str, OneLayerMLP, GroupComposition, Split, tuple[str, ...] | None]


def network(name: str, run: str, share: float) -> Network:
    """Return a network of the study, or one of its size with random weights and the irreps that it would have."""
    if (RUNS / run).is_dir():
        source = load_network(RUNS / run)
        model, task = source.composition()
        return run, model, task, source.split, None
    task = GroupComposition(name)
    model = OneLayerMLP(PairNetworkConfig(architecture="mlp", n=task.n, seed=1))
    return f"random weights for {name}", model, task, split_rows(task.n_rows, share, 1), GIVEN[name]


@torch.no_grad()
def written_out(model: OneLayerMLP, asked: Problem, split: Split, keys: tuple[str, ...]) -> dict[str, float]:
    """Return similarities, shares of the hidden layer and the losses of the study, as their definitions read."""
    n, irreps, g = asked.order, asked.irreps, asked.group
    x = torch.arange(n)
    pairs = torch.stack([x.repeat_interleave(n), x.repeat(n)], 1)
    right = g.table.flatten()
    stack = torch.cat([model.W_x[pairs[:, 0]], model.W_y[pairs[:, 1]]], 1).double()
    hidden = (stack @ model.W.double()).relu()
    output = model.W_U.double()
    logits = (hidden @ output).reshape(n, n, n)
    centred, spread = logits - logits.mean(-1, keepdim=True), hidden - hidden.mean(0)
    triples = g.table[g.table][:, :, g.inverses]
    found: dict[str, float] = {}
    bases = {}
    for irrep in list(irreps)[1:]:
        cube = irrep.character[triples]
        found[f"similarity.{irrep.name}"] = float((centred * cube).sum() / (centred.norm() * cube.norm()))
        entries = irrep.matrices.reshape(n, -1)
        for side, index in (("x", pairs[:, 0]), ("y", pairs[:, 1]), ("xy", right)):
            basis = torch.linalg.qr(entries[index]).Q
            found[f"hidden.{side}.{irrep.name}"] = float((basis.T @ spread).square().sum() / spread.square().sum())
        bases[irrep.name] = basis
    for label, names in {**{name: [name] for name in bases}, "total": list(keys)}.items():
        part = sum((bases[name] @ (bases[name].T @ hidden) for name in names), torch.zeros_like(hidden))
        kept, rest = part @ output, (hidden - part) @ output
        found[f"restricted.{label}"] = float(torch.nn.functional.cross_entropy(kept, right))
        rows = split.train
        found[f"excluded.{label}"] = float(torch.nn.functional.cross_entropy(rest[rows], right[rows]))
    return found


def agree(plain: dict[str, float], table: dict[str, object], names: tuple[str, ...]) -> float:
    """Return the largest relative difference of a loss or similarity between the two ways."""
    pairs = [(plain[f"similarity.{name}"], table[f"logit_{name}_rep_trace_similarity"]) for name in names]
    pairs += [(plain[f"restricted.{name}"], table[f"hidden_restricted_loss_{name}_rep"]) for name in names]
    pairs += [(plain[f"excluded.{name}"], table[f"hidden_excluded_loss_{name}_rep"]) for name in names]
    return max(abs(a - float(b)) / max(abs(a), 1e-3) for a, b in pairs)


def s5(rounds: int) -> None:
    """Time an S5 checkpoint and its parts."""
    name, model, task, split, given = network("S5", "S5_MLP_seed2", 0.4)
    asked = problem(task.group)
    n_subgroups = sum(len(each) for each in asked.subgroups)
    first = analyse_composition(model, task, split, asked=asked, keys=given, controls=0)
    keys = first.study.keys.names
    exact = model.double() if given is None else model
    view = view_composition(model, asked)
    logits = view.read(view.hidden_table(slice(None)).flatten(0, 1))
    calls = {
        "all measures": lambda: analyse_composition(model, task, split, asked=asked, keys=given).table(),
        "all but the controls": lambda: analyse_composition(
            model, task, split, asked=asked, keys=given, controls=0
        ).table(),
        "of logits alone": lambda: analyse_composition_logits(
            logits, task.group, irreps=asked.irreps, train=split.train, keys=given
        ),
        "progress at one step": lambda: measure_composition_progress(model, asked, first.keys, first.pairs),
        "class means": lambda: class_means(view),
        "written out": lambda: written_out(exact, asked, split, keys),
        "irreps and their basis": lambda: entry_basis(real_irreps(group("S5"))),
        "the problem, subgroups too": lambda: problem(group("S5")).subgroups,
    }
    seconds = time_in_turn(calls, rounds, warm_up=1)
    table = {row.name: row.value for row in first.table()}
    off = agree(written_out(exact, asked, split, keys), table, asked.irreps.names[1:])
    print(f"{name}: {torch.get_num_threads()} threads, {len(table)} measures, {n_subgroups} subgroups")
    for call, values in seconds.items():
        print(f"  {call:<28} {1e3 * statistics.median(values):9.1f} ms")
    whole = statistics.median(seconds["all measures"])
    print(f"  all measures (<= {1e3 * S5_SECONDS:.0f} ms): {'ok' if whole <= S5_SECONDS else 'ABOVE'}")
    speed = ratio(seconds, "all but the controls", "written out")
    print(f"  all but the controls over written out: {speed:.3f}; losses and similarities differ by {off:.0e} at most")


def s6_here() -> None:
    """Measure the S6 network in this process, and print seconds and bytes as JSON."""
    name, model, task, split, given = network("S6", "S6_MLP_seed1", 0.25)
    start = time.perf_counter()
    asked = problem(task.group)
    seconds = {"irreps": time.perf_counter() - start}
    start = time.perf_counter()
    len(asked.subgroups)
    seconds["subgroups"] = time.perf_counter() - start
    ready, now = peak(), psutil.Process().memory_info().rss
    hold = b"x" * (ready - now)  # what set-up once held is held again, so that a higher peak is due to the measures
    start = time.perf_counter()
    rows = len(analyse_composition(model, task, split, asked=asked, keys=given).table())
    seconds["measures"] = time.perf_counter() - start
    grown, whole = peak() - ready, peak() - len(hold)
    print(json.dumps({"name": name, "rows": rows, "ready": ready, "grown": grown, "whole": whole, **seconds}))


def peak() -> int:
    """Return the most bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def s6() -> None:
    """Measure the S6 network in a process of its own."""
    command = [sys.executable, __file__, "--s6-here", f"--threads={torch.get_num_threads()}"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    grown = found["grown"]
    print(f"{found['name']}: {torch.get_num_threads()} threads, {found['rows']} measures")
    print(f"  irreps and their basis {found['irreps']:6.2f} s, subgroups {found['subgroups']:6.2f} s")
    verdict = "ok" if found["measures"] <= S6_SECONDS else "ABOVE"
    print(f"  all measures {found['measures']:6.2f} s (<= {S6_SECONDS:.0f} s)  {verdict}")
    verdict = "ok" if grown <= S6_BYTES else "ABOVE"
    print(
        f"  memory: measures need {grown / 1e6:.0f} MB (<= {S6_BYTES / 1e6:.0f} MB)  {verdict}; the whole process then "
        f"holds {found['whole'] / 1e6:.0f} MB, PyTorch included, and {found['ready'] / 1e6:.0f} MB at most before"
    )


def main() -> None:
    """Print medians, targets and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--without-s6", action="store_true")
    parser.add_argument("--s6-here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.s6_here:
        s6_here()
        return
    s5(options.rounds)
    if not options.without_s6:
        s6()


if __name__ == "__main__":
    main()
