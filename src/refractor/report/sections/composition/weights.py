"""The weights themselves: embeddings, what they give each neuron, and what each neuron gives the logits."""

from itertools import groupby

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.report.figures import Band, Figure, Heat, Section
from refractor.report.sections.composition.arrangement import by_class
from refractor.report.sections.composition.maps import map_of_matrix, map_of_rows
from refractor.report.sections.composition.words import short_names
from refractor.report.snippets import composition_snippet

HIDDEN = ("W", "W_2", "blocks.0.mlp.W_in")
"""Matrices between the embeddings and the neurons, by the names that networks give them."""


def weights_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw the weight matrices, rows sorted by conjugacy class, neurons by irrep."""
    title = "Weights"
    text = (
        "The matrices that were learned. A row of an embedding is an element of the group; here elements of one "
        "conjugacy class stand together."
    )
    view, weights = analysis.view, analysis.weights
    if weights is None or view.first_embedding is None or view.second_embedding is None:
        return Section("weights", title, text, absent=("Only logits were given, so there are no weights to look at.",))
    order = by_class(analysis.problem.group)
    same = view.first_embedding is view.second_embedding
    labels = (
        ("Embedding of x and y", "") if same else ("Embedding of x, to the neurons", "Embedding of y, to the neurons")
    )
    neurons, bands = _by_irrep(analysis)
    panels: list[Heat] = []
    if same:
        panels.append(map_of_rows(labels[0], view.first_embedding, order, None, "dimension"))
    else:
        for label, matrix in zip(labels, (view.first_embedding, view.second_embedding), strict=True):
            fits = neurons is not None and matrix.shape[1] == len(neurons)
            panels.append(map_of_rows(label, matrix, order, neurons if fits else None, "neuron", bands if fits else ()))
    if view.output_map is not None:
        panels.append(map_of_rows("Neurons to logits of z", view.output_map.T, order, neurons, "neuron", bands))
    raw = _raw(analysis)
    figure = Figure(
        "weights-maps",
        "Weights by element and neuron",
        "Neurons are sorted by the irrep that holds most of what x gives them, named below, the purest first. Neurons "
        "of a one-dimensional irrep such as sign have one value for a whole class; those of larger irreps vary within "
        "classes, and often take few values, in stripes. Before training there is noise everywhere.",
        "Any use of the weights: large ones may be read by nothing.",
        composition_snippet(name, "view = analysis.view  # .first_embedding, .second_embedding, .output_map, .weights"),
        tuple(panels),
    )
    figures = (figure, _raw_figure(raw, name)) if raw else (figure,)
    absent = () if view.output_map is not None else ("This network has no MLP, so there is no output map.",)
    return Section("weights", title, text, figures, absent)


def _raw(analysis: CompositionAnalysis) -> list[Heat]:
    """Return maps of the matrices as they are stored, those with a row for each element by class."""
    order, n = by_class(analysis.problem.group), analysis.problem.order
    panels = []
    for key, matrix in analysis.view.weights.items():
        if matrix.ndim != 2 or min(matrix.shape) < 2:
            continue
        if matrix.shape[0] == n and matrix.shape[1] != n:
            panels.append(map_of_rows(f"{key}, {n} × {matrix.shape[1]}", matrix, order, None, "column"))
        elif key in HIDDEN:
            panels.append(map_of_matrix(f"{key}, {matrix.shape[0]} × {matrix.shape[1]}", matrix, "row", "column"))
    return panels


def _raw_figure(panels: list[Heat], name: str) -> Figure:
    return Figure(
        "weights-stored",
        "Matrices as they are stored",
        "The embeddings, and the matrix between them and the neurons. A column of that matrix that is nearly 0 is a "
        "neuron that weight decay took away. Embeddings look like noise: what they hold is spread over all columns.",
        "Structure that another basis of the inner dimensions would show: the network would be the same after any "
        "rotation of them, and look different here.",
        composition_snippet(name, "weights = analysis.view.weights  # by name"),
        tuple(panels),
    )


def _by_irrep(analysis: CompositionAnalysis) -> tuple[Int[Tensor, " neuron"] | None, list[Band]]:
    """Return the neurons sorted by their irrep, the purest first, and the irreps as bands."""
    weights = analysis.weights
    if weights is None or weights.neurons is None:
        return None, []
    best, purity = weights.neurons[0].best.values.tolist(), weights.neurons[0].purity.values.tolist()
    order = sorted(range(len(best)), key=lambda i: (best[i] or len(analysis.problem.irreps), -purity[i], i))
    names, keys = short_names(analysis), analysis.keys.places
    bands: list[Band] = []
    for place, group in groupby(order, key=lambda i: best[i]):
        start = bands[-1].end if bands else 0
        bands.append(Band(start, start + len(list(group)), names[place] if place else "dead", place in keys))
    return torch.tensor(order), bands
