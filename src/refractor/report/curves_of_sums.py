"""The curves of a run that learns a sum modulo p: restricted and excluded losses of its key frequencies."""

from dataclasses import replace

import torch

from refractor.lab.frequencies import key_frequencies_of_logits
from refractor.lab.load import Source
from refractor.lab.logit_fit import fit_logits
from refractor.lab.operations import operation_of
from refractor.lab.pairs import pair_sets
from refractor.lab.progress import measure_progress, progress_values
from refractor.lab.sums import SumLogits, sum_logits
from refractor.report.curves import LOSSES, SHOWN, Curves, Series, chosen_steps, curves_of, finite_curves, kept_measures
from refractor.training.last_position import last_logits
from refractor.training.run import Run


def curves_of_sums(source: Source) -> Curves:
    """Return the curves of the run a network belongs to; see `read_curves`."""
    run = source.our_run()
    measured = {name: curve for name, curve in kept_measures(run).items() if name in SHOWN}
    frequencies = _recorded_frequencies(run) if measured else None
    if frequencies is None:
        frequencies = key_frequencies_of_logits(fit_logits(_sums(source, run.steps[-1]))).frequencies
    origin = "Restricted and excluded losses were recorded with the run."
    if not measured and frequencies:
        measured, count = _measure(source, frequencies)
        origin = f"Restricted and excluded losses were computed from {count} of its {len(run.steps)} snapshots."
    elif not measured:
        origin = "Restricted and excluded losses are missing: the last snapshot has no key frequency."
    return curves_of(run, measured, frequencies, origin)


def _recorded_frequencies(run: Run) -> tuple[int, ...] | None:
    """Return the set with which measures were recorded, None where the run does not say."""
    said = run.provenance.get("frequencies_of_measures")
    return tuple(map(int, said)) if isinstance(said, list) else None


def _measure(source: Source, frequencies: tuple[int, ...]) -> tuple[Series, int]:
    steps = chosen_steps(source.our_run().steps)
    pairs = pair_sets(source.task.n, source.split.train, source.split.test)
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in progress_values(measure_progress(_sums(source, step), frequencies, pairs)).items():
            if name in SHOWN and name not in LOSSES:
                values.setdefault(name, []).append(value)
    tensors = {name: torch.tensor(curve).double() for name, curve in values.items()}
    return finite_curves(torch.tensor(steps), tensors), len(steps)


def _sums(source: Source, step: int) -> SumLogits:
    model, task = replace(source, step=step).modular()
    with torch.no_grad():
        logits = last_logits(model, task.tokens())
    return sum_logits(logits, task.p, operation_of(task))
