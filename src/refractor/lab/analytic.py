"""Networks whose algorithm is known because it was written down: the tests of every Fourier measure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError
from refractor.lab.logit_fit import cosine_table
from refractor.lab.operations import sum_index
from refractor.lab.projection import check_frequencies
from refractor.models.pair_networks import PairNetworkConfig, QuadraticNetwork


def cosine_logits(p: int, amplitudes: Mapping[int, float], operation: str = "addition") -> Float[Tensor, "p p p"]:
    """Return logits that are exactly `sum_k alpha_k cos(2 pi k (s - c) / p)`, over (a, b, c).

    Args:
        p: the modulus.
        amplitudes: alpha_k for each frequency k.
        operation: "addition" or "subtraction".

    Raises:
        ArgumentError: p, a frequency or the operation is out of range.

    >>> cosine_logits(5, {1: 2.0})[1, 1].argmax()
    tensor(2)

    """
    index = sum_index(p, operation)
    chosen = check_frequencies(amplitudes, p)
    curve = (
        torch.tensor([amplitudes[k] for k in chosen], dtype=torch.float64) @ cosine_table(p)[[k - 1 for k in chosen]]
    )
    return curve[(torch.arange(p) - index[..., None]) % p]


@dataclass(frozen=True, eq=False)
class GromovNetwork:
    """A two-layer network of quadratic units whose weights are cosines (Gromov 2023, "Grokking modular arithmetic").

    `hidden_k = (U[a, k] + V[b, k])²`, `logits_c = sum_k hidden_k W[k, c]`, with
    `U[x, k] = cos(w x + phi_k)`, `V[x, k] = cos(w x + psi_k)`, `W[k, c] = cos(w c + phi_k + psi_k)`,
    w = 2 pi sigma_k / p. The product term of the square is `cos(w(a + b) + phi + psi)`, in phase with W at c = a + b;
    the other terms carry random phases and average out over many units.

    Args:
        p: the modulus.
        frequencies: sigma_k of each unit.
        first: U.
        second: V.
        output: W.

    """

    p: int
    frequencies: Int[Tensor, " neuron"]
    first: Float[Tensor, "p neuron"]
    second: Float[Tensor, "p neuron"]
    output: Float[Tensor, "neuron p"]

    def hidden(self) -> Float[Tensor, "pairs neuron"]:
        """Return the activations of all pairs, a-major."""
        return (self.first[:, None] + self.second).square().flatten(0, 1)

    def network(self) -> QuadraticNetwork:
        """Return it as a network that can be run, hooked and analysed as composition in C_p."""
        width = len(self.frequencies)
        model = QuadraticNetwork(
            PairNetworkConfig(architecture="quadratic", n=self.p, d_hidden=width, dtype="float64", init_weights=False)
        )
        model.load_state_dict({"U": self.first, "V": self.second, "W": self.output})
        return model

    def logits(self) -> Float[Tensor, "p p p"]:
        """Return the logits over (a, b, c)."""
        return (self.hidden() @ self.output).reshape(self.p, self.p, self.p)


def quadratic_network(
    p: int, width: int, generator: torch.Generator, frequencies: Iterable[int] | None = None
) -> GromovNetwork:
    """Write down Gromov's network with random frequencies and phases.

    Args:
        p: the modulus.
        width: number of hidden units; 500 are enough for every answer at p = 97.
        generator: what draws frequencies and phases.
        frequencies: those to draw from, all of 1 … p // 2 when left out.

    Raises:
        ArgumentError: p, width or a frequency is out of range, or the frequencies are empty.

    >>> network = quadratic_network(23, 500, torch.Generator().manual_seed(0))
    >>> s = (torch.arange(23)[:, None] + torch.arange(23)) % 23
    >>> bool((network.logits().argmax(-1) == s).all())
    True

    """
    check_int("p", p, least=2)
    check_int("width", width, least=1)
    chosen = check_frequencies(range(1, p // 2 + 1) if frequencies is None else frequencies, p)
    if not chosen:
        raise ArgumentError("frequencies must have at least one; they are empty.")
    drawn = torch.randint(len(chosen), (width,), generator=generator)
    sigma = torch.tensor(chosen)[drawn]
    phases = torch.rand(2, width, dtype=torch.float64, generator=generator) * (2 * torch.pi)
    angle = (torch.arange(p)[:, None] * sigma % p).double() * (2 * torch.pi / p)
    first, second = torch.cos(angle + phases[0]), torch.cos(angle + phases[1])
    return GromovNetwork(p, sigma, first, second, torch.cos(angle + phases.sum(0)).T.contiguous())
