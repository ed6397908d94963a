"""The table of the study of universality as CSV, LaTeX, HTML or text, published and corrected figures side by side."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from refractor.base.errors import unknown_name
from refractor.lab.composition.published_figures import FAULTS
from refractor.lab.composition.universality import MEASURES, WITH_MEAN, StudyMean, StudyRow, StudyTable
from refractor.report.render import asset, environment

ARROW = "→"


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        measure: the name of the measure.
        head: what stands above it, in plain text.
        latex: the same in LaTeX.
        write: a number in the study's style.

    """

    measure: str
    head: str
    latex: str
    write: Callable[[float], str]


def _small(value: float) -> str:
    return f"{value:.2e}"


def _two(value: float) -> str:
    return f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{value:.2%}"


STYLES: Mapping[str, tuple[str, str, Callable[[float], str]]] = {
    "test_loss": ("Test Loss", "Test Loss", _small),
    "total_hidden_excluded_loss": ("Exc. Loss", "Exc. Loss", _two),
    "total_hidden_restricted_loss": ("Res. Loss", "Res. Loss", _small),
    WITH_MEAN: ("Res. Loss with mean", "Res. Loss with mean", _small),
    "percent_logits_explained": ("Logit FVE", "Logit FVE", _percent),
    "percent_x_embed_explained": ("W_a FVE", "$W_a$ FVE", _percent),
    "percent_y_embed_explained": ("W_b FVE", "$W_b$ FVE", _percent),
    "percent_unembed_explained": ("W_U FVE", "$W_U$ FVE", _percent),
    "percent_hidden_explained": ("MLP FVE", "MLP FVE", _percent),
    "percent_hidden_xy_explained": ("MLP ρ(ab) FVE", r"MLP $\rho(ab)$ FVE", _percent),
    "sum_of_squared_weights": ("Σw²", r"$\sum w^2$", _two),
}
COLUMNS = tuple(Column(name, *STYLES[name]) for name in MEASURES)
ONE_EMBEDDING = ("W_E FVE", "$W_E$ FVE")
"""How a transformer's embedding of x and y is headed."""


@dataclass(frozen=True)
class Part:
    """One table of the page: heads, and rows of cells; a cell is one number, or a published and a corrected one.

    Args:
        caption: what it is.
        heads: plain text.
        latex: the same in LaTeX.
        rows: plain text.

    """

    caption: str
    heads: tuple[str, ...]
    latex: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def universality_table(table: StudyTable, form: str) -> str:
    """Write a table of the study.

    Args:
        table: what `study_table` measured.
        form: "csv", "latex", "html" or "text". CSV has full digits, one line for each network and mean, published
            figures in columns of their own; the others are written as the study wrote them.

    Raises:
        UnknownNameError: there is no such form.

    """
    return FORMS[check_form(form)](table)


def check_form(form: str) -> str:
    """Return the form of a table if there is one of that name.

    Raises:
        UnknownNameError: there is none.

    """
    if form not in FORMS:
        raise unknown_name("form of a table", form, FORMS)
    return form


def short_irrep(name: str) -> str:
    """Write an irrep as the study does.

    >>> short_irrep("freq_16"), short_irrep("s5_5d_a"), short_irrep("standard_sign")
    ('16', '5d-a', 'standard-sign')
    """
    first, _, rest = name.partition("_")
    if first == "freq" or (rest and rest[0].isdigit()):
        return rest.replace("_", "-")
    return name.replace("_", "-")


LEGEND = (
    f"a {ARROW} b (X): published, and corrected for the reason X.",
    "Key irreps: the most similar first, or in the order in which they were learned.",
)
"""What a reader of a table must know."""


def notes(table: StudyTable) -> list[str]:
    """Return a sentence for each fault that is met, and one for differences that none explains."""
    met = {letter for row in table.rows for reason in row.reasons.values() for letter in reason}
    found = [f"{letter}: {FAULTS[letter]}." for letter in sorted(met | {"E"})]
    if any(reason == "" for row in table.rows for reason in row.reasons.values()):
        found.append("?: no reason is known.")
    return found


def parts(table: StudyTable) -> tuple[Part, ...]:
    """Return the tables: networks by architecture, and means."""
    found = []
    for architecture in dict.fromkeys(row.architecture for row in table.rows):
        rows = [row for row in table.rows if row.architecture == architecture]
        columns = _columns(architecture)
        found.append(
            Part(
                f"Networks of kind {architecture}",
                ("Group", "Seed", "Key Irreps", *(column.head for column in columns)),
                ("Group", "Seed", "Key Irreps", *(column.latex for column in columns)),
                tuple(_row(row, columns) for row in rows),
            )
        )
    columns = [column for column in COLUMNS if column.measure != "percent_logits_explained"]
    heads = ("Group", "Networks", *(column.head for column in columns))
    latex = ("Group", "Networks", *(column.latex for column in columns))
    found.append(Part("Means", heads, latex, tuple(_mean(mean, columns) for mean in table.means)))
    return tuple(found)


def _columns(architecture: str) -> list[Column]:
    """Return the columns of an architecture: a transformer has one embedding for x and y."""
    if architecture != "T":
        return list(COLUMNS)
    return [
        replace(column, head=ONE_EMBEDDING[0], latex=ONE_EMBEDDING[1])
        if column.measure == "percent_x_embed_explained"
        else column
        for column in COLUMNS
        if column.measure != "percent_y_embed_explained"
    ]


def _row(row: StudyRow, columns: list[Column]) -> tuple[str, ...]:
    cells = (
        _cell(row.values[c.measure], row.published_value(c.measure), row.reasons.get(c.measure), c) for c in columns
    )
    irreps = ", ".join(map(short_irrep, row.irreps))
    if row.published is not None and set(row.published.irreps) - {"trivial"} != set(row.irreps):
        irreps = f"{', '.join(map(short_irrep, row.published.irreps))} {ARROW} {irreps}"
    if row.order == "learning":
        irreps += " (as learned)"
    return (row.group, "–" if row.seed is None else str(row.seed), irreps, *cells)


def _mean(mean: StudyMean, columns: list[Column]) -> tuple[str, ...]:
    cells = (_cell(mean.values[c.measure], mean.published[c.measure], mean.reasons.get(c.measure), c) for c in columns)
    return (mean.group, f"{mean.count} {mean.architecture}", *cells)


def _cell(value: float | None, published: float | None, reason: str | None, column: Column) -> str:
    """Write one number; or the published and ours with the letter of the reason, where they differ."""
    if value is None:
        return "–"
    if reason is None or published is None:
        return column.write(value)
    return f"{column.write(published)} {ARROW} {column.write(value)} ({reason or '?'})"


def _csv(table: StudyTable) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(MEASURES)
    writer.writerow(
        [
            "name",
            "group",
            "architecture",
            "seed",
            "networks",
            "key_irreps",
            "order",
            *names,
            "key_irreps.published",
            *(f"{name}.published" for name in names if name != WITH_MEAN),
            "reasons",
        ]
    )
    for row in table.rows:
        published = "" if row.published is None else " ".join(row.published.irreps)
        own = [row.name, row.group, row.architecture, row.seed, 1, " ".join(row.irreps), row.order]
        others = {name: row.published_value(name) for name in names}
        writer.writerow([*own, *_numbers(row.values), published, *_published(others), _listed(row.reasons)])
    for mean in table.means:
        own = ["mean", mean.group, mean.architecture, "", mean.count, "", ""]
        writer.writerow([*own, *_numbers(mean.values), "", *_published(mean.published), _listed(mean.reasons)])
    return text.getvalue()


def _numbers(values: Mapping[str, float | None]) -> list[str]:
    return ["" if values[name] is None else repr(values[name]) for name in MEASURES]


def _published(values: Mapping[str, float | None]) -> list[str]:
    return ["" if values[name] is None else repr(values[name]) for name in MEASURES if name != WITH_MEAN]


def _listed(reasons: Mapping[str, str]) -> str:
    return " ".join(f"{name}={reason or '?'}" for name, reason in reasons.items())


def _text(table: StudyTable) -> str:
    blocks = []
    for part in parts(table):
        lines = [part.heads, *part.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(part.heads))]
        written = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        blocks.append("\n".join([part.caption, *written]))
    return "\n\n".join([*blocks, "\n".join([*LEGEND, *notes(table)])]) + "\n"


LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "–": "--",
    "Σ": r"$\Sigma$",
    "²": r"$^2$",
    "ρ": r"$\rho$",
    "√": r"$\surd$",
}
"""Signs that mean something else in LaTeX, or that its fonts lack."""


def escape_latex(text: str) -> str:
    r"""Write plain text so that LaTeX prints it.

    >>> escape_latex("50% of C_5 & more")
    '50\\% of C\\_5 \\& more'
    """
    return "".join(LATEX.get(sign, sign) for sign in text)


def _latex_group(name: str) -> str:
    """Write a group such as S5 with its number below; other names as they are."""
    if len(name) > 1 and name[0].isalpha() and name[1:].isdigit():
        return f"${name[0]}_{{{name[1:]}}}$"
    return escape_latex(name)


def _latex(table: StudyTable) -> str:
    blocks = []
    for part in parts(table):
        lines = [f"% {part.caption}", rf"\begin{{tabular}}{{{'l' * len(part.heads)}}}", r"\hline"]
        lines += [" & ".join(part.latex) + r" \\", r"\hline"]
        for group, *cells in part.rows:
            lines.append(" & ".join([_latex_group(group), *map(escape_latex, cells)]) + r" \\")
        blocks.append("\n".join([*lines, r"\hline", r"\end{tabular}"]))
    said = [f"% {note}" for note in (*LEGEND, *notes(table))]
    return "\n\n".join([*blocks, "\n".join(said)]) + "\n"


def _html(table: StudyTable) -> str:
    return (
        environment()
        .get_template("universality.html")
        .render(parts=parts(table), notes=notes(table), legend=LEGEND, styles=[asset("page.css")])
    )


FORMS: Mapping[str, Callable[[StudyTable], str]] = {"csv": _csv, "latex": _latex, "html": _html, "text": _text}
"""How a table can be written."""
