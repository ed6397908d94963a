"""Class means: the first pass over a network. Shares, similarities and restricted losses need nothing else."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.lab.composition.view import Block, CompositionView


@dataclass(frozen=True, eq=False)
class HiddenMeans:
    """The hidden layer averaged over the pairs that share x, y, or the answer w.

    Args:
        over_first: its mean for each x.
        over_second: its mean for each y.
        over_answer: its mean for each w.
        mean: its mean over all pairs.
        energy: the sum of squares of what is left without that mean, `‖H_c‖²`.

    """

    over_first: Float[Tensor, "x neuron"] = field(repr=False)
    over_second: Float[Tensor, "y neuron"] = field(repr=False)
    over_answer: Float[Tensor, "s neuron"] = field(repr=False)
    mean: Float[Tensor, " neuron"] = field(repr=False)
    energy: float


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """What the first pass keeps.

    Args:
        logits: the mean of the logits for each answer, `logits[w, z]`.
        read: the same of what the output map makes of the hidden layer.
        energy: `‖L_c‖²`, the sum of squares of all logits, each row without its mean over z.
        largest: a bound of the largest absolute logit.
        right: the logit of the right answer of every pair.
        hidden: the hidden layer's means; None where only logits are known.

    """

    logits: Float[Tensor, "s z"] = field(repr=False)
    read: Float[Tensor, "s z"] = field(repr=False)
    energy: float
    largest: float
    right: Float[Tensor, "x y"] = field(repr=False)
    hidden: HiddenMeans | None


def class_means(view: CompositionView) -> ClassMeans:
    """Run a network on all pairs once, and average.

    Where the logits are the hidden layer times the output map, they are not computed: their means are those of the
    hidden layer times the map, and `‖L_c‖² = tr(Hᵀ H U_c U_cᵀ)`, U_c the map with every row centred over z.

    Raises:
        ArgumentError: a logit is not finite.

    """
    n, output = view.problem.order, view.output_map
    if output is None:
        return _means_of_logits(view)
    sums, right = _HiddenSums(n, len(output)), torch.empty(n * n, dtype=torch.float64)
    if not view.whole:
        return _means_of_both(view, sums)
    bias = torch.zeros(n, dtype=torch.float64) if view.output_bias is None else view.output_bias
    for classes, rows, hidden in view.hidden_blocks():
        sums.add(classes, rows % n, hidden)
        right[rows] = (hidden @ output.T[classes, :, None])[..., 0] + bias[classes, None]
    hidden = sums.means()
    logits = view.read(sums.answer)
    centred = output - output.mean(1, keepdim=True)
    energy = float((sums.gram * (centred @ centred.T)).sum())
    largest = sums.longest * float(torch.linalg.vector_norm(output, dim=0).max())
    bias = bias - bias.mean()
    energy += n * n * float(2 * hidden.mean @ centred @ bias + bias.square().sum())
    largest += float(bias.abs().max())
    _check_finite(energy)
    return ClassMeans(logits, logits, max(energy, 0.0), largest, right.unflatten(0, (n, n)), hidden)


def _means_of_logits(view: CompositionView) -> ClassMeans:
    n = view.problem.order
    logits, right = torch.empty(n, n, dtype=torch.float64), torch.empty(n * n, dtype=torch.float64)
    energy = largest = 0.0
    for block in view.blocks():
        logits[block.classes] = block.logits.mean(1)
        right[block.rows] = _right(block)
        energy, largest = _add_energy(block.logits, energy, largest)
    return ClassMeans(logits, logits, energy, largest, right.unflatten(0, (n, n)), None)


def _means_of_both(view: CompositionView, sums: "_HiddenSums") -> ClassMeans:
    n = view.problem.order
    logits, read = torch.empty(n, n, dtype=torch.float64), torch.empty(n, n, dtype=torch.float64)
    right = torch.empty(n * n, dtype=torch.float64)
    energy = largest = 0.0
    for block in view.blocks():
        logits[block.classes], read[block.classes] = block.logits.mean(1), block.read.mean(1)
        right[block.rows] = _right(block)
        energy, largest = _add_energy(block.logits, energy, largest)
        largest = max(largest, *(abs(float(end)) for end in block.read.aminmax()))
        if block.hidden is not None:
            sums.add(block.classes, block.rows % n, block.hidden)
    return ClassMeans(logits, read, energy, largest, right.unflatten(0, (n, n)), sums.means())


def _right(block: Block) -> Float[Tensor, "s x"]:
    return block.logits[torch.arange(len(block.classes)), :, block.classes]


def _add_energy(logits: Float[Tensor, "s x z"], energy: float, largest: float) -> tuple[float, float]:
    energy += float(torch.linalg.vector_norm(logits - logits.mean(-1, keepdim=True)).square())
    _check_finite(energy)
    return energy, max(largest, *(abs(float(end)) for end in logits.aminmax()))


def _check_finite(energy: float) -> None:
    if not math.isfinite(energy):
        raise ArgumentError("the network's logits must be finite; some are NaN or infinite.")


class _HiddenSums:
    """The hidden layer, added up over pairs that share x, y or the answer."""

    def __init__(self, n: int, width: int) -> None:
        self.first, self.second, self.answer = (torch.zeros(n, width, dtype=torch.float64) for _ in range(3))
        self.gram = torch.zeros(width, width, dtype=torch.float64)
        self.longest = 0.0

    def add(self, classes: Int[Tensor, " s"], second: Int[Tensor, "s x"], hidden: Float[Tensor, "s x neuron"]) -> None:
        self.first += hidden.sum(0)
        self.answer[classes] = hidden.mean(1)
        flat = hidden.flatten(0, 1)
        self.second.index_add_(0, second.flatten(), flat)
        self.gram.addmm_(flat.T, flat)
        self.longest = max(self.longest, float(torch.linalg.vector_norm(flat, dim=1).max()))

    def means(self) -> HiddenMeans:
        n = len(self.first)
        mean = self.answer.mean(0)
        energy = float(self.gram.trace()) - n * n * float(mean.square().sum())
        return HiddenMeans(self.first / n, self.second / n, self.answer, mean, max(energy, 0.0))
