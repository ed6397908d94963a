"""Where the network comes from, and every measure by name."""

from refractor.lab.analysis import Analysis
from refractor.lab.table import write
from refractor.report.figures import Section, Table
from refractor.report.sections.words import count
from refractor.report.source import LiveNetwork, Subject


def provenance_section(analysis: Analysis, source: Subject) -> Section:
    """List source, task, training, network and provenance."""
    task = Table(
        "Task",
        ("setting", "value"),
        (("name", source.task.name), ("p", str(source.task.p)), ("formula", f"{source.task.formula} mod {analysis.p}")),
    )
    if isinstance(source, LiveNetwork):
        text = f"What was looked at: {source.name}, given in memory."
        absent = "Nothing is known about where it comes from and how it was trained."
        settings = {"Pairs": _pairs(analysis), "Network": source.model.cfg.to_dict()}
        return Section("provenance", "Provenance", text, (), (absent,), (task, *_tables(settings)))
    run = source.run
    snapshots = count(len(run.steps), "snapshot")
    by_step = {key: value for key, value in run.provenance.items() if _is_by_step(value)}
    settings = {
        "Training": {**run.training.to_dict(), **_pairs(analysis)},
        "Network": run.model_config.to_dict(),
        "Made": {key: value for key, value in run.provenance.items() if key not in by_step},
    }
    return Section(
        "provenance",
        "Provenance",
        f"What was looked at: {source.name}, after {source.step} updates. Kept of this run: {snapshots}.",
        (),
        () if run.provenance else ("This run says nothing about where it comes from.",),
        (task, *_tables(settings), *([_by_step(by_step)] if by_step else [])),
    )


def measures_table(analysis: Analysis) -> Table:
    """Return every measure by name."""
    rows = tuple((row.name, write(row.value), write(row.control), row.unit, row.meaning) for row in analysis.table())
    return Table("Every measure by name", ("measure", "value", "control", "unit", "meaning"), rows)


def _pairs(analysis: Analysis) -> dict[str, object]:
    """Return the sizes of the split, where it is known."""
    if "train" not in analysis.pairs.members:
        return {}
    return {"train pairs": analysis.pairs.count("train"), "test pairs": analysis.pairs.count("test")}


def _tables(settings: dict[str, dict[str, object]]) -> list[Table]:
    written = {caption: _rows(values) for caption, values in settings.items()}
    return [Table(caption, ("setting", "value"), rows) for caption, rows in written.items() if rows]


def _is_by_step(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(str(key).isdecimal() for key in value)


def _by_step(columns: dict[str, object]) -> Table:
    """Return what the run says about single steps: a row for each step, a column for each number."""
    cells: dict[int, dict[str, str]] = {}
    for name, by_step in columns.items():
        for step, value in _items(by_step):
            inner = _items(value) if isinstance(value, dict) else [(name, value)]
            cells.setdefault(int(step), {}).update((key, _in_words(item)) for key, item in inner)
    heads = list(dict.fromkeys(key for row in cells.values() for key in row))
    rows = tuple((str(step), *(cells[step].get(head, "–") for head in heads)) for step in sorted(cells))
    return Table("Made, by step", ("step", *heads), rows)


def _items(value: object) -> list[tuple[str, object]]:
    return [(str(key), item) for key, item in value.items()] if isinstance(value, dict) else []


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
