"""Phi.

1, 1.5 and 2 (Gunasekar et al. 2023): parallel blocks behind one norm, part of each head turns. 3 (Abdin et al. 2024) is
laid out like Llama, with fused maps.
"""

from collections.abc import Mapping
from typing import Any

from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import HEADS_OUT, STACKED_GATE, STACKED_QKV, TWICE
from refractor.checkpoints.adapters.llama import BUFFERS
from refractor.checkpoints.adapters.rules import (
    Adapter,
    Rule,
    Rules,
    attention,
    fused_attention,
    linear,
    norm,
    one,
    unembedding,
)
from refractor.checkpoints.adapters.shared import activation, rotary, shared_heads, sizes, windows
from refractor.models.config import HookedTransformerConfig


def _phi(keys: Keys) -> dict[str, Any]:
    found = sizes(keys)
    keys.only("qk_layernorm", [False])
    return {
        **found,
        **shared_heads(keys, found["n_heads"]),
        **rotary(keys, found["d_head"], share=0.5),
        "act_fn": activation(keys, "hidden_act", "gelu_new"),
        "eps": keys.number("layer_norm_eps", 1e-5),
        "parallel_attn_mlp": True,
    }


def _phi_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "model.layers.#.", "blocks.#."
    return [
        one("model.embed_tokens.weight", "embed.W_E"),
        Rule((block + "input_layernorm.weight",), (ours + "ln1.w", ours + "ln2.w"), TWICE),
        Rule((block + "input_layernorm.bias",), (ours + "ln1.b", ours + "ln2.b"), TWICE),
        *attention(cfg, block + "self_attn", ("q_proj", "k_proj", "v_proj", "dense"), qkv_bias=True, out_bias=True),
        *linear(block + "mlp.fc1", ours + "mlp.W_in"),
        *linear(block + "mlp.fc2", ours + "mlp.W_out"),
        *norm("model.final_layernorm", "ln_final"),
        *unembedding(config, has_bias=True, tied=False),
    ]


def _phi3(keys: Keys) -> dict[str, Any]:
    found = sizes(keys)
    keys.only("attention_bias", [False])
    keys.take("original_max_position_embeddings", None)  # speaks of scaled contexts, which are refused by their type
    window = keys.take("sliding_window", None)
    kinds = ("sliding_attention",) * found["n_layers"] if window is not None else ()
    return {
        **found,
        **shared_heads(keys, found["n_heads"]),
        **rotary(keys, found["d_head"], share=1.0),
        **windows(kinds, window),
        "act_fn": activation(keys, "hidden_act", "silu"),
        "eps": keys.number("rms_norm_eps", 1e-5),
        "normalization_type": "RMS",
        "gated_mlp": True,
    }


def _phi3_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "model.layers.#.", "blocks.#."
    return [
        one("model.embed_tokens.weight", "embed.W_E"),
        *norm(block + "input_layernorm", ours + "ln1", bias=False),
        *fused_attention(cfg, block + "self_attn.qkv_proj", STACKED_QKV, has_bias=False),
        one(block + "self_attn.o_proj.weight", ours + "attn.W_O", HEADS_OUT),
        *norm(block + "post_attention_layernorm", ours + "ln2", bias=False),
        Rule((block + "mlp.gate_up_proj.weight",), (ours + "mlp.W_gate", ours + "mlp.W_in"), STACKED_GATE),
        *linear(block + "mlp.down_proj", ours + "mlp.W_out", has_bias=False),
        *norm("model.norm", "ln_final", bias=False),
        *unembedding(config, tied=False),
    ]


PHI = Adapter(("phi",), _phi, _phi_rules, tied=False, buffers=BUFFERS)
PHI3 = Adapter(("phi3",), _phi3, _phi3_rules, tied=False, buffers=BUFFERS)
