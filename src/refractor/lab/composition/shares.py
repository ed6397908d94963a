"""How much of embeddings, unembedding and hidden layer each irrep explains, beside what its dimension alone would."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.groups import EntryBasis, two_sided_energies
from refractor.lab.composition.means import HiddenMeans
from refractor.lab.composition.problem import Problem
from refractor.lab.composition.view import CompositionView

NEURON_BYTES = 2**23  # of neurons over all pairs, and what they become, at a time
EVERY_BLOCK = 200  # elements up to which two-sided shares are taken for every pair of irreps


@dataclass(frozen=True, eq=False)
class Shares:
    """The share of a sum of squares that each irrep explains.

    Args:
        values: the share of each irrep, in the order of the irreps.
        null: the share that a random array would have there: the dimensions of the irrep over all dimensions.

    """

    values: Float[Tensor, " irrep"]
    null: Float[Tensor, " irrep"] = field(repr=False)

    def of(self, places: tuple[int, ...]) -> float:
        """Return the share of a set of irreps."""
        return float(self.values[list(places)].sum())

    def null_of(self, places: tuple[int, ...]) -> float:
        """Return the share that a random array would have in a set of irreps."""
        return float(self.null[list(places)].sum())


def matrix_shares(matrix: Float[Tensor, "n width"], basis: EntryBasis, *, centred: bool = False) -> Shares:
    """Return `‖Q_rᵀ X‖² / ‖X‖²` for each irrep r, X a matrix with a row for each element.

    Args:
        matrix: X: an embedding, or the transpose of an unembedding.
        basis: orthonormal functions on the group, by irrep.
        centred: leave the mean over elements out, on both sides of the fraction. The study of 2023 does not.

    Returns:
        Shares of 0 where there is nothing to explain.

    """
    energies = basis.energies(matrix).flatten(1).sum(1)
    null = span_dims(basis) / len(matrix)
    if centred:
        energies[0] = 0.0
        null = span_dims(basis) / max(1, len(matrix) - 1)
        null[0] = 0.0
    return Shares(_over(energies, float(energies.sum())), null)


def span_dims(basis: EntryBasis) -> Float[Tensor, " irrep"]:
    """Return how many dimensions the matrix entries of each irrep span."""
    return torch.tensor([part.stop - part.start for part in basis.slices], dtype=torch.float64)


def _over(energies: Tensor, total: float) -> Tensor:
    return energies / total if total > 0 else torch.zeros_like(energies)


@dataclass(frozen=True, eq=False)
class HiddenShares:
    """Shares of the centred hidden layer `H_c` over all pairs.

    Args:
        first: of functions ρ_r(x), `‖Q_r^(x)ᵀ H_c‖² / ‖H_c‖²`.
        second: of functions ρ_r(y).
        answer: of functions ρ_r(x · y).

    """

    first: Shares
    second: Shares
    answer: Shares

    @property
    def total(self) -> Float[Tensor, " irrep"]:
        """The three together: what the study calls explained."""
        return self.first.values + self.second.values + self.answer.values


def hidden_shares(hidden: HiddenMeans, problem: Problem) -> HiddenShares:
    """Return the shares that depend on x, y or the answer alone, from class means.

    `‖Q_r^(x)ᵀ H_c‖² = n ‖Q_rᵀ M_x‖²`, M_x the mean for each x, since every x has n pairs; likewise y and w.

    Args:
        hidden: the class means.
        problem: what the network is asked.

    """
    n = problem.order
    null = span_dims(problem.basis) / (n * n - 1)
    null[0] = 0.0

    def share(means: Float[Tensor, "n neuron"]) -> Shares:
        energies = n * problem.basis.energies(means - hidden.mean).sum(1)
        energies[0] = 0.0
        return Shares(_over(energies, hidden.energy), null)

    return HiddenShares(share(hidden.over_first), share(hidden.over_second), share(hidden.over_answer))


@dataclass(frozen=True, eq=False)
class TwoSidedShares:
    """Shares of the centred hidden layer in products of a function of x and a function of y.

    Args:
        places: the irreps taken on both sides, among all; the trivial one is the first.
        values: the share of `span{ρ_i(x)} ⊗ span{ρ_j(y)}`, over (i, j). With all irreps they add up to 1.
        null: the same of a random array.

    """

    places: tuple[int, ...]
    values: Float[Tensor, "irrep irrep"]
    null: Float[Tensor, "irrep irrep"] = field(repr=False)

    def within(self, places: tuple[int, ...]) -> float:
        """Return the share whose irreps on both sides are trivial or in a set."""
        return float(self._block(self.values, places))

    def null_within(self, places: tuple[int, ...]) -> float:
        """Return that share of a random array."""
        return float(self._block(self.null, places))

    def _block(self, values: Tensor, places: tuple[int, ...]) -> Tensor:
        inside = [i for i, place in enumerate(self.places) if place == 0 or place in places]
        return values[inside][:, inside].sum()


def two_sided_shares(view: CompositionView, hidden: HiddenMeans, places: tuple[int, ...]) -> TwoSidedShares:
    """Decompose the hidden layer over pairs of irreps, some neurons at a time.

    For groups of up to 200 elements every pair of irreps is taken, else those of the trivial irrep and `places`.

    Args:
        view: the network.
        hidden: its class means.
        places: the irreps that must be among them.

    """
    problem, n = view.problem, view.problem.order
    taken = tuple(range(len(problem.irreps))) if n <= EVERY_BLOCK else (0, *places)
    names = [problem.irreps.names[place] for place in taken]
    energies = torch.zeros(len(taken), len(taken), dtype=torch.float64)
    step = max(1, NEURON_BYTES // (8 * n * n))
    for start in range(0, view.width, step):
        neurons = slice(start, min(view.width, start + step))
        table = view.hidden_table(neurons) - hidden.mean[neurons]
        energies += two_sided_energies(problem.basis, table, names).sum(-1)
    dims = span_dims(problem.basis)[list(taken)]
    null = dims[:, None] * dims / (n * n - 1)
    energies[0, 0] = null[0, 0] = 0.0
    return TwoSidedShares(taken, _over(energies, hidden.energy), null)
