"""Gemma 1, 2 and 3 (Gemma Team 2024, 2025): norms by deviation from 1, embeddings scaled by `sqrt(d_model)`.

Gemma 2 adds norms behind attention and MLP, caps on scores and logits, and windows in every other layer; Gemma 3 norms
of queries and keys instead of caps on scores, and a rotary base of its own in layers with windows.
"""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import PLUS_ONE, scaled, scaled_and_tied
from refractor.checkpoints.adapters.llama import BUFFERS, MAPS, gated_rules
from refractor.checkpoints.adapters.rules import Adapter, Rule, Rules, attention, is_tied, norm, one, unembedding
from refractor.checkpoints.adapters.shared import activation, rotary, rotary_scaling, shared_heads, sizes, windows
from refractor.models.config import HookedTransformerConfig


def _common(keys: Keys) -> dict[str, Any]:
    found = sizes(keys, n_ctx=8192)
    keys.flag("attention_bias", default=False)
    keys.only("use_bidirectional_attention", [False])
    acts = [keys.take(name, None) for name in ("hidden_activation", "hidden_act")]
    name = "hidden_activation" if acts[0] is not None else "hidden_act"
    act = activation(keys, name, "gelu_pytorch_tanh")
    return {
        **found,
        **shared_heads(keys, found["n_heads"]),
        # The first configurations said gelu, and meant its approximation.
        "act_fn": "gelu_pytorch_tanh" if act == "gelu" and keys.family == "gemma" else act,
        "eps": keys.number("rms_norm_eps", 1e-6),
        "normalization_type": "RMS",
        "gated_mlp": True,
    }


def _gemma(keys: Keys) -> dict[str, Any]:
    found = _common(keys)
    return {**found, **rotary(keys, found["d_head"])}


def _later(keys: Keys, caps: tuple[float | None, float | None] = (None, None)) -> dict[str, Any]:
    found = _common(keys)
    return {
        **found,
        "norm_placement": "before_and_after",
        "attn_scale": keys.number("query_pre_attn_scalar", 256) ** 0.5,
        "attn_scores_soft_cap": keys.take("attn_logit_softcapping", caps[0]),
        "output_logits_soft_cap": keys.take("final_logit_softcapping", caps[1]),
    }


def _gemma2(keys: Keys) -> dict[str, Any]:
    unsaid = [name not in keys.values for name in ("attn_logit_softcapping", "final_logit_softcapping")]
    found = _later(keys, (50.0 if unsaid[0] else None, 30.0 if unsaid[1] else None))  # null says that there is none
    keys.only("sliding_window_size", [keys.take("sliding_window", 4096)])  # the same said twice
    every_other = ["full_attention" if layer % 2 else "sliding_attention" for layer in range(found["n_layers"])]
    kinds = keys.take("layer_types", every_other)
    return {**found, **rotary(keys, found["d_head"]), **windows(kinds, keys.take("sliding_window", 4096))}


def _gemma3(keys: Keys) -> dict[str, Any]:
    found = _later(keys)
    period = keys.size("sliding_window_pattern", keys.take("_sliding_window_pattern", 6))
    spelled = ["sliding_attention" if (layer + 1) % period else "full_attention" for layer in range(found["n_layers"])]
    kinds = keys.take("layer_types", spelled)
    return {
        **found,
        "qk_norm": "RMS",
        **_two_bases(keys, found["d_head"]),
        **windows(kinds, keys.take("sliding_window", 4096)),
    }


def _two_bases(keys: Keys, d_head: int) -> dict[str, Any]:
    given = keys.take("rope_parameters", None)
    local = keys.number("rope_local_base_freq", 10000.0)
    if not isinstance(given, Mapping) or "full_attention" not in given:
        return {**rotary(keys, d_head, base=1000000.0), "rotary_base_local": local}
    everywhere, near = dict(given["full_attention"]), dict(given.get("sliding_attention") or {})
    local = float(near.pop("rope_theta", local))
    if rotary_scaling(keys, near) is not None:
        raise CheckpointError("gemma3 models whose layers with windows have a rotary scaling are not supported.")
    return {
        "positional_embedding_type": "rotary",
        "rotary_base": float(everywhere.pop("rope_theta", 1000000.0)),
        "rotary_dim": d_head,
        "rotary_scaling": rotary_scaling(keys, everywhere),
        "rotary_base_local": local,
    }


def _ends(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> list[Rule]:
    factor, theirs = cfg.d_model**0.5, "model.embed_tokens.weight"
    if is_tied(config):
        return [Rule((theirs,), ("embed.W_E", "unembed.W_U"), scaled_and_tied(factor))]
    return [one(theirs, "embed.W_E", scaled(factor)), *unembedding(config)]


def _attention(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> list[Rule]:
    biased = bool(config.get("attention_bias"))
    return attention(cfg, "model.layers.#.self_attn", MAPS, biased, biased)


def _norms(names: Mapping[str, str]) -> list[Rule]:
    """Return the rules of norms whose weights are stored less 1."""
    each = [norm(theirs, ours, bias=False, layout=PLUS_ONE) for theirs, ours in names.items()]
    return [rule for rules in each for rule in rules]


def _gemma_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    block, ours = "model.layers.#.", "blocks.#."
    names = {
        block + "input_layernorm": ours + "ln1",
        block + "post_attention_layernorm": ours + "ln2",
        "model.norm": "ln_final",
    }
    return [*_ends(cfg, config), *_attention(cfg, config), *gated_rules(), *_norms(names)]


def _later_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> list[Rule]:
    block, ours = "model.layers.#.", "blocks.#."
    names = {
        block + "input_layernorm": ours + "ln1",
        block + "post_attention_layernorm": ours + "ln1_post",
        block + "pre_feedforward_layernorm": ours + "ln2",
        block + "post_feedforward_layernorm": ours + "ln2_post",
        "model.norm": "ln_final",
    }
    return [*_ends(cfg, config), *_attention(cfg, config), *gated_rules(), *_norms(names)]


def _gemma3_rules(cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> Rules:
    of_heads = {f"model.layers.#.self_attn.{letter}_norm": f"blocks.#.attn.{letter}_norm" for letter in "qk"}
    return [*_later_rules(cfg, config), *_norms(of_heads)]


GEMMA = Adapter(("gemma",), _gemma, _gemma_rules, buffers=BUFFERS)
GEMMA2 = Adapter(("gemma2",), _gemma2, _later_rules, buffers=BUFFERS)
GEMMA3 = Adapter(("gemma3_text",), _gemma3, _gemma3_rules, buffers=BUFFERS)
