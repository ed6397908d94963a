"""A certified bound of a network's accuracy from its idealised network, beside the accuracy itself.

With ideal logits f, that lead by the same margin m for every pair, and the trained logits g:

    |g_z - f_z| <= e_xy,   e_xy = max_z ‖U_z‖ ‖σ - σ̃‖ + max_z ‖U_z - Ũ_z‖ ‖σ̃‖,

σ and σ̃ the hidden layers of the pair, U_z the column of the output map (centred over z, which changes no
answer). Two logits can move towards each other, so the answer is certain where `2 e_xy < m`; or where `e_xy < m` with
differences of columns in place of columns. The published test, `e_xy < m` with columns, is not sound (Wu, Jaburi,
Drori and Gross 2025, whose bound this is but for that).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.lab.composition.rho_sets import RhoNetwork, checked_parts, rho_network
from refractor.lab.composition.view import CompositionView
from refractor.lab.row_scores import kept_part

SLACK = 1e-9  # of the largest terms: far more than rounding adds to sums of some hundred products


@dataclass(frozen=True, eq=False)
class Certificate:
    """How many answers the idealised network proves right, beside how many are.

    Args:
        network: the idealised network.
        margin: m, by which its right answers lead; negative where they do not.
        certified: share of pairs that the bound proves right, by differences of columns.
        certified_by_columns: the same by `2 e_xy < m`.
        accuracy: share of pairs that are right, by computing all logits.
        errors: e_xy by differences of columns, over (x, y).
        ideal_accuracy: share of pairs that the idealised network has right, by computing its logits.

    """

    network: RhoNetwork
    margin: float
    certified: float
    certified_by_columns: float
    accuracy: float
    errors: Float[Tensor, "x y"] = field(repr=False)
    ideal_accuracy: float

    @property
    def is_vacuous(self) -> bool:
        """Whether the bound proves nothing."""
        return self.certified == 0

    @property
    def statement(self) -> str:
        """What the bound says, in one sentence."""
        beside = f"by computing every answer the accuracy is {self.accuracy:.4g}"
        if self.is_vacuous:
            return f"The bound from ρ-sets is vacuous: it proves no answer right; {beside}."
        return f"The bound from ρ-sets proves {self.certified:.4g} of the answers right; {beside}."


@torch.no_grad()
def certify(view: CompositionView) -> Certificate:
    """Read the idealised network off the weights, and bound how far the trained one is from it.

    Args:
        view: a one-layer ReLU network of pairs that was asked for products.

    Raises:
        ArgumentError: it is another network, or was asked for another operation.

    """
    first, second, output = checked_parts(view)
    ideal = rho_network(view)
    n, width = view.problem.order, output.shape[0]
    bias = view.output_bias
    output = output - output.mean(1, keepdim=True)
    shift = 0.0 if bias is None else float((bias - bias.mean()).abs().max())
    missing = ideal.first.shape[1] - width
    output = torch.cat([output, output.new_zeros(missing, n)])  # neurons that the trained network lacks read out as 0
    margin, size = _margin(ideal, view.problem.group.identity)
    away = output - ideal.output_map
    columns = (float(_longest(output)), float(_longest(away)))
    differences = (_longest_difference(output), _longest_difference(away))
    errors, bounds = torch.empty(n, n, dtype=torch.float64), torch.empty(n, n, dtype=torch.float64)
    right = ideal_right = 0.0
    for x in range(n):
        sigma = torch.cat([(first[x] + second).relu(), output.new_zeros(n, missing)], 1)
        sigma_ideal = (ideal.first[x] + ideal.second).relu()
        off, length = (torch.linalg.vector_norm(part, dim=1) for part in (sigma - sigma_ideal, sigma_ideal))
        answers = view.problem.answers[x]
        errors[x] = differences[0][answers] * off + differences[1][answers] * length + 2 * shift
        bounds[x] = columns[0] * off + columns[1] * length + shift
        logits = sigma @ output if bias is None else sigma @ output + bias
        right += _right(logits, answers)
        ideal_right += _right(sigma_ideal @ ideal.output_map, answers)
    slack = SLACK * (size + float(errors.max()))
    return Certificate(
        ideal,
        margin,
        float((errors + slack < margin).double().mean()),
        float((2 * bounds + slack < margin).double().mean()),
        right / n**2,
        errors,
        ideal_right / n**2,
    )


def _right(logits: Float[Tensor, "y z"], answers: Int[Tensor, " y"]) -> float:
    """Return how many rows have the right answer highest; 1/m for one of m that share the highest logit."""
    return float(kept_part(logits[None], answers, float(logits.abs().max()))[1].sum())


def _margin(ideal: RhoNetwork, identity: int) -> tuple[float, float]:
    """Return by how much the ideal logits of (e, e) have e ahead, and the size of the terms they are added up from."""
    hidden = (ideal.first[identity] + ideal.second[identity]).relu()
    logits = hidden @ ideal.output_map
    others = torch.cat([logits[:identity], logits[identity + 1 :]])
    size = float((hidden[:, None] * ideal.output_map).abs().sum(0).max()) if len(hidden) else 0.0
    return (float(logits[identity] - others.max()) if len(others) else 0.0), size


def _longest(columns: Float[Tensor, "neuron z"]) -> Tensor:
    return torch.linalg.vector_norm(columns, dim=0).max()


def _longest_difference(columns: Float[Tensor, "neuron z"]) -> Float[Tensor, " z"]:
    """Return, for each column, its distance from the column furthest away."""
    return torch.cdist(columns.T, columns.T, compute_mode="donot_use_mm_for_euclid_dist").amax(1)
