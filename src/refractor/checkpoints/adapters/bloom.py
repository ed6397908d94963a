"""Bloom (BigScience 2022): slopes instead of positions, and a norm behind the embedding."""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import GROUPED_QKV, HEADS_OUT
from refractor.checkpoints.adapters.rules import Adapter, Rules, fused_attention, linear, norm, one, unembedding
from refractor.models.config import HookedTransformerConfig

N_CTX = 2048  # trained with; slopes go on beyond


def _config(keys: Keys) -> dict[str, Any]:
    d_model = keys.size("hidden_size", keys.take("n_embed", None))
    n_heads = keys.size("n_head", keys.take("num_attention_heads", None))
    if d_model % n_heads:
        raise CheckpointError(f"hidden_size={d_model} is no multiple of n_head={n_heads}.")
    keys.only("apply_residual_connection_post_layernorm", [False])
    return {
        "n_layers": keys.size("n_layer", keys.take("num_hidden_layers", None)),
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": d_model // n_heads,
        "d_mlp": 4 * d_model,
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": keys.size("seq_length", N_CTX),
        "act_fn": "gelu_new",
        "eps": keys.number("layer_norm_epsilon", 1e-5),
        "positional_embedding_type": "alibi",
        "post_embedding_ln": True,
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "transformer.h.#.", "blocks.#."
    return [
        one("transformer.word_embeddings.weight", "embed.W_E"),
        *norm("transformer.word_embeddings_layernorm", "embed.ln"),
        *norm(block + "input_layernorm", ours + "ln1"),
        *fused_attention(cfg, block + "self_attention.query_key_value", GROUPED_QKV, has_bias=True),
        one(block + "self_attention.dense.weight", ours + "attn.W_O", HEADS_OUT),
        one(block + "self_attention.dense.bias", ours + "attn.b_O"),
        *norm(block + "post_attention_layernorm", ours + "ln2"),
        *linear(block + "mlp.dense_h_to_4h", ours + "mlp.W_in"),
        *linear(block + "mlp.dense_4h_to_h", ours + "mlp.W_out"),
        *norm("transformer.ln_f", "ln_final"),
        *unembedding(config),
    ]


BLOOM = Adapter(
    model_types=("bloom",),
    config=_config,
    rules=_rules,
    ignored_keys={
        "offset_alibi": "another library's way to the same slopes",
        "skip_bias_add": "another library's way to add biases",
        "skip_bias_add_qkv": "another library's way to add biases",
        "masked_softmax_fusion": "another library's kernel",
        "attention_softmax_in_fp32": "another library's precision",
        "bias_dropout_fusion": "another library's kernel",
    },
)
