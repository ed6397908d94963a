"""The loss of a language model, and the pair of logits and loss that a pass can return."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn


class Output(NamedTuple):
    """What `return_type="both"` gives."""

    logits: Tensor
    loss: Tensor


def lm_cross_entropy_loss(
    logits: Float[Tensor, "batch pos d_vocab_out"], tokens: Int[Tensor, "batch pos"], per_token: bool = False
) -> Float[Tensor, ""] | Float[Tensor, "batch pos_less_one"]:
    """Cross-entropy in nats of each next token: `-log softmax(logits[b, i])[tokens[b, i + 1]]`.

    Returns:
        The mean, or with `per_token` the losses [batch, pos - 1].

    """
    losses = nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten().long(), reduction="none"
    ).view(tokens.shape[0], -1)
    return losses if per_token else losses.mean()
