"""One block: attention, then the MLP, each adding to the residual stream."""

from collections.abc import Iterator
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.attention import Attention
from refractor.models.config import HookedTransformerConfig
from refractor.models.experts import Experts
from refractor.models.kv_cache import HookedTransformerKeyValueCache
from refractor.models.mlp import MLP, GatedMLP
from refractor.models.norms import STREAM, NoNorm, Norm, make_norm, make_writing_norm
from refractor.models.sequence import Sequence

SPLIT = ("batch", "pos", "head", "d_model")
KV_SPLIT = ("batch", "pos", "kv_head", "d_model")

NO_NORM = NoNorm()

Stream = Float[Tensor, "batch pos d_model"]


class TransformerBlock(nn.Module):
    """`mid = pre + attention(ln1(pre))`, `post = mid + mlp(ln2(mid))`; without MLP, `post = mid`.

    Other forms (`cfg.norm_placement`): with norms after, `mid = pre + ln1_post(attention(…))` and `post = mid +
    ln2_post(mlp(…))`, and what is added is what the points show; with norms of the stream, `mid = ln1(pre +
    attention(pre))` and `post = ln2(mid + mlp(mid))`. In parallel blocks (`cfg.parallel_attn_mlp`) both read the stream
    before the block: `post = pre + attention(ln1(pre)) + mlp(ln2(pre))`, and there is no mid.

    Points, all [batch, pos, d_model]: `hook_resid_pre`, `hook_attn_out`, `hook_resid_mid`, `hook_mlp_out`,
    `hook_resid_post` (attention-only blocks have no mid and no MLP). Optional: `hook_mlp_in`, the MLP's input before
    its norm; `hook_q_input`, `hook_k_input`, `hook_v_input` and `hook_attn_in`, what each head reads before the norm,
    [batch, pos, head, d_model] (k and v: kv_heads; where these are shared there is no `hook_attn_in`).
    """

    def __init__(self, cfg: HookedTransformerConfig, layer: int = 0) -> None:
        super().__init__()
        self.cfg = cfg
        self.normed_stream = cfg.norm_placement == "stream"
        self.ln1 = self._make_norm()
        self.ln1_post = self._make_norm_of_result()
        if not cfg.attn_only:
            self.ln2 = self._make_norm()
            self.ln2_post = self._make_norm_of_result()
        self.attn = Attention(cfg, layer)
        if not cfg.attn_only:
            self.mlp = make_mlp(cfg)
        shares = cfg.n_key_value_heads is not None
        if not shares:
            self.hook_attn_in = HookPoint(SPLIT, shared=True, flag="use_attn_in")
        self.hook_q_input = HookPoint(SPLIT, shared=True, flag="use_split_qkv_input")
        self.hook_k_input = HookPoint(KV_SPLIT if shares else SPLIT, shared=True, flag="use_split_qkv_input")
        self.hook_v_input = HookPoint(KV_SPLIT if shares else SPLIT, shared=True, flag="use_split_qkv_input")
        if not cfg.attn_only:
            self.hook_mlp_in = HookPoint(STREAM, shared=True, flag="use_hook_mlp_in")
        self.hook_attn_out = HookPoint(STREAM)
        if not cfg.attn_only:
            self.hook_mlp_out = HookPoint(STREAM)
        self.hook_resid_pre = HookPoint(STREAM)
        if not cfg.attn_only and not cfg.parallel_attn_mlp:
            self.hook_resid_mid = HookPoint(STREAM)
        self.hook_resid_post = HookPoint(STREAM)

    def forward(
        self,
        residual: Stream,
        sequence: Sequence | None = None,
        past: HookedTransformerKeyValueCache | None = None,
        shortformer_pos_embed: Stream | None = None,
    ) -> Stream:
        """Return the residual stream after this block.

        Args:
            residual: the stream before it.
            sequence: where the tokens stand; a whole text without padding when left out.
            past: keys and values of earlier positions.
            shortformer_pos_embed: positions, which queries and keys read in a shortformer.

        """
        pre = self.hook_resid_pre(residual)
        queries, keys, values = self._attention_inputs(pre)
        if shortformer_pos_embed is not None:
            queries = _with_positions(queries, shortformer_pos_embed)
            keys = _with_positions(keys, shortformer_pos_embed)
        attn_out = self.hook_attn_out(self.ln1_post(self.attn(queries, keys, values, sequence, past)))
        if self.cfg.attn_only:
            return self.hook_resid_post(self._stream(self.ln1, pre + attn_out))
        if self.cfg.parallel_attn_mlp:
            return self.hook_resid_post(pre + attn_out + self._mlp_out(pre))
        mid = self.hook_resid_mid(self._stream(self.ln1, pre + attn_out))
        return self.hook_resid_post(self._stream(self.ln2, mid + self._mlp_out(mid)))

    def _mlp_out(self, stream: Stream) -> Stream:
        """Return what the MLP adds."""
        read = self.hook_mlp_in(stream) if self.hook_mlp_in.hooked else stream
        return self.hook_mlp_out(self.ln2_post(self.mlp(self._reading(self.ln2)(read))))

    def _reading(self, norm: Norm) -> Norm:
        """Return the norm of what is read from the stream: this one, or none where the stream itself is normalised."""
        return NO_NORM if self.normed_stream else norm

    def _stream(self, norm: Norm, stream: Stream) -> Stream:
        """Return the stream after an addition: as it is, or normalised."""
        return norm(stream) if self.normed_stream else stream

    def _make_norm(self) -> Norm:
        if self.cfg.norm_placement == "after":
            return NoNorm()
        return make_writing_norm(self.cfg) if self.normed_stream else make_norm(self.cfg)

    def _make_norm_of_result(self) -> Norm:
        return make_writing_norm(self.cfg) if self.cfg.norm_placement in ("before_and_after", "after") else NoNorm()

    def _attention_inputs(self, pre: Stream) -> tuple[Tensor, Tensor, Tensor]:
        """Return what queries, keys and values read, normalised: one tensor for all, or one with a head axis.

        The norm is taken once, of the stream, and its hook points show that. Where a hook may change what heads read,
        the change is added: `ln1(pre) + (norm(read) - norm(pre))`. So edits of the norm and of the inputs both count.
        """
        norm = self._reading(self.ln1)
        common = norm(pre)
        if not any(point.hooked for point in self._input_points):
            return common, common, common
        of_all = self._input_points[3:]  # hook_attn_in, where there is one
        edited = any(point.edited for point in of_all)
        read: Tensor | None = None
        for point in of_all:
            read = point(pre.unsqueeze(2).expand(-1, -1, self.cfg.n_heads, -1)) if point.hooked else None
        inputs = []
        read_by = (self.cfg.n_heads, self.cfg.n_kv_heads, self.cfg.n_kv_heads)
        for point, n_heads in zip(self._input_points[:3], read_by, strict=True):
            split = pre.unsqueeze(2).expand(-1, -1, n_heads, -1) if read is None else read
            split = point(split) if point.hooked else split
            change = norm.plain(split) - norm.plain(pre).unsqueeze(2) if edited or point.edited else None
            inputs.append(common if change is None else common.unsqueeze(2) + change)
        return inputs[0], inputs[1], inputs[2]

    @property
    def _input_points(self) -> list[HookPoint]:
        """The points of what heads read: queries, keys, values, and all together where heads share nothing."""
        points = [self.hook_q_input, self.hook_k_input, self.hook_v_input]
        return points if self.cfg.n_key_value_heads is not None else [*points, self.hook_attn_in]


def make_mlp(cfg: HookedTransformerConfig) -> MLP | GatedMLP | Experts:
    """Return the MLP that the configuration describes."""
    if cfg.num_experts is not None:
        return Experts(cfg)
    return GatedMLP(cfg) if cfg.gated_mlp else MLP(cfg)


def _with_positions(x: Tensor, positions: Stream) -> Tensor:
    """Return `x` plus positions, for every head where each reads an input of its own."""
    return x + (positions if x.ndim == 3 else positions.unsqueeze(2))


class Blocks(nn.ModuleList):
    """The blocks in order: `model.blocks[layer]`."""

    def __getitem__(self, idx: int) -> TransformerBlock:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return one block; negative numbers count from the end."""
        return cast("TransformerBlock", super().__getitem__(idx))

    def __iter__(self) -> Iterator[TransformerBlock]:
        """Iterate from the first block to the last."""
        return cast("Iterator[TransformerBlock]", super().__iter__())
