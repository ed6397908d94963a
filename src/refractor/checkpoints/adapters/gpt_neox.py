"""GPT-NeoX and Pythia (Black et al. 2022; Biderman et al. 2023): part of each head turns, mostly parallel blocks."""

from collections.abc import Mapping
from typing import Any

from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import GROUPED_QKV, HEADS_OUT
from refractor.checkpoints.adapters.rules import Adapter, Rules, fused_attention, linear, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, rotary, sizes
from refractor.models.config import HookedTransformerConfig


def _config(keys: Keys) -> dict[str, Any]:
    found = sizes(keys)
    keys.only("is_decoder", [True, False])
    keys.flag("attention_bias", default=True)
    return {
        **found,
        **rotary(keys, found["d_head"], share=0.25),
        "act_fn": activation(keys, "hidden_act", "gelu"),
        "eps": keys.number("layer_norm_eps", 1e-5),
        "parallel_attn_mlp": keys.flag("use_parallel_residual", default=True),
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any], unembed: str = "embed_out") -> Rules:
    block, ours = "gpt_neox.layers.#.", "blocks.#."
    biased = config.get("attention_bias") is not False
    rules = [
        one("gpt_neox.embed_in.weight", "embed.W_E"),
        *norm(block + "input_layernorm", ours + "ln1"),
        *fused_attention(cfg, block + "attention.query_key_value", GROUPED_QKV, biased),
        one(block + "attention.dense.weight", ours + "attn.W_O", HEADS_OUT),
        *norm(block + "post_attention_layernorm", ours + "ln2"),
        *linear(block + "mlp.dense_h_to_4h", ours + "mlp.W_in"),
        *linear(block + "mlp.dense_4h_to_h", ours + "mlp.W_out"),
        *norm("gpt_neox.final_layer_norm", "ln_final"),
        *unembedding(config, unembed, tied=False),
    ]
    return [*rules, one(block + "attention.dense.bias", ours + "attn.b_O")] if biased else rules


def _rules_in_memory(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    return _rules(cfg, config, "lm_head")


GPT_NEOX = Adapter(
    model_types=("gpt_neox",),
    config=_config,
    rules=_rules,
    tied=False,
    rules_in_memory=_rules_in_memory,
    prefixes=("gpt_neox.",),
    buffers={
        ".attention.bias": "the causal mask",
        ".attention.masked_bias": "what the mask writes",
        ".rotary_emb.inv_freq": "the frequencies of rotary positions",
    },
)
