"""Where the network comes from, and every measure by name."""

from collections.abc import Mapping

from refractor.lab.load import Source
from refractor.lab.pairs import PairSets
from refractor.lab.published import PublishedRun
from refractor.lab.table import MeasureTable, write
from refractor.report.figures import Section, Table
from refractor.report.sections.words import about
from refractor.training.run import Run

STUDY = (
    "A network of the 2023 study (Chughtai, Chan and Nanda, “A Toy Model of Universality”), of which only the last "
    "weights were kept."
)


def provenance_section(source: Source, pairs: PairSets) -> Section:
    """List task, network, training and provenance."""
    task = ("Task", (*_rows(source.task.to_dict()), ("formula", source.task.formula)))
    counts = {"train pairs": pairs.count("train"), "test pairs": pairs.count("test")}
    if source.published is not None:
        text, absent, tables = STUDY, (), _of_study(source.published, counts)
    else:
        run = source.our_run()
        text = f"{len(run.steps)} snapshots of its run are kept."
        absent = () if run.provenance else ("This run says nothing about where it comes from.",)
        tables = _of_run(run, counts)
    return Section(
        "provenance",
        "Provenance",
        f"{about(source, source.task.title)} {text}",
        (),
        absent,
        tuple(Table(caption, ("setting", "value"), rows) for caption, rows in (task, *tables) if rows),
    )


def measures_table(measures: MeasureTable) -> Table:
    """Return every measure by name."""
    rows = tuple((row.name, write(row.value), write(row.control), row.unit, row.meaning) for row in measures)
    return Table("Every measure by name", ("measure", "value", "control", "unit", "meaning"), rows)


Tables = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def _of_run(run: Run, counts: Mapping[str, object]) -> Tables:
    return (
        ("Training", _rows({**run.training.to_dict(), **counts})),
        ("Network", _rows(run.model_config.to_dict())),
        ("Made", _rows(run.provenance)),
    )


def _of_study(run: PublishedRun, counts: Mapping[str, object]) -> Tables:
    sizes = {name: list(weight.shape) for name, weight in run.weights.items() if weight.is_floating_point()}
    return (
        ("Training, as stored", _rows({**run.config, **counts})),
        ("Weights", tuple((name, " × ".join(map(str, size))) for name, size in sizes.items() if size)),
    )


def _rows(settings: Mapping[str, object], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Return settings as rows, nested ones with dotted names; what is None is left out."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, dict):
            rows += _rows({str(inner): item for inner, item in value.items()}, f"{prefix}{key}.")
        elif value is not None:
            rows.append((f"{prefix}{key}", _in_words(value)))
    return tuple(rows)


def _in_words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
