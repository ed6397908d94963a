"""Where the last position looks."""

from refractor.lab.analysis import Analysis
from refractor.lab.labelled import Labelled
from refractor.report.figures import Figure, Section, Table
from refractor.report.sections.heat import heat_of_pairs
from refractor.report.sections.words import count, number
from refractor.report.snippets import analysis_snippet

MOST_HEADS = 8


def attention_section(analysis: Analysis, name: str) -> Section:
    """Draw the attention from "=" to a over all pairs, and list its mean over all pairs to every position."""
    title = "Attention"
    text = (
        'The answer is read at "=", so only attention from there matters. A head that treats a and b alike looks at '
        "both equally on average; where it looks for each pair shows what it compares."
    )
    if analysis.network is None:
        return Section(
            "attention", title, text, absent=("Only logits were given, so there is no attention to look at.",)
        )
    attention, best = analysis.network.attention, analysis.network.attention_frequencies
    heads = _heads(attention)
    panels = []
    for place, (label, layer, head) in enumerate(heads[:MOST_HEADS]):
        k, share = int(best.frequency.values[place]), float(best.share.values[place])
        wave = f"k = {k} explains {share:.0%}" if k else "the same for all pairs"
        panels.append(heat_of_pairs(f"{label} to a: {wave}", attention.values[layer, head, 0]))
    figure = Figure(
        "attention-heads",
        'Attention from "=" to a, over all pairs',
        "Stripes or checks of one period: the head's choice between a and b is itself a wave. The frequency above a "
        "map is the one that explains most of its variance, of the blocks {1, cos, sin} × {1, cos, sin}.",
        "What the head moves: a look is no use by itself, it depends on what W_V and W_O do with it. The colours of "
        "each map span its own range, written below it, so a faint pattern looks as strong as a bold one.",
        analysis_snippet(name, "attention = analysis.network.attention  # (layer, head, key_pos, a, b)"),
        tuple(panels),
    )
    left = len(heads) - MOST_HEADS
    absent = (f"Not drawn: {count(left, 'more head')}.",) if left > 0 else ()
    return Section("attention", title, text, (figure,), absent, (_means(attention, heads),))


def _heads(attention: Labelled) -> list[tuple[str, int, int]]:
    """Return a label, layer and head for each head."""
    layers, heads = attention.values.shape[:2]
    return [
        (f"head {head}" if layers == 1 else f"layer {layer}, head {head}", layer, head)
        for layer in range(layers)
        for head in range(heads)
    ]


def _means(attention: Labelled, heads: list[tuple[str, int, int]]) -> Table:
    rows = tuple(
        (label, *(number(float(mean)) for mean in attention.values[layer, head].mean((1, 2))))
        for label, layer, head in heads
    )
    return Table(
        'Mean attention from "=" over all pairs', ("head", *(f"to {word}" for word in attention.along("key_pos"))), rows
    )
