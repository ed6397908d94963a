"""What the commands do, as functions."""

import json
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refractor.base.errors import StoreError

if TYPE_CHECKING:
    from refractor.checkpoints import Verification
    from refractor.lab import Analysis, Source
    from refractor.lab.composition import CompositionAnalysis


def version() -> str:
    """Return the version that is installed."""
    return installed_version("refractor")


def report(model: str, out: Path) -> Path:
    """Write the page about a network and return its path.

    Raises:
        StoreError: the page cannot be written there.

    """
    if out.is_dir():
        raise StoreError(f"{out} is a folder; --out needs the name of a page, such as {out / 'report.html'}.")
    from refractor.report import write_report

    return write_report(model, out)


def measure_json(model: str) -> str:
    """Return finding, verdict and every measure of a network as strict JSON: what is not a number is null."""
    source, analysis = _analyse(model)
    values = {
        "model": source.name,
        "step": source.step,
        "task": source.task.name,
        **_questions(analysis),
        "finding": analysis.finding,
        "verdict": analysis.verdict.claim,
        "measures": analysis.table().to_dicts(),
    }
    return json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False)


def measure_text(model: str) -> str:
    """Return the same for people."""
    source, analysis = _analyse(model)
    when = "" if source.step is None else f", step {source.step}"
    return "\n".join([f"{source.name}{when}", analysis.finding, "", str(analysis.table())])


def _questions(analysis: "Analysis | CompositionAnalysis") -> dict[str, Any]:
    """Return what the network was asked: a modulus, or a group."""
    from refractor.lab import Analysis

    if isinstance(analysis, Analysis):
        return {"p": analysis.p}
    problem = analysis.problem
    return {"group": problem.group.name, "order": problem.order, "operation": problem.operation}


def _analyse(model: str) -> tuple["Source", "Analysis | CompositionAnalysis"]:
    from rich.console import Console

    from refractor.lab import load_network
    from refractor.lab.wings import analyse_source

    with Console(stderr=True).status(f"measuring {model} …"):
        source = load_network(model)
        return source, analyse_source(source)


def universality(models: list[str], form: str, out: Path | None) -> str:
    """Return the table of the study of universality, or write it and return the path.

    Raises:
        StoreError: it cannot be written there.
        UnknownNameError: there is no such form.

    """
    from rich.console import Console

    from refractor.lab import load_network
    from refractor.lab.composition.universality import study_row, study_table_of
    from refractor.report.files import write_text
    from refractor.report.universality import check_form, universality_table

    check_form(form)
    sources = [load_network(model) for model in models]
    rows = []
    with Console(stderr=True).status("measuring …") as status:
        for source in sources:
            status.update(f"measuring {source.name} …")
            rows.append(study_row(source))
    text = universality_table(study_table_of(rows), form)
    return text.rstrip("\n") if out is None else str(write_text(out, text))


def verify(model: str, dtype: str, processed: bool) -> "Verification":
    """Load a network and check it: see `refractor.checkpoints.verify`."""
    from rich.console import Console

    from refractor.checkpoints import load
    from refractor.checkpoints import verify as run_checks
    from refractor.models.rewrites import REWRITES

    with Console(stderr=True).status(f"loading {model} ..."):
        unprocessed: dict[str, Any] = {} if processed else dict.fromkeys(REWRITES, False)
        network = load(model, dtype=dtype, **unprocessed)
    with Console(stderr=True).status(f"checking {model} ..."):
        return run_checks(network)


def train(
    task: tuple[str, dict[str, Any]],
    network: tuple[str, dict[str, Any], int],
    training: dict[str, Any],
    folder: Path,
    show_bar: bool = True,
) -> Path:
    """Train a small network on a task, and return the folder of the run.

    Args:
        task: name and options.
        network: kind, options and seed.
        training: fields of `TrainingConfig`.
        folder: where the run is kept.
        show_bar: whether the progress is shown.

    """
    from refractor.cli.train_options import network_of, task_of
    from refractor.training import TrainingConfig
    from refractor.training import train as run_training
    from refractor.training.progress import bar

    name, task_options = task
    kind, network_options, seed = network
    questions = task_of(name, task_options)
    model, train_biases = network_of(kind, network_options, questions, seed)
    config = TrainingConfig.from_dict({**training, "train_biases": train_biases})
    if not show_bar:
        return run_training(questions, model, config, folder).folder
    with bar(config.steps, may_stop_early=config.stop_below is not None) as progress:
        return run_training(questions, model, config, folder, progress).folder
