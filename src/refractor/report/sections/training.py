"""Loss, restricted and excluded loss, and the sum of squared weights over the steps of the run."""

from refractor.lab.analysis import Analysis
from refractor.report.curves import Curve, Curves
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Figure, Mark, Section, Series, Table, WideLines
from refractor.report.sections.words import frequency_set, number
from refractor.report.snippets import curves_snippet
from refractor.report.source import LiveNetwork, Source, Subject

LABELS = {
    "loss.train": "loss, train",
    "loss.test": "loss, test",
    "restricted_loss.test": "restricted loss, test",
    "restricted_loss.all": "restricted loss, all",
    "excluded_loss.train": "excluded loss, train",
    "sum_of_squared_weights": "Σw²",
}
SQUARES = "sum_of_squared_weights"
MOST_POINTS = 400  # on one curve; more cannot be told apart on a screen


def training_section(analysis: Analysis, curves: Curves, source: Subject) -> Section:
    """Draw the curves of a run, losses above and squares below one step axis, with the phases marked."""
    title = "Training: loss, restricted and excluded loss, Σw²"
    text = (
        "Restricted loss: only the key frequencies and the mean are kept. Excluded loss: they are removed. The set "
        "is fixed once, from the last snapshot, and used at every step."
    )
    if isinstance(source, LiveNetwork):
        return Section("training", title, text, absent=("A network in memory has no curves.",))
    if not curves.series:
        return Section("training", title, text, absent=("This run kept no curves.",))
    absent = tuple(
        f"Missing: {LABELS[key]}, {why}." for key, why in _missing(curves, analysis).items() if key not in curves.series
    )
    figure = Figure(
        "training-curves",
        "Curves of the run",
        "In a run that finds an algorithm late, train loss falls first: the pairs are memorised. When the excluded "
        "loss rises while the train loss stays low, the network begins to lean on the key frequencies; the "
        "restricted loss then falls ahead of the test loss, and Σw² falls as what was memorised is cleaned up. "
        f"{curves.origin}",
        "Cause: that two curves turn together does not say which drives which. The frequencies are chosen with "
        "hindsight, from the last snapshot. A loss above ln p is confidently wrong, not merely ignorant. Values of 0 "
        "and below cannot be drawn on a logarithmic axis.",
        curves_snippet(source),
        _panels(curves, analysis, source),
    )
    tables = (_phases(curves),) if curves.phases else ()
    return Section("training", title, text, (figure,), absent, tables)


def _panels(curves: Curves, analysis: Analysis, source: Source) -> tuple[WideLines, ...]:
    losses = [curve for curve in curves.series.values() if curve.name != SQUARES]
    squares = [curve for curve in curves.series.values() if curve.name == SQUARES]
    last = max(curve.steps[-1] for curve in curves.series.values())
    steps = Axis("step", low=0, high=max(last, 1), whole=True)
    marks = _marks(curves, source.step, last)
    shown = f"Losses; restricted and excluded with {frequency_set(curves.frequencies, analysis.p)}"
    panels = []
    if losses:
        heading = shown if curves.frequencies else "Losses over the steps"
        chance = Mark(analysis.chance_loss, "ln p", "y")
        nats = Axis("loss in nats", log=True)
        panels.append(WideLines(heading, _ends(losses), steps, nats, [*map(_series, losses)], [*marks, chance]))
    if squares:
        bare = [Mark(mark.at, "", mark.axis) for mark in marks] if losses else marks
        sums = Axis("Σw²", low=0)
        panels.append(WideLines("Σw², all parameters", _ends(squares), steps, sums, [*map(_series, squares)], bare))
    return tuple(panels)


def thin(curve: Curve) -> Curve:
    """Return at most 400 points of a curve, the last among them; evenly chosen in their order."""
    count = len(curve.steps)
    if count <= MOST_POINTS:
        return curve
    places = sorted({round(i * (count - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)})
    return Curve(curve.name, tuple(curve.steps[i] for i in places), tuple(curve.values[i] for i in places))


def _series(curve: Curve) -> Series:
    drawn = thin(curve)
    return Series(LABELS[curve.name], numbers(map(float, drawn.steps)), numbers(drawn.values), role=curve.name)


def _missing(curves: Curves, analysis: Analysis) -> dict[str, str]:
    """Return why a curve may be missing, for those that a full run has."""
    not_held_out = "every pair is trained on" if analysis.pairs.count("test") == 0 else "the run did not keep it"
    none_key = "the run did not keep it" if curves.frequencies else "the last snapshot has no key frequency"
    reasons = {"loss.train": "the run did not keep it", "loss.test": not_held_out, "excluded_loss.train": none_key}
    if "restricted_loss.all" not in curves.series:
        reasons["restricted_loss.test"] = none_key if not curves.frequencies else not_held_out
    return reasons | {SQUARES: "the run did not keep it"}


def _marks(curves: Curves, step: int, last: int) -> list[Mark]:
    """Return where the phases end, and which step the page is about where that is not the last."""
    marks = [Mark(float(phase.end), f"{phase.name} ends") for phase in curves.phases or () if phase.end is not None]
    return marks if step == last else [*marks, Mark(float(step), "this page")]


def _ends(curves: list[Curve]) -> str:
    words = [f"{LABELS[curve.name]} {number(curve.values[-1])}" for curve in curves]
    return "At the end: " + ", ".join(words) + "."


def _phases(curves: Curves) -> Table:
    rows = tuple(
        (phase.name, "not reached" if phase.end is None else str(phase.end), phase.rule)
        for phase in curves.phases or ()
    )
    return Table(
        "Phases, by stated rules on these curves", ("phase", "ends at step", "rule, and what came of it"), rows
    )
