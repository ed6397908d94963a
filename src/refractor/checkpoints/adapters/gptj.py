"""GPT-J (Wang & Komatsuzaki 2021): attention and MLP side by side behind one norm, neighbouring dimensions turn."""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import TWICE
from refractor.checkpoints.adapters.rules import Adapter, Rule, Rules, attention, linear, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation
from refractor.models.config import HookedTransformerConfig

MAPS = ("q_proj", "k_proj", "v_proj", "out_proj")


def _config(keys: Keys) -> dict[str, Any]:
    d_model, n_heads = keys.size("n_embd"), keys.size("n_head")
    if d_model % n_heads:
        raise CheckpointError(f"n_embd={d_model} is no multiple of n_head={n_heads}.")
    keys.only("rotary", [True])
    keys.only("scale_attn_weights", [True])
    return {
        "n_layers": keys.size("n_layer"),
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": d_model // n_heads,
        "d_mlp": keys.size("n_inner", 4 * d_model),
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": keys.size("n_positions", 2048),
        "act_fn": activation(keys, "activation_function", "gelu_new"),
        "eps": keys.number("layer_norm_epsilon", 1e-5),
        "positional_embedding_type": "rotary",
        "rotary_dim": keys.size("rotary_dim", d_model // n_heads),
        "rotary_adjacent_pairs": True,
        "parallel_attn_mlp": True,
    }


def _rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "transformer.h.#.", "blocks.#."
    return [
        one("transformer.wte.weight", "embed.W_E"),
        Rule((block + "ln_1.weight",), (ours + "ln1.w", ours + "ln2.w"), TWICE),
        Rule((block + "ln_1.bias",), (ours + "ln1.b", ours + "ln2.b"), TWICE),
        *attention(cfg, block + "attn", MAPS, qkv_bias=False, out_bias=False),
        *linear(block + "mlp.fc_in", ours + "mlp.W_in"),
        *linear(block + "mlp.fc_out", ours + "mlp.W_out"),
        *norm("transformer.ln_f", "ln_final"),
        *unembedding(config, has_bias=True, tied=False),
    ]


GPTJ = Adapter(
    model_types=("gptj",),
    config=_config,
    rules=_rules,
    tied=False,
    buffers={".attn.bias": "the causal mask", ".attn.masked_bias": "what the mask writes"},
    ignored_keys={"n_ctx": "the older name of n_positions"},
)
