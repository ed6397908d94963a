"""What a network computes for every pair, block by block, and the weights around it.

A whole table of logits over (x, y, z) has n³ numbers, 3 GB for S6 in float64; nothing here holds it unless it came so.
Blocks are runs of right answers w, each with its n pairs (x, y).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.lab.composition.networks import PairNetwork
from refractor.lab.composition.problem import Problem

BLOCK_BYTES = 2**25  # of logits at a time, 32 MB: the whole of S5, eight classes of S6


@dataclass(frozen=True, eq=False)
class Block:
    """The pairs of a run of classes.

    Args:
        classes: their right answers w.
        rows: the row `x n + y` of each pair.
        hidden: the hidden layer; None where only logits are known.
        read: what the output map makes of the hidden layer; the network's own logits where there is no hidden layer.
        logits: the network's own logits.

    """

    classes: Int[Tensor, " s"]
    rows: Int[Tensor, "s x"]
    hidden: Float[Tensor, "s x neuron"] | None
    read: Float[Tensor, "s x z"]
    logits: Float[Tensor, "s x z"]


@dataclass(frozen=True, eq=False)
class CompositionView:
    """A network, and the weights that the measures read, in float64 on the CPU.

    Args:
        problem: what it is asked.
        network: what answers.
        first_embedding: what the network reads of x, over (x, width); None where only logits are known.
        second_embedding: what it reads of y.
        output_map: hidden layer to logits; None where only logits are known.
        whole: whether the logits are `hidden @ output_map` (and a constant). False for a transformer, whose attention
            reaches the logits past the neurons as well.
        first_part: what x alone adds to each neuron before the nonlinearity; None where the two are not added.
        second_part: what y alone adds.
        weights: the parameters by name.

    """

    problem: Problem
    network: PairNetwork = field(repr=False)
    first_embedding: Float[Tensor, "x width"] | None = field(default=None, repr=False)
    second_embedding: Float[Tensor, "y width"] | None = field(default=None, repr=False)
    output_map: Float[Tensor, "neuron z"] | None = field(default=None, repr=False)
    whole: bool = True
    first_part: Float[Tensor, "x neuron"] | None = field(default=None, repr=False)
    second_part: Float[Tensor, "y neuron"] | None = field(default=None, repr=False)
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def width(self) -> int:
        """The number of neurons; 0 where only logits are known."""
        return 0 if self.output_map is None else len(self.output_map)

    def blocks(self) -> Iterator[Block]:
        """Go through all pairs, some classes at a time.

        Yields:
            Blocks that cover every class once.

        """
        n = self.problem.order
        size = max(1, min(n, BLOCK_BYTES // (8 * n * max(n, self.width))))
        for classes in torch.arange(n).split(size):
            yield self.block(classes)

    def block(self, classes: Int[Tensor, " s"]) -> Block:
        """Return the pairs of some classes."""
        n = self.problem.order
        first, second = torch.arange(n).repeat(len(classes)), self.problem.partners[classes].flatten()
        hidden, logits = self.network.rows(first, second)
        read = logits
        if hidden is not None and self.output_map is not None and not self.whole:
            read = hidden @ self.output_map
        shape = (len(classes), n)
        return Block(
            classes,
            (first * n + second).unflatten(0, shape),
            None if hidden is None else hidden.unflatten(0, shape),
            read.unflatten(0, shape),
            logits.unflatten(0, shape),
        )

    def hidden_table(self, neurons: slice) -> Float[Tensor, "x y neuron"]:
        """Return some neurons over all pairs (x, y)."""
        n = self.problem.order
        x = torch.arange(n)
        return self.network.hidden_rows(x.repeat_interleave(n), x.repeat(n), neurons).unflatten(0, (n, n))
