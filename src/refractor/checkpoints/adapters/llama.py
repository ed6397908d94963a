"""Llama and its kin: RMSNorm before, rotary positions, gated MLP, keys and values shared by groups of heads.

Touvron et al. 2023 (Llama), Jiang et al. 2023 (Mistral: a window), 2024 (Mixtral: experts), Yang et al. 2024 (Qwen 2:
biases of queries, keys and values), 2025 (Qwen 3: queries and keys normalised).
"""

from collections.abc import Mapping
from typing import Any

from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import EXPERTS, EXPERTS_GATE, EXPERTS_STACKED, TRANSPOSED
from refractor.checkpoints.adapters.rules import Adapter, Rule, Rules, attention, linear, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, rotary, shared_heads, sizes, windows
from refractor.models.config import HookedTransformerConfig

MAPS = ("q_proj", "k_proj", "v_proj", "o_proj")
BUFFERS = {".rotary_emb.inv_freq": "the frequencies of rotary positions"}


def _common(keys: Keys, base: float = 10000.0) -> dict[str, Any]:
    found = sizes(keys)
    return {
        **found,
        **shared_heads(keys, found["n_heads"]),
        **rotary(keys, found["d_head"], base=base),
        "act_fn": activation(keys, "hidden_act", "silu"),
        "eps": keys.number("rms_norm_eps", 1e-6),
        "normalization_type": "RMS",
        "gated_mlp": True,
    }


def _llama(keys: Keys) -> dict[str, Any]:
    keys.flag("attention_bias", default=False)
    keys.flag("mlp_bias", default=False)
    keys.only("rope_interleaved", [False])
    return _common(keys)


def _mistral(keys: Keys, base: float = 10000.0) -> dict[str, Any]:
    found = _common(keys, base)
    window = keys.take("sliding_window", None)
    kinds = ("sliding_attention",) * found["n_layers"] if window is not None else ()
    return {**found, **windows(keys.take("layer_types", kinds), window)}


def _mixtral(keys: Keys) -> dict[str, Any]:
    return {
        **_mistral(keys, base=1000000.0),
        "num_experts": keys.size("num_local_experts", 8),
        "experts_per_token": keys.size("num_experts_per_tok", 2),
    }


def _qwen(keys: Keys) -> dict[str, Any]:
    found = _common(keys)
    n_layers, first = found["n_layers"], keys.take("max_window_layers", 28)
    used, window = keys.flag("use_sliding_window", default=False), keys.take("sliding_window", None)
    spelled = ["sliding_attention" if used and layer >= first else "full_attention" for layer in range(n_layers)]
    keys.flag("attention_bias", default=False)
    return {**found, **windows(keys.take("layer_types", spelled), window)}


def _qwen3(keys: Keys) -> dict[str, Any]:
    return {**_qwen(keys), "qk_norm": "RMS"}


def _rules(
    cfg: HookedTransformerConfig, config: Mapping[str, Any], qkv_bias: bool, out_bias: bool, mlp: Rules
) -> list[Rule]:
    block, ours = "model.layers.#.", "blocks.#."
    return [
        one("model.embed_tokens.weight", "embed.W_E"),
        *norm(block + "input_layernorm", ours + "ln1", bias=False),
        *attention(cfg, block + "self_attn", MAPS, qkv_bias, out_bias),
        *norm(block + "post_attention_layernorm", ours + "ln2", bias=False),
        *mlp,
        *norm("model.norm", "ln_final", bias=False),
        *unembedding(config, tied=False),
    ]


def gated_rules(bias: bool = False) -> list[Rule]:
    """Return the rules of a gated MLP with three maps."""
    block, ours = "model.layers.#.mlp.", "blocks.#.mlp."
    names = (("gate_proj", "W_gate"), ("up_proj", "W_in"), ("down_proj", "W_out"))
    return [rule for theirs, name in names for rule in linear(block + theirs, ours + name, bias)]


def _llama_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    biased = bool(config.get("attention_bias"))
    return _rules(cfg, config, biased, biased, gated_rules(bool(config.get("mlp_bias"))))


def _qwen2_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    return _rules(cfg, config, qkv_bias=True, out_bias=False, mlp=gated_rules())


def _qwen3_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    biased = bool(config.get("attention_bias"))
    norms = [one(f"model.layers.#.self_attn.{letter}_norm.weight", f"blocks.#.attn.{letter}_norm.w") for letter in "qk"]
    return [*_rules(cfg, config, biased, biased, gated_rules()), *norms]


def _mixtral_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    ours, experts = "blocks.#.mlp.", range(cfg.num_experts or 0)
    moe = "model.layers.#.block_sparse_moe."
    maps = (("w1", "W_gate"), ("w3", "W_in"), ("w2", "W_out"))
    of_experts = [
        Rule(tuple(f"{moe}experts.{number}.{theirs}.weight" for number in experts), (ours + name,), EXPERTS)
        for theirs, name in maps
    ]
    router = one(moe + "gate.weight", ours + "W_router", TRANSPOSED)
    return _rules(cfg, config, qkv_bias=False, out_bias=False, mlp=[router, *of_experts])


def mixtral_in_memory(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    """Return the rules for the names that transformers 5 gives the same tensors in memory: experts are stacked."""
    ours, moe = "blocks.#.mlp.", "model.layers.#.mlp."
    mlp = [
        one(moe + "gate.weight", ours + "W_router", TRANSPOSED),
        Rule((moe + "experts.gate_up_proj",), (ours + "W_gate", ours + "W_in"), EXPERTS_GATE),
        one(moe + "experts.down_proj", ours + "W_out", EXPERTS_STACKED),
    ]
    return _rules(cfg, config, qkv_bias=False, out_bias=False, mlp=mlp)


LLAMA = Adapter(
    ("llama",),
    _llama,
    _llama_rules,
    tied=False,
    buffers=BUFFERS,
    ignored_keys={"is_llama_config": "says what model_type says"},
)
MISTRAL = Adapter(("mistral",), _mistral, _llama_rules, tied=False, buffers=BUFFERS)
MIXTRAL = Adapter(
    ("mixtral",), _mixtral, _mixtral_rules, tied=False, buffers=BUFFERS, rules_in_memory=mixtral_in_memory
)
QWEN2 = Adapter(
    ("qwen2",), _qwen, _qwen2_rules, tied=False, buffers=BUFFERS, ignored_keys={"use_mrope": "of models that see"}
)
QWEN3 = Adapter(("qwen3",), _qwen3, _qwen3_rules, tied=False, buffers=BUFFERS)
