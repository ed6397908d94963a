"""The parts of a network's logits that belong to one irrep each.

Two ways to cut, both functions of (w, z), w the right answer:

- by rows: `P_r M`, the projection of the class means M[w, z] on the span of the matrix entries of ρ_r(w), for every
  output z. Of a hidden layer H with output map U it is `(Q_r Q_rᵀ H) U`, since averaging over a class, projecting and
  multiplying by U commute.
- by character: `c_r χ_r(w z⁻¹)`, the single direction in the cube over (x, y, z) that the trace conjecture names, with
  `c_r = ⟨L_c, χ_r⟩ / ‖χ_r‖²`. Cubes of different irreps are orthogonal.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.groups import EntryBasis
from refractor.lab.composition.means import ClassMeans
from refractor.lab.composition.problem import Problem


class Parts(ABC):
    """One part for each irrep, made in the rows that are asked for: all of them would be n² numbers for each irrep."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of irreps."""

    @abstractmethod
    def rows(self, classes: Int[Tensor, " s"]) -> Float[Tensor, "irrep s z"]:
        """Return the part of each irrep in the rows of some answers."""


@dataclass(frozen=True, eq=False)
class RowParts(Parts):
    """`P_r M` for each irrep; they add up to M.

    Args:
        basis: orthonormal functions on the group, by irrep.
        coefficients: those of the class means M in it.

    """

    basis: EntryBasis = field(repr=False)
    coefficients: Float[Tensor, "component z"] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of irreps."""
        return len(self.basis.slices)

    def rows(self, classes: Int[Tensor, " s"]) -> Float[Tensor, "irrep s z"]:
        """Return the part of each irrep in the rows of some answers."""
        columns = self.basis.columns[classes]
        return torch.stack([columns[:, part] @ self.coefficients[part] for part in self.basis.slices])


def row_parts(means: Float[Tensor, "s z"], basis: EntryBasis) -> RowParts:
    """Return the parts of class means over (w, z) by rows."""
    return RowParts(basis, basis.columns.T @ means)


@dataclass(frozen=True, eq=False)
class CharacterFit:
    """The logits along the characters.

    Args:
        similarity: for each irrep, the cosine between the centred logits and `χ_r(x y z⁻¹)` over all (x, y, z).
        weight: for each irrep, c_r.

    """

    similarity: Float[Tensor, " irrep"]
    weight: Float[Tensor, " irrep"] = field(repr=False)

    @property
    def explained(self) -> float:
        """The share of `‖L_c‖²` along the characters of all irreps but the trivial one: the sum of squared cosines."""
        return float(self.similarity[1:].square().sum())


def character_fit(means: ClassMeans, problem: Problem) -> CharacterFit:
    """Compare the logits with the character of every irrep, in one pass over n² class means.

    With `h(v) = Σ L_c[x, y, z]` over all triples with x y z⁻¹ = v, `⟨L_c, χ_r⟩ = Σ_v h(v) χ_r(v)`; the cube of χ_r has
    the norm `n ‖χ_r‖`. No cube is built (Chughtai, Chan and Nanda 2023 build one for each irrep).

    Args:
        means: of the network.
        problem: what it is asked.

    Returns:
        Similarities of 0 where the logits are constant.

    """
    n, characters = problem.order, problem.irreps.characters
    centred = means.logits - means.logits.mean(1, keepdim=True)
    totals = torch.zeros(n, dtype=torch.float64)
    totals.index_add_(0, quotients(problem).flatten(), (n * centred).flatten())
    products, norms = characters @ totals, n * torch.linalg.vector_norm(characters, dim=1)
    size = means.energy**0.5
    similarity = products / (norms * size) if size > 0 else torch.zeros_like(products)
    similarity[0] = 0.0  # the trivial character is constant over z: there is nothing of it in centred logits
    return CharacterFit(similarity, products / norms.square())


@dataclass(frozen=True, eq=False)
class CharacterParts(Parts):
    """`c_r χ_r(w z⁻¹)` for each irrep.

    Args:
        weighted: c_r χ_r, over (irrep, element).
        index: w z⁻¹ for every w and z.

    """

    weighted: Float[Tensor, "irrep n"] = field(repr=False)
    index: Int[Tensor, "s z"] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of irreps."""
        return len(self.weighted)

    def rows(self, classes: Int[Tensor, " s"]) -> Float[Tensor, "irrep s z"]:
        """Return the part of each irrep in the rows of some answers."""
        return self.weighted[:, self.index[classes]]


def character_parts(fit: CharacterFit, problem: Problem) -> CharacterParts:
    """Return the parts of the logits by character."""
    return CharacterParts(fit.weight[:, None] * problem.irreps.characters, quotients(problem))


def quotients(problem: Problem) -> Int[Tensor, "s z"]:
    """Return `w z⁻¹` for every w and z."""
    return problem.group.table[:, problem.group.inverses]
