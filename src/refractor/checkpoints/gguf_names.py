"""Which tensor of a GGUF file is which tensor of a Hugging Face folder, and what conversion did to it.

Conversion (llama.cpp's scripts) renames every tensor, and changes some:

- Llama: rows of queries and keys are reordered within each head, so that the two dimensions that turn together are
  neighbours. In a folder they lie half a head apart: row `j d/2 + i` of a head is row `2i + j` in the file.
- Gemma: norms are stored as the weights that multiply, in a folder as their deviation from 1.
- GPT-2: matrices are stored [out, in], in a folder [in, out].
- StableLM and Mixtral: what a folder has as one tensor per head or per expert is one tensor.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from refractor.base.errors import CheckpointError, nearest
from refractor.checkpoints.gguf_header import GgufHeader, GgufTensor
from refractor.checkpoints.weight_files import listed

Change = Literal["none", "unpermute queries", "unpermute keys", "less one", "transpose"]

IN_LAYER = re.compile(r"blk\.(0|[1-9]\d{0,5})\.(.+)\.(weight|bias)")
OUTSIDE = re.compile(r"(.+)\.(weight|bias)")
PART = "{part}"  # in a name: one tensor in the file is several in a folder, along its first axis


@dataclass(frozen=True)
class Source:
    """How a tensor of a folder is made from one of the file.

    Args:
        tensor: its name in the file.
        change: what has to be done to it.
        heads: of the rows that are reordered.
        part: which slice along the first axis it is; None for the whole.

    """

    tensor: str
    change: Change = "none"
    heads: int = 1
    part: int | None = None

    def shape(self, stored: GgufTensor) -> tuple[int, ...]:
        """Return the shape that it has in a folder."""
        shape = stored.shape if self.part is None else stored.shape[1:]
        return shape[::-1] if self.change == "transpose" else shape


@dataclass(frozen=True)
class Names:
    """The tensors of one architecture.

    Args:
        outside: names in the file and in a folder, of what belongs to no layer, without `.weight` and `.bias`.
        layer: the same within a layer, without the layer's own prefix.
        prefix: of layers, in a folder.
        changes: what conversion did, by the name in the file; only to `.weight`, but for the reordering of rows.

    """

    outside: Mapping[str, str]
    layer: Mapping[str, str]
    prefix: str = "model.layers"
    changes: Mapping[str, Change] = field(default_factory=dict)


OUTSIDE_LLAMA = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
ATTENTION = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
NORMS_BEFORE = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
NORMS_AFTER = {"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
NORMS_AROUND = {"attn_norm": "input_layernorm", "ffn_norm": "pre_feedforward_layernorm", **NORMS_AFTER}
GATED = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
EXPERTS = {
    "ffn_gate_inp": "block_sparse_moe.gate",
    "ffn_gate_exps": f"block_sparse_moe.experts.{PART}.w1",
    "ffn_down_exps": f"block_sparse_moe.experts.{PART}.w2",
    "ffn_up_exps": f"block_sparse_moe.experts.{PART}.w3",
}
ROTATED: Mapping[str, Change] = {"attn_q": "unpermute queries", "attn_k": "unpermute keys"}
TIED = {name: other for name, other in OUTSIDE_LLAMA.items() if name != "output"}

LLAMA = {**NORMS_BEFORE, **ATTENTION, **GATED, **EXPERTS}
GEMMA = {**NORMS_BEFORE, **ATTENTION, **GATED}
GEMMA2 = {**NORMS_AROUND, **ATTENTION, **GATED}


def _less_one(*tables: Mapping[str, str]) -> dict[str, Change]:
    """Return what conversion did to Gemma's norms: all tensors whose name says that they are one."""
    return {name: "less one" for table in tables for name in table if name.endswith("norm")}


NAMES: Mapping[str, Names] = MappingProxyType(
    {
        "llama": Names(OUTSIDE_LLAMA, LLAMA, changes=ROTATED),
        "qwen2": Names(OUTSIDE_LLAMA, {**NORMS_BEFORE, **ATTENTION, **GATED}),
        "qwen3": Names(OUTSIDE_LLAMA, {**NORMS_BEFORE, **ATTENTION, **HEAD_NORMS, **GATED}),
        "gemma": Names(TIED, GEMMA, changes=_less_one(TIED, GEMMA)),
        "gemma2": Names(TIED, GEMMA2, changes=_less_one(TIED, GEMMA2)),
        "gemma3": Names(OUTSIDE_LLAMA, {**GEMMA2, **HEAD_NORMS}, changes=_less_one(TIED, GEMMA2, HEAD_NORMS)),
        "phi3": Names(
            OUTSIDE_LLAMA,
            {
                **NORMS_BEFORE,
                "attn_qkv": "self_attn.qkv_proj",
                "attn_output": "self_attn.o_proj",
                "ffn_up": "mlp.gate_up_proj",
                "ffn_down": "mlp.down_proj",
            },
        ),
        "stablelm": Names(
            OUTSIDE_LLAMA,
            {
                **NORMS_BEFORE,
                **ATTENTION,
                **GATED,
                "attn_q_norm": f"self_attn.q_layernorm.norms.{PART}",
                "attn_k_norm": f"self_attn.k_layernorm.norms.{PART}",
            },
        ),
        "olmo2": Names(OUTSIDE_LLAMA, {**NORMS_AFTER, **ATTENTION, **HEAD_NORMS, **GATED}),
        "gpt2": Names(
            {
                "token_embd": "transformer.wte",
                "position_embd": "transformer.wpe",
                "output_norm": "transformer.ln_f",
                "output": "lm_head",
            },
            {
                "attn_norm": "ln_1",
                "attn_qkv": "attn.c_attn",
                "attn_output": "attn.c_proj",
                "ffn_norm": "ln_2",
                "ffn_up": "mlp.c_fc",
                "ffn_down": "mlp.c_proj",
            },
            prefix="transformer.h",
            changes=dict.fromkeys(("attn_qkv", "attn_output", "ffn_up", "ffn_down"), "transpose"),
        ),
    }
)
"""Architectures by the name that files give them."""

NO_WEIGHTS: Mapping[str, str] = MappingProxyType(
    {
        "rope_freqs": "how rotary frequencies are slowed down; it is in the configuration",
        "attn_rot_embd": "rotary frequencies, which follow from the configuration; old conversions kept them",
    }
)
"""Tensors of files that are none of a folder, with the reason why they are left out."""


def sources(header: GgufHeader, architecture: str, config: Mapping[str, Any]) -> dict[str, Source]:
    """Return how each tensor of a folder is made from the file's.

    Args:
        header: of the file.
        architecture: a key of `NAMES`.
        config: the configuration, for the numbers of heads.

    Raises:
        CheckpointError: the file has a tensor whose meaning is not known, or one whose rows are no whole heads.

    """
    names = NAMES[architecture]
    found: dict[str, Source] = {}
    unknown = []
    for tensor, stored in header.tensors.items():
        leaf, target = _target(names, tensor)
        if target is not None:
            for part in range(stored.shape[0]) if PART in target else (None,):
                found[target.replace(PART, str(part))] = _source(
                    header, tensor, names.changes.get(leaf, "none"), config, part
                )
        elif leaf not in NO_WEIGHTS:
            unknown.append(tensor)
    if unknown:
        near = nearest(_target(names, unknown[0])[0], [*names.outside, *names.layer], 1)
        raise CheckpointError(
            f"{header.path} is of architecture {architecture!r} and has tensors that are not known there: "
            f"{listed(unknown)}"
            + (f" (near {near[0]!r})" if near else "")
            + ". Without them the network would compute "
            "something else."
        )
    return found


def _target(names: Names, tensor: str) -> tuple[str, str | None]:
    """Return the name within its layer, and the name in a folder; None where there is none."""
    inside = IN_LAYER.fullmatch(tensor)
    if inside:
        layer, leaf, kind = inside.groups()
        other = names.layer.get(leaf)
        return leaf, None if other is None else f"{names.prefix}.{layer}.{other}.{kind}"
    outside = OUTSIDE.fullmatch(tensor)
    leaf, kind = outside.groups() if outside else (tensor, "")
    other = names.outside.get(leaf)
    return leaf, None if other is None else f"{other}.{kind}"


def _source(header: GgufHeader, tensor: str, change: Change, config: Mapping[str, Any], part: int | None) -> Source:
    axes = len(header.tensors[tensor].shape)
    if tensor.endswith(".bias") and change not in ROTATED.values():
        change = "none"
    if (change == "transpose" and axes != 2) or (part is not None and axes < 2) or (axes > 2 and part is None):
        raise CheckpointError(f"{tensor!r} of {header.path} has {axes} axes, which does not fit its name.")
    heads = 1
    if change in ROTATED.values():
        heads = config["num_attention_heads" if change == "unpermute queries" else "num_key_value_heads"]
        rows = header.tensors[tensor].shape[0]
        if rows % (2 * heads):
            raise CheckpointError(
                f"{tensor!r} of {header.path} has {rows} rows, which are not {heads} heads of even width."
            )
    return Source(tensor, change, heads, part)
