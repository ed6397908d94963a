"""Networks whose algorithm is known because it was written down: the tests of every measure of this wing."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.checks import check_float, check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups import Irrep, Irreps
from refractor.lab.projection import check_frequencies
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig, QuadraticNetwork


def rank_one_network(irreps: Irreps, names: Sequence[str], width: int, generator: torch.Generator) -> QuadraticNetwork:
    """Write down a quadratic network that composes by chosen irreps, with random matrices of rank one.

    `logits = (U[x] + V[y])² W` with `U_xi = a_iᵀ ρ(x) b_i`, `V_yi = b_iᵀ ρ(y) c_i`, `W_iz = a_iᵀ ρ(z) c_i` and Gaussian
    a, b, c. On average over them `2 U V W = 2 tr(ρ(x) ρ(y) ρ(z)ᵀ) = 2 χ(x y z⁻¹)`, largest where z = x y; the squares
    have mean 0. Gromov's network (2023) is the case of cyclic groups.

    Args:
        irreps: all irreps of the group.
        names: those to use; the units are dealt out to them in turn.
        width: the number of units.
        generator: what draws a, b, c.

    Raises:
        UnknownNameError: there is no irrep of that name.
        ArgumentError: no irrep is named, or width is below 1.

    >>> from refractor.groups import group, real_irreps
    >>> network = rank_one_network(real_irreps(group("S3")), ["standard"], 400, torch.Generator().manual_seed(0))
    >>> network(torch.tensor([[1, 2]])).argmax() == group("S3").product(1, 2)
    tensor(True)

    """
    check_int("width", width, least=1)
    if not names:
        raise ArgumentError("names must have at least one irrep; none came.")
    n = irreps.group.order
    parts: dict[str, list[Tensor]] = {"U": [], "V": [], "W": []}
    for place in range(width):
        rho = irreps[names[place % len(names)]].matrices
        a, b, c = torch.randn(3, rho.shape[1], dtype=torch.float64, generator=generator)
        for name, (left, right) in {"U": (a, b), "V": (b, c), "W": (a, c)}.items():
            parts[name].append(torch.einsum("i,xij,j->x", left, rho, right))
    weights = {name: torch.stack(columns, 1) for name, columns in parts.items()}
    model = QuadraticNetwork(
        PairNetworkConfig(architecture="quadratic", n=n, d_hidden=width, dtype=torch.float64, init_weights=False)
    )
    model.load_state_dict({**weights, "W": weights["W"].T.contiguous()})
    return model


def rho_set_network(irrep: Irrep, vector: Float[Tensor, " dim"], direction: Float[Tensor, " dim"]) -> OneLayerMLP:
    """Write down the ReLU network of one ρ-set (Wu, Jaburi, Drori and Gross 2025).

    With B the orbit of a vector under ρ, one neuron `ReLU(bᵀ ρ(x) a - aᵀ ρ(y) b′)` for each pair (b, b′) of B × B, read
    out with `-bᵀ ρ(z) b′`. Its logits depend on x⁻¹ z y⁻¹ alone.

    Args:
        irrep: ρ.
        vector: what spans B; one that a large subgroup fixes has a small orbit.
        direction: a.

    Raises:
        ShapeError: a vector is not of the irrep's dimension.
        ArgumentError: a vector is 0.

    """
    for name, value in (("vector", vector), ("direction", direction)):
        if list(value.shape) != [irrep.dim]:
            raise ShapeError(
                f"{name} must have the dimension of {irrep.name}, [{irrep.dim}]; {list(value.shape)} came."
            )
        if not bool(value.abs().max() > 0):
            raise ArgumentError(f"{name} must not be 0.")
    rho = irrep.matrices
    images = rho @ (vector.double() / torch.linalg.vector_norm(vector.double()))
    near = torch.cdist(images, images, compute_mode="donot_use_mm_for_euclid_dist") < 1e-8
    orbit = images[near.int().argmax(1).unique()]
    count = len(orbit)
    left, right = torch.arange(count).repeat_interleave(count), torch.arange(count).repeat(count)
    first = ((rho @ direction.double()) @ orbit.T)[:, left]
    second = -(torch.einsum("j,xjk->xk", direction.double(), rho) @ orbit.T)[:, right]
    output = -torch.einsum("ij,zjk,ik->iz", orbit[left], rho, orbit[right])
    return _mlp(first, second, output)


def relu_clock(p: int, frequencies: Sequence[int], phases: int = 8, scale: float = 10.0) -> OneLayerMLP:
    """Write down a ReLU network that adds modulo p by chosen frequencies.

    Neurons `ReLU(cos(w x + φ) + cos(w y + φ))`, w = 2πk/p, read out with `cos(w z + 2φ)`, for equally spaced φ. The sum
    over φ keeps, of `2 |cos(w (x - y) / 2)| |cos(w (x + y) / 2 + φ)|`, the part that oscillates with w (x + y). That
    is 0 where p is even, k odd and x - y = p/2: no choice of frequencies answers those pairs.

    Args:
        p: the modulus.
        frequencies: the frequencies k.
        phases: how many φ for each; 5 or more, so that no harmonic but the second is read out.
        scale: what the logits are multiplied by.

    Raises:
        ArgumentError: p, a frequency, phases or scale is out of range, or there is no frequency.

    >>> model = relu_clock(13, [1, 4])
    >>> pairs = torch.cartesian_prod(torch.arange(13), torch.arange(13))
    >>> bool((model(pairs).argmax(1) == pairs.sum(1) % 13).all())
    True

    """
    check_int("p", p, least=2)
    check_int("phases", phases, least=5)
    check_float("scale", scale, above=0)
    chosen = check_frequencies(frequencies, p)
    if not chosen:
        raise ArgumentError("frequencies must have at least one; they are empty.")
    k = torch.tensor(chosen).repeat_interleave(phases)
    phi = (torch.arange(phases, dtype=torch.float64) * (2 * torch.pi / phases)).repeat(len(chosen))
    angle = (torch.arange(p)[:, None] * k % p).double() * (2 * torch.pi / p)
    waves = torch.cos(angle + phi)
    return _mlp(waves, waves, scale * torch.cos(angle + 2 * phi).T)


def _mlp(
    first: Float[Tensor, "x neuron"], second: Float[Tensor, "y neuron"], output: Float[Tensor, "neuron z"]
) -> OneLayerMLP:
    """Return the network `ReLU(first[x] + second[y]) output`: embeddings as wide as the hidden layer."""
    n, width = first.shape
    model = OneLayerMLP(
        PairNetworkConfig(
            architecture="mlp", n=n, d_embed=width, d_hidden=width, dtype=torch.float64, init_weights=False
        )
    )
    same = torch.eye(width, dtype=torch.float64)
    weights = {"W_x": first, "W_y": second, "W": torch.cat([same, same]), "W_U": output}
    model.load_state_dict({name: weight.contiguous() for name, weight in weights.items()})
    return model
