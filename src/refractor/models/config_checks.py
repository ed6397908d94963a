"""What a configuration must satisfy, checked on its plain values."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch

from refractor.base.checks import check_float, check_int, check_member
from refractor.base.errors import ConfigError
from refractor.models.activations import ACTIVATIONS
from refractor.models.rotary import RotaryScaling

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "float64": torch.float64,
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }
)

SWITCHES = ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in", "use_hook_tokens")
"""Fields that may be changed at any time: they say which optional hook points exist, not what the network is."""

CHOICES: Mapping[str, tuple[str | None, ...]] = MappingProxyType(
    {
        "normalization_type": ("LN", "LNPre", "RMS", "RMSPre", None),
        "norm_placement": ("before", "before_and_after", "after", "stream"),
        "qk_norm": ("RMS", "joint RMS", "LN", None),
        "positional_embedding_type": ("standard", "rotary", "shortformer", "alibi", None),
        "attention_dir": ("causal", "bidirectional"),
        "init_mode": ("gpt2", "xavier_uniform", "xavier_normal"),
    }
)
"""Fields that have one of a few values."""

FLAGS = (
    "gated_mlp",
    "post_embedding_ln",
    "rotary_adjacent_pairs",
    "alibi_rounded",
    "attn_only",
    "parallel_attn_mlp",
    "use_local_attn",
    "use_attn_scale",
    "init_weights",
    "default_prepend_bos",
    *SWITCHES,
)


def check_sizes(values: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise unless the named fields are integers of at least 1."""
    for name in names:
        check_int(name, values[name], least=1)


def check_values(values: Mapping[str, Any]) -> None:
    """Raise unless every field by itself has a value that it can have."""
    check_sizes(values, ("n_heads", "d_vocab_out"))
    for name, choices in CHOICES.items():
        check_member(name, values[name], choices)
    check_member("dtype", values["dtype"], tuple(DTYPES.values()))
    check_float("eps", values["eps"], least=0)
    check_float("initializer_range", values["initializer_range"], least=0)
    for name in ("attn_scale", "rotary_base", "alibi_scale"):
        check_float(name, values[name], above=0)
    for name in ("rotary_base_local", "attn_scores_soft_cap", "output_logits_soft_cap"):
        if values[name] is not None:
            check_float(name, values[name], above=0)
    if values["seed"] is not None:
        check_int("seed", values["seed"], least=0, most=2**63 - 1)
    for name in FLAGS:
        check_bool(name, values[name])


def check_parts(values: Mapping[str, Any]) -> None:
    """Raise unless the fields fit each other."""
    _check_heads(values)
    _check_positions(values)
    _check_windows(values)
    _check_mlp(values)
    if values["norm_placement"] != "before" and values["parallel_attn_mlp"]:
        raise ConfigError(f"parallel_attn_mlp needs norm_placement='before'; {values['norm_placement']!r} came.")
    if values["norm_placement"] == "stream" and values["normalization_type"] not in ("LN", "RMS", None):
        raise ConfigError(
            f"norm_placement='stream' needs norms with weights; {values['normalization_type']!r} came: what such norms "
            "multiply is the residual stream itself, so there is nothing to fold them into."
        )


def check_bool(name: str, value: object) -> None:
    """Raise unless `value` is True or False.

    Raises:
        ConfigError: it is something else.

    """
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False; {value!r} came.")


def _check_heads(values: Mapping[str, Any]) -> None:
    shared = values["n_key_value_heads"]
    if shared is None:
        return
    check_int("n_key_value_heads", shared, least=1)
    if values["n_heads"] % shared:
        raise ConfigError(f"n_heads={values['n_heads']} is no multiple of n_key_value_heads={shared}.")
    if values["use_attn_in"]:
        raise ConfigError("use_attn_in needs heads with keys and values of their own; here several share them.")


def _check_positions(values: Mapping[str, Any]) -> None:
    kind, turning = values["positional_embedding_type"], values["rotary_dim"]
    if kind != "alibi" and (values["alibi_scale"] != 1 or values["alibi_rounded"]):
        raise ConfigError(f"alibi_scale and alibi_rounded need positional_embedding_type='alibi'; {kind!r} came.")
    if kind != "rotary":
        given = [name for name in ("rotary_dim", "rotary_base_local", "rotary_scaling") if values[name] is not None]
        given += ["rotary_adjacent_pairs"] if values["rotary_adjacent_pairs"] else []
        if given:
            raise ConfigError(f"{given[0]} needs positional_embedding_type='rotary'; {kind!r} came.")
        return
    check_int("rotary_dim", turning, least=2)
    if turning % 2 or turning > values["d_head"]:
        raise ConfigError(f"rotary_dim must be even and at most d_head={values['d_head']}; {turning} came.")
    if values["rotary_scaling"] is not None and not isinstance(values["rotary_scaling"], RotaryScaling):
        raise ConfigError(f"rotary_scaling must be a RotaryScaling; {values['rotary_scaling']!r} came.")


def _check_windows(values: Mapping[str, Any]) -> None:
    types = values["attn_types"]
    if not values["use_local_attn"]:
        if types is not None or values["window_size"] is not None:
            raise ConfigError("attn_types and window_size need use_local_attn=True.")
        return
    check_int("window_size", values["window_size"], least=1)
    if len(types) != values["n_layers"]:
        raise ConfigError(f"attn_types must name a kind for each of {values['n_layers']} layers; {len(types)} came.")
    for kind in types:
        check_member("attn_types", kind, ("global", "local"))
    if values["attention_dir"] != "causal":
        raise ConfigError("use_local_attn needs attention_dir='causal': its window looks back.")


def _check_mlp(values: Mapping[str, Any]) -> None:
    if values["attn_only"]:
        if values["d_mlp"] is not None or values["use_hook_mlp_in"]:
            raise ConfigError("attn_only=True leaves the MLPs out; d_mlp must be None and use_hook_mlp_in False.")
        given = [
            name for name in ("gated_mlp", "num_experts", "experts_per_token", "parallel_attn_mlp") if values[name]
        ]
        if given:
            raise ConfigError(f"attn_only=True leaves the MLPs out; {given[0]} cannot be set.")
        return
    check_int("d_mlp", values["d_mlp"], least=1)
    if values["act_fn"] is None:
        raise ConfigError(f"act_fn is needed for a network with MLPs: one of {', '.join(ACTIVATIONS)}.")
    check_member("act_fn", values["act_fn"], tuple(ACTIVATIONS))
    if values["act_fn"] == "solu_ln" and (values["gated_mlp"] or values["num_experts"] is not None):
        raise ConfigError("act_fn='solu_ln' needs a plain MLP: neither gated nor of experts.")
    if (values["num_experts"] is None) != (values["experts_per_token"] is None):
        raise ConfigError("num_experts and experts_per_token belong together.")
    if values["num_experts"] is not None:
        check_int("num_experts", values["num_experts"], least=1)
        check_int("experts_per_token", values["experts_per_token"], least=1, most=values["num_experts"])
