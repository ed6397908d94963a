"""Tiny checkpoints as GGUF files, in the conventions of llama.cpp's conversion, written with the `gguf` package."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors.torch import load_file
from tiny_families import altered, save
from torch import Tensor

ARCHITECTURES = {"mistral": "llama", "mixtral": "llama", "gemma3_text": "gemma3"}
CHANGES: Mapping[
    str, Mapping[str, Any]
] = {  # what a GGUF file cannot say: scores of Gemma are scaled by the head's width
    "gemma2": {"query_pre_attn_scalar": 24},
    "gemma3": {"query_pre_attn_scalar": 24},
}


@cache
def saved(name: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a family as a folder has them, and the configuration of the model."""
    model = altered(name, torch.float32, **CHANGES.get(name, {}))
    with tempfile.TemporaryDirectory() as folder:
        if name in CHANGES:
            model.save_pretrained(folder)
        else:
            save(name, Path(folder))
        return load_file(Path(folder) / "model.safetensors"), model.config


def write(
    path: Path,
    name: str,
    quantise: Callable[[str, Tensor], gguf.GGMLQuantizationType] = lambda name, tensor: gguf.GGMLQuantizationType.F32,
    metadata: Mapping[str, Any] | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """Write a family to a GGUF file.

    Args:
        path: of the file.
        name: of the family.
        quantise: the type in which a tensor of the file is stored.
        metadata: more entries, or others, by their full names.
        without: entries that are left out.
    """
    state, config = saved(name)
    kind = str(config.model_type)
    architecture = ARCHITECTURES.get(kind, kind)
    writer = gguf.GGUFWriter(path, architecture)
    entries = {f"{architecture}.{key}": value for key, value in describe(config, state).items()}
    for key, value in {**entries, **(metadata or {})}.items():
        if key not in without:
            add(writer, key, value)
    for tensor, values in converted(architecture, state, config):
        code = quantise(tensor, values)
        writer.add_tensor(tensor, gguf.quants.quantize(values.numpy(), code), raw_dtype=code)
    return finish(writer, path)


def finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    """Write everything that was given to a writer."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    """Add an entry of metadata of the type that conversion gives it."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def describe(config: Any, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What conversion writes about a model, without the name of the architecture."""
    if config.model_type == "gpt2":
        return {
            "context_length": config.n_positions,
            "embedding_length": config.n_embd,
            "feed_forward_length": 4 * config.n_embd,  # whatever n_inner is
            "block_count": config.n_layer,
            "attention.head_count": config.n_head,
            "attention.layer_norm_epsilon": config.layer_norm_epsilon,
        }
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    whole = rope.get("full_attention", rope)
    entries = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "block_count": config.num_hidden_layers,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "rope.freq_base": float(whole["rope_theta"]),
        "rope.dimension_count": int(whole.get("partial_rotary_factor", 1.0) * width),
    }
    if config.model_type == "stablelm":
        return {
            **entries,
            "attention.layer_norm_epsilon": config.layer_norm_eps,
            "use_parallel_residual": config.use_parallel_residual,
        }
    entries |= {"attention.layer_norm_rms_epsilon": config.rms_norm_eps}
    if config.model_type in ("llama", "mistral", "mixtral"):
        entries |= {"vocab_size": config.vocab_size}
    if config.model_type not in ("phi3", "qwen2", "olmo2"):
        entries |= {"attention.key_length": width, "attention.value_length": width}
    if whole["rope_type"] == "linear":
        entries |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(whole["factor"])}
    if config.model_type == "phi3":
        entries |= {"rope.scaling.original_context_length": config.original_max_position_embeddings}
    if config.model_type in ("mistral", "mixtral", "gemma2", "gemma3_text", "phi3"):
        entries |= {"attention.sliding_window": config.sliding_window}
    if config.model_type == "mixtral":
        entries |= {"expert_count": config.num_local_experts, "expert_used_count": config.num_experts_per_tok}
    if config.model_type == "gemma2":
        entries |= {"attn_logit_softcapping": config.attn_logit_softcapping}
        entries |= {"final_logit_softcapping": config.final_logit_softcapping}
    if config.model_type == "gemma3_text":
        entries |= {
            "attention.sliding_window_pattern": [kind == "sliding_attention" for kind in config.layer_types],
            "rope.freq_base_swa": float(rope["sliding_attention"]["rope_theta"]),
        }
    return entries


def converted(architecture: str, state: Mapping[str, Tensor], config: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a file, renamed by the `gguf` package and changed as conversion changes them."""
    arch = {known: number for number, known in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    heads, groups = config.num_attention_heads, getattr(config, "num_key_value_heads", None)
    for name, given in stacked(state).items():
        values = given
        if architecture == "llama" and "q_proj" in name:
            values = neighbours(values, heads)
        if architecture == "llama" and "k_proj" in name:
            values = neighbours(values, groups or heads)
        if architecture.startswith("gemma") and name.endswith("norm.weight"):
            values = values + 1
        if architecture == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            values = values.T
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new is not None, name
        yield new, values.contiguous()
    if getattr(config, "rope_parameters", {}).get("rope_type") == "llama3":
        yield "rope_freqs.weight", frequency_factors(config)


def stacked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a folder, those of single experts and heads put together."""
    found: dict[str, Any] = {}
    for name, values in state.items():
        before, middle, after = name.partition(".experts." if ".experts." in name else ".norms.")
        if middle:
            number, _, rest = after.partition(".")
            merged = f"{before}.experts.{rest}" if "experts" in middle else f"{before}.{rest}"
            merged = merged.replace("model.layers", "layers").replace("block_sparse_moe", "feed_forward")
            found.setdefault(merged if "experts" in middle else f"{before}.{rest}", []).append((int(number), values))
        else:
            found[name] = values
    return {
        name: torch.stack([part for _, part in sorted(values, key=lambda item: item[0])])
        if isinstance(values, list)
        else values
        for name, values in found.items()
    }


def neighbours(values: Tensor, heads: int) -> Tensor:
    """The rows of each head with the two of a rotary pair beside each other: row `j d/2 + i` becomes `2i + j`."""
    half = values.shape[0] // heads // 2
    order = [head * 2 * half + j * half + i for head in range(heads) for i in range(half) for j in range(2)]
    return values[order]


def frequency_factors(config: Any) -> Tensor:
    """By what the frequencies of Llama 3 are divided, pair by pair, in float32 as conversion computes them."""
    rope, width = config.rope_parameters, config.head_dim
    low, high, n_ctx = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    factors = []
    for frequency in 1.0 / rope["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float32) / width):
        turns = n_ctx * float(frequency) / (2 * torch.pi)
        share = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - share) / rope["factor"] + share))
    return torch.tensor(factors, dtype=torch.float32)
