"""Class means: the first pass over a network. Shares, similarities and restricted losses need nothing else."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.lab.composition.view import CompositionView


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
        largest: the largest absolute logit.
        hidden: the hidden layer's means; None where only logits are known.

    """

    logits: Float[Tensor, "s z"] = field(repr=False)
    read: Float[Tensor, "s z"] = field(repr=False)
    energy: float
    largest: float
    hidden: HiddenMeans | None


def class_means(view: CompositionView) -> ClassMeans:
    """Run a network on all pairs once, and average.

    Raises:
        ArgumentError: a logit is not finite.

    """
    n, width = view.problem.order, view.width
    logits, read = torch.empty(n, n, dtype=torch.float64), torch.empty(n, n, dtype=torch.float64)
    first, second, answer = (torch.zeros(n, width, dtype=torch.float64) for _ in range(3))
    energy = squares = largest = 0.0
    for block in view.blocks():
        own = block.logits
        logits[block.classes], read[block.classes] = own.mean(1), block.read.mean(1)
        energy += float(torch.linalg.vector_norm(own - own.mean(-1, keepdim=True)).square())
        largest = max(largest, *(abs(float(end)) for end in own.aminmax()))
        if not math.isfinite(energy):
            raise ArgumentError("the network's logits must be finite; some are NaN or infinite.")
        if block.hidden is not None:
            first += block.hidden.sum(0)
            answer[block.classes] = block.hidden.mean(1)
            second.index_add_(0, (block.rows % n).flatten(), block.hidden.flatten(0, 1))
            squares += float(torch.linalg.vector_norm(block.hidden).square())
    hidden = None
    if width:
        mean = answer.mean(0)
        hidden = HiddenMeans(first / n, second / n, answer, mean, squares - n * n * float(mean.square().sum()))
    return ClassMeans(logits, read, energy, largest, hidden)
