"""ρ-sets: the idealised network behind a trained one, read off its weights (Wu, Jaburi, Drori and Gross 2025).

In the networks that learn S5 every neuron is, to many digits, of rank one in one irrep ρ: what x adds to it is
`bᵀ ρ(x) a`, what y adds is `aᵀ ρ(y) c`, and it is read out with `bᵀ ρ(z) c`. With b and -c in a finite set B of unit
vectors that ρ maps to itself, and all pairs (b, -c) of B × B of equal weight, the logits

    f(x, y, z) = K Σ_{b, c} (bᵀ ρ(z) c) ReLU(bᵀ ρ(x) a + aᵀ ρ(y) c)

depend on x⁻¹ z y⁻¹ alone: `b → ρ(x)ᵀ b`, `c → ρ(y) c` permute B × B and carry z to x⁻¹ z y⁻¹. So the right answer leads
by one and the same margin for all n² pairs, which a few products compute.

Only irreps of real type are read: for the others the entries of ρ are not independent, and b, a, c not determined.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups import Irrep
from refractor.lab.composition.networks import FoldedNetwork
from refractor.lab.composition.neurons import neuron_irreps
from refractor.lab.composition.view import CompositionView

SAME_DIRECTION = 0.9  # cosine above which two neurons share their vector a
NEAR = (
    0.35  # distance of unit vectors within which one is taken for the other; orbits are further apart than twice that
)
EXACT = 1e-8  # distance of unit vectors that are equal but for rounding
NO_PRODUCTS = "donot_use_mm_for_euclid_dist"  # distances as roots of differences of products are off by 1e-8
LEAST_PAIRS = 0.5  # share of the pairs of a ρ-set that must have neurons: one with fewer is no description
LEAST_PURITY = 0.5  # share of its energy in one irrep that a neuron needs to be read


@dataclass(frozen=True, eq=False)
class RhoSet:
    """A set B of unit vectors that ρ permutes, a direction a, and the neurons that use them.

    Args:
        irrep: the place of ρ among the irreps.
        vectors: B, one in a row.
        direction: a.
        neurons: the neurons, by their number in the network.
        left: for each neuron, the place in B of its b.
        right: for each neuron, the place in B of its -c.
        scales: for each neuron, the size of what x and y add.
        weights: for each neuron, the size with which it is read out, such that all pairs of B x B weigh the same.
        strength: K, that weight: the sum of scale times weight over the neurons of each pair.

    """

    irrep: int
    vectors: Float[Tensor, "rho dim"] = field(repr=False)
    direction: Float[Tensor, " dim"] = field(repr=False)
    neurons: tuple[int, ...] = field(repr=False)
    left: Int[Tensor, " neuron"] = field(repr=False)
    right: Int[Tensor, " neuron"] = field(repr=False)
    scales: Float[Tensor, " neuron"] = field(repr=False)
    weights: Float[Tensor, " neuron"] = field(repr=False)
    strength: float

    @property
    def size(self) -> int:
        """The number of vectors in B."""
        return len(self.vectors)

    @property
    def missing(self) -> Int[Tensor, "pairs pos"]:
        """The pairs (b, -c), by their places in B, that no neuron has."""
        there = torch.zeros(self.size, self.size, dtype=torch.bool)
        there[self.left, self.right] = True
        return (~there).nonzero()


@dataclass(frozen=True, eq=False)
class RhoNetwork:
    """The idealised network: neuron by neuron what x adds, what y adds, and how it is read out.

    Args:
        sets: its ρ-sets.
        first: what x adds, over (x, neuron). The neurons of the trained network come first (all 0 for one in no ρ-set),
            then one for each pair of a ρ-set that no neuron has.
        second: what y adds.
        output_map: how neurons are read out.
        width: the number of neurons of the trained network.

    """

    sets: tuple[RhoSet, ...]
    first: Float[Tensor, "x neuron"] = field(repr=False)
    second: Float[Tensor, "y neuron"] = field(repr=False)
    output_map: Float[Tensor, "neuron z"] = field(repr=False)
    width: int

    @property
    def unassigned(self) -> int:
        """How many neurons of the trained network are in no ρ-set."""
        return self.width - sum(len(one.neurons) for one in self.sets)

    @property
    def missing(self) -> int:
        """How many pairs of ρ-sets have no neuron in the trained network."""
        return self.first.shape[1] - self.width


def rho_network(view: CompositionView) -> RhoNetwork:
    """Read the idealised network off the weights of a ReLU network of one hidden layer.

    Args:
        view: the network.

    Raises:
        ArgumentError: it is no ReLU network in which what x and y add is added, or the operation is no product.

    """
    first, second, output = checked_parts(view)
    irreps, basis = view.problem.irreps, view.problem.basis
    centred = output - output.mean(1, keepdim=True)
    found = neuron_irreps(first, basis, 0.0)
    sets: list[RhoSet] = []
    for place, irrep in enumerate(irreps):
        chosen = (found.best.values == place) & (found.purity.values > LEAST_PURITY)
        if place == 0 or irrep.kind != "real" or not bool(chosen.any()):
            continue
        neurons = chosen.nonzero().flatten()
        left, right, read = (_in_irrep(part[:, neurons], irrep) for part in (first, second, centred.T))
        sets += _sets_of_irrep(place, irrep, neurons, (left, right, read))
    return _assemble(view, tuple(sets), (len(first), first.shape[1]))


def checked_parts(
    view: CompositionView,
) -> tuple[Float[Tensor, "x neuron"], Float[Tensor, "y neuron"], Float[Tensor, "neuron z"]]:
    """Return what x adds, what y adds and the output map of a network that ρ-sets can describe.

    Raises:
        ArgumentError: it is no ReLU network in which what x and y add is added, or the operation is no product.

    """
    network = view.network
    if not isinstance(network, FoldedNetwork) or network.combine != "relu" or view.first_part is None:
        raise ArgumentError("ρ-sets are read off one-layer ReLU networks of pairs, ReLU(A[x] + B[y]) U; another came.")
    if view.problem.operation != "product" or view.second_part is None or view.output_map is None:
        raise ArgumentError(f"ρ-sets are defined for products x · y; {view.problem.formula} came.")
    return view.first_part, view.second_part, view.output_map


def _in_irrep(functions: Float[Tensor, "n neuron"], irrep: Irrep) -> Float[Tensor, "neuron dim dim"]:
    """Return the matrices M with `f(x) = Σ_jk M_jk ρ(x)_jk` in this irrep: `M = d/n Σ_x f(x) ρ(x)`, by Schur."""
    n, dim = len(functions), irrep.dim
    return (functions.T @ irrep.matrices.reshape(n, -1)).unflatten(1, (dim, dim)) * (dim / n)


def _sets_of_irrep(
    place: int, irrep: Irrep, neurons: Int[Tensor, " neuron"], factors: tuple[Tensor, Tensor, Tensor]
) -> list[RhoSet]:
    """Split the neurons of an irrep by their direction a and by the orbit of their b, the largest neurons first."""
    left, right, read = factors
    values = torch.linalg.svd(left)
    directions, sizes = values.Vh[:, 0], values.S[:, 0]
    sets, waiting = [], torch.ones(len(neurons), dtype=torch.bool)
    while bool(waiting.any()):
        leader = int(torch.where(waiting, sizes, -1.0).argmax())
        waiting[leader] = False
        together = (waiting & ((directions @ directions[leader]).abs() > SAME_DIRECTION)).nonzero().flatten()
        together = torch.cat([torch.tensor([leader]), together])
        a = torch.linalg.svd(directions[together]).Vh[0]
        b, c = left[together] @ a, torch.einsum("j,ijk->ik", a, right[together])
        vectors = _orbit(b[0], irrep)
        if vectors is None:
            continue
        (first, first_off), (second, second_off) = _nearest(b, vectors), _nearest(-c, vectors)
        inside = (first_off < NEAR) & (second_off < NEAR)
        pairs = (first * len(vectors) + second)[inside]
        if len(pairs.unique()) < LEAST_PAIRS * len(vectors) ** 2:
            continue
        waiting[together[inside]] = False
        scales = (torch.linalg.vector_norm(b, dim=1) + torch.linalg.vector_norm(c, dim=1))[inside] / 2
        first, second = first[inside], second[inside]
        read_out = -torch.einsum("ij,ijk,ik->i", vectors[first], read[together[inside]], vectors[second])
        weights, strength = _even(read_out, scales, pairs, len(vectors) ** 2)
        members = tuple(neurons[together[inside]].tolist())
        sets.append(RhoSet(place, vectors, a, members, first, second, scales, weights, strength))
    return sets


def _orbit(vector: Float[Tensor, " dim"], irrep: Irrep) -> Float[Tensor, "rho dim"] | None:
    """Return the orbit of a vector, once it was made to be fixed by all elements that hardly move it.

    None where these elements are no group: then the vector is near no small orbit.
    """
    unit = vector / torch.linalg.vector_norm(vector)
    images = irrep.matrices @ unit
    fixing = (torch.linalg.vector_norm(images - unit, dim=1) < NEAR).nonzero().flatten()
    table = irrep.representation.group.table
    if not bool(torch.isin(table[fixing][:, fixing], fixing).all()):
        return None
    mean = images[fixing].mean(0)
    orbit = irrep.matrices @ (mean / torch.linalg.vector_norm(mean))
    is_new = torch.cdist(orbit, orbit, compute_mode=NO_PRODUCTS) < EXACT
    return orbit[is_new.int().argmax(1).unique()]


def _nearest(
    vectors: Float[Tensor, "neuron dim"], orbit: Float[Tensor, "rho dim"]
) -> tuple[Int[Tensor, " neuron"], Float[Tensor, " neuron"]]:
    """Return, for the direction of each vector, the nearest of an orbit, and how far it is."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    distance, place = torch.cdist(vectors / lengths, orbit, compute_mode=NO_PRODUCTS).min(1)
    return place, distance


def _even(
    weights: Float[Tensor, " neuron"], scales: Float[Tensor, " neuron"], pairs: Int[Tensor, " neuron"], count: int
) -> tuple[Float[Tensor, " neuron"], float]:
    """Change weights as little as possible so that `Σ scale · weight` is the same for every pair that has neurons.

    The least change of weights that moves a pair's sum by δ is `δ scale / Σ scale²`.

    Returns:
        The weights, and that sum: the mean of the sums before.

    """
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, pairs, scales * weights)
    squares = torch.zeros(count, dtype=torch.float64).index_add_(0, pairs, scales.square())
    target = sums[squares > 0].mean()
    change = (target - sums) / squares.clamp_min(torch.finfo(torch.float64).tiny)
    return weights + change[pairs] * scales, float(target)


def _assemble(view: CompositionView, sets: tuple[RhoSet, ...], shape: tuple[int, int]) -> RhoNetwork:
    n, width = shape
    first, second = (torch.zeros(n, width, dtype=torch.float64) for _ in range(2))
    output = torch.zeros(width, n, dtype=torch.float64)
    added: list[tuple[Tensor, Tensor, Tensor]] = []
    for one in sets:
        rho = view.problem.irreps.members[one.irrep].matrices
        neurons = list(one.neurons)
        made = _neurons(one, rho, one.left, one.right, one.scales, one.weights)
        first[:, neurons], second[:, neurons], output[neurons] = made
        gaps, scale = one.missing, one.scales.mean()
        weight = one.strength / scale
        added.append(_neurons(one, rho, gaps[:, 0], gaps[:, 1], scale.expand(len(gaps)), weight.expand(len(gaps))))
    return RhoNetwork(
        sets,
        torch.cat([first, *(left for left, _, _ in added)], 1),
        torch.cat([second, *(right for _, right, _ in added)], 1),
        torch.cat([output, *(read for _, _, read in added)]),
        width,
    )


def _neurons(
    one: RhoSet,
    rho: Float[Tensor, "n dim dim"],
    left: Int[Tensor, " neuron"],
    right: Int[Tensor, " neuron"],
    scales: Float[Tensor, " neuron"],
    weights: Float[Tensor, " neuron"],
) -> tuple[Float[Tensor, "x neuron"], Float[Tensor, "y neuron"], Float[Tensor, "neuron z"]]:
    """Return what x adds, what y adds, and how it is read out, for neurons with given places in B."""
    b, c = one.vectors[left], -one.vectors[right]
    forward, back = rho @ one.direction, torch.einsum("j,xjk->xk", one.direction, rho)  # ρ(x) a and aᵀ ρ(y)
    read = torch.einsum("ij,zjk,ik->iz", b, rho, c)
    return (forward @ b.T) * scales, (back @ c.T) * scales, read * weights[:, None]
