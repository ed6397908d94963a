"""Weights that bite: nothing zero, nothing one, attention far from uniform; the same numbers in every run."""

import math
import zlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GAIN = 1.6  # of queries and keys: scores then have a standard deviation of 2.6, and attention chooses
UNSCALED_GAIN = 0.8  # GPT-Neo does not divide scores by √d_head = 4: 0.8² · 4 = 1.6²
QK_NORMS = ("q_norm", "k_norm", "q_layernorm", "k_layernorm")  # they undo a gain of the matrices, so they carry it


def fill(model: "PreTrainedModel", seed: str) -> None:
    """Give every parameter its random values, drawn in float32 from the seed and its own name.

    Drawn one by one, they do not depend on the order of the parameters, on the dtype of the model, or on a part of
    the configuration that leaves the parameter's name and shape alone.
    """
    table = _size_of_embeddings(model)
    owners = dict(model.named_modules())
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # tied ones once, as the embedding
            noise = torch.randn(parameter.shape, generator=_generator(f"{seed}/{name}"), dtype=torch.float32)
            owner = owners[name.rpartition(".")[0]]
            if noise.ndim == 1:
                parameter.copy_(_vector(model.config, name, noise))
            elif isinstance(owner, nn.Embedding):
                parameter.copy_(table * noise)
            else:
                parameter.copy_(_matrix(model.config, name, noise))


def _size_of_embeddings(model: "PreTrainedModel") -> float:
    """1, since rows are looked up; 1/√width where the table also unembeds, or where Gemma multiplies by √d_model.

    Post-norm OPT keeps 1: its first attention reads the embedding as it is, and would be uniform.
    """
    words: Any = model.get_input_embeddings().weight
    head: Any = model.get_output_embeddings()
    tied = words is head.weight
    raw = model.config.model_type == "opt" and not model.config.do_layer_norm_before
    return 1 / math.sqrt(words.shape[1]) if (tied and not raw) or model.config.model_type.startswith("gemma") else 1.0


def _generator(key: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(key.encode()))


def _vector(config: Any, name: str, noise: Tensor) -> Tensor:
    if name.endswith("bias"):
        return 0.3 * noise
    centre = GAIN if any(f".{part}." in name for part in QK_NORMS) else 1.0
    return centre - config.model_type.startswith("gemma") + 0.3 * noise  # Gemma multiplies by 1 + w


def _matrix(config: Any, name: str, noise: Tensor) -> Tensor:
    turned = config.model_type == "gpt2"  # [in, out], where all others are [..., out, in]
    weight = noise / math.sqrt(noise.shape[0 if turned else -1])
    gain = UNSCALED_GAIN if config.model_type == "gpt_neo" else GAIN
    for rows in _queries_and_keys(config, name.split(".")[-2], weight.T if turned else weight):
        rows.mul_(gain)
    return weight


def _queries_and_keys(config: Any, part: str, weight: Tensor) -> list[Tensor]:
    """The rows [..., d_model] of a matrix that make queries and keys, as views."""
    heads, d_model = config.num_attention_heads, config.hidden_size
    if part in {"q_proj", "k_proj"}:
        return [weight]
    if part == "c_attn":  # all queries, all keys, all values
        return [weight[: 2 * d_model]]
    if part == "qkv_proj":
        return [weight[: (heads + config.num_key_value_heads) * d_model // heads]]
    if part == "query_key_value":  # group by group: queries, one key, one value
        groups = _groups(config)
        return [weight.view(groups, heads // groups + 2, -1, d_model)[:, :-1]]
    return []


def _groups(config: Any) -> int:
    if config.model_type != "falcon":
        return config.num_attention_heads
    if config.new_decoder_architecture:
        return config.num_kv_heads
    return 1 if config.multi_query else config.num_attention_heads
