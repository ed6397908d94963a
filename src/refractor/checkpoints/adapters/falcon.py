"""Falcon (Almazrouei et al. 2023): one key/value head for all or for groups, rotary or slopes, one or two norms."""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import GROUPED_QKV, HEADS_OUT, TWICE
from refractor.checkpoints.adapters.rules import Adapter, Rule, Rules, fused_attention, linear, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, rotary
from refractor.models.config import HookedTransformerConfig


def _config(keys: Keys) -> dict[str, Any]:
    d_model = keys.size("hidden_size")
    n_heads = keys.size("num_attention_heads", keys.take("n_head", None))
    if d_model % n_heads:
        raise CheckpointError(f"hidden_size={d_model} is no multiple of num_attention_heads={n_heads}.")
    d_head = d_model // n_heads
    grouped, one_head = keys.flag("new_decoder_architecture", default=False), keys.flag("multi_query", default=True)
    n_kv = keys.size("num_kv_heads", keys.take("n_head_kv", n_heads))
    n_kv = n_kv if grouped else 1 if one_head else n_heads
    keys.only("num_ln_in_parallel_attn", [1, 2])
    keys.only("apply_residual_connection_post_layernorm", [False])
    keys.flag("bias", default=False)
    if keys.flag("alibi", default=False):
        rotary(keys, d_head)  # the words are there, but mean nothing
        positions = {"positional_embedding_type": "alibi", "alibi_scale": d_head**-0.5, "alibi_rounded": True}
    else:
        positions = rotary(keys, d_head)
    return {
        "n_layers": keys.size("num_hidden_layers", keys.take("n_layer", None)),
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": d_head,
        "n_key_value_heads": None if n_kv == n_heads else n_kv,
        "d_mlp": keys.size("ffn_hidden_size", 4 * d_model),
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": keys.size("max_position_embeddings", 2048),
        "act_fn": activation(keys, "activation", "gelu"),
        "eps": keys.number("layer_norm_epsilon", 1e-5),
        "parallel_attn_mlp": keys.flag("parallel_attn", default=True) or grouped,
        **positions,
    }


def _norms(cfg: HookedTransformerConfig, config: Mapping[str, Any], block: str, ours: str) -> Rules:
    if config.get("new_decoder_architecture") and config.get("num_ln_in_parallel_attn") != 1:
        return [*norm(block + "ln_attn", ours + "ln1"), *norm(block + "ln_mlp", ours + "ln2")]
    if not cfg.parallel_attn_mlp:
        return [*norm(block + "input_layernorm", ours + "ln1"), *norm(block + "post_attention_layernorm", ours + "ln2")]
    return [
        Rule((block + "input_layernorm.weight",), (ours + "ln1.w", ours + "ln2.w"), TWICE),
        Rule((block + "input_layernorm.bias",), (ours + "ln1.b", ours + "ln2.b"), TWICE),
    ]


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "transformer.h.#.", "blocks.#."
    biased = bool(config.get("bias"))
    return [
        one("transformer.word_embeddings.weight", "embed.W_E"),
        *_norms(cfg, config, block, ours),
        *fused_attention(cfg, block + "self_attention.query_key_value", GROUPED_QKV, biased),
        one(block + "self_attention.dense.weight", ours + "attn.W_O", HEADS_OUT),
        *([one(block + "self_attention.dense.bias", ours + "attn.b_O")] if biased else []),
        *linear(block + "mlp.dense_h_to_4h", ours + "mlp.W_in", biased),
        *linear(block + "mlp.dense_4h_to_h", ours + "mlp.W_out", biased),
        *norm("transformer.ln_f", "ln_final"),
        *unembedding(config),
    ]


FALCON = Adapter(
    model_types=("falcon", "RefinedWeb", "RefinedWebModel"),
    config=_config,
    rules=_rules,
    buffers={".rotary_emb.inv_freq": "the frequencies of rotary positions"},
)
