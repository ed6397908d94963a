"""Neurons by frequency, and over all pairs."""

from refractor.lab.analysis import Analysis
from refractor.lab.neurons import NeuronFrequencies
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Dots, Figure, Mark, Panel, Section, Series
from refractor.report.sections.heat import heat_of_pairs
from refractor.report.sections.words import MOST_PANELS, count
from refractor.report.snippets import analysis_snippet


def neurons_section(analysis: Analysis, name: str) -> Section:
    """Draw every neuron's best frequency with its share, and one neuron of each kind over (a, b)."""
    title = "Neurons by frequency and over (a, b)"
    text = (
        "For each neuron of the last MLP, the single frequency that explains most of its variance over all pairs. It "
        "belongs to the cluster of that frequency when the share is above the cut."
    )
    network, view = analysis.network, analysis.view
    if network is None or view is None or network.neurons is None or view.neurons is None:
        return Section("neurons", title, text, absent=("This network has no MLP, so there are no neurons.",))
    neurons = network.neurons
    dead = int((neurons.frequency.values == 0).sum())
    if dead == len(neurons.frequency.values):
        return Section("neurons", title, text, absent=("All neurons are dead: none changes with (a, b).",))
    by_frequency = Figure(
        "neurons-frequencies",
        "Best frequency of each neuron",
        _sentence(neurons),
        "Whether the neurons matter for the answer, and what becomes of those below the cut. A neuron that mixes two "
        "frequencies stands here with the stronger one alone.",
        analysis_snippet(name, "neurons = analysis.network.neurons  # .frequency, .share, .clusters"),
        (_dots(neurons), _bars(neurons, analysis)) if neurons.clusters else (_dots(neurons),),
    )
    p = analysis.p
    panels: list[Panel] = [
        heat_of_pairs(f"neuron {index}: {what}", view.neurons[:, index].reshape(p, p))
        for index, what in _examples(neurons)
    ]
    over_pairs = Figure(
        "neurons-pairs",
        "Activation of single neurons over all pairs",
        "The clearest neuron of each cluster, and the one that fits its best frequency worst. Clear neurons show "
        "checks or stripes with k periods on a side.",
        "The typical neuron: these are the extremes. Neighbours in one cluster differ in phase, which a single one "
        "does not show. The colours of each map span its own range.",
        analysis_snippet(name, "activations = analysis.view.neurons  # (a * p + b, neuron)"),
        tuple(panels),
    )
    absent = [] if neurons.clusters else ["No neuron is above the cut, so there is no cluster to count."]
    if dead:
        absent.append(f"{dead} of {len(neurons.frequency.values)} neurons are dead: they never change with (a, b).")
    return Section("neurons", title, text, (by_frequency, over_pairs), tuple(absent))


def _sentence(neurons: NeuronFrequencies) -> str:
    total = len(neurons.frequency.values)
    clusters = neurons.clusters[: 2 * MOST_PANELS]
    parts = [
        f"{len(c.neurons)} with k = {c.frequency} ({c.explained_variance:.1%} of their variance)" for c in clusters
    ]
    left = len(neurons.clusters) - len(clusters)
    more = f", and {count(left, 'more cluster')}" if left else ""
    found = f": {', '.join(parts)}{more}" if parts else ""
    return (
        f"{neurons.above_cut} of {total} neurons are above the cut of {neurons.cut:g}{found}. A network that "
        "computes with few frequencies has few clusters, and many neurons above the line."
    )


def _dots(neurons: NeuronFrequencies) -> Dots:
    alive = [i for i, k in enumerate(neurons.frequency.values.tolist()) if k]
    inside = {i for cluster in neurons.clusters for i in cluster.neurons}
    series = []
    for role, what in (("strong", "above the cut"), ("faint", "below")):
        members = [i for i in alive if (i in inside) == (role == "strong")]
        if members:
            series.append(
                Series(
                    what,
                    numbers(neurons.frequency.values[members].double()),
                    numbers(neurons.share.values[members]),
                    [f"neuron {i}" for i in members],
                    role,
                )
            )
    return Dots(
        "Share of variance explained by the best frequency",
        f"{len(inside)} neurons above the cut, {len(alive) - len(inside)} below.",
        Axis("frequency k", low=0, high=neurons.p // 2 + 1, whole=True),
        Axis("share of variance", low=0, high=1),
        series,
        [Mark(neurons.cut, f"cut {neurons.cut:g}", "y")],
    )


def _bars(neurons: NeuronFrequencies, analysis: Analysis) -> Bars:
    counts = [0.0] * (neurons.p // 2)
    for cluster in neurons.clusters:
        counts[cluster.frequency - 1] = float(len(cluster.neurons))
    return Bars(
        "Neurons above the cut, by frequency",
        "Clusters: " + (", ".join(f"k = {c.frequency}: {len(c.neurons)}" for c in neurons.clusters) or "none") + ".",
        Axis("frequency k"),
        Axis("neurons", low=0, whole=True),
        [str(k) for k in range(1, neurons.p // 2 + 1)],
        numbers(counts),
        [str(k) for k in analysis.frequencies],
    )


def _examples(neurons: NeuronFrequencies) -> list[tuple[int, str]]:
    """Return the clearest neuron of each of the largest clusters, and the least clear neuron of all."""
    share, frequency = neurons.share.values, neurons.frequency.values
    largest = sorted(neurons.clusters, key=lambda cluster: -len(cluster.neurons))[:MOST_PANELS]
    chosen = []
    for cluster in sorted(largest, key=lambda cluster: cluster.frequency):
        best = max(cluster.neurons, key=lambda i: float(share[i]))
        chosen.append((best, f"k = {cluster.frequency} explains {float(share[best]):.0%}"))
    alive = [i for i in range(len(share)) if frequency[i]]
    worst = min(alive, key=lambda i: float(share[i]), default=None)
    if worst is not None and worst not in [index for index, _ in chosen]:
        chosen.append((worst, f"no frequency explains more than {float(share[worst]):.0%}"))
    return chosen
