"""What answers pairs: rows of hidden layer and logits, in float64 on the CPU, from weights or from stored arrays."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.models.transformer import HookedTransformer

ROWS = 512  # pairs in one pass of a transformer: what stays in the caches

Rows = Int[Tensor, " rows"]
Activations = tuple[Float[Tensor, "rows neuron"] | None, Float[Tensor, "rows z"] | None]
Combine = Callable[[Tensor, Tensor], Tensor]

COMBINE: dict[str, Combine] = {
    "relu": lambda a, b: a.add_(b).relu_(),
    "square": lambda a, b: a.add_(b).square_(),
    "product": lambda a, b: a.mul_(b),
}
"""How what x gives and what y gives become a hidden layer, in the place of the first."""


class PairNetwork(ABC):
    """A function of pairs (x, y), read row by row."""

    @abstractmethod
    def rows(self, first: Rows, second: Rows) -> Activations:
        """Return hidden layer and logits of some pairs; None for what is not there, or follows from the other."""

    @abstractmethod
    def hidden_rows(self, first: Rows, second: Rows, neurons: slice) -> Float[Tensor, "rows neuron"]:
        """Return some neurons of the hidden layer of some pairs."""


@dataclass(frozen=True, eq=False)
class StoredNetwork(PairNetwork):
    """Arrays over all n² pairs, x-major.

    Args:
        n: the number of elements.
        stored_hidden: the hidden layer; None where there is none.
        stored_logits: the logits.

    """

    n: int
    stored_hidden: Float[Tensor, "pairs neuron"] | None = field(repr=False)
    stored_logits: Float[Tensor, "pairs z"] = field(repr=False)

    def rows(self, first: Rows, second: Rows) -> Activations:
        """Gather some pairs."""
        index = first * self.n + second
        hidden = None if self.stored_hidden is None else self.stored_hidden[index]
        return hidden, self.stored_logits[index]

    def hidden_rows(self, first: Rows, second: Rows, neurons: slice) -> Float[Tensor, "rows neuron"]:
        """Gather some neurons."""
        if self.stored_hidden is None:
            return torch.zeros(len(first), 0, dtype=torch.float64)
        return self.stored_hidden[:, neurons][first * self.n + second]


@dataclass(frozen=True, eq=False)
class SecondLayer:
    """A hidden layer behind the first: `ReLU(hidden W + b)`."""

    weight: Float[Tensor, "neuron width"] = field(repr=False)
    bias: Float[Tensor, " width"] | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class FoldedNetwork(PairNetwork):
    """A hidden layer that combines what x gives and what y gives, `combine(A[x], B[y])`; logits follow from it.

    Args:
        first_part: A, over (x, neuron), biases included.
        second_part: B, over (y, neuron).
        combine: a key of `COMBINE`.
        second_layer: what stands behind the first hidden layer; then it is the hidden layer that is looked at.

    """

    first_part: Float[Tensor, "x neuron"] = field(repr=False)
    second_part: Float[Tensor, "y neuron"] = field(repr=False)
    combine: str
    second_layer: SecondLayer | None = field(default=None, repr=False)

    def rows(self, first: Rows, second: Rows) -> Activations:
        """Compute some pairs."""
        return self.hidden_rows(first, second, slice(None)), None

    def hidden_rows(self, first: Rows, second: Rows, neurons: slice) -> Float[Tensor, "rows neuron"]:
        """Compute some neurons."""
        if self.second_layer is None:
            return self._joined(first, second, neurons)
        below = self._joined(first, second, slice(None))
        before = below @ self.second_layer.weight[:, neurons]
        bias = self.second_layer.bias
        return (before if bias is None else before + bias[neurons]).relu_()

    def _joined(self, first: Rows, second: Rows, neurons: slice) -> Float[Tensor, "rows neuron"]:
        parts = (
            self.first_part[:, neurons].index_select(0, first),
            self.second_part[:, neurons].index_select(0, second),
        )
        return COMBINE[self.combine](*parts)


@dataclass(frozen=True, eq=False)
class LiveTransformer(PairNetwork):
    """A transformer that is too large for its activations to be kept: it runs each time.

    Args:
        model: the network in float64; it answers at the last of the tokens (x, y, =).
        n: the number of elements, which is the token "=".

    """

    model: HookedTransformer = field(repr=False)
    n: int

    def rows(self, first: Rows, second: Rows) -> Activations:
        """Run some pairs."""
        return self.run(first, second)

    @torch.no_grad()
    def run(self, first: Rows, second: Rows) -> tuple[Float[Tensor, "rows neuron"] | None, Float[Tensor, "rows z"]]:
        """Return hidden layer and logits of some pairs."""
        name = f"blocks.{self.model.cfg.n_layers - 1}.mlp.hook_post"
        has_mlp = not self.model.cfg.attn_only
        hidden, logits = [], []
        tokens = torch.stack([first, second, torch.full_like(first, self.n)], dim=1)
        for part in tokens.split(ROWS):
            if not has_mlp:
                logits.append(self.model(part)[:, -1].clone())
                continue
            output, cache = self.model.run_with_cache(part, names_filter=[name])
            logits.append(output[:, -1].clone())
            hidden.append(cache[name][:, -1].clone())
        return torch.cat(hidden) if has_mlp else None, torch.cat(logits)

    def hidden_rows(self, first: Rows, second: Rows, neurons: slice) -> Float[Tensor, "rows neuron"]:
        """Run some pairs, for some neurons."""
        hidden, _ = self.rows(first, second)
        return torch.zeros(len(first), 0, dtype=torch.float64) if hidden is None else hidden[:, neurons]
