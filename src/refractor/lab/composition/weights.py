"""What weights and neurons add to the logits."""

import math
from dataclasses import dataclass, field

from refractor.lab.composition.cosets import NeuronCosets, neuron_cosets
from refractor.lab.composition.geometry import COMPONENTS, circularity, distance_irrelevance
from refractor.lab.composition.keys import IrrepSet
from refractor.lab.composition.means import ClassMeans, HiddenMeans
from refractor.lab.composition.neurons import NeuronIrreps, neuron_irreps
from refractor.lab.composition.shares import (
    HiddenShares,
    Shares,
    TwoSidedShares,
    hidden_shares,
    matrix_shares,
    two_sided_shares,
)
from refractor.lab.composition.view import CompositionView
from refractor.lab.weights import sum_of_squared_weights


@dataclass(frozen=True, eq=False)
class EmbeddingShares:
    """How embeddings and unembedding fall to the irreps.

    Args:
        first: of what the network reads of x; not centred, as the study has it.
        second: of what it reads of y.
        unembedding: of the rows of the output map over z; None without one.
        centred: of both embeddings without their means over elements.

    """

    first: Shares
    second: Shares
    unembedding: Shares | None
    centred: tuple[Shares, Shares]


@dataclass(frozen=True, eq=False)
class WeightMeasures:
    """What weights and neurons add.

    Args:
        embeddings: shares of embeddings and unembedding.
        hidden: shares of the hidden layer in functions of x, of y, of the answer; None without one.
        two_sided: its shares in products of a function of x and one of y.
        neurons: the irrep of each neuron, by what x gives it and by what y gives it.
        cosets: the subgroup on whose cosets each neuron is constant; None where neurons do not add what x and y give,
            or the group has too many subgroups.
        gradient_symmetricity: see `geometry`; NaN where x and y are not embedded alike.
        distance_irrelevance: see `geometry`.
        circularity: see `geometry`.
        sum_of_squared_weights: over all parameters.

    """

    embeddings: EmbeddingShares
    hidden: HiddenShares | None
    two_sided: TwoSidedShares | None
    neurons: tuple[NeuronIrreps, NeuronIrreps] | None = field(repr=False)
    cosets: NeuronCosets | None = field(repr=False)
    gradient_symmetricity: float
    distance_irrelevance: float
    circularity: float
    sum_of_squared_weights: float


def embedding_shares(view: CompositionView) -> EmbeddingShares | None:
    """Return the shares of embeddings and unembedding; None where only logits are known."""
    first, second, basis = view.first_embedding, view.second_embedding, view.problem.basis
    if first is None or second is None:
        return None
    return EmbeddingShares(
        matrix_shares(first, basis),
        matrix_shares(second, basis),
        None if view.output_map is None else matrix_shares(view.output_map.T, basis),
        (matrix_shares(first, basis, centred=True), matrix_shares(second, basis, centred=True)),
    )


def weight_measures(
    view: CompositionView,
    means: ClassMeans,
    embeddings: EmbeddingShares,
    keys: tuple[IrrepSet, ...],
    symmetricity: float,
) -> WeightMeasures:
    """Measure weights and neurons.

    Args:
        view: the network.
        means: its class means.
        embeddings: shares that are at hand.
        keys: sets of irreps whose two-sided shares are wanted.
        symmetricity: gradient symmetricity, which needs the network itself.

    """
    problem, hidden = view.problem, means.hidden
    places = tuple(sorted({place for chosen in keys for place in chosen.places}))
    cosets = None
    if view.first_part is not None and view.second_part is not None and problem.subgroups:
        cosets = neuron_cosets(view.first_part, view.second_part, problem.subgroups)
    return WeightMeasures(
        embeddings,
        None if hidden is None else hidden_shares(hidden, problem),
        None if hidden is None else two_sided_shares(view, hidden, places),
        None if hidden is None else _neurons(view, hidden),
        cosets,
        symmetricity,
        distance_irrelevance(means.right, problem),
        _circularity(view),
        sum_of_squared_weights(view.weights),
    )


def _neurons(view: CompositionView, hidden: HiddenMeans) -> tuple[NeuronIrreps, NeuronIrreps]:
    first = hidden.over_first if view.first_part is None else view.first_part
    second = hidden.over_second if view.second_part is None else view.second_part
    return neuron_irreps(first, view.problem.basis), neuron_irreps(second, view.problem.basis)


def _circularity(view: CompositionView) -> float:
    embedding = view.first_embedding
    if embedding is None or min(embedding.shape) == 0:
        return math.nan
    return circularity(embedding, view.problem.basis, min(COMPONENTS, *embedding.shape))
