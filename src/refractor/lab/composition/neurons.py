"""Which irrep each neuron computes with, and how pure it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.groups import EntryBasis
from refractor.lab.labelled import Labelled

PURE = 0.95
"""Share of one irrep above which a neuron counts as pure."""

FLAT = 1e-12  # energy below this share of the largest neuron's: a dead neuron


@dataclass(frozen=True, eq=False)
class NeuronIrreps:
    """The best irrep of each neuron.

    Args:
        shares: the share of each irrep in each neuron's function of one element, over (neuron, irrep); 0 where dead.
        best: the place of the irrep with the largest share; 0 for a dead neuron.
        purity: that share.
        counts: for each irrep by name, how many neurons have more than 0.95 of their energy in it.
        dead: how many neurons do not depend on the element.

    """

    shares: Labelled
    best: Labelled
    purity: Labelled
    counts: dict[str, int]
    dead: int

    @property
    def pure(self) -> int:
        """How many neurons are pure."""
        return sum(self.counts.values())


def neuron_irreps(functions: Float[Tensor, "n neuron"], basis: EntryBasis, cut: float = PURE) -> NeuronIrreps:
    """Return, for each neuron, how the energy of its function of one element falls to the irreps.

    The function is what the element adds to the neuron before its nonlinearity (or the neuron's mean for that element
    where nothing is added), without its mean. Permuting neurons permutes the result; a change of basis of an irrep
    leaves it as it is.

    Args:
        functions: over (element, neuron).
        basis: orthonormal functions on the group, by irrep.
        cut: share above which a neuron is pure.

    """
    energies = basis.energies(functions - functions.mean(0))
    energies[0] = 0.0
    total = energies.sum(0)
    dead = total <= FLAT * total.max()
    shares = torch.where(dead, 0.0, energies / total.clamp_min(torch.finfo(torch.float64).tiny))
    purity, best = shares.max(0)
    names = basis.irreps.names
    counts = {name: int(((best == place) & (purity > cut)).sum()) for place, name in enumerate(names) if place}
    return NeuronIrreps(
        Labelled(shares.T.contiguous(), ("neuron", "irrep"), {"irrep": names}),
        Labelled(best, ("neuron",)),
        Labelled(purity, ("neuron",)),
        {name: count for name, count in counts.items() if count},
        int(dead.sum()),
    )


@dataclass(frozen=True)
class RotationControl:
    """How pure neurons are, beside neurons that are just as large but know nothing of the group.

    Args:
        purity: the mean, over neurons that are not dead, of the largest share of one irrep.
        rotated: the same after random rotations of all functions of one element, which carry the irreps elsewhere.

    """

    purity: float
    rotated: tuple[float, ...]


def rotation_control(
    functions: Float[Tensor, "n neuron"], basis: EntryBasis, count: int, generator: torch.Generator
) -> RotationControl:
    """Compare the purity of neurons with that under random rotations of the functions without mean.

    Args:
        functions: over (element, neuron).
        basis: orthonormal functions on the group, by irrep.
        count: how many rotations.
        generator: what draws them.

    """
    coefficients = basis.columns[:, 1:].T @ functions  # the first column is the mean
    draws = torch.randn(count, *coefficients.shape[:1] * 2, dtype=torch.float64, generator=generator)
    rotated = basis.columns[:, 1:] @ (torch.linalg.qr(draws).Q @ coefficients)
    return RotationControl(_mean_purity(functions, basis), tuple(_mean_purity(one, basis) for one in rotated))


def _mean_purity(functions: Float[Tensor, "n neuron"], basis: EntryBasis) -> float:
    found = neuron_irreps(functions, basis)
    live = found.best.values > 0
    return float(found.purity.values[live].mean()) if bool(live.any()) else 0.0
