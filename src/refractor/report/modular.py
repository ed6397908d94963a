"""The page about a network that adds modulo p."""

from refractor.lab.analysis import Analysis
from refractor.lab.load import Source
from refractor.report.curves import Curves
from refractor.report.figures import Section
from refractor.report.render import Content, render
from refractor.report.sections.attention import attention_section
from refractor.report.sections.circles import circles_section
from refractor.report.sections.logits import logits_section
from refractor.report.sections.neurons import neurons_section
from refractor.report.sections.provenance import measures_table, provenance_section
from refractor.report.sections.rules import rules_section
from refractor.report.sections.spectra import spectra_section
from refractor.report.sections.training import Chance, training_section
from refractor.report.sections.words import about, frequency_set, warnings


def build_report(source: Source, analysis: Analysis, curves: Curves | None) -> str:
    """Return the page as HTML.

    Args:
        source: the network, with the run that it belongs to.
        analysis: what was measured about it.
        curves: of the run; None where none was kept.

    Returns:
        One HTML document. Nothing in it refers to another file or address.

    """
    p = analysis.p
    return render(
        Content(
            name=source.name,
            finding=analysis.finding,
            about=about(source, f"{source.task.formula} mod {p}, one answer for each of {p}² pairs (a, b)"),
            warnings=warnings(source),
            verdict=analysis.verdict,
            sections=build_sections(source, analysis, curves),
            measures=measures_table(analysis.table()),
        )
    )


def build_sections(source: Source, analysis: Analysis, curves: Curves | None) -> tuple[Section, ...]:
    """Return the sections of the page in their order."""
    name = source.name
    shown = "" if curves is None else frequency_set(tuple(map(int, curves.keys)), analysis.p)
    return (
        circles_section(analysis, name),
        spectra_section(analysis, name),
        attention_section(analysis, name),
        neurons_section(analysis, name),
        logits_section(analysis, name),
        training_section(source, curves, analysis.pairs, Chance("ln p", analysis.chance_loss, "frequency", shown)),
        rules_section(analysis, name),
        provenance_section(source, analysis.pairs),
    )
