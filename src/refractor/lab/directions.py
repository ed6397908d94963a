"""The directions of the neuron-to-logit map, and whether the neurons carry cos w_k s and sin w_k s along them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.lab.fourier import fourier_basis
from refractor.lab.operations import sum_index
from refractor.lab.projection import check_frequencies


@dataclass(frozen=True)
class DirectionFit:
    """How well the neurons, read along the map's directions of one frequency, are a pure wave in the sum.

    Args:
        frequency: k.
        cosine: share of the variance of `N u_k` that cos w_k s explains, over all pairs.
        sine: share of the variance of `N v_k` that sin w_k s explains; None for k = p / 2, which has no sine.

    """

    frequency: int
    cosine: float
    sine: float | None


def direction_fits(
    activations: Tensor,
    neuron_logit_map: Tensor,
    frequencies: tuple[int, ...],
    p: int,
    operation: str = "addition",
) -> tuple[DirectionFit, ...]:
    """Return, for each key frequency, how much of the neurons' projections on u_k and v_k is a wave in the sum.

    `W_L = W_out W_U` is written over outputs as `sum_k u_k cos(w_k c) + v_k sin(w_k c)`, so `u_k ~ W_L cos(w_k c)`. If
    the network works through frequency k, then `N u_k` is proportional to cos w_k s and `N v_k` to sin w_k s (Nanda
    et al. 2023). Of each projection, centred over the p² pairs, the share along that one wave is reported.

    Args:
        activations: neurons N over (pair, neuron), pairs in a-major order.
        neuron_logit_map: W_L over (neuron, output).
        frequencies: the key frequencies.
        p: the modulus.
        operation: "addition" or "subtraction".

    Raises:
        ShapeError: the shapes do not fit each other or p.
        ArgumentError: a frequency is out of range, or the operation is no sum.

    """
    if activations.ndim != 2 or activations.shape[0] != p * p:
        raise ShapeError(f"activations must have shape [pairs={p * p}, neuron]; {list(activations.shape)} came.")
    if tuple(neuron_logit_map.shape) != (activations.shape[1], p):
        raise ShapeError(
            f"neuron_logit_map must have shape [neuron={activations.shape[1]}, c={p}]; "
            f"{list(neuron_logit_map.shape)} came."
        )
    basis, index = fourier_basis(p), sum_index(p, operation).flatten()
    chosen = check_frequencies(frequencies, p)
    rows = basis.rows[basis.rows_of(*chosen)] if chosen else basis.rows[:0]
    projections = activations.detach().cpu().double() @ (neuron_logit_map.detach().cpu().double() @ rows.T)
    projections = projections - projections.mean(0)
    shares = dict(
        zip([basis.names[row] for row in basis.rows_of(*chosen)], _shares(projections, rows[:, index], p), strict=True)
    )
    return tuple(DirectionFit(k, shares[f"cos {k}"], shares.get(f"sin {k}")) for k in chosen)


def _shares(projections: Float[Tensor, "pairs row"], waves: Float[Tensor, "row pairs"], p: int) -> list[float]:
    along = torch.einsum("nr,rn->r", projections, waves).square() / p  # a row has length 1 over s, sqrt(p) over pairs
    variance = projections.square().sum(0)
    return torch.where(variance > 0, along / variance, 0.0).tolist()
