"""Means that nothing reads, taken off: of what is written to the stream, and of the unembedding."""

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.models.config import HookedTransformerConfig
from refractor.models.rewrites.anatomy import B_U, W_E, W_U, check_weights, writers
from refractor.models.rewrites.exactness import check_exact
from refractor.models.rewrites.in_place import center_rows, own_memory, parts, untie, wide, widened


@torch.no_grad()
def center_writing_weights(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> HookedTransformerConfig:
    """Take the mean over d_model off the weights whose result is added to the residual stream.

    `W_E`, `W_pos`, `W_O`, `b_O`, `W_out`, `b_out` each lose their mean over the last axis. A LayerNorm takes the mean
    off what it reads, `LN(x + c 1) = LN(x)`, so the logits stay, and the stream has mean 0.

    Two exceptions. Where norms write (`post_embedding_ln`, norms before and after), their bias is centred and the rest
    left as it is: the mean of `n w` depends on the token, so such a stream keeps a mean, which nothing reads. And the
    positions of a shortformer are left, which are not added to the stream but to what queries and keys read.

    A `W_U` that is tied to `W_E` gets memory of its own and keeps its mean.

    Args:
        state: the weights; changed in place.
        cfg: their architecture.

    Returns:
        `cfg`.

    Raises:
        ConfigError: something reads the mean: norms are no LayerNorms, or attention and MLP read the stream itself.
        CheckpointError: a weight is missing or has another shape; nothing is changed then.

    >>> from refractor.models import HookedTransformer, HookedTransformerConfig
    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0)
    >>> state = HookedTransformer(cfg).state_dict()
    >>> cfg = center_writing_weights(state, cfg)
    >>> bool(state["embed.W_E"].mean(-1).abs().max() < 1e-7)
    True

    """
    check_center_writing(state, cfg)
    names = writers(cfg)
    if W_E in names:
        untie(state)
    for name in names:
        center_rows(state[name])
    return cfg


def check_center_writing(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> None:
    """Raise unless `center_writing_weights` is exact and finds what it needs."""
    check_exact("center_writing_weights", cfg)
    check_weights(state, cfg, writers(cfg))


@torch.no_grad()
def center_unembed(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> HookedTransformerConfig:
    """Take the mean over the vocabulary off `W_U` and `b_U`: log-probabilities stay, the logits of a position sum to 0.

    `log_softmax(l + c 1) = log_softmax(l)`. A tied `W_U` gets memory of its own.

    Args:
        state: the weights; changed in place.
        cfg: their architecture.

    Returns:
        `cfg`.

    Raises:
        ConfigError: the logits are capped (`output_logits_soft_cap`), so a constant taken off before counts.
        CheckpointError: a weight is missing or has another shape; nothing is changed then.

    >>> from refractor.models import HookedTransformer, HookedTransformerConfig
    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0)
    >>> state = HookedTransformer(cfg).state_dict()
    >>> cfg = center_unembed(state, cfg)
    >>> bool(state["unembed.W_U"].mean(-1).abs().max() < 1e-7)
    True

    """
    check_center_unembed(state, cfg)
    target = own_memory(state)
    _center_columns(state[W_U], target)
    state[W_U] = target
    center_rows(state[B_U])
    return cfg


def check_center_unembed(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> None:
    """Raise unless `center_unembed` is exact and finds what it needs."""
    check_exact("center_unembed", cfg)
    check_weights(state, cfg, [W_U, B_U])


def _center_columns(weight: Float[Tensor, "rows cols"], target: Float[Tensor, "rows cols"]) -> None:
    """Write `weight` less each row's mean to `target`, some columns at a time: rows are too long to be held widened."""
    rows, cols = weight.shape
    mean = torch.zeros(rows, 1, dtype=wide(weight), device=weight.device)
    for some in parts(cols, rows):
        mean += widened(weight[:, some]).sum(-1, keepdim=True)
    mean /= cols
    for some in parts(cols, rows):
        target[:, some].copy_(widened(weight[:, some]).sub_(mean))
