"""The loss of a language model, and the pair of logits and loss that a pass can return."""

from typing import NamedTuple

from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn


class Output(NamedTuple):
    """What `return_type="both"` gives."""

    logits: Tensor
    loss: Tensor


def lm_cross_entropy_loss(
    logits: Float[Tensor, "batch pos d_vocab_out"],
    tokens: Int[Tensor, "batch pos"],
    attention_mask: Shaped[Tensor, "batch pos"] | None = None,
    per_token: bool = False,
) -> Float[Tensor, ""] | Float[Tensor, "batch pos_less_one"]:
    """Cross-entropy in nats of each next token: `-log softmax(logits[b, i])[tokens[b, i + 1]]`.

    Args:
        logits: of every position.
        tokens: that were read.
        attention_mask: 1 where a token is real; a loss counts when the token and the next one are.
        per_token: return every loss instead of their mean.

    Returns:
        The mean, or with `per_token` the losses [batch, pos - 1], 0 where they do not count.

    """
    losses = nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten().long(), reduction="none"
    ).view(tokens.shape[0], -1)
    if attention_mask is None:
        return losses if per_token else losses.mean()
    real = attention_mask.to(losses.device).bool()
    counts = real[:, :-1] & real[:, 1:]
    losses = losses.masked_fill(~counts, 0)
    return losses if per_token else losses.sum() / counts.sum()
