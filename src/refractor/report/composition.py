"""The page about a network that composes elements of a group."""

from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.load import Source
from refractor.report.curves import Curves
from refractor.report.figures import Section
from refractor.report.render import Content, render
from refractor.report.sections.composition.circuits import circuits_section
from refractor.report.sections.composition.hidden import hidden_section
from refractor.report.sections.composition.irreps import irreps_section
from refractor.report.sections.composition.neurons import neurons_section
from refractor.report.sections.composition.rules import rules_section
from refractor.report.sections.composition.table import table_section
from refractor.report.sections.composition.weights import weights_section
from refractor.report.sections.composition.words import set_of
from refractor.report.sections.provenance import measures_table, provenance_section
from refractor.report.sections.training import Chance, training_section
from refractor.report.sections.words import about, warnings


def build_report(source: Source, analysis: CompositionAnalysis, curves: Curves | None) -> str:
    """Return the page as HTML.

    Args:
        source: the network, with the run that it belongs to.
        analysis: what was measured about it.
        curves: of the run; None where none was kept.

    Returns:
        One HTML document. Nothing in it refers to another file or address.

    """
    problem = analysis.problem
    group = problem.group
    questions = f"{problem.formula} in {group.name}, one answer for each of {group.order}² pairs (x, y)"
    return render(
        Content(
            name=source.name,
            finding=analysis.finding,
            about=about(source, questions),
            warnings=warnings(source),
            verdict=analysis.verdict,
            sections=build_sections(source, analysis, curves),
            measures=measures_table(analysis.table()),
        )
    )


def build_sections(source: Source, analysis: CompositionAnalysis, curves: Curves | None) -> tuple[Section, ...]:
    """Return the sections of the page in their order."""
    name = source.name
    shown = "" if curves is None else set_of(tuple(map(str, curves.keys)), analysis)
    chance = Chance("ln n", analysis.losses.restricted.chance_loss, "irrep", shown)
    return (
        table_section(analysis, name),
        irreps_section(analysis, name),
        weights_section(analysis, name),
        hidden_section(analysis, name),
        neurons_section(analysis, name),
        circuits_section(analysis, name),
        training_section(source, curves, analysis.pairs, chance),
        rules_section(analysis, name),
        provenance_section(source, analysis.pairs),
    )
