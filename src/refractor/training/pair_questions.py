"""Fixed questions of two elements, asked fast.

A network of pairs reads `A[x] ∘ B[y]`, two small tables. Since the questions never change:

- the tables are multiplied out first (`A = W_x W[:d]`: n rows instead of one per question) and gathered then, both at
  once where they are added, so nothing of width 2 d_embed is ever made;
- the gradient of a table is a sum of rows for each element. Questions are sorted by x, and for y the order is prepared,
  so it is a sum over segments that lie ready, instead of a scatter;
- loss and its gradient are one walk over the logits (`mean_loss`).

Losses and gradients are those of the plain pass up to rounding, and the order of every sum is fixed.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from refractor.models.pair_networks import PairNetwork
from refractor.training.mean_loss import MeanLoss
from refractor.training.questions import Questions


class PairQuestions(Questions):
    """Questions of two elements, sorted by the first.

    Args:
        model: the network; it is asked as its weights are at that moment.
        tokens: the questions.
        labels: the answers.

    """

    def __init__(self, model: PairNetwork, tokens: Int[Tensor, "rows pos"], labels: Int[Tensor, " rows"]) -> None:
        order = tokens[:, 0].argsort(stable=True)
        super().__init__(tokens[order], labels[order])
        self.model = model
        self._mean_loss = MeanLoss(self.labels)
        x, y = model.operands(self.tokens)
        n = model.cfg.n
        self._both = Gather(torch.stack([x, y + n], dim=1), 2 * n)
        self._each = Gather(x[:, None], n), Gather(y[:, None], n)

    def logits(self) -> Float[Tensor, "rows n"]:
        """Return the logits: by prepared gathers where these apply, by the network's own pass where it is hooked."""
        if len(self.labels) < self.model.cfg.n or any(point.hooked for point in self.model.hook_points()):
            return self.model(self.tokens)
        first, second = self.model.tables()
        if self.model.joins == "sum":
            joined = self._both(torch.cat([first, second]))
        else:
            joined = self._each[0](first) * self._each[1](second)
        return self.model.read_out(joined)

    def loss(self, logits: Float[Tensor, "rows n"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy, in float64."""
        return self._mean_loss(logits)


class Gather:
    """Sums of rows of a table, always the same ones: `out[i] = Σ_j table[index[i, j]]`.

    The gradient of row r of the table is the sum of the gradients of all `out[i]` that it went into.

    Args:
        index: which rows, the same number for each sum.
        size: how many rows the table has.

    >>> gather = Gather(torch.tensor([[0, 2], [0, 1]]), 3)
    >>> table = torch.tensor([[1.0], [10.0], [100.0]], requires_grad=True)
    >>> sums = gather(table)
    >>> sums.flatten().tolist(), torch.autograd.grad(sums.sum(), table)[0].flatten().tolist()
    ([101.0, 11.0], [2.0, 1.0, 1.0])

    """

    def __init__(self, index: Int[Tensor, "rows cols"], size: int) -> None:
        self.index = index.contiguous()
        places = index.flatten().argsort(stable=True)  # by row of the table, then in order of the sums
        self.users = places // index.shape[1]
        counts = torch.bincount(index.flatten(), minlength=size)
        self.starts = counts.cumsum(0) - counts

    def __call__(self, table: Float[Tensor, "left width"]) -> Float[Tensor, "rows width"]:
        """Return the sums, differentiable once in the table."""
        return _Gather.apply(table, self)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, gather: Gather) -> Tensor:
        ctx.gather = gather
        return functional.embedding_bag(gather.index, table, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor, None]:
        gather: Gather = ctx.gather
        return functional.embedding_bag(gather.users, grad.contiguous(), gather.starts, mode="sum"), None
