"""Coset circuits: on which subgroup's cosets each neuron is constant.

A neuron's function of x that is constant on the right cosets H x of a subgroup, and its function of y constant on the
left cosets y K of a conjugate K of H, is what the coset hypothesis of Stander, Yu, Fan and Biderman (2024, "Grokking
Group Multiplication with Cosets") looks for. The weighted form of the measure is that of Wu, Jaburi, Drori and Gross
(2025).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_float
from refractor.base.errors import ShapeError
from refractor.groups import Subgroup
from refractor.lab.composition.neurons import FLAT

CUT = 0.01
"""Share of a function's variance that may be left within cosets."""

BATCH_BYTES = 2**23  # of coset indicators at a time


def coset_concentration(functions: Float[Tensor, "n neuron"], cosets: Int[Tensor, " n"]) -> Float[Tensor, " neuron"]:
    """Return `Σ_c (|c| / n) var(f | c) / var(f)` over cosets c: 0 where f is constant on each of them.

    Args:
        functions: f, over (element, neuron).
        cosets: the number of the coset of each element.

    Returns:
        The concentration of each function; 1 where it is constant everywhere.

    Raises:
        ShapeError: functions and cosets have different lengths.

    >>> coset_concentration(torch.tensor([[1.0, 0.0], [1.0, 1.0], [3.0, 0.0], [3.0, 1.0]]), torch.tensor([0, 0, 1, 1]))
    tensor([0., 1.], dtype=torch.float64)

    """
    if len(functions) != len(cosets):
        raise ShapeError(f"functions are of {len(functions)} elements, cosets of {len(cosets)}.")
    centred = functions.double() - functions.double().mean(0)
    total = centred.square().sum(0)
    count = int(cosets.max()) + 1
    sums = torch.zeros(count, centred.shape[1], dtype=torch.float64).index_add_(0, cosets, centred)
    between = (sums.square() / torch.bincount(cosets, minlength=count)[:, None]).sum(0)
    return torch.where(total > 0, (1 - between / total).clamp(0, 1), 1.0)


@dataclass(frozen=True, eq=False)
class NeuronCosets:
    """The largest subgroup on whose cosets each neuron is constant, up to the cut.

    Args:
        subgroups: the subgroups compared, but the trivial one and the group itself.
        first: for each neuron, the place of the subgroup H on whose right cosets H x its function of x is constant; -1
            for none.
        second: the same for its function of y and left cosets y K.
        concentration: what is left within the cosets of the first, for each neuron; 1 for none.
        conjugate: whether H and K are conjugate, for each neuron.
        cut: the cut.

    """

    subgroups: tuple[Subgroup, ...] = field(repr=False)
    first: Int[Tensor, " neuron"]
    second: Int[Tensor, " neuron"]
    concentration: Float[Tensor, " neuron"] = field(repr=False)
    conjugate: tuple[bool, ...] = field(repr=False)
    cut: float

    @property
    def orders(self) -> dict[int, int]:
        """How many neurons have a subgroup H of each order, largest order first."""
        counts: dict[int, int] = {}
        for place in self.first.tolist():
            if place >= 0:
                order = self.subgroups[place].order
                counts[order] = counts.get(order, 0) + 1
        return dict(sorted(counts.items(), reverse=True))


def neuron_cosets(
    first: Float[Tensor, "n neuron"],
    second: Float[Tensor, "n neuron"],
    classes: Sequence[Sequence[Subgroup]],
    cut: float = CUT,
) -> NeuronCosets:
    """Find, for each neuron, the largest subgroup whose cosets explain it.

    Args:
        first: each neuron's function of x: what x adds before the nonlinearity.
        second: its function of y.
        classes: subgroups, conjugate ones together, largest first.
        cut: how much of the variance may be left within cosets.

    Raises:
        ArgumentError: the cut is negative or no number.

    """
    check_float("cut", cut, least=0)
    candidates = [one for each in classes for one in each]
    class_of = torch.tensor([number for number, each in enumerate(classes) for _ in each])
    sides = [
        _largest(functions.double(), candidates, cut, right) for functions, right in ((first, True), (second, False))
    ]
    (h, left), (k, _) = sides
    conjugate = tuple((class_of[h] == class_of[k]).logical_and(h >= 0).logical_and(k >= 0).tolist())
    return NeuronCosets(tuple(candidates), h, k, left, conjugate, cut)


def _largest(
    functions: Float[Tensor, "n neuron"], candidates: Sequence[Subgroup], cut: float, right: bool
) -> tuple[Int[Tensor, " neuron"], Float[Tensor, " neuron"]]:
    """Return, for each neuron, the first subgroup that explains it, and what is left then."""
    width = functions.shape[1]
    place, left = torch.full((width,), -1), torch.ones(width, dtype=torch.float64)
    centred = functions - functions.mean(0)
    variance = centred.square().sum(0)
    waiting = variance > FLAT * variance.max()
    for numbers in _batches(candidates, len(functions)):
        chosen = waiting.nonzero().flatten()
        if len(chosen) == 0:
            break
        within = 1 - _between(centred[:, chosen], [candidates[i] for i in numbers], right) / variance[chosen]
        explains = within < cut
        first = explains.int().argmax(0)  # the first of equal order that explains a neuron
        found = explains.any(0)
        place[chosen[found]] = torch.tensor(numbers)[first[found]]
        left[chosen[found]] = within.gather(0, first[None])[0, found].clamp(0, 1)
        waiting[chosen[found]] = False
    return place, left


def _batches(candidates: Sequence[Subgroup], n: int) -> Iterator[list[int]]:
    """Group neighbours of equal order, as many as fit into `BATCH_BYTES`.

    Yields:
        The places of the subgroups of a batch.

    """
    batch: list[int] = []
    for number, one in enumerate(candidates):
        most = max(1, BATCH_BYTES // (8 * n * one.index))
        if batch and (candidates[batch[0]].order != one.order or len(batch) >= most):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _between(
    centred: Float[Tensor, "n neuron"], batch: list[Subgroup], right: bool
) -> Float[Tensor, "subgroup neuron"]:
    """Return the sum of squares that the coset means of subgroups of one order explain: `Σ_c |c| mean(f | c)²`."""
    table, n = batch[0].group.table, len(centred)
    members = torch.tensor([one.members for one in batch])
    images = table[members] if right else table[:, members].permute(1, 2, 0)  # [subgroup, member, x]: m x, or x m
    least = images.amin(1)  # the least element of the coset of each x names it
    leads = least == torch.arange(n)  # [subgroup, coset leader]
    inside = least[:, None, :] == leads.nonzero()[:, 1].unflatten(0, (len(batch), -1))[..., None]
    sums = inside.double() @ centred  # [subgroup, coset, neuron]
    return sums.square().sum(1) / members.shape[1]
