"""What the notebook of 2022 conjectures, held against logits: `L[x, y, z] ∝ tr(ρ(x) ρ(y) ρ(z⁻¹))`, up to a constant."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.checks import check_known
from refractor.groups import Representation
from refractor.lab.sums import Logits, checked_rows

Cube = Float[Tensor, "x y z"]


def _over_outputs(cube: Tensor) -> Tensor:
    return cube - cube.mean(-1, keepdim=True)


def _as_in_the_notebook(cube: Tensor) -> Tensor:
    return cube - cube.mean(-1)  # [x, y, z] less the mean of (y, z): the mean was meant to keep its axis


CENTRINGS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"outputs": _over_outputs, "notebook": _as_in_the_notebook}
)
"""How the additive constant of logits is removed: the mean over outputs of each pair; or what the notebook did."""


@dataclass(frozen=True)
class TraceComparison:
    """Logits beside traces.

    Args:
        centring: how both were centred.
        cosine: cosine over outputs, averaged over pairs.
        softmax_cosine: the same between the softmaxes of both.
        explained: the share of the logits along the traces, over pairs, averaged over outputs.

    """

    centring: str
    cosine: float
    softmax_cosine: float
    explained: float


def trace_cube(representation: Representation) -> Cube:
    """Return `tr(ρ(x) ρ(y) ρ(z⁻¹)) = χ(x y z⁻¹)` for all x, y, z.

    Raises:
        BudgetError: n³ numbers do not fit into memory.

    """
    group = representation.group
    check_fits(16 * group.order**3, f"the cube of traces of {group.name}", "Compare characters instead: analyse().")
    return representation.character[group.table[group.table][:, :, group.inverses]]


def compare_traces(logits: Logits, representation: Representation, centring: str = "outputs") -> TraceComparison:
    """Compare logits with the traces of a representation.

    Args:
        logits: over (x, y, z), [n, n, n] or [n * n, n].
        representation: e.g. the natural one, as in the notebook.
        centring: "outputs" takes the mean over z off each pair; "notebook" subtracts a mean with the wrong axis, as the
            published figures do.

    Raises:
        UnknownNameError: there is no such centring.
        ShapeError: the logits have the wrong axes, sizes or dtype.
        BudgetError: n³ numbers do not fit into memory.

    """
    check_known("centring", centring, CENTRINGS)
    n = representation.group.order
    cubes = (checked_rows(logits, n, ("x", "y", "z")).unflatten(0, (n, n)), trace_cube(representation))
    own, traces = (CENTRINGS[centring](cube).flatten(0, 1) for cube in cubes)
    cosines = torch.nn.functional.cosine_similarity(own, traces, dim=-1)
    softmaxes = torch.nn.functional.cosine_similarity(own.softmax(-1), traces.softmax(-1), dim=-1)
    lengths = torch.linalg.vector_norm(traces, dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    along = traces / lengths * (torch.linalg.vector_norm(own, dim=-1) * cosines)[:, None]
    share = along.square().sum(0) / own.square().sum(0).clamp_min(torch.finfo(torch.float64).tiny)
    return TraceComparison(centring, float(cosines.mean()), float(softmaxes.mean()), float(share.mean()))
