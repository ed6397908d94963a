"""The page: an analysis and curves in, one self-contained HTML file out."""

import contextlib
import os
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from refractor.base.errors import StoreError
from refractor.lab.analyse import analyse_network
from refractor.lab.analysis import Analysis
from refractor.lab.load import load_network
from refractor.report.curves import Curves, read_curves
from refractor.report.figures import Section
from refractor.report.sections.attention import attention_section
from refractor.report.sections.circles import circles_section
from refractor.report.sections.logits import logits_section
from refractor.report.sections.neurons import neurons_section
from refractor.report.sections.provenance import measures_table, provenance_section
from refractor.report.sections.rules import rules_section
from refractor.report.sections.spectra import spectra_section
from refractor.report.sections.training import training_section
from refractor.training.run import Run

STYLES = ("page.css", "figures.css")
SCRIPTS = ("scale.js", "svg.js", "axes.js", "lines.js", "dots.js", "bars.js", "heat.js", "mixer.js", "page.js")


def write_report(source: str | Path, out: str | Path) -> Path:
    """Analyse a network and write what was found as one page, which needs no network connection.

    Args:
        source: a bundled name, also with a step (`modular-addition-113@500`), or the path of a run folder.
        out: the file to write; its folder is made if it is not there.
            A file that is there is replaced, at once or not at all.

    Returns:
        The path of the page.

    Raises:
        CheckpointError: there is no such name and no such folder.
        StoreError: a file of the run is damaged, or the page could not be written.
        ArgumentError: the task is no sum, the snapshot does not exist, or a logit is not finite.

    """
    found = load_network(source)
    run = found.our_run()
    analysis = analyse_network(*found.modular(), found.split)
    page = build_report(run, analysis, read_curves(found), name=found.name, step=found.step or 0)
    return _write(Path(out), page)


def build_report(run: Run, analysis: Analysis, curves: Curves, *, name: str, step: int) -> str:
    """Return the page as HTML.

    Args:
        run: where the network comes from.
        analysis: what was measured about it.
        curves: of the run.
        name: what `load_network` finds it by, for the snippets.
        step: the step of the weights that were analysed.

    Returns:
        One HTML document. Nothing in it refers to another file or address.

    """
    sections = build_sections(run, analysis, curves, name, step)
    return (
        _environment()
        .get_template("page.html")
        .render(
            analysis=analysis,
            verdict=analysis.verdict,
            name=name,
            step=step,
            run=run,
            sections=sections,
            measures=measures_table(analysis),
            data={panel_id: panel for section in sections for panel_id, panel in _drawings(section).items()},
            styles=[_asset(style) for style in STYLES],
            scripts=[_asset(script) for script in SCRIPTS],
        )
    )


def build_sections(run: Run, analysis: Analysis, curves: Curves, name: str, step: int) -> tuple[Section, ...]:
    """Return the sections of a page in their order."""
    return (
        circles_section(analysis, name),
        spectra_section(analysis, name),
        attention_section(analysis, name),
        neurons_section(analysis, name),
        logits_section(analysis, name),
        training_section(analysis, curves, name, step),
        rules_section(analysis, name),
        provenance_section(run, analysis, name, step),
    )


def _drawings(section: Section) -> dict[str, object]:
    """Return the data of every panel by its id in the page."""
    return {
        f"{figure.id}-{place}": panel.to_dict()
        for figure in section.figures
        for place, panel in enumerate(figure.panels)
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("refractor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    return environment


def _asset(name: str) -> Markup:
    """Return one of our own style sheets or scripts, which need no escaping."""
    return Markup(files("refractor.report").joinpath("assets", name).read_text(encoding="utf-8"))  # noqa: S704  our own


def _write(path: Path, page: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {error.strerror or error}.") from error
    return path
