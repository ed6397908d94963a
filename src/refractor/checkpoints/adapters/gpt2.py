"""GPT-2 (Radford et al. 2019): learned positions, fused attention stored input first."""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import CONV_OUT, CONV_QKV, CONV_QKV_BIASES, SAME
from refractor.checkpoints.adapters.rules import Adapter, Rules, fused_attention, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation
from refractor.models.config import HookedTransformerConfig


def _config(keys: Keys) -> dict[str, Any]:
    d_model, n_heads = keys.size("n_embd"), keys.size("n_head")
    if d_model % n_heads:
        raise CheckpointError(f"n_embd={d_model} is no multiple of n_head={n_heads}.")
    keys.only("scale_attn_by_inverse_layer_idx", [False])
    keys.only("add_cross_attention", [False])
    n_ctx = keys.size("n_positions", keys.take("n_ctx", 1024))
    return {
        "n_layers": keys.size("n_layer"),
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": d_model // n_heads,
        "d_mlp": keys.size("n_inner", 4 * d_model),
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": n_ctx,
        "act_fn": activation(keys, "activation_function", "gelu_new"),
        "eps": keys.number("layer_norm_epsilon", 1e-5),
        "use_attn_scale": keys.flag("scale_attn_weights", default=True),
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "transformer.h.#.", "blocks.#."
    return [
        one("transformer.wte.weight", "embed.W_E"),
        one("transformer.wpe.weight", "pos_embed.W_pos"),
        *norm(block + "ln_1", ours + "ln1"),
        *fused_attention(cfg, block + "attn.c_attn", CONV_QKV, has_bias=True, bias_layout=CONV_QKV_BIASES),
        one(block + "attn.c_proj.weight", ours + "attn.W_O", CONV_OUT),
        one(block + "attn.c_proj.bias", ours + "attn.b_O"),
        *norm(block + "ln_2", ours + "ln2"),
        one(block + "mlp.c_fc.weight", ours + "mlp.W_in", SAME),
        one(block + "mlp.c_fc.bias", ours + "mlp.b_in"),
        one(block + "mlp.c_proj.weight", ours + "mlp.W_out", SAME),
        one(block + "mlp.c_proj.bias", ours + "mlp.b_out"),
        *norm("transformer.ln_f", "ln_final"),
        *unembedding(config),
    ]


GPT2 = Adapter(
    model_types=("gpt2",),
    config=_config,
    rules=_rules,
    buffers={".attn.bias": "the causal mask", ".attn.masked_bias": "what the mask writes"},
    ignored_keys={"n_ctx": "the older name of n_positions"},
)
