"""Fixed questions, asked again at every step: whatever follows from them alone is prepared once."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.numerics import cross_entropy
from refractor.models.transformer import HookedTransformer
from refractor.training.last_position import last_logits


class Questions(ABC):
    """Questions and their right answers.

    Args:
        tokens: the questions.
        labels: the answers.

    """

    def __init__(self, tokens: Int[Tensor, "rows pos"], labels: Int[Tensor, " rows"]) -> None:
        self.tokens = tokens
        self.labels = labels

    @abstractmethod
    def logits(self) -> Float[Tensor, "rows d_vocab_out"]:
        """Return the network's logits, as they stand."""

    def loss(self, logits: Float[Tensor, "rows d_vocab_out"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy, in float64."""
        return cross_entropy(logits, self.labels).mean()

    def accuracy(self, logits: Float[Tensor, "rows d_vocab_out"]) -> float:
        """Return the share of right answers."""
        return (logits.argmax(-1) == self.labels).double().mean().item()

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Return loss and accuracy; NaN for no questions."""
        if len(self.labels) == 0:
            return float("nan"), float("nan")
        logits = self.logits()
        return self.loss(logits).item(), self.accuracy(logits)


class TransformerQuestions(Questions):
    """Questions whose answer is read at the last position."""

    def __init__(self, model: HookedTransformer, tokens: Int[Tensor, "rows pos"], labels: Int[Tensor, " rows"]) -> None:
        super().__init__(tokens, labels)
        self.model = model

    def logits(self) -> Float[Tensor, "rows d_vocab_out"]:
        """Return the logits at the last position."""
        return last_logits(self.model, self.tokens)
