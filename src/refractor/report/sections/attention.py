"""Where the last position looks."""

from refractor.lab.analysis import Analysis
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Panel, Section
from refractor.report.sections.heat import heat_of_pairs
from refractor.report.sections.words import count, number
from refractor.report.snippets import analysis_snippet

MOST_HEADS = 8


def attention_section(analysis: Analysis, name: str) -> Section:
    """Draw the attention from "=" to a over all pairs, and its mean over all pairs to every position."""
    title = "Attention"
    text = (
        'The answer is read at "=", so only attention from there matters. A head that treats a and b alike looks at both '
        "equally on average; where it looks for each pair shows what it compares."
    )
    if analysis.network is None:
        return Section("attention", title, text, absent=("Only logits were given, so there is no attention to look at.",))
    attention = analysis.network.attention
    layers, heads = attention.values.shape[:2]
    best = analysis.network.attention_frequencies
    shown = [(layer, head) for layer in range(layers) for head in range(heads)]
    left = shown[MOST_HEADS:]
    panels: list[Panel] = []
    for layer, head in shown[:MOST_HEADS]:
        values, place = attention.values[layer, head], layer * heads + head
        k, share = int(best.frequency.values[place]), float(best.share.values[place])
        wave = f"frequency {k} explains {share:.0%}" if k else "constant"
        label = f"head {head}" if layers == 1 else f"layer {layer}, head {head}"
        panels.append(heat_of_pairs(f"{label} to a: {wave}", values[0], "", diverging=False))
    for layer, head in shown[:MOST_HEADS]:
        label = f"head {head}" if layers == 1 else f"layer {layer}, head {head}"
        means = attention.values[layer, head].mean((1, 2))
        words = [f"{name} {number(float(value))}" for name, value in zip(attention.along("key_pos"), means, strict=True)]
        panels.append(
            Bars(
                f"{label}: mean to each position",
                "Mean over all pairs: " + ", ".join(words) + ".",
                Axis("position"),
                Axis("share", low=0, high=1),
                [str(position) for position in attention.along("key_pos")],
                numbers(means),
            )
        )
    figure = Figure(
        "attention-heads",
        'Attention from "=" to a, over all pairs; and its mean to every position',
        "Stripes or checks of one period: the head's choice between a and b is itself a wave. The frequency above a map is "
        "the one that explains most of its variance, of the blocks {1, cos, sin} × {1, cos, sin}.",
        "What the head moves: a look is no use by itself, it depends on what W_V and W_O do with it. The colours of each "
        "map span its own range, written below it, so a faint pattern looks as strong as a bold one.",
        analysis_snippet(name, "attention = analysis.network.attention  # (layer, head, key_pos, a, b)"),
        tuple(panels),
    )
    absent = (f"Not drawn: {count(len(left), 'more head')}.",) if left else ()
    return Section("attention", title, text, (figure,), absent)
