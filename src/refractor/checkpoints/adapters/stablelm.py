"""StableLM (Bellagente et al. 2024): LayerNorm, gated MLP, part of each head turns; some with norms of every head."""

from collections.abc import Mapping
from typing import Any

from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import NORM_PER_HEAD, TWICE
from refractor.checkpoints.adapters.llama import BUFFERS, MAPS, gated_rules
from refractor.checkpoints.adapters.rules import Adapter, Rule, Rules, attention, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, rotary, shared_heads, sizes
from refractor.models.config import HookedTransformerConfig


def _config(keys: Keys) -> dict[str, Any]:
    found = sizes(keys)
    keys.flag("use_qkv_bias", default=False)
    return {
        **found,
        **shared_heads(keys, found["n_heads"]),
        **rotary(keys, found["d_head"], share=0.25),
        "act_fn": activation(keys, "hidden_act", "silu"),
        "eps": keys.number("layer_norm_eps", 1e-5),
        "gated_mlp": True,
        "qk_norm": "LN" if keys.flag("qk_layernorm", default=False) else None,
        "parallel_attn_mlp": keys.flag("use_parallel_residual", default=False),
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "model.layers.#.", "blocks.#."
    if cfg.parallel_attn_mlp:
        norms = [
            Rule((block + "input_layernorm.weight",), (ours + "ln1.w", ours + "ln2.w"), TWICE),
            Rule((block + "input_layernorm.bias",), (ours + "ln1.b", ours + "ln2.b"), TWICE),
        ]
    else:
        norms = [
            *norm(block + "input_layernorm", ours + "ln1"),
            *norm(block + "post_attention_layernorm", ours + "ln2"),
        ]
    return [
        one("model.embed_tokens.weight", "embed.W_E"),
        *norms,
        *attention(cfg, block + "self_attn", MAPS, qkv_bias=bool(config.get("use_qkv_bias")), out_bias=False),
        *(_norms_of_heads(cfg) if cfg.qk_norm else []),
        *gated_rules(),
        *norm("model.norm", "ln_final"),
        *unembedding(config, tied=False),
    ]


def _norms_of_heads(cfg: HookedTransformerConfig) -> list[Rule]:
    rules = []
    for letter, n_heads in (("q", cfg.n_heads), ("k", cfg.n_kv_heads)):
        theirs = f"model.layers.#.self_attn.{letter}_layernorm.norms."
        names = tuple(f"{theirs}{head}.weight" for head in range(n_heads))
        rules.append(Rule(names, (f"blocks.#.attn.{letter}_norm.w",), NORM_PER_HEAD))
    return rules


STABLELM = Adapter(("stablelm",), _config, _rules, tied=False, buffers=BUFFERS)
