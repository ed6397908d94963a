"""The curves of a run that learns to compose elements of a group: losses of its key irreps, and their similarities."""

from dataclasses import replace

import torch

from refractor.lab.composition.keys import IrrepSet, irrep_set
from refractor.lab.composition.problem import Problem, problem
from refractor.lab.composition.progress import key_irreps_of, learned_irreps, measure_composition_progress
from refractor.lab.load import Source
from refractor.lab.pairs import pair_sets
from refractor.report.curves import LOSSES, SHOWN, Curves, Series, chosen_steps, curves_of, finite_curves, kept_measures
from refractor.training.run import Run

SIMILARITY = "similarity."


def curves_of_groups(source: Source) -> Curves:
    """Return the curves of the run a network belongs to; see `read_curves`."""
    run = source.our_run()
    _, task = source.composition()
    asked = problem(task.group, task.operation)
    measured = kept_measures(run)
    keys = _recorded_keys(run, asked) if measured else None
    if keys is None:
        keys = key_irreps_of(replace(source, step=run.steps[-1]).composition()[0], asked)
    origin = "Restricted and excluded losses were recorded with the run."
    if not measured:
        steps = chosen_steps(run.steps)
        measured = _measure(source, steps, asked, keys)
        origin = f"Restricted and excluded losses were computed from {len(steps)} of its {len(run.steps)} snapshots."
    if not keys.names:
        origin = "Restricted and excluded losses are missing: the last snapshot has no key irrep."
    shown = {name: measured[name] for name in SHOWN if name in measured and name not in LOSSES}
    kept = shown if keys.names else {name: curve for name, curve in shown.items() if "_loss" not in name}
    curves = curves_of(run, kept, keys.names, origin)
    similarity = {name: measured[SIMILARITY + name] for name in keys.names if SIMILARITY + name in measured}
    return replace(curves, similarity=similarity, learned=_learned(measured))


def _recorded_keys(run: Run, asked: Problem) -> IrrepSet | None:
    """Return the irreps with which measures were recorded, None where the run does not say."""
    said = run.provenance.get("irreps_of_measures")
    return irrep_set(asked.irreps, map(str, said), "recorded") if isinstance(said, list) else None


def _measure(source: Source, steps: list[int], asked: Problem, keys: IrrepSet) -> Series:
    pairs = pair_sets(asked.order, source.split.train, source.split.test)
    values: dict[str, list[float]] = {}
    for step in steps:
        model, _ = replace(source, step=step).composition()
        for name, value in measure_composition_progress(model, asked, keys, pairs).items():
            values.setdefault(name, []).append(value)
    tensors = {name: torch.tensor(curve).double() for name, curve in values.items()}
    return finite_curves(torch.tensor(steps), tensors)


def _learned(measured: Series) -> dict[str, int]:
    similar = {name: curve for name, curve in measured.items() if name.startswith(SIMILARITY)}
    if not similar:
        return {}
    steps = next(iter(similar.values())).steps
    return learned_irreps(steps, {name: list(c.values) for name, c in similar.items() if c.steps == steps})
