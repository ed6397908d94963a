"""The configurations of the tiny checkpoints: every family, in sizes of which no two agree by accident."""

from typing import Any

EPS = 5e-5  # no family's default, and large enough that 1e-5 or 1e-6 in its place is seen

_TOKENS = {"vocab_size": 128, "bos_token_id": 1, "eos_token_id": 2}
_SIZES = {
    **_TOKENS,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
}
_GROUPED = {**_SIZES, "intermediate_size": 88, "num_key_value_heads": 2}
_RMS = {**_GROUPED, "rms_norm_eps": EPS}
_WIDE = {**_RMS, "head_dim": 24}  # 4 heads of 24 are 96 wide, not 64


def _rope(theta: float = 5000.0, kind: str = "default", **more: float) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


_GPT = {
    **_TOKENS,
    "n_positions": 48,
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "n_inner": 88,
    "layer_norm_epsilon": EPS,
}
_GPT_NEO = {
    **_TOKENS,
    "model_type": "gpt_neo",
    "max_position_embeddings": 48,
    "hidden_size": 64,
    "num_layers": 3,
    "num_heads": 4,
    "intermediate_size": 88,
    "window_size": 8,
    "attention_types": [[["global", "local"], 1], [["global"], 1]],
    "layer_norm_epsilon": EPS,
}
_NEOX = {
    **_SIZES,
    "model_type": "gpt_neox",
    "intermediate_size": 88,
    "layer_norm_eps": EPS,
    **_rope(partial_rotary_factor=0.5),
}
_OPT = {**_SIZES, "model_type": "opt", "ffn_dim": 88, "pad_token_id": 3}
_BLOOM = {**_TOKENS, "model_type": "bloom", "n_layer": 3, "layer_norm_epsilon": EPS, "pad_token_id": 3}
_FALCON = {**_SIZES, "model_type": "falcon", "ffn_hidden_size": 88, "layer_norm_epsilon": EPS, "alibi": False}
_LLAMA = {**_WIDE, "model_type": "llama"}
_QWEN2 = {**_RMS, "model_type": "qwen2", **_rope()}
_GEMMA = {**_WIDE, "pad_token_id": 0}
_GEMMA_SCALED = {**_GEMMA, "query_pre_attn_scalar": 20, "sliding_window": 8}  # 20 is not the 24 of a head
_STABLELM = {
    **_GROUPED,
    "model_type": "stablelm",
    "layer_norm_eps": EPS,
    "use_qkv_bias": True,
    **_rope(partial_rotary_factor=0.75),
}

CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {**_GPT, "model_type": "gpt2"},
    "gpt2_square": {**_GPT, "model_type": "gpt2", "n_inner": 64, "vocab_size": 64},
    "gpt_neo": _GPT_NEO,
    "gptj": {**_GPT, "model_type": "gptj", "rotary_dim": 12},
    "gpt_neox": {**_NEOX, "use_parallel_residual": True},
    "gpt_neox_sequential": {**_NEOX, "use_parallel_residual": False},
    "opt": _OPT,
    "opt_350m": {**_OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 40},
    "bloom": {**_BLOOM, "hidden_size": 64, "n_head": 4},
    # Six heads are no power of two: the slopes of the last two come from another geometric series.
    "bloom_six_heads": {**_BLOOM, "hidden_size": 72, "n_head": 6},
    "falcon_7b": {**_FALCON, **_rope(), "multi_query": True, "parallel_attn": True, "bias": False},
    "falcon_40b": {**_FALCON, **_rope(), "new_decoder_architecture": True, "num_kv_heads": 2, "bias": False},
    "falcon_alibi": {**_FALCON, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
    "llama": {**_LLAMA, **_rope()},
    "llama_square": {
        **_LLAMA,
        **_rope(),
        "intermediate_size": 64,
        "vocab_size": 64,
        "head_dim": 16,
        "num_key_value_heads": 4,
    },
    # Twelve wavelengths of 6.3 to 13,500 tokens: two below 64/4 stay, two reach up to 64 and are blended, the
    # others are divided by the factor.
    "llama3": {
        **_LLAMA,
        **_rope(
            10000.0,
            "llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
        ),
        "max_position_embeddings": 512,
    },
    "llama_linear": {**_LLAMA, **_rope(kind="linear", factor=3.0), "tie_word_embeddings": True},
    "llama_biased": {**_LLAMA, **_rope(), "attention_bias": True, "mlp_bias": True},
    "mistral": {**_WIDE, "model_type": "mistral", **_rope(), "sliding_window": 8},
    "mixtral": {
        **_WIDE,
        "model_type": "mixtral",
        **_rope(),
        "sliding_window": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "qwen2": _QWEN2,
    "qwen2_window": {
        **_QWEN2,
        "use_sliding_window": True,
        "sliding_window": 8,
        "max_window_layers": 1,
        "tie_word_embeddings": True,
    },
    "qwen3": {**_WIDE, "model_type": "qwen3", **_rope(), "tie_word_embeddings": True},
    "gemma": {**_GEMMA, "model_type": "gemma", **_rope()},
    "gemma2": {
        **_GEMMA_SCALED,
        "model_type": "gemma2",
        **_rope(),
        "attn_logit_softcapping": 3.0,
        "final_logit_softcapping": 2.5,
    },
    "gemma3": {
        **_GEMMA_SCALED,
        "model_type": "gemma3_text",
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 40000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 700.0},
        },
    },
    "phi": {**_GROUPED, "model_type": "phi", "layer_norm_eps": EPS, **_rope(partial_rotary_factor=0.25)},
    "phi3": {
        **_RMS,
        "model_type": "phi3",
        **_rope(partial_rotary_factor=0.75),
        "sliding_window": 8,
        "original_max_position_embeddings": 48,
        "pad_token_id": 3,
    },
    "stablelm": _STABLELM,
    "stablelm_parallel": {**_STABLELM, "use_parallel_residual": True, "qk_layernorm": True},
    "olmo2": {**_RMS, "model_type": "olmo2", **_rope(), "pad_token_id": 3},
}
