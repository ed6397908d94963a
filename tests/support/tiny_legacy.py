"""Checkpoints as they were written before transformers 5: most of what is on the hub is older than that."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

UNPREFIXED = ("gpt2", "bloom")  # whose well-known repositories hold the base model, without "transformer."
_OLD_NAMES = {"dtype": "torch_dtype"}
_ATTENTION = {  # what its modules used to save besides their weights
    "gpt2": ("mask",),
    "gptj": ("mask",),
    "gpt_neo": ("mask",),
    "gpt_neox": ("mask", "rotary"),
    "llama": ("rotary",),
    "falcon": ("rotary",),
}
_FILLERS = {"gpt2": {"n_ctx": 48, "task_specific_params": None}, "gptj": {"rotary": True, "scale_attn_weights": True}}


def age(folder: Path) -> Path:
    """Rewrite a folder of `save` (one file of safetensors) in the older style, and return it."""
    config = json.loads((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(old_config(config), indent=2))
    save_file(old_state(state, config), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def old_config(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with rotary parameters at the top level, and the older names."""
    old = {
        _OLD_NAMES.get(key, key): value
        for key, value in config.items()
        if key not in {"rope_parameters", "layer_types"}
    }
    kind = config["model_type"]
    rope = config.get("rope_parameters") or {}
    if kind == "gemma3_text":
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        old["sliding_window_pattern"] = 1 + config["layer_types"].index("full_attention")
        rope = rope["full_attention"]
    if rope:
        old |= _old_rope(dict(rope), kind)
    old.pop("transformers_version", None)
    return {**old, "transformers_version": "4.40.0", **_FILLERS.get(kind, {})}


def _old_rope(rope: dict[str, Any], kind: str) -> dict[str, Any]:
    theta, part = ("rotary_emb_base", "rotary_pct") if kind == "gpt_neox" else ("rope_theta", "partial_rotary_factor")
    old = {theta: rope.pop("rope_theta")}
    if "partial_rotary_factor" in rope:
        old[part] = rope.pop("partial_rotary_factor")
    if rope["rope_type"] == "default":
        return {**old, "rope_scaling": None}
    if kind == "llama" and rope["rope_type"] == "linear":  # the oldest name of all
        rope["type"] = rope.pop("rope_type")
    return {**old, "rope_scaling": rope}


def old_state(state: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """The weights with the buffers that used to be saved among them, and names without their prefix."""
    kind = config["model_type"]
    state = {**state, **_buffers(state, config)}
    if kind in UNPREFIXED:
        state = {name.removeprefix("transformer."): tensor for name, tensor in state.items()}
    return state


def _buffers(state: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """Masks and frequencies, one set for each layer; their values are never read."""
    kind = config["model_type"]
    found = {}
    for name in state:
        module, _, part = name.removesuffix(".weight").rpartition(".")
        if kind not in _ATTENTION or part not in {"c_attn", "q_proj", "query_key_value"} or name.endswith(".bias"):
            continue
        if "mask" in _ATTENTION[kind]:
            found[f"{module}.bias"] = torch.ones(1, 1, 48, 48).tril()
            found[f"{module}.masked_bias"] = torch.tensor(-1e9)
        if "rotary" in _ATTENTION[kind] and not config.get("alibi"):
            found[f"{module}.rotary_emb.inv_freq"] = torch.ones(4)
    return found
