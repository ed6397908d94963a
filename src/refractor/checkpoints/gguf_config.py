"""The metadata of a GGUF file as the configuration that a Hugging Face folder of the same model has.

What files do not say, because their runtime (llama.cpp) knows it of the architecture, is said here: activations, which
layers have a window, the scale of Gemma's scores. Every entry of metadata that could change what the network computes
is read, or has its neutral value, or the load stops.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import CheckpointError, nearest
from refractor.checkpoints.gguf_header import GgufHeader
from refractor.checkpoints.gguf_metadata import Stated, short
from refractor.checkpoints.gguf_rope import llama3_scaling

ROPE_FACTORS = "rope_freqs.weight"

SPECIAL_TOKENS = {
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.padding_token_id",
}

LARGEST_GEMMA = {"gemma2": 46, "gemma3": 62}  # layers of the 27B models, which scale scores by d_model / n_heads


def configuration(header: GgufHeader, rope_factors: Float[Tensor, " pair"] | None = None) -> dict[str, Any]:
    """Return the configuration of a file's model, as `config.json` of a folder has it.

    Args:
        header: of the file.
        rope_factors: the tensor `rope_freqs.weight`, where the file has one.

    Raises:
        CheckpointError: the file is no language model, its architecture is not supported, or an entry of metadata is
            missing, has a wrong type, or means something that is not supported.

    """
    stated = Stated(header)
    _check_kind(header)
    if stated.architecture not in FAMILIES:
        near = nearest(stated.architecture, FAMILIES, 1)
        raise CheckpointError(
            f"{header.path} is of architecture {stated.architecture!r}, which is not supported in GGUF files"
            + (f" (near {near[0]!r})" if near else "")
            + f". Supported are {', '.join(FAMILIES)}. Load the model from its Hugging Face folder, if its family is "
            "supported there."
        )
    config = FAMILIES[stated.architecture](stated)
    if rope_factors is not None:
        config.update(_factors(header, config, rope_factors))
    for name, full in SPECIAL_TOKENS.items():
        if isinstance(header.metadata.get(full), int):
            config[name] = header.metadata[full]
    stated.finish()
    return config


def _factors(header: GgufHeader, config: Mapping[str, Any], factors: Float[Tensor, " pair"]) -> dict[str, Any]:
    if config["model_type"] != "llama":
        raise CheckpointError(f"{header.path} has {ROPE_FACTORS}, which is read for Llama only.")
    if "rope_scaling" in config:
        raise CheckpointError(f"{header.path} scales rotary positions in two ways, by metadata and by {ROPE_FACTORS}.")
    found = llama3_scaling(factors, config["rope_theta"]) if 2 * len(factors) == config["head_dim"] else None
    if found is None:
        raise CheckpointError(
            f"{ROPE_FACTORS} of {header.path} does not follow the rule of Llama 3, the only one that is supported; its "
            f"{len(factors)} factors go from {float(factors[0]):.4g} to {float(factors[-1]):.4g}."
        )
    return {"rope_scaling": found} if found else {}


def _check_kind(header: GgufHeader) -> None:
    kind = header.metadata.get("general.type", "model")
    if kind != "model":
        raise CheckpointError(f"{header.path} holds {short(kind)} (general.type), not a whole model.")
    parts = header.metadata.get("split.count", 1)
    if parts not in (0, 1):
        raise CheckpointError(
            f"{header.path} is one of {short(parts)} parts of a model; join them first: "
            "llama-gguf-split --merge FIRST_PART OUTPUT"
        )


def _decoder(stated: Stated, eps: str = "rms_norm_eps", activation: str = "hidden_act") -> dict[str, Any]:
    """Return what all families but GPT-2 say alike."""
    heads = stated.size("attention.head_count")
    gemma = stated.architecture.startswith("gemma")
    return {
        "hidden_size": stated.size("embedding_length"),
        "intermediate_size": stated.size("feed_forward_length"),
        "num_hidden_layers": stated.size("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": stated.size("attention.head_count_kv", heads),
        "max_position_embeddings": stated.size("context_length"),
        "vocab_size": _embedding(stated)[0],
        "rope_theta": stated.number("rope.freq_base", 10000.0),
        eps: stated.number(f"attention.layer_norm_{'rms_' if eps == 'rms_norm_eps' else ''}epsilon"),
        activation: "gelu_pytorch_tanh" if gemma else "silu",
        "tie_word_embeddings": "output.weight" not in stated.header.tensors,
        **_scaling(stated),
    }


def _embedding(stated: Stated) -> tuple[int, ...]:
    embedding = stated.header.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise CheckpointError(f"{stated.header.path} has no matrix token_embd.weight, so it holds no language model.")
    return embedding.shape


def _scaling(stated: Stated) -> dict[str, Any]:
    """Return `rope_scaling` where the metadata has one; other kinds than a linear one are refused at the end."""
    metadata, name = stated.header.metadata, f"{stated.architecture}.rope.scaling"
    factor = stated.number("rope.scale_linear", 1.0)  # how old files say it
    if metadata.get(f"{name}.type", "linear") == "linear":
        stated.take("rope.scaling.type", "linear")
        factor = stated.number("rope.scaling.factor", factor)
    if factor in (0, 1):
        return {}
    return {"rope_scaling": {"rope_type": "linear", "factor": factor}}


def _head_dim(stated: Stated, config: Mapping[str, Any], free: bool, whole: bool = True) -> int:
    """Return the width of a head.

    Args:
        stated: the entries of the file.
        config: what is known already.
        free: whether it may differ from `hidden_size / num_attention_heads`, because the configuration says it.
        whole: whether all of its dimensions must turn.

    Raises:
        CheckpointError: a width is not supported.

    """
    even = config["hidden_size"] // config["num_attention_heads"]
    width = stated.size("attention.key_length", even)
    value = stated.size("attention.value_length", width)
    turning = stated.size("rope.dimension_count", width)
    if value != width or (not free and width != even) or (whole and turning != width) or turning > width:
        raise CheckpointError(
            f"{stated.header.path} has heads of width {width} (values {value}, turning {turning}) in a stream of "
            f"{config['hidden_size']} with {config['num_attention_heads']} heads, which is not supported for "
            f"{stated.architecture}."
        )
    return width


def _has(stated: Stated, name: str) -> bool:
    return f"blk.0.{name}" in stated.header.tensors


def _biased(stated: Stated) -> dict[str, bool]:
    return {"attention_bias": _has(stated, "attn_q.bias")}


def _llama(stated: Stated) -> dict[str, Any]:
    """Llama, and what converts to its architecture: Mistral, Mixtral, SmolLM 2."""
    config = _decoder(stated)
    config["head_dim"] = _head_dim(stated, config, free=True)
    experts = stated.size("expert_count", 0, least=0)
    window = stated.size("attention.sliding_window", 0, least=0)
    biased = {**_biased(stated), "mlp_bias": _has(stated, "ffn_up.bias")}
    scale = stated.number("attention.scale", 0.0)
    if scale and not math.isclose(scale, config["head_dim"] ** -0.5, rel_tol=1e-6):
        raise CheckpointError(
            f"{stated.header.path} scales attention scores by {scale}; for llama only "
            f"1 / sqrt({config['head_dim']}) is supported."
        )
    if experts:
        used = stated.size("expert_used_count")
        return {
            "model_type": "mixtral",
            **config,
            "num_local_experts": experts,
            "num_experts_per_tok": used,
            "sliding_window": window or None,
        }
    if window and not any(biased.values()):
        return {"model_type": "mistral", **config, "sliding_window": window}
    if window:
        raise CheckpointError(f"{stated.header.path} has biases and a sliding window, which no supported family has.")
    return {"model_type": "llama", **config, **biased}


def _qwen2(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated)
    _head_dim(stated, config, free=False)
    return {"model_type": "qwen2", **config}


def _qwen3(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated)
    return {"model_type": "qwen3", **config, "head_dim": _head_dim(stated, config, free=True), **_biased(stated)}


def _gemma(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated)
    return {"model_type": "gemma", **config, "head_dim": _head_dim(stated, config, free=True)}


def _gemma2(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated, activation="hidden_activation")
    width = _head_dim(stated, config, free=True)
    return {
        "model_type": "gemma2",
        **config,
        "head_dim": width,
        "query_pre_attn_scalar": _query_scalar(stated, config, width),
        "sliding_window": stated.size("attention.sliding_window", 4096),
        "layer_types": _layer_types(stated, config["num_hidden_layers"], period=2),
        "attn_logit_softcapping": stated.number("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": stated.number("final_logit_softcapping", 30.0),
    }


def _gemma3(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated, activation="hidden_activation")
    width = _head_dim(stated, config, free=True)
    window = stated.size("attention.sliding_window", 0, least=0)
    types = _layer_types(stated, config["num_hidden_layers"], period=6 if window else 1)
    return {
        "model_type": "gemma3_text",
        **config,
        "head_dim": width,
        "query_pre_attn_scalar": _query_scalar(stated, config, width),
        "sliding_window": window or config["max_position_embeddings"],  # without a window no layer uses it
        "layer_types": types,
        "rope_local_base_freq": stated.number("rope.freq_base_swa", 10000.0),
        "final_logit_softcapping": stated.number("final_logit_softcapping", 0.0) or None,
    }


def _query_scalar(stated: Stated, config: Mapping[str, Any], width: int) -> int:
    """Return the number whose root divides Gemma's scores: the width of a head, but for the largest models."""
    if config["num_hidden_layers"] == LARGEST_GEMMA[stated.architecture]:
        return config["hidden_size"] // config["num_attention_heads"]
    return width


def _layer_types(stated: Stated, layers: int, period: int) -> list[str]:
    """Return which layers have a window: all but every `period`-th, or those that the file lists."""
    pattern = stated.take("attention.sliding_window_pattern", period)
    if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern >= 1:
        windows: Sequence[Any] = [(layer + 1) % pattern != 0 for layer in range(layers)]
    elif isinstance(pattern, list) and len(pattern) == layers and all(value in (0, 1) for value in pattern):
        windows = pattern
    else:
        raise CheckpointError(
            f"{stated.architecture}.attention.sliding_window_pattern of {stated.header.path} must be a number of "
            f"layers, or true or false for each of the {layers} layers; {short(pattern)} came."
        )
    return ["sliding_attention" if window else "full_attention" for window in windows]


def _phi3(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated)
    original = stated.size("rope.scaling.original_context_length", config["max_position_embeddings"])
    return {
        "model_type": "phi3",
        **config,
        **_partial(stated, config),
        "original_max_position_embeddings": original,
        "sliding_window": stated.size("attention.sliding_window", 0, least=0) or None,
    }


def _stablelm(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated, eps="layer_norm_eps")
    return {
        "model_type": "stablelm",
        **config,
        **_partial(stated, config),
        "use_qkv_bias": _has(stated, "attn_q.bias"),
        "qk_layernorm": _has(stated, "attn_q_norm.weight"),
        "use_parallel_residual": not _has(stated, "ffn_norm.weight"),
    }


def _partial(stated: Stated, config: Mapping[str, Any]) -> dict[str, float]:
    """Return which share of a head turns, such that `int(share * width)` is what the file says."""
    width = _head_dim(stated, config, free=False, whole=False)
    turning = stated.size("rope.dimension_count", width)
    share = turning / width
    return {"partial_rotary_factor": share if int(share * width) == turning else math.nextafter(share, 1.0)}


def _olmo2(stated: Stated) -> dict[str, Any]:
    config = _decoder(stated)
    _head_dim(stated, config, free=False)
    return {"model_type": "olmo2", **config, **_biased(stated)}


def _gpt2(stated: Stated) -> dict[str, Any]:
    width = stated.size("embedding_length")
    heads = stated.size("attention.head_count")
    inner = stated.header.tensors.get("blk.0.ffn_up.weight")
    if stated.size("attention.head_count_kv", heads) != heads:
        raise CheckpointError(f"{stated.header.path} is of architecture 'gpt2' with shared keys, which GPT-2 has not.")
    return {
        "model_type": "gpt2",
        "n_embd": width,
        "n_layer": stated.size("block_count"),
        "n_head": heads,
        "n_positions": stated.size("context_length"),
        "n_inner": inner.shape[0] if inner is not None else 4 * width,
        "vocab_size": _embedding(stated)[0],
        "layer_norm_epsilon": stated.number("attention.layer_norm_epsilon"),
        "activation_function": "gelu_new",
        "tie_word_embeddings": "output.weight" not in stated.header.tensors,
    }


FAMILIES: Mapping[str, Callable[[Stated], dict[str, Any]]] = MappingProxyType(
    {
        "llama": _llama,
        "qwen2": _qwen2,
        "qwen3": _qwen3,
        "gemma": _gemma,
        "gemma2": _gemma2,
        "gemma3": _gemma3,
        "phi3": _phi3,
        "stablelm": _stablelm,
        "olmo2": _olmo2,
        "gpt2": _gpt2,
    }
)
"""Architectures by the name that files give them, and what makes their configuration."""
