"""Loss, restricted and excluded loss, and the sum of squared weights over the steps of the run."""

from dataclasses import dataclass

from refractor.lab.composition.keys import LEARNING_ORDER
from refractor.lab.load import Source
from refractor.lab.pairs import PairSets
from refractor.report.curves import Curve, Curves
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Figure, Mark, Section, Series, Table, WideLines
from refractor.report.sections.words import number
from refractor.report.snippets import curves_snippet

LABELS = {
    "loss.train": "loss, train",
    "loss.test": "loss, test",
    "restricted_loss.test": "restricted loss, test",
    "restricted_loss.all": "restricted loss, all",
    "excluded_loss.train": "excluded loss, train",
    "sum_of_squared_weights": "Σw², all parameters",
}
MOST_CURVES = 8  # beside each other
MOST_POINTS = 400  # on one curve; more cannot be told apart on a screen


@dataclass(frozen=True)
class Chance:
    """What restricted and excluded losses are about, and what guessing gives.

    Args:
        name: the loss of equal odds as a formula, such as "ln p".
        loss: its value.
        kind: one of what is kept or removed: "frequency" or "irrep".
        shown: those of this run, in words.

    """

    name: str
    loss: float
    kind: str
    shown: str

    @property
    def plural(self) -> str:
        """Several of them."""
        return "frequencies" if self.kind == "frequency" else f"{self.kind}s"


def training_section(source: Source, curves: Curves | None, pairs: PairSets, chance: Chance) -> Section:
    """Draw the curves of a run on one step axis, with the phases marked."""
    title = "Training: loss, restricted and excluded loss, Σw²"
    text = (
        f"Restricted loss: only the key {chance.plural} and the mean are kept. Excluded loss: they are removed. The "
        "set is fixed once, from the last snapshot, and used at every step."
    )
    if source.published is not None:
        kept = "No curve can be drawn: of a network of the 2023 study only the last weights are there."
        return Section("training", title, text, absent=(kept,))
    if curves is None or not curves.series:
        return Section("training", title, text, absent=("This run kept no curves.",))
    absent = tuple(
        f"Missing: {LABELS[key]}, {why}."
        for key, why in _missing(curves, pairs, chance).items()
        if key not in curves.series
    )
    panel = WideLines(
        f"Restricted and excluded loss with {chance.shown}" if curves.keys else "Loss and Σw² over the steps",
        _ends(curves),
        Axis("step", low=0, whole=True),
        Axis("nats; squares for Σw²", log=True),
        [_series(curve) for curve in curves.series.values()],
        _marks(curves, chance, source.step),
    )
    figure = Figure(
        "training-curves",
        "Curves of the run",
        "In a run that finds an algorithm late, train loss falls first: the pairs are memorised. When the excluded "
        f"loss rises while the train loss stays low, the network begins to lean on the key {chance.plural}; the "
        "restricted loss then falls ahead of the test loss, and Σw² falls as what was memorised is cleaned up. "
        f"{curves.origin}",
        f"Cause: that two curves turn together does not say which drives which. The {chance.plural} are chosen with "
        f"hindsight, from the last snapshot. A loss above {chance.name} is confidently wrong, not merely ignorant. "
        "Values of 0 and below cannot be drawn on a logarithmic axis.",
        curves_snippet(source.name),
        (panel,),
    )
    figures = (figure, _similarities(source.name, curves)) if curves.similarity else (figure,)
    tables = (_phases(curves),) if curves.phases else ()
    return Section("training", title, text, figures, absent, tables)


def _similarities(name: str, curves: Curves) -> Figure:
    order = ", ".join(f"{irrep} at step {step}" for irrep, step in curves.learned.items()) or "none"
    shown = list(curves.similarity.items())[:MOST_CURVES]
    left = len(curves.similarity) - len(shown)
    panel = WideLines(
        "Similarity of the logits with each key character",
        f"Above {LEARNING_ORDER:g}: {order}.",
        Axis("step", low=0, whole=True),
        Axis("cosine"),
        [Series(irrep, numbers(map(float, curve.steps)), numbers(curve.values)) for irrep, curve in shown],
        [Mark(LEARNING_ORDER, f"{LEARNING_ORDER:g}", "y")],
    )
    return Figure(
        "training-irreps",
        "Irreps over training",
        f"The order in which irreps are learned, by the first step at which the similarity is above {LEARNING_ORDER:g} "
        "(the rule of the study of 2023).",
        "What an irrep does before it shows in the logits."
        + (f" {left} more key irreps are not drawn." if left else ""),
        curves_snippet(name, "by_irrep, learned = curves.similarity, curves.learned"),
        (panel,),
    )


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


def _missing(curves: Curves, pairs: PairSets, chance: Chance) -> dict[str, str]:
    """Return why a curve may be missing, for those that a full run has."""
    not_held_out = "every pair is trained on" if pairs.count("test") == 0 else "the run did not keep it"
    none_key = "the run did not keep it" if curves.keys else f"the last snapshot has no key {chance.kind}"
    reasons = {"loss.train": "the run did not keep it", "loss.test": not_held_out, "excluded_loss.train": none_key}
    if "restricted_loss.all" not in curves.series:
        reasons["restricted_loss.test"] = none_key if not curves.keys else not_held_out
    return reasons | {"sum_of_squared_weights": "the run did not keep it"}


def _marks(curves: Curves, chance: Chance, step: int | None) -> list[Mark]:
    marks = [
        Mark(float(phase.end), f"{phase.name} ends", "x") for phase in curves.phases or () if phase.end is not None
    ]
    last = max(curve.steps[-1] for curve in curves.series.values())
    if step is not None and step != last:
        marks.append(Mark(float(step), "this page", "x"))
    return [*marks, Mark(chance.loss, chance.name, "y")]


def _ends(curves: Curves) -> str:
    words = [f"{LABELS[curve.name]} {number(curve.values[-1])}" for curve in curves.series.values()]
    return "At the end: " + ", ".join(words) + "."


def _phases(curves: Curves) -> Table:
    rows = tuple(
        (phase.name, "not reached" if phase.end is None else str(phase.end), phase.rule)
        for phase in curves.phases or ()
    )
    return Table(
        "Phases, by stated rules on these curves", ("phase", "ends at step", "rule, and what came of it"), rows
    )
