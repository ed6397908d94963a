"""The two ends of the residual stream: tokens and positions in, logits out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from refractor.base.errors import ShapeError
from refractor.models.config import HookedTransformerConfig
from refractor.models.parameters import new_parameter


class Embed(nn.Module):
    """Token embedding: row `t` of `W_E` [d_vocab, d_model] for token `t`."""

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.W_E = new_parameter(cfg, cfg.d_vocab, cfg.d_model)

    def forward(self, tokens: Int[Tensor, "*batch pos"]) -> Float[Tensor, "*batch pos d_model"]:
        """Return the embedding of each token."""
        return nn.functional.embedding(tokens, self.W_E)


class PosEmbed(nn.Module):
    """Learned positions: row `i` of `W_pos` [n_ctx, d_model] for position `i`, the same in every row of the batch."""

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.W_pos = new_parameter(cfg, cfg.n_ctx, cfg.d_model)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        """Return the positions' embeddings, repeated over the batch without being copied for each row."""
        positions = self.W_pos[: tokens.shape[1]].clone()  # a copy of [pos, d_model], so that no cache aliases a weight
        return positions.expand(tokens.shape[0], -1, -1)


class Unembed(nn.Module):
    """`logits = x W_U + b_U`, with `W_U` [d_model, d_vocab_out] stored the way it is used."""

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.W_U = new_parameter(cfg, cfg.d_model, cfg.d_vocab_out)
        self.b_U = new_parameter(cfg, cfg.d_vocab_out)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_vocab_out"]:
        """Return the logits."""
        return nn.functional.linear(x, self.W_U.T, self.b_U)


def check_residual(residual: Tensor, cfg: HookedTransformerConfig) -> None:
    """Raise unless `residual` is a floating-point tensor [batch, pos, d_model]."""
    if residual.ndim != 3 or residual.shape[-1] != cfg.d_model or not torch.is_floating_point(residual):
        raise ShapeError(
            f"with start_at_layer the input is a residual stream [batch, pos, d_model={cfg.d_model}] of floats; "
            f"{list(residual.shape)} of {residual.dtype} came."
        )
