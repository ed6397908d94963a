"""GPT-Neo (Black et al. 2021): like GPT-2, with scores that are not scaled and windows in every other layer."""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.rules import Adapter, Rules, attention, linear, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, windows
from refractor.models.config import HookedTransformerConfig

MAPS = ("q_proj", "k_proj", "v_proj", "out_proj")


def _config(keys: Keys) -> dict[str, Any]:
    d_model, n_heads, n_layers = keys.size("hidden_size"), keys.size("num_heads"), keys.size("num_layers")
    if d_model % n_heads:
        raise CheckpointError(f"hidden_size={d_model} is no multiple of num_heads={n_heads}.")
    pattern = keys.take("attention_types", [[["global", "local"], n_layers // 2]])
    spelled = [kind for kinds, times in pattern for _ in range(times) for kind in kinds]
    types = keys.take("attention_layers", spelled)
    if len(types) != n_layers:
        raise CheckpointError(f"attention_layers names {len(types)} layers, but num_layers={n_layers}.")
    return {
        "n_layers": n_layers,
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": d_model // n_heads,
        "d_mlp": keys.size("intermediate_size", 4 * d_model),
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": keys.size("max_position_embeddings"),
        "act_fn": activation(keys, "activation_function", "gelu_new"),
        "eps": keys.number("layer_norm_epsilon", 1e-5),
        "use_attn_scale": False,
        **windows(types, keys.size("window_size", 256)),
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "transformer.h.#.", "blocks.#."
    return [
        one("transformer.wte.weight", "embed.W_E"),
        one("transformer.wpe.weight", "pos_embed.W_pos"),
        *norm(block + "ln_1", ours + "ln1"),
        *attention(cfg, block + "attn.attention", MAPS, qkv_bias=False, out_bias=True),
        *norm(block + "ln_2", ours + "ln2"),
        *linear(block + "mlp.c_fc", ours + "mlp.W_in"),
        *linear(block + "mlp.c_proj", ours + "mlp.W_out"),
        *norm("transformer.ln_f", "ln_final"),
        *unembedding(config),
    ]


GPT_NEO = Adapter(
    model_types=("gpt_neo",),
    config=_config,
    rules=_rules,
    buffers={".attention.bias": "the causal mask", ".attention.masked_bias": "what the mask writes"},
)
