"""Biases of values folded into the bias of the output."""

import torch
from torch import Tensor

from refractor.models.config import HookedTransformerConfig
from refractor.models.rewrites.anatomy import attention_names, check_weights
from refractor.models.rewrites.in_place import widened


@torch.no_grad()
def fold_value_biases(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> HookedTransformerConfig:
    """Move the biases of values to the output: `b_O += Σ_head b_V[head] W_O[head]`, `b_V = 0`.

    The rows of an attention pattern sum to 1, so every position reads the whole bias: `pattern (x W_V + b_V) = pattern
    x W_V + b_V`. That holds for every architecture; heads that share values share the bias.

    Args:
        state: the weights; changed in place.
        cfg: their architecture.

    Returns:
        `cfg`.

    Raises:
        CheckpointError: a weight is missing or has another shape; nothing is changed then.

    >>> from refractor.models import HookedTransformer, HookedTransformerConfig
    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, attn_only=True, seed=0)
    >>> state = HookedTransformer(cfg).state_dict()
    >>> _ = state["blocks.0.attn.b_V"].fill_(1.0)
    >>> cfg = fold_value_biases(state, cfg)
    >>> torch.equal(state["blocks.0.attn.b_O"], state["blocks.0.attn.W_O"].double().sum((0, 1)).float())
    True

    """
    check_fold_value_biases(state, cfg)
    group = cfg.n_heads // cfg.n_kv_heads
    for layer in range(cfg.n_layers):
        names = attention_names(cfg, layer)
        b_V, W_O, b_O = state[names["b_V"]], state[names["W_O"]], state[names["b_O"]]
        if not bool(b_V.any()):
            continue  # nothing to move, and W_O need not be read
        moved = widened(b_O)
        for head in range(cfg.n_heads):
            values = widened(b_V[head // group]).to(moved.dtype)
            moved += (values.unsqueeze(-1) * widened(W_O[head]).to(moved.dtype)).sum(0)
        b_O.copy_(moved)
        b_V.zero_()
    return cfg


def check_fold_value_biases(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> None:
    """Raise unless `fold_value_biases` finds what it needs."""
    every = (attention_names(cfg, layer) for layer in range(cfg.n_layers))
    check_weights(state, cfg, [names[leaf] for names in every for leaf in ("b_V", "W_O", "b_O")])
