"""Neurons: the irrep of each, and some of them over all pairs."""

from collections import Counter

import torch
from torch import Tensor

from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.neurons import PURE, NeuronIrreps
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Heat, Lines, Mark, Panel, Section, Series
from refractor.report.sections.composition.arrangement import Arrangement, by_class, by_coset
from refractor.report.sections.composition.maps import map_of_pairs
from refractor.report.sections.composition.words import irrep_axis, short_names
from refractor.report.sections.words import MOST_PANELS
from refractor.report.snippets import composition_snippet


def neurons_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw purity and irrep of every neuron, and the clearest neuron of each irrep over (x, y)."""
    title = "Neurons by irrep and over (x, y)"
    text = (
        "What x alone gives a neuron is a function on the group, and so is what y gives it. For each of the two, the "
        "irrep with the largest share, and that share: the purity of the neuron."
    )
    weights = analysis.weights
    if weights is None or weights.neurons is None:
        why = "Only logits were given." if weights is None else "This network has no MLP, so there are no neurons."
        return Section("neurons", title, text, absent=(why,))
    first, second = weights.neurons
    total = len(first.purity.values)
    if first.dead == total:
        return Section("neurons", title, text, absent=("All neurons are dead: none changes with x.",))
    by_irrep = Figure(
        "neurons-irreps",
        "Irrep and purity of each neuron",
        f"{first.pure} of {total} neurons have more than {PURE:g} of what x gives them in one irrep, {second.pure} of "
        "what y gives them. A network that multiplies matrices of a few irreps has few bars, of the same irreps for x "
        "and for y, and purities near 1 for most neurons.",
        "Whether a neuron matters for the answer. A neuron that mixes two irreps stands here with the stronger one.",
        composition_snippet(name, "by_x, by_y = analysis.weights.neurons  # .best, .purity, .shares, .counts"),
        (_counts("x", first, analysis), _counts("y", second, analysis), _purities(first, second)),
    )
    panels = _panels(analysis, first, second)
    over_pairs = Figure(
        "neurons-pairs",
        "Activation of single neurons over all pairs",
        "The clearest neuron of each irrep, and the one that fits its irrep worst. Where there is a subgroup on whose "
        "cosets what x and y give is constant (up to 1% of the variance), elements of one coset stand together: then "
        "blocks of one colour mean that the neuron sees only cosets. Otherwise elements are sorted by conjugacy class.",
        "The typical neuron: these are the extremes. That blocks can be drawn does not say that the network thinks in "
        "cosets: a function in one irrep may be constant on cosets too. The colours of each map span its own range.",
        composition_snippet(name, "neuron = analysis.view.hidden_table(slice(0, 1))[..., 0]  # over (x, y)"),
        tuple(panels),
    )
    dead = f"{first.dead} of {total} neurons are dead: they never change with x."
    return Section("neurons", title, text, (by_irrep, over_pairs), (dead,) if first.dead else ())


def _counts(side: str, neurons: NeuronIrreps, analysis: CompositionAnalysis) -> Bars:
    names = short_names(analysis)[1:]
    counts = [float(neurons.counts.get(name, 0)) for name in analysis.problem.irreps.names[1:]]
    found = ", ".join(f"{name} {count}" for name, count in neurons.counts.items())
    return Bars(
        f"Pure neurons by irrep, what {side} gives",
        f"{found or 'None'}.",
        Axis(irrep_axis(analysis)),
        Axis("neurons", low=0, whole=True),
        names,
        numbers(counts),
        [names[place - 1] for place in analysis.keys.places],
    )


def _purities(first: NeuronIrreps, second: NeuronIrreps) -> Lines:
    total = len(first.purity.values)
    ranks = numbers([float(rank) for rank in range(1, total + 1)])
    series = [
        Series(f"by {side}", ranks, numbers(neurons.purity.values.sort(descending=True).values))
        for side, neurons in (("x", first), ("y", second))
    ]
    same = int(((first.best.values == second.best.values) & (first.best.values > 0)).sum())
    return Lines(
        "Purity of the neurons, the purest first",
        f"{same} of {total} neurons have the same irrep for x and for y.",
        Axis("rank", whole=True),
        Axis("purity", low=0, high=1.05),
        series,
        [Mark(PURE, f"{PURE:g}", "y")],
    )


def examples(first: NeuronIrreps, second: NeuronIrreps) -> list[int]:
    """Return the clearest neuron of each of the irreps that most neurons have, and the least clear of all."""
    purity = torch.minimum(first.purity.values, second.purity.values)
    best = first.best.values.tolist()
    alive = [i for i, place in enumerate(best) if place]
    common = [place for place, _ in Counter(best[i] for i in alive).most_common(MOST_PANELS)]
    chosen = [max((i for i in alive if best[i] == place), key=lambda i: float(purity[i])) for place in sorted(common)]
    worst = min(alive, key=lambda i: float(purity[i]))
    return chosen if worst in chosen else [*chosen, worst]


def _panels(analysis: CompositionAnalysis, first: NeuronIrreps, second: NeuronIrreps) -> list[Panel]:
    names = analysis.problem.irreps.names
    panels: list[Panel] = []
    for neuron in examples(first, second):
        x, y = float(first.purity.values[neuron]), float(second.purity.values[neuron])
        best = names[int(first.best.values[neuron])]
        panels.append(_map(analysis, neuron, f"neuron {neuron}: {best}, {x:.0%} of x, {y:.0%} of y"))
    return panels


def _map(analysis: CompositionAnalysis, neuron: int, what: str) -> Heat:
    rows, columns = _arrangements(analysis, neuron)
    return map_of_pairs(what, activation(analysis, neuron, rows.elements, columns.elements), rows, columns)


def activation(analysis: CompositionAnalysis, neuron: int, x: Tensor, y: Tensor) -> Tensor:
    """Return a neuron over pairs of some elements, as a matrix over (x, y)."""
    first, second = x.repeat_interleave(len(y)), y.repeat(len(x))
    hidden = analysis.view.network.hidden_rows(first, second, slice(neuron, neuron + 1))
    return hidden[:, 0].unflatten(0, (len(x), len(y)))


def _arrangements(analysis: CompositionAnalysis, neuron: int) -> tuple[Arrangement, Arrangement]:
    """Return the orders of x and y in which a neuron is drawn: by right cosets H x and left cosets y K, or by class."""
    weights, order = analysis.weights, by_class(analysis.problem.group)
    cosets = None if weights is None else weights.cosets
    if cosets is None:
        return order, order
    h, k = int(cosets.first[neuron]), int(cosets.second[neuron])
    if h < 0 or k < 0:
        return order, order
    return by_coset(cosets.subgroups[h], left=False), by_coset(cosets.subgroups[k], left=True, letters="yK")
