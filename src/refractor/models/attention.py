"""Attention of one layer, all heads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.linalg import FactoredMatrix
from refractor.models.config import HookedTransformerConfig
from refractor.models.parameters import as_matrix, new_head_parameter, new_parameter

SplitInput = Float[Tensor, "... d_model"]
"""One input for all heads, [batch, pos, d_model], or one for each, [batch, pos, head, d_model]."""

HEAD_AXES = ("batch", "pos", "head", "d_head")
SCORE_AXES = ("batch", "head", "query_pos", "key_pos")


class Attention(nn.Module):
    """`pattern = softmax(q kᵀ / scale + mask)`, `z = pattern v`, `out = Σ_head z W_O + b_O` (Vaswani et al. 2017).

    Weights: `W_Q`, `W_K`, `W_V` [head, d_model, d_head], `W_O` [head, d_head, d_model], biases `b_Q`, `b_K`, `b_V`
    [head, d_head], `b_O` [d_model].
    Points: `hook_q`, `hook_k`, `hook_v`, `hook_z` [batch, pos, head, d_head]; `hook_attn_scores` (masked, -inf where
    nothing may be read) and `hook_pattern` [batch, head, query_pos, key_pos]; optional `hook_result`, what each
    head adds, [batch, pos, head, d_model].

    While nothing is hooked at scores or pattern these are never formed: a fused kernel computes z.
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        for name in ("W_Q", "W_K", "W_V"):
            self.register_parameter(name, new_head_parameter(cfg, cfg.n_heads))
        self.W_O = new_parameter(cfg, cfg.n_heads, cfg.d_head, cfg.d_model)
        for name in ("b_Q", "b_K", "b_V"):
            self.register_parameter(name, new_parameter(cfg, cfg.n_heads, cfg.d_head))
        self.b_O = new_parameter(cfg, cfg.d_model)
        self.hook_k = HookPoint(HEAD_AXES)
        self.hook_q = HookPoint(HEAD_AXES)
        self.hook_v = HookPoint(HEAD_AXES)
        self.hook_z = HookPoint(HEAD_AXES)
        self.hook_attn_scores = HookPoint(SCORE_AXES)
        self.hook_pattern = HookPoint(SCORE_AXES)
        self.hook_result = HookPoint(("batch", "pos", "head", "d_model"), flag="use_attn_result")

    W_Q: nn.Parameter
    W_K: nn.Parameter
    W_V: nn.Parameter
    b_Q: nn.Parameter
    b_K: nn.Parameter
    b_V: nn.Parameter

    @property
    def OV(self) -> FactoredMatrix:
        """OV circuits of this layer's heads, `W_V W_O`, `[head, d_model, d_model]`; the parameters are not copied."""
        return FactoredMatrix(self.W_V, self.W_O)

    @property
    def QK(self) -> FactoredMatrix:
        """QK circuits of this layer's heads, `W_Q W_Kᵀ`, `[head, d_model, d_model]`; the parameters are not copied."""
        return FactoredMatrix(self.W_Q, self.W_K.mT)

    def forward(
        self, query_input: SplitInput, key_input: SplitInput, value_input: SplitInput
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what the layer's heads add to the residual stream."""
        q = self.hook_q(self.queries(query_input))
        k = self.hook_k(self.keys(key_input))
        v = self.hook_v(self.values(value_input))
        z = self.hook_z(self._mix(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2))
        if self.cfg.use_attn_result or self.hook_result.hooked:
            return self.hook_result(torch.einsum("bphd,hdm->bphm", z, self.W_O)).sum(2) + self.b_O
        return self.output(z)

    def queries(self, x: SplitInput) -> Float[Tensor, "... head d_head"]:
        """Return `x W_Q + b_Q` for every head."""
        return _project(x, self.W_Q, self.b_Q)

    def keys(self, x: SplitInput) -> Float[Tensor, "... head d_head"]:
        """Return `x W_K + b_K` for every head."""
        return _project(x, self.W_K, self.b_K)

    def values(self, x: SplitInput) -> Float[Tensor, "... head d_head"]:
        """Return `x W_V + b_V` for every head."""
        return _project(x, self.W_V, self.b_V)

    def output(self, z: Float[Tensor, "*batch head d_head"]) -> Float[Tensor, "*batch d_model"]:
        """Return `Σ_head z W_O + b_O` as one product."""
        return nn.functional.linear(z.flatten(-2), self.W_O.flatten(0, 1).T, self.b_O)

    def _mix(
        self,
        q: Float[Tensor, "batch head query_pos d_head"],
        k: Float[Tensor, "batch head key_pos d_head"],
        v: Float[Tensor, "batch head key_pos d_head"],
    ) -> Float[Tensor, "batch head query_pos d_head"]:
        causal = self.cfg.attention_dir == "causal"
        if not self.hook_attn_scores.hooked and not self.hook_pattern.hooked:
            return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1 / self.cfg.attn_scale)
        scores = (q / self.cfg.attn_scale) @ k.transpose(-2, -1)
        if causal:
            future = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
            scores = scores.masked_fill_(future, -torch.inf)
        pattern = self.hook_pattern(self.hook_attn_scores(scores).softmax(-1))
        return pattern @ v


def _project(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `x W + b` per head; `x` has an axis for heads when each head reads an input of its own."""
    n_heads, _, d_head = weight.shape
    if x.ndim == 4:
        return torch.einsum("bphm,hmd->bphd", x, weight) + bias
    return nn.functional.linear(x, as_matrix(weight).T, bias.flatten()).unflatten(-1, (n_heads, d_head))
