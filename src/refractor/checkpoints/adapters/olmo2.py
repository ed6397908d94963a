"""OLMo 2 (OLMo Team 2024): norms behind attention and MLP only, queries and keys normalised over all heads together."""

from collections.abc import Mapping
from typing import Any

from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import HEAD_BIASES
from refractor.checkpoints.adapters.llama import BUFFERS, MAPS, gated_rules
from refractor.checkpoints.adapters.rules import Adapter, Rules, attention, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, rotary, shared_heads, sizes
from refractor.models.config import HookedTransformerConfig


def _config(keys: Keys) -> dict[str, Any]:
    found = sizes(keys)
    keys.flag("attention_bias", default=False)
    return {
        **found,
        **shared_heads(keys, found["n_heads"]),
        **rotary(keys, found["d_head"]),
        "act_fn": activation(keys, "hidden_act", "silu"),
        "eps": keys.number("rms_norm_eps", 1e-5),
        "normalization_type": "RMS",
        "norm_placement": "after",
        "qk_norm": "joint RMS",
        "gated_mlp": True,
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours, biased = "model.layers.#.", "blocks.#.", bool(config.get("attention_bias"))
    return [
        one("model.embed_tokens.weight", "embed.W_E"),
        *attention(cfg, block + "self_attn", MAPS, biased, biased),
        *[one(f"{block}self_attn.{letter}_norm.weight", f"{ours}attn.{letter}_norm.w", HEAD_BIASES) for letter in "qk"],
        *norm(block + "post_attention_layernorm", ours + "ln1_post", bias=False),
        *gated_rules(),
        *norm(block + "post_feedforward_layernorm", ours + "ln2_post", bias=False),
        *norm("model.norm", "ln_final", bias=False),
        *unembedding(config, tied=False),
    ]


OLMO2 = Adapter(("olmo2",), _config, _rules, tied=False, buffers=BUFFERS)
