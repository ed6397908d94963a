"""Tokens on the circle of each key frequency."""

from refractor.lab.analysis import Analysis
from refractor.lab.labelled import Labelled
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Dots, Figure, Section, Series
from refractor.report.sections.words import frequency_set, strongest
from refractor.report.snippets import analysis_snippet


def circles_section(analysis: Analysis, name: str) -> Section:
    """Draw the embedding of every token in the plane of each key frequency."""
    title, p = "Tokens on each key circle", analysis.p
    text = (
        "Adding modulo p is turning a circle: token x at the angle 2πkx/p makes a + b the sum of two angles. Each "
        "panel shows the embeddings W_E of the tokens along their own cosine and sine direction of one key frequency "
        "k."
    )
    if analysis.network is None or not analysis.frequencies:
        return Section("circles", title, text, absent=("No frequency is key, so there is no circle to draw.",))
    shown = strongest(analysis.frequencies, analysis.fit)
    panels = tuple(_panel(analysis.network.circles[k], k, p) for k in shown)
    figure = Figure(
        "circles-tokens",
        f"Embeddings of the {p} tokens for k in {frequency_set(shown, p)}",
        "A line joins the tokens in the order of their angle 2πkx/p; the first is 0. A network that embeds frequency "
        "k draws one clean ring, round or oval, that the line follows once. Point at a dot to read its token.",
        "That the network uses the ring. The two directions are chosen to show frequency k, so noise too is pulled "
        "towards a ring; read the size of frequency k in the spectra below. Other directions of W_E are not drawn.",
        analysis_snippet(name, "circles = analysis.network.circles  # for each k, points over (token, component)"),
        panels,
    )
    left = [k for k in analysis.frequencies if k not in shown]
    absent = (f"Not drawn, weaker: {frequency_set(tuple(left), p)}.",) if left else ()
    return Section("circles", title, text, (figure,), absent)


def _panel(circle: Labelled, k: int, p: int) -> Dots:
    order = sorted(range(p), key=lambda x: (k * x % p, x))
    points = circle.values[order]
    series = Series(f"k = {k}", numbers(points[:, 0]), numbers(points[:, 1]), [str(x) for x in order], role="cycle")
    radius = points.norm(dim=1)
    return Dots(
        f"k = {k}",
        f"{p} tokens at a distance of {float(radius.min()):.2g} to {float(radius.max()):.2g} from the centre.",
        Axis(f"along cos {k}"),
        Axis(f"along sin {k}"),
        [series],
        equal=True,
        joined=True,
    )
