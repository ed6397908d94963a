"""The two circuits of a head as factored matrices, and what they leave out."""

from torch import Tensor

from refractor.linalg import Grouped
from refractor.models.config import HookedTransformerConfig


def shared_by_heads(weight: Tensor, cfg: HookedTransformerConfig) -> Tensor | Grouped:
    """Return a weight [..., kv_head, rows, cols] as a factor with one entry for every head, without repeating it."""
    if cfg.n_key_value_heads is None:
        return weight
    group = cfg.n_heads // cfg.n_kv_heads
    return Grouped(weight, [head // group for head in range(cfg.n_heads)])


def note_on_scores(cfg: HookedTransformerConfig) -> str:
    """Return what attention scores have that `x W_Q W_Kᵀ y` leaves out, apart from biases; empty if nothing.

    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu")
    >>> note_on_scores(cfg)
    ''

    """
    left_out = []
    if cfg.qk_norm is not None:
        left_out.append("queries and keys are normalised")
    if cfg.positional_embedding_type == "rotary":
        left_out.append("queries and keys turn with the position (this is the form at distance 0)")
    if cfg.positional_embedding_type == "alibi":
        left_out.append("scores fall with the distance")
    if cfg.attn_scores_soft_cap is not None:
        left_out.append(f"scores are capped at {cfg.attn_scores_soft_cap:g}")
    return f"not all of the scores: {', '.join(left_out)}" if left_out else ""


def note_on_output(cfg: HookedTransformerConfig) -> str:
    """Return what happens to `x W_V W_O` before it is added to the residual stream; empty if nothing."""
    if cfg.norm_placement in ("before_and_after", "after"):
        return "not what is added: a norm of the sum over heads follows"
    if cfg.norm_placement == "stream":
        return "not what stays: the stream is normalised after the addition"
    return ""
