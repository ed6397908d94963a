"""The hidden layer over pairs of irreps: a function of x of one, times a function of y of another."""

from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.shares import TwoSidedShares
from refractor.report.encode import quantise
from refractor.report.figures import Axis, Band, Figure, Heat, Section, Table
from refractor.report.sections.composition.words import key_set, short_names
from refractor.report.sections.words import number
from refractor.report.snippets import composition_snippet

MOST_BLOCKS = 12  # listed


def hidden_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw the two-sided decomposition, and list its largest blocks."""
    title = "Hidden layer, by irreps on both sides"
    text = (
        "The hidden layer is a function of x and y, so it falls into parts: a function of x in one irrep times a "
        "function of y in another. The parts of all pairs of irreps add up to everything but the mean."
    )
    weights = analysis.weights
    if weights is None or weights.two_sided is None:
        why = "Only logits were given." if weights is None else "This network has no MLP, so there is no hidden layer."
        return Section("hidden", title, text, absent=(why,))
    shares = weights.two_sided
    places = analysis.keys.places
    inside, null = shares.within(places), shares.null_within(places)
    figure = Figure(
        "hidden-blocks",
        "Share of the hidden layer in each pair of irreps",
        f"Trivial or key irreps on both sides, {key_set(analysis)}, hold {inside:.1%} of the hidden layer; of a random "
        f"array they would hold {null:.2%}. A neuron that reads one irrep of x and the same of y leaves a mark on the "
        "diagonal, and in the trivial row and column. Marks elsewhere mean that irreps are mixed.",
        "Which functions within an irrep are used, and whether a part is read by the output. Products of two irreps "
        "are where ρ(x y) lives, but not all of them is ρ(x y).",
        composition_snippet(name, "shares = analysis.weights.two_sided  # .places, .values over (irrep, irrep), .null"),
        (_map(shares, analysis),),
    )
    left_out = len(analysis.problem.irreps) - len(shares.places)
    absent = (
        (f"For a group of this size only trivial and key irreps are taken; {left_out} others are left out.",)
        if left_out
        else ()
    )
    return Section("hidden", title, text, (figure,), absent, (_largest(shares, analysis),))


def _map(shares: TwoSidedShares, analysis: CompositionAnalysis) -> Heat:
    names = [short_names(analysis)[place] for place in shares.places]
    keys = analysis.keys.places
    bands = [Band(i, i + 1, name, shares.places[i] in keys) for i, name in enumerate(names)]
    values = shares.values
    row, column = divmod(int(values.argmax()), len(names))
    return Heat(
        "Share of each pair of irreps",
        f"Most in {names[row]} of x times {names[column]} of y: {float(values.max()):.1%}.",
        Axis("irrep of y"),
        Axis("irrep of x"),
        quantise(values, centred=False),
        diverging=False,
        rows=names,
        columns=names,
        row_bands=bands,
        column_bands=bands,
    )


def _largest(shares: TwoSidedShares, analysis: CompositionAnalysis) -> Table:
    names = analysis.problem.irreps.names
    flat = shares.values.flatten()
    rows = []
    for place in flat.argsort(descending=True)[:MOST_BLOCKS].tolist():
        row, column = divmod(place, len(shares.places))
        rows.append(
            (
                names[shares.places[row]],
                names[shares.places[column]],
                number(float(flat[place])),
                number(float(shares.null[row, column])),
            )
        )
    return Table("The largest parts", ("irrep of x", "irrep of y", "share", "of a random array"), tuple(rows))
