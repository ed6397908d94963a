"""Which frequency each neuron (or attention head) computes with, and how much of it that explains."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refractor.base.checks import check_float, check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab.fourier import fourier_basis, to_fourier
from refractor.lab.labelled import Labelled

CUT = 0.85  # share of the variance above which a neuron counts as one of its frequency (Nanda et al. 2023)
FLAT = 1e-20  # variance below this share of the mean square is rounding (eps² = 5e-32 times p² terms): a dead neuron


@dataclass(frozen=True)
class NeuronCluster:
    """The neurons that compute with one frequency.

    Args:
        frequency: their frequency.
        neurons: their indices.
        explained_variance: variance in the blocks of this frequency over all their variance.

    """

    frequency: int
    neurons: tuple[int, ...]
    explained_variance: float


@dataclass(frozen=True, eq=False)
class NeuronFrequencies:
    """The best single frequency of each neuron.

    Args:
        p: the modulus.
        cut: share above which a neuron belongs to a cluster.
        frequency: the frequency that explains most of each neuron's variance; 0 for a dead neuron.
        share: how much of the variance it explains, over (neuron).
        shares: the same for every frequency, over (neuron, freq).
        clusters: neurons above the cut, by frequency, in increasing order.

    """

    p: int
    cut: float
    frequency: Labelled
    share: Labelled
    shares: Labelled
    clusters: tuple[NeuronCluster, ...]

    @property
    def above_cut(self) -> int:
        """The number of neurons in any cluster."""
        return sum(len(cluster.neurons) for cluster in self.clusters)


def neuron_frequencies(activations: Tensor, p: int, cut: float = CUT) -> NeuronFrequencies:
    """Return, for each neuron, the frequency that explains most of its variance over all pairs.

    The centred activation N(a, b) is written in the two-dimensional Fourier basis. The share of frequency k is the
    energy of the block {1, cos w_k a, sin w_k a} x {1, cos w_k b, sin w_k b}, less the constant, over the variance
    (Nanda et al. 2023). Shares of different k do not overlap and add up to at most 1. k = p // 2 takes part
    like every other; for even p its block is {1, cos pi a} x {1, cos pi b}.

    Args:
        activations: over (pair, neuron), pairs in a-major order; MLP activations, or attention to one position.
        p: the modulus.
        cut: share above which a neuron joins the cluster of its frequency.

    Returns:
        A `NeuronFrequencies`.

    Raises:
        ShapeError: activations are not [p * p, neuron], or not real floating point.
        ArgumentError: p is below 2, cut is not in [0, 1], or an activation is not finite.

    >>> a = torch.arange(7.0).repeat_interleave(7)
    >>> neuron_frequencies(torch.cos(2 * torch.pi * 2 * a / 7)[:, None], p=7).clusters[0].frequency
    2

    """
    check_int("p", p, least=2)
    if check_float("cut", cut, least=0) > 1:
        raise ArgumentError(f"cut must be a share from 0 to 1; {cut} came.")
    functions = _checked(activations, p)
    blocks, variance, dead = _block_energies(functions, p)
    shares = blocks / variance.clamp_min(torch.finfo(torch.float64).tiny)[:, None]
    shares = torch.where(dead[:, None], 0.0, shares.clamp_max(1.0))  # rounding may exceed 1
    best, index = shares.max(1)
    frequency = torch.where(dead, 0, index + 1)
    inside = (best > cut) & ~dead
    return NeuronFrequencies(
        p,
        cut,
        Labelled(frequency, ("neuron",)),
        Labelled(best, ("neuron",)),
        Labelled(shares, ("neuron", "freq"), {"freq": tuple(range(1, p // 2 + 1))}),
        _clusters(frequency, inside, blocks, variance),
    )


def _checked(activations: Tensor, p: int) -> Float[Tensor, "p p neuron"]:
    if activations.ndim != 2 or activations.shape[0] != p * p or activations.shape[1] == 0:
        raise ShapeError(f"activations must have shape [pairs={p * p}, neuron]; {list(activations.shape)} came.")
    if not activations.is_floating_point():
        raise ShapeError(f"activations must be real floating point; {activations.dtype} came.")
    functions = activations.detach().cpu().double()
    if not bool(torch.isfinite(functions.sum())) and not bool(torch.isfinite(functions).all()):
        raise ArgumentError("activations must be finite; some are NaN or infinite.")
    return functions.reshape(p, p, -1)


def _block_energies(
    functions: Float[Tensor, "p p neuron"], p: int
) -> tuple[Float[Tensor, "neuron freq"], Float[Tensor, " neuron"], Bool[Tensor, " neuron"]]:
    """Return the energy of each frequency's block, the centred energy, and which neurons are dead."""
    basis = fourier_basis(p)
    mean = functions.mean((0, 1))
    centred = functions - mean  # the coefficient on 1 x 1 is then 0, and every block is its own share of the variance
    variance = _energy(centred)
    dead = variance <= FLAT * (variance + p * p * mean.square())
    over_a = to_fourier(centred, basis)  # [component of a, b, neuron]
    alone = _over_b(basis.rows[:1], over_a)[:, 0].square() + (basis.rows @ over_a[0]).square()  # a alone, b alone
    energies = torch.empty(functions.shape[-1], p // 2, dtype=torch.float64)
    for k in range(1, p // 2 + 1):
        rows = basis.rows_of(k)
        inside = slice(rows[0], rows[-1] + 1)  # the rows of a frequency stand together
        products = _over_b(basis.rows[inside], over_a[inside])
        energies[:, k - 1] = alone[inside].sum(0) + _energy(products)
    return energies, variance, dead


def _over_b(
    rows: Float[Tensor, "row p"], over_a: Float[Tensor, "component p neuron"]
) -> Float[Tensor, "component row neuron"]:
    return torch.bmm(rows.expand(len(over_a), -1, -1), over_a)  # a broadcast product would copy over_a


def _energy(values: Float[Tensor, "a b neuron"]) -> Float[Tensor, " neuron"]:
    return torch.linalg.vector_norm(values.flatten(0, 1), dim=0).square()  # no array of squares between


def _clusters(
    frequency: Int[Tensor, " neuron"],
    inside: Bool[Tensor, " neuron"],
    blocks: Float[Tensor, "neuron freq"],
    variance: Float[Tensor, " neuron"],
) -> tuple[NeuronCluster, ...]:
    clusters = []
    for k in frequency[inside].unique().tolist():
        members = (inside & (frequency == k)).nonzero().flatten()
        explained = min(1.0, float(blocks[members, k - 1].sum() / variance[members].sum()))
        clusters.append(NeuronCluster(k, tuple(members.tolist()), explained))
    return tuple(clusters)
