"""A table of measures: name, value, control, unit, meaning. The names are stable; programs may rely on them."""

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass

from refractor.base.errors import unknown_name

Value = float | int | str | tuple[int, ...] | tuple[str, ...] | None


@dataclass(frozen=True)
class Measure:
    """One measure.

    Args:
        name: its stable name, e.g. `restricted_loss.train`.
        value: a number, a set of frequencies, a word; None where it is not defined.
        control: what the same measure gives for random frequency sets or for guessing; None where there is no control.
        unit: "nats", "share", "frequencies", …
        meaning: one sentence.

    """

    name: str
    value: Value
    control: Value
    unit: str
    meaning: str


@dataclass(frozen=True)
class MeasureTable:
    """Measures in reading order; `table["restricted_loss.all"]` finds one by name."""

    rows: tuple[Measure, ...]

    def __getitem__(self, name: str) -> Measure:
        """Return the measure of that name.

        Raises:
            UnknownNameError: there is none; the nearest names are offered.

        """
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown_name("measure", name, [row.name for row in self.rows])

    def __iter__(self) -> Iterator[Measure]:
        """Iterate over the measures."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Return the number of measures."""
        return len(self.rows)

    def to_dicts(self) -> list[dict[str, object]]:
        """Return the rows as plain values that JSON can hold: sets become lists, infinities and NaN become None."""
        return [
            {
                "name": row.name,
                "value": _plain(row.value),
                "control": _plain(row.control),
                "unit": row.unit,
                "meaning": row.meaning,
            }
            for row in self.rows
        ]

    def __str__(self) -> str:
        """Return the table as text, one measure a line."""
        lines = [("measure", "value", "control", "unit", "meaning")]
        lines += [(row.name, write(row.value), write(row.control), row.unit, row.meaning) for row in self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join(
            "  ".join([*(text.ljust(width) for text, width in zip(line[:4], widths, strict=True)), line[4]]).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("measure", "value", "control", "unit", "meaning"))
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(text)}</td>"
                for text in (row.name, write(row.value), write(row.control), row.unit, row.meaning)
            )
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def write(value: Value) -> str:
    """Write a value for people: 4 digits, sets in braces, a dash for what is not defined.

    >>> write(5.56835e-08), write((16, 30)), write(None)
    ('5.568e-08', '{16, 30}', '–')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, tuple):
        return "{" + ", ".join(str(item) for item in value) + "}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _plain(value: Value) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
