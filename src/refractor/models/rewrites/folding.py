"""Weights of norms folded into the weights that read their result."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.models.config import HookedTransformerConfig
from refractor.models.rewrites.anatomy import W_U, check_weights, norm_weights, readings
from refractor.models.rewrites.exactness import check_exact
from refractor.models.rewrites.in_place import matrices, own_memory, parts, wide, widened


@torch.no_grad()
def fold_ln(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> HookedTransformerConfig:
    """Fold the weights of norms into what reads them: `(n w + b) W + c = n (diag(w) W) + (b W + c)`.

    `n` is what a norm makes of the stream before its own weights. `W` are `W_Q`, `W_K`, `W_V` for ln1; `W_in`, `W_gate`
    and `W_router` for ln2; `W_U` for ln_final; `W_out` for the norm inside a "solu_ln" MLP. A LayerNorm's `n` has mean
    0, so the mean of `diag(w) W` over what is normalised reads nothing and is taken off; an RMSNorm's is kept. Norms
    of what is written (`ln1_post`, `ln2_post`, `embed.ln`) and of queries and keys keep their weights.

    Where the norms have no weights nothing happens. A tied `W_U` gets memory of its own.

    Args:
        state: the weights; changed in place, and those of the norms are removed.
        cfg: their architecture.

    Returns:
        The architecture of what is left: "LN" becomes "LNPre", "RMS" becomes "RMSPre".

    Raises:
        ConfigError: the fold is not exact: norms of the stream itself, or positions added after ln1 (shortformer).
        CheckpointError: a weight is missing or has another shape; nothing is changed then.

    >>> from refractor.models import HookedTransformer, HookedTransformerConfig
    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0)
    >>> state = HookedTransformer(cfg).state_dict()
    >>> fold_ln(state, cfg).normalization_type, [name for name in state if "ln" in name]
    ('LNPre', [])

    """
    if cfg.normalization_type not in ("LN", "RMS"):
        return cfg
    check_fold(state, cfg)
    has_mean = cfg.normalization_type == "RMS"
    for reading in readings(cfg):
        w, b = state[reading.norm + ".w"], None if has_mean else state[reading.norm + ".b"]
        for weight, bias in reading.weights:
            target = own_memory(state) if weight == W_U else state[weight]
            _fold(state[weight], state[bias], w, b, target)
            state[weight] = target
    for reading in readings(cfg):
        for name in norm_weights(reading.norm, cfg):
            del state[name]
    return replace(cfg, normalization_type="RMSPre" if has_mean else "LNPre")


def check_fold(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> None:
    """Raise unless `fold_ln` is exact and finds what it needs."""
    check_exact("fold_ln", cfg)
    if cfg.normalization_type in ("LN", "RMS"):
        found = readings(cfg)
        names = [name for reading in found for name in norm_weights(reading.norm, cfg)]
        check_weights(state, cfg, [*names, *(name for reading in found for pair in reading.weights for name in pair)])


def _fold(
    weight: Float[Tensor, "*leading rows cols"],
    bias: Float[Tensor, "*leading cols"],
    w: Float[Tensor, " rows"],
    b: Float[Tensor, " rows"] | None,
    target: Float[Tensor, "*leading rows cols"],
) -> None:
    """Write `diag(w) W` to `target`, for a LayerNorm (with `b`) less its mean over rows, and add `b W` to the bias."""
    scale = w.to(wide(weight)).unsqueeze(-1)
    shift = None if b is None else b.to(wide(weight))
    vectors = bias.unbind(0) if weight.ndim == 3 else (bias,)
    for matrix, vector, to in zip(matrices(weight), vectors, matrices(target), strict=True):
        rows, cols = matrix.shape
        for some in parts(cols, rows):
            block = widened(matrix[:, some])
            if shift is not None:
                vector[some].copy_(vector[some] + (shift.unsqueeze(-1) * block).sum(0))  # no BLAS: it takes memory
            block.mul_(scale)
            if shift is not None:
                block.sub_(block.mean(0))
            to[:, some].copy_(block)
