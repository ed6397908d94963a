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

from refractor.base.errors import ArgumentError
from refractor.lab.composition.networks import PairNetwork
from refractor.lab.composition.problem import Problem

BLOCK_BYTES = 2**22  # of logits at a time, 4 MB: a third of S5, one class of S6; larger blocks leave the caches


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
        output_bias: what is added to the logits besides; None for nothing.
        whole: whether the logits are those that the output map makes of the hidden layer. False for a transformer,
            whose attention reaches the logits past the neurons as well.
        first_part: what x alone adds to each neuron before the nonlinearity; None where the two are not added.
        second_part: what y alone adds.
        weights: the parameters by name.

    """

    problem: Problem
    network: PairNetwork = field(repr=False)
    first_embedding: Float[Tensor, "x width"] | None = field(default=None, repr=False)
    second_embedding: Float[Tensor, "y width"] | None = field(default=None, repr=False)
    output_map: Float[Tensor, "neuron z"] | None = field(default=None, repr=False)
    output_bias: Float[Tensor, " z"] | None = field(default=None, repr=False)
    whole: bool = True
    first_part: Float[Tensor, "x neuron"] | None = field(default=None, repr=False)
    second_part: Float[Tensor, "y neuron"] | None = field(default=None, repr=False)
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def width(self) -> int:
        """The number of neurons; 0 where only logits are known."""
        return 0 if self.output_map is None else len(self.output_map)

    def read(self, hidden: Float[Tensor, "rows neuron"]) -> Float[Tensor, "rows z"]:
        """Return what the output map makes of a hidden layer."""
        if self.output_map is None:
            return hidden.new_zeros(len(hidden), self.problem.order)
        logits = hidden @ self.output_map
        return logits if self.output_bias is None else logits + self.output_bias

    def blocks(self) -> Iterator[Block]:
        """Go through all pairs, some classes at a time.

        Yields:
            Blocks that cover every class once.

        """
        n = self.problem.order
        for classes in self._runs(max(n, self.width)):
            first, second = self._pairs(classes)
            hidden, logits = self.network.rows(first, second)
            read = logits if hidden is None else self.read(hidden)
            logits = read if logits is None else logits
            if read is None or logits is None:
                raise ArgumentError("a network of pairs must give its hidden layer or its logits; it gave neither.")
            shape = (len(classes), n)
            yield Block(
                classes,
                (first * n + second).unflatten(0, shape),
                None if hidden is None else hidden.unflatten(0, shape),
                read.unflatten(0, shape),
                logits.unflatten(0, shape),
            )

    def hidden_blocks(self) -> Iterator[tuple[Int[Tensor, " s"], Int[Tensor, "s x"], Float[Tensor, "s x neuron"]]]:
        """Go through the hidden layer of all pairs, and leave the logits alone.

        Yields:
            Classes, rows of their pairs, hidden layer.

        """
        n = self.problem.order
        for classes in self._runs(max(1, self.width)):
            first, second = self._pairs(classes)
            hidden = self.network.hidden_rows(first, second, slice(None))
            yield classes, (first * n + second).unflatten(0, (len(classes), n)), hidden.unflatten(0, (len(classes), n))

    def _runs(self, width: int) -> tuple[Int[Tensor, " s"], ...]:
        n = self.problem.order
        return torch.arange(n).split(max(1, min(n, BLOCK_BYTES // (8 * n * width))))

    def _pairs(self, classes: Int[Tensor, " s"]) -> tuple[Int[Tensor, " rows"], Int[Tensor, " rows"]]:
        return torch.arange(self.problem.order).repeat(len(classes)), self.problem.partners[classes].flatten()

    def hidden_table(self, neurons: slice) -> Float[Tensor, "x y neuron"]:
        """Return some neurons over all pairs (x, y)."""
        n = self.problem.order
        x = torch.arange(n)
        return self.network.hidden_rows(x.repeat_interleave(n), x.repeat(n), neurons).unflatten(0, (n, n))
