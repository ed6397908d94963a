"""What a page is made of: sections, figures and panels, as plain data that the page's scripts draw."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from refractor.report.encode import Quantised


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Args:
        title: what it measures, with the unit.
        log: whether it is logarithmic; values of 0 and below are left out.
        low: its least end; from the data where it is None.
        high: its greatest end; from the data where it is None.
        whole: whether it counts: its ticks are whole numbers.

    """

    title: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Series:
    """Numbers against numbers, with a name for the legend and, where it helps, a label for every point."""

    name: str
    x: list[float | None]
    y: list[float | None]
    labels: list[str] = field(default_factory=list)
    role: str = ""


@dataclass(frozen=True)
class Mark:
    """A value on the x axis (or, with `axis="y"`, on the y axis) with a word beside it."""

    at: float
    label: str
    axis: str = "x"


@dataclass(frozen=True)
class Panel:
    """One drawing.

    Args:
        title: what stands above it.
        summary: what it says, in words, for those who cannot see it.
        wide: whether it takes the whole width of the page.

    """

    kind: ClassVar[str] = ""
    wide: ClassVar[bool] = False

    title: str
    summary: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the page's scripts."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Lines(Panel):
    """Curves on common axes, with marked values."""

    kind: ClassVar[str] = "lines"

    x: Axis
    y: Axis
    series: list[Series]
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class WideLines(Lines):
    """Curves that need the whole width."""

    wide: ClassVar[bool] = True


@dataclass(frozen=True)
class Dots(Panel):
    """Points. With `equal`, both axes have one scale; with `joined`, a thin line runs through them in their order."""

    kind: ClassVar[str] = "dots"

    x: Axis
    y: Axis
    series: list[Series]
    marks: list[Mark] = field(default_factory=list)
    equal: bool = False
    joined: bool = False


@dataclass(frozen=True)
class Bars(Panel):
    """One number for each label; those in `strong` stand out. `beside` is a second number, a tick across the bar."""

    kind: ClassVar[str] = "bars"

    x: Axis
    y: Axis
    labels: list[str]
    values: list[float | None]
    strong: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    beside: list[float | None] = field(default_factory=list)
    legend: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class WideBars(Bars):
    """Bars that need the whole width."""

    wide: ClassVar[bool] = True


@dataclass(frozen=True)
class Band:
    """Neighbouring rows or columns of a heat map that belong together, from `start` up to `end`, with a name."""

    start: int
    end: int
    label: str
    strong: bool = False


@dataclass(frozen=True)
class Heat(Panel):
    """A matrix in colours; rows downwards.

    Args:
        x: what the columns are.
        y: what the rows are.
        data: the numbers.
        diverging: whether the colours diverge from 0.
        stride: rows and columns without names count from 0 in steps of this.
        rows: names of the rows.
        columns: names of the columns.
        row_bands: rows that belong together; lines stand between them, names beside them.
        column_bands: the same for columns.
        values: names of the values 0, 1, …, where these are kinds and no amounts.
        note: how rows and columns are sorted, where that needs saying.

    """

    kind: ClassVar[str] = "heat"

    x: Axis
    y: Axis
    data: Quantised
    diverging: bool
    stride: int = 1
    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    row_bands: list[Band] = field(default_factory=list)
    column_bands: list[Band] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Mixer(Panel):
    """The frequency mixer.

    Args:
        p: the modulus.
        sign: +1 where the answer is a + b, -1 where it is a - b.
        frequencies: what can be switched.
        coefficients: the amplitude of each cosine, in logits.
        bs: the values of b of which logits are there.
        logits: over (a, b, c), less their mean over c.
        rows: for each subset, as a bit mask (bit i: frequency i is on): accuracy and loss over all pairs.
        own: accuracy and loss of the network itself.
        chance: those of guessing.

    """

    kind: ClassVar[str] = "mixer"
    wide: ClassVar[bool] = True

    p: int
    sign: int
    frequencies: list[int]
    coefficients: list[float | None]
    bs: list[int]
    logits: Quantised
    rows: list[tuple[float | None, float | None]]
    own: tuple[float | None, float | None]
    chance: tuple[float | None, float | None]


@dataclass(frozen=True)
class Figure:
    """Panels that belong together, with what a reader needs beside them.

    Args:
        id: its name within the page.
        title: what it is.
        see: what to see.
        not_shown: what it does not show.
        snippet: at most five lines of Python that reproduce its data.
        panels: the drawings.

    """

    id: str
    title: str
    see: str
    not_shown: str
    snippet: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Table:
    """A table: heads, rows of cells as text, and a caption."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        id: its anchor.
        title: its heading.
        text: a sentence or two before the figures.
        figures: may be empty.
        absent: what is not there and why, one sentence each.
        tables: below the figures.

    """

    id: str
    title: str
    text: str
    figures: tuple[Figure, ...] = ()
    absent: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
