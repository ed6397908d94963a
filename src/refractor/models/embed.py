"""The two ends of the residual stream: tokens and positions in, logits out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from refractor.base.errors import ShapeError
from refractor.models.activations import soft_capped
from refractor.models.config import HookedTransformerConfig
from refractor.models.norms import NoNorm, make_writing_norm
from refractor.models.parameters import new_parameter
from refractor.models.sequence import Sequence

LEARNED_POSITIONS = ("standard", "shortformer")
"""Kinds of positions that have a `W_pos`."""


class Embed(nn.Module):
    """Token embedding: row `t` of `W_E` [d_vocab, d_model] for token `t`, then `ln` where `cfg.post_embedding_ln`."""

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.W_E = new_parameter(cfg, cfg.d_vocab, cfg.d_model)
        self.ln = make_writing_norm(cfg) if cfg.post_embedding_ln else NoNorm()

    def forward(self, tokens: Int[Tensor, "*batch pos"]) -> Float[Tensor, "*batch pos d_model"]:
        """Return the embedding of each token."""
        return self.ln(nn.functional.embedding(tokens, self.W_E))


class PosEmbed(nn.Module):
    """Learned positions: row `i` of `W_pos` [n_ctx, d_model] for position `i`."""

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.W_pos = new_parameter(cfg, cfg.n_ctx, cfg.d_model)

    def forward(
        self, tokens: Int[Tensor, "batch pos"], sequence: Sequence | None = None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the positions' embeddings; where all rows have the same they are not copied for each.

        Args:
            tokens: the tokens of the pass.
            sequence: where they stand; at 0, 1, … when left out.

        """
        if sequence is not None and (sequence.positions.shape[0] > 1 or not sequence.is_whole):
            return nn.functional.embedding(sequence.positions, self.W_pos).expand(tokens.shape[0], -1, -1)
        positions = self.W_pos[: tokens.shape[1]].clone()  # a copy of [pos, d_model], so that no cache aliases a weight
        return positions.expand(tokens.shape[0], -1, -1)


class Unembed(nn.Module):
    """`logits = x W_U + b_U`, with `W_U` [d_model, d_vocab_out]; then capped where `cfg.output_logits_soft_cap`."""

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.cap = cfg.output_logits_soft_cap
        self.W_U = new_parameter(cfg, cfg.d_model, cfg.d_vocab_out)
        self.b_U = new_parameter(cfg, cfg.d_vocab_out)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_vocab_out"]:
        """Return the logits."""
        logits = nn.functional.linear(x, self.W_U.T, self.b_U)
        return logits if self.cap is None else soft_capped(logits, self.cap)


def check_residual(residual: object, cfg: HookedTransformerConfig) -> Float[Tensor, "batch pos d_model"]:
    """Return `residual` if it is a floating-point tensor [batch, pos, d_model].

    Raises:
        ShapeError: it is something else.

    """
    if not isinstance(residual, Tensor):
        raise ShapeError(f"with start_at_layer the input is a residual stream; {type(residual).__name__} came.")
    if residual.ndim != 3 or residual.shape[-1] != cfg.d_model or not torch.is_floating_point(residual):
        raise ShapeError(
            f"with start_at_layer the input is a residual stream [batch, pos, d_model={cfg.d_model}] of floats; "
            f"{list(residual.shape)} of {residual.dtype} came."
        )
    return residual
