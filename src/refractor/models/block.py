"""One block: attention, then the MLP, each adding to the residual stream."""

from collections.abc import Iterator
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.attention import Attention
from refractor.models.config import HookedTransformerConfig
from refractor.models.mlp import MLP
from refractor.models.norms import make_norm

STREAM = ("batch", "pos", "d_model")
SPLIT = ("batch", "pos", "head", "d_model")

Stream = Float[Tensor, "batch pos d_model"]


class TransformerBlock(nn.Module):
    """`mid = pre + attention(ln1(pre))`, `post = mid + mlp(ln2(mid))`; without MLP, `post = mid`.

    Points, all [batch, pos, d_model]: `hook_resid_pre`, `hook_attn_out`, `hook_resid_mid`, `hook_mlp_out`,
    `hook_resid_post` (attention-only blocks have no mid and no MLP). Optional: `hook_mlp_in`, the MLP's input before
    its norm; `hook_q_input`, `hook_k_input`, `hook_v_input` and `hook_attn_in`, what each head reads before the norm,
    [batch, pos, head, d_model].
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ln1 = make_norm(cfg)
        if not cfg.attn_only:
            self.ln2 = make_norm(cfg)
        self.attn = Attention(cfg)
        if not cfg.attn_only:
            self.mlp = MLP(cfg)
        self.hook_attn_in = HookPoint(SPLIT, shared=True, flag="use_attn_in")
        self.hook_q_input = HookPoint(SPLIT, shared=True, flag="use_split_qkv_input")
        self.hook_k_input = HookPoint(SPLIT, shared=True, flag="use_split_qkv_input")
        self.hook_v_input = HookPoint(SPLIT, shared=True, flag="use_split_qkv_input")
        if not cfg.attn_only:
            self.hook_mlp_in = HookPoint(STREAM, shared=True, flag="use_hook_mlp_in")
        self.hook_attn_out = HookPoint(STREAM)
        if not cfg.attn_only:
            self.hook_mlp_out = HookPoint(STREAM)
        self.hook_resid_pre = HookPoint(STREAM)
        if not cfg.attn_only:
            self.hook_resid_mid = HookPoint(STREAM)
        self.hook_resid_post = HookPoint(STREAM)

    def forward(self, residual: Stream) -> Stream:
        """Return the residual stream after this block."""
        pre = self.hook_resid_pre(residual)
        attn_out = self.hook_attn_out(self.attn(*self._attention_inputs(pre)))
        if self.cfg.attn_only:
            return self.hook_resid_post(pre + attn_out)
        mid = self.hook_resid_mid(pre + attn_out)
        mlp_in = self.hook_mlp_in(mid) if self.hook_mlp_in.hooked else mid
        mlp_out = self.hook_mlp_out(self.mlp(self.ln2(mlp_in)))
        return self.hook_resid_post(mid + mlp_out)

    def _attention_inputs(self, pre: Stream) -> list[Tensor]:
        """Return what queries, keys and values read, normalised: one tensor for all, or one with a head axis.

        The norm is taken once, of the stream, and its hook points show that. Where a hook may change what heads read,
        the change is added: `ln1(pre) + (norm(read) - norm(pre))`. So edits of the norm and of the inputs both count.
        """
        points = (self.hook_q_input, self.hook_k_input, self.hook_v_input)
        common = self.ln1(pre)
        if not self.hook_attn_in.hooked and not any(point.hooked for point in points):
            return [common, common, common]
        per_head = pre.unsqueeze(2).expand(-1, -1, self.cfg.n_heads, -1)
        read = self.hook_attn_in(per_head) if self.hook_attn_in.hooked else per_head
        inputs = []
        for point in points:
            split = point(read) if point.hooked else read
            changed = self.hook_attn_in.edited or point.edited
            change = self.ln1.plain(split) - self.ln1.plain(pre).unsqueeze(2) if changed else None
            inputs.append(common if change is None else common.unsqueeze(2) + change)
        return inputs


class Blocks(nn.ModuleList):
    """The blocks in order: `model.blocks[layer]`."""

    def __getitem__(self, idx: int) -> TransformerBlock:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return one block; negative numbers count from the end."""
        return cast("TransformerBlock", super().__getitem__(idx))

    def __iter__(self) -> Iterator[TransformerBlock]:
        """Iterate from the first block to the last."""
        return cast("Iterator[TransformerBlock]", super().__iter__())
