"""OPT (Zhang et al. 2022): learned positions from row 2 on; one size normalises the stream and projects embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import Layout, rows_from
from refractor.checkpoints.adapters.rules import (
    Adapter,
    Rule,
    Rules,
    attention,
    is_tied,
    linear,
    norm,
    one,
    unembedding,
)
from refractor.checkpoints.adapters.shared import activation
from refractor.models.config import HookedTransformerConfig

MAPS = ("q_proj", "k_proj", "v_proj", "out_proj")
FIRST_POSITION = 2  # rows 0 and 1 of the table are for padding


def _config(keys: Keys) -> dict[str, Any]:
    d_model, n_heads = keys.size("hidden_size"), keys.size("num_attention_heads")
    if d_model % n_heads:
        raise CheckpointError(f"hidden_size={d_model} is no multiple of num_attention_heads={n_heads}.")
    keys.size("word_embed_proj_dim", d_model)
    keys.only("_remove_final_layer_norm", [False])
    keys.only("layer_norm_elementwise_affine", [True])
    keys.only("enable_bias", [True])
    return {
        "n_layers": keys.size("num_hidden_layers"),
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": d_model // n_heads,
        "d_mlp": keys.size("ffn_dim"),
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": keys.size("max_position_embeddings"),
        "act_fn": activation(keys, "activation_function", "relu"),
        "norm_placement": "before" if keys.flag("do_layer_norm_before", default=True) else "stream",
    }


def _is_projected(config: Mapping[str, Any]) -> bool:
    return (config.get("word_embed_proj_dim") or config["hidden_size"]) != config["hidden_size"]


def _projected(theirs: Sequence[Tensor], cfg: HookedTransformerConfig) -> tuple[Tensor, ...]:
    narrow, into, out = theirs
    return narrow @ into.T, out.T @ narrow.T


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "model.decoder.layers.#.", "blocks.#."
    before = config.get("do_layer_norm_before") is not False
    if _is_projected(config):
        if not is_tied(config):
            raise CheckpointError("OPT models with projected embeddings that are not tied are not supported.")
        names = ("embed_tokens", "project_in", "project_out")
        theirs = tuple(f"model.decoder.{name}.weight" for name in names)
        ends = [Rule(theirs, ("embed.W_E", "unembed.W_U"), Layout(_projected, None))]
    else:
        ends = [one("model.decoder.embed_tokens.weight", "embed.W_E"), *unembedding(config)]
    return [
        *ends,
        one("model.decoder.embed_positions.weight", "pos_embed.W_pos", rows_from(FIRST_POSITION)),
        *norm(block + "self_attn_layer_norm", ours + "ln1"),
        *attention(cfg, block + "self_attn", MAPS, qkv_bias=True, out_bias=True),
        *norm(block + "final_layer_norm", ours + "ln2"),
        *linear(block + "fc1", ours + "mlp.W_in"),
        *linear(block + "fc2", ours + "mlp.W_out"),
        *(norm("model.decoder.final_layer_norm", "ln_final") if before else []),
    ]


def _written(config: Mapping[str, Any]) -> dict[str, Any]:
    if not _is_projected(config):
        return dict(config)
    return {**config, "word_embed_proj_dim": config["hidden_size"], "tie_word_embeddings": False}


OPT = Adapter(model_types=("opt",), config=_config, rules=_rules, written_config=_written)
