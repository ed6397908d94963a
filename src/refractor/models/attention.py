"""Attention of one layer, all heads."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.linalg import FactoredMatrix
from refractor.models.activations import soft_capped
from refractor.models.circuits import note_on_output, note_on_scores, shared_by_heads
from refractor.models.config import HookedTransformerConfig
from refractor.models.head_norms import HEAD_AXES, HeadNorm
from refractor.models.kv_cache import HookedTransformerKeyValueCache
from refractor.models.parameters import as_matrix, new_head_parameter, new_parameter
from refractor.models.rotary import rotate
from refractor.models.sequence import Sequence, alibi, make_sequence

SplitInput = Float[Tensor, "... d_model"]
"""One input for all heads, [batch, pos, d_model], or one for each, [batch, pos, head, d_model]."""

KV_HEAD_AXES = ("batch", "pos", "kv_head", "d_head")
SCORE_AXES = ("batch", "head", "query_pos", "key_pos")
SHARED = ("W_K", "W_V", "b_K", "b_V")
"""What groups of heads may share: stored once per group under the name with `_` before it."""


class Attention(nn.Module):
    """`pattern = softmax(q kᵀ / scale + mask)`, `z = pattern v`, `out = Σ_head z W_O + b_O` (Vaswani et al. 2017).

    Weights: `W_Q`, `W_K`, `W_V` [head, d_model, d_head], `W_O` [head, d_head, d_model], biases `b_Q`, `b_K`, `b_V`
    [head, d_head], `b_O` [d_model]. Where heads share keys and values (`cfg.n_key_value_heads`), the parameters are
    `_W_K`, `_W_V`, `_b_K`, `_b_V` with an axis of kv_heads, and `W_K` … are copies with one entry for every head.
    Points: `hook_q`, `hook_k`, `hook_v`, `hook_z` [batch, pos, head, d_head] (k and v: kv_heads); `hook_rot_q`,
    `hook_rot_k` after turning, where positions are rotary; `hook_attn_scores` (masked, -inf where nothing may be read)
    and `hook_pattern` [batch, head, query_pos, key_pos]; optional `hook_result`, what each head adds, [batch, pos,
    head, d_model].

    While nothing is hooked at scores or pattern these are never formed: a fused kernel computes z.
    """

    def __init__(self, cfg: HookedTransformerConfig, layer: int = 0) -> None:
        super().__init__()
        self.cfg = cfg
        self.layer = layer
        self.local = cfg.is_local(layer)
        self.grouped = cfg.n_key_value_heads is not None
        kv_axes = KV_HEAD_AXES if self.grouped else HEAD_AXES
        before = "_" if self.grouped else ""
        for name, n_heads in (("W_Q", cfg.n_heads), (before + "W_K", cfg.n_kv_heads), (before + "W_V", cfg.n_kv_heads)):
            self.register_parameter(name, new_head_parameter(cfg, n_heads))
        self.W_O = new_parameter(cfg, cfg.n_heads, cfg.d_head, cfg.d_model)
        for name, n_heads in (("b_Q", cfg.n_heads), (before + "b_K", cfg.n_kv_heads), (before + "b_V", cfg.n_kv_heads)):
            self.register_parameter(name, new_parameter(cfg, n_heads, cfg.d_head))
        self.b_O = new_parameter(cfg, cfg.d_model)
        if cfg.use_qk_norm:
            self.q_norm = HeadNorm(cfg, cfg.n_heads)
            self.k_norm = HeadNorm(cfg, cfg.n_kv_heads, kv_axes)
        self.hook_k = HookPoint(kv_axes)
        self.hook_q = HookPoint(HEAD_AXES)
        self.hook_v = HookPoint(kv_axes)
        self.hook_z = HookPoint(HEAD_AXES)
        self.hook_attn_scores = HookPoint(SCORE_AXES)
        self.hook_pattern = HookPoint(SCORE_AXES)
        self.hook_result = HookPoint(("batch", "pos", "head", "d_model"), flag="use_attn_result")
        if cfg.positional_embedding_type == "rotary":
            self.hook_rot_k = HookPoint(kv_axes)
            self.hook_rot_q = HookPoint(HEAD_AXES)

    W_Q: nn.Parameter
    b_Q: nn.Parameter

    def __getattr__(self, name: str) -> Any:
        """Return what heads share, one entry for every head, under the name that every network has."""
        if name in SHARED and self.grouped:
            group = self.cfg.n_heads // self.cfg.n_kv_heads
            return self.get_parameter("_" + name).repeat_interleave(group, dim=0)
        return super().__getattr__(name)

    def of_kv_heads(self, name: str) -> Tensor:
        """Return one of `W_K`, `W_V`, `b_K`, `b_V` as it is stored, with an axis of kv_heads."""
        return getattr(self, "_" + name if self.grouped else name)

    @property
    def OV(self) -> FactoredMatrix:
        """OV circuits of this layer's heads, `W_V W_O`, `[head, d_model, d_model]`; the parameters are not copied."""
        values = shared_by_heads(self.of_kv_heads("W_V"), self.cfg)
        return FactoredMatrix(values, self.W_O).with_note(note_on_output(self.cfg))

    @property
    def QK(self) -> FactoredMatrix:
        """QK circuits of this layer's heads, `W_Q W_Kᵀ`, `[head, d_model, d_model]`; the parameters are not copied.

        See `HookedTransformer.QK` for what it leaves out.
        """
        keys = shared_by_heads(self.of_kv_heads("W_K").mT, self.cfg)
        return FactoredMatrix(self.W_Q, keys).with_note(note_on_scores(self.cfg))

    def forward(
        self,
        query_input: SplitInput,
        key_input: SplitInput,
        value_input: SplitInput,
        sequence: Sequence | None = None,
        past: HookedTransformerKeyValueCache | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what the layer's heads add to the residual stream.

        Args:
            query_input: what queries read.
            key_input: what keys read; per head, it has an axis of kv_heads.
            value_input: what values read; the same.
            sequence: where the tokens stand; a whole text without padding when left out.
            past: keys and values of earlier positions, to which those of this pass are added.

        """
        if sequence is None:
            sequence = make_sequence(self.cfg, query_input.shape[:2], query_input.device)
        q = self.hook_q(self.queries(query_input))
        k = self.hook_k(self.keys(key_input))
        v = self.hook_v(self.values(value_input))
        if self.cfg.use_qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.cfg.positional_embedding_type == "rotary":
            turn, adjacent = sequence.rotation(self.local, q.dtype), self.cfg.rotary_adjacent_pairs
            q, k = self.hook_rot_q(rotate(q, turn, adjacent)), self.hook_rot_k(rotate(k, turn, adjacent))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if past is not None:
            k, v = past.extend(self.layer, k, v)
        z = self.hook_z(self._mix(q, k, v, sequence).transpose(1, 2))
        if self.cfg.use_attn_result or self.hook_result.hooked:
            return self.hook_result(torch.einsum("bphd,hdm->bphm", z, self.W_O)).sum(2) + self.b_O
        return self.output(z)

    def queries(self, x: SplitInput) -> Float[Tensor, "... head d_head"]:
        """Return `x W_Q + b_Q` for every head."""
        return _project(x, self.W_Q, self.b_Q)

    def keys(self, x: SplitInput) -> Float[Tensor, "... kv_head d_head"]:
        """Return `x W_K + b_K` for every key/value head."""
        return _project(x, self.of_kv_heads("W_K"), self.of_kv_heads("b_K"))

    def values(self, x: SplitInput) -> Float[Tensor, "... kv_head d_head"]:
        """Return `x W_V + b_V` for every key/value head."""
        return _project(x, self.of_kv_heads("W_V"), self.of_kv_heads("b_V"))

    def output(self, z: Float[Tensor, "*batch head d_head"]) -> Float[Tensor, "*batch d_model"]:
        """Return `Σ_head z W_O + b_O` as one product."""
        return nn.functional.linear(z.flatten(-2), self.W_O.flatten(0, 1).T, self.b_O)

    def _mix(
        self,
        q: Float[Tensor, "batch head query_pos d_head"],
        k: Float[Tensor, "batch kv_head key_pos d_head"],
        v: Float[Tensor, "batch kv_head key_pos d_head"],
        sequence: Sequence,
    ) -> Float[Tensor, "batch head query_pos d_head"]:
        hooked = self.hook_attn_scores.hooked or self.hook_pattern.hooked
        if not hooked and self.cfg.attn_scores_soft_cap is None:
            return self._fused(q, k, v, sequence)
        scores = _per_group(q / self.cfg.attn_scale, k) @ k.unsqueeze(2).mT
        scores = scores.flatten(1, 2)
        if self.cfg.positional_embedding_type == "alibi":
            scores = scores + alibi(sequence, scores.dtype)
        if self.cfg.attn_scores_soft_cap is not None:
            scores = soft_capped(scores, self.cfg.attn_scores_soft_cap)
        mask = sequence.mask(self.local)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        pattern = self.hook_pattern(self.hook_attn_scores(scores).softmax(-1))
        return (_per_group(pattern, v) @ v.unsqueeze(2)).flatten(1, 2)

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, sequence: Sequence) -> Tensor:
        slopes = self.cfg.positional_embedding_type == "alibi"
        causal = sequence.is_plainly_causal(self.local) and not slopes
        mask = None if causal else sequence.mask(self.local)
        if slopes:
            added = alibi(sequence, q.dtype)
            mask = added if mask is None else added.masked_fill(~mask, -torch.inf)
        return nn.functional.scaled_dot_product_attention(
            q, k, v, mask, is_causal=causal, scale=1 / self.cfg.attn_scale, enable_gqa=self.grouped
        )


def _per_group(x: Tensor, shared: Tensor) -> Tensor:
    """Return `x` [batch, head, …] as [batch, kv_head, head of the group, …]."""
    return x.unflatten(1, (shared.shape[1], -1))


def _project(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `x W + b` per head; `x` has an axis for heads when each head reads an input of its own."""
    n_heads, _, d_head = weight.shape
    if x.ndim == 4:
        return torch.einsum("bphm,hmd->bphd", x, weight) + bias
    return nn.functional.linear(x, as_matrix(weight).T, bias.flatten()).unflatten(-1, (n_heads, d_head))
