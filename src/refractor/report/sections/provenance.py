"""Where the network comes from, and every measure by name."""

from refractor.lab.analysis import Analysis
from refractor.lab.table import write
from refractor.report.figures import Section, Table
from refractor.training.run import Run


def provenance_section(run: Run, analysis: Analysis, name: str, step: int) -> Section:
    """List source, task, network, training and provenance, and all measures."""
    absent = () if run.provenance else ("This run says nothing about where it comes from.",)
    return Section(
        "provenance",
        "Provenance",
        f"What was looked at: {name}, after {step} updates; {len(run.steps)} snapshots are kept.",
        (),
        absent,
        tuple(
            Table(caption, ("setting", "value"), rows)
            for caption, rows in (
                (
                    "Task",
                    (
                        ("name", run.task.name),
                        ("p", str(analysis.p)),
                        ("formula", f"{run.task.formula} mod {analysis.p}"),
                    ),
                ),
                ("Training", _rows({**run.training.to_dict(), **_pairs(analysis)})),
                ("Network", _rows(run.model_config.to_dict())),
                ("Made", _rows(run.provenance)),
            )
            if rows
        ),
    )


def measures_table(analysis: Analysis) -> Table:
    """Return every measure by name."""
    rows = tuple((row.name, write(row.value), write(row.control), row.unit, row.meaning) for row in analysis.table())
    return Table("Every measure by name", ("measure", "value", "control", "unit", "meaning"), rows)


def _pairs(analysis: Analysis) -> dict[str, object]:
    return {"train pairs": analysis.pairs.count("train"), "test pairs": analysis.pairs.count("test")}


def _rows(settings: dict[str, object], prefix: str = "") -> tuple[tuple[str, str], ...]:
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
