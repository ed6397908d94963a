"""The configuration: inert, validated, frozen but for its switches, and the same after a trip through JSON."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ConfigError
from refractor.models import HookedTransformerConfig

SMALL = {"n_layers": 1, "d_model": 8, "n_ctx": 4, "d_head": 4, "d_vocab": 5, "act_fn": "relu"}


def test_what_follows_from_the_rest_is_filled_in() -> None:
    cfg = HookedTransformerConfig(**SMALL)
    assert (cfg.n_heads, cfg.d_mlp, cfg.d_vocab_out) == (2, 32, 5)
    assert cfg.attn_scale == 2.0
    assert cfg.initializer_range == pytest.approx(0.8 / math.sqrt(8))
    assert HookedTransformerConfig(**SMALL, use_attn_scale=False).attn_scale == 1.0
    assert HookedTransformerConfig(**{**SMALL, "act_fn": None}, attn_only=True).d_mlp is None
    assert HookedTransformerConfig(**SMALL, dtype="float64").dtype == torch.float64


@given(
    n_layers=st.integers(1, 50),
    d_head=st.integers(1, 64),
    n_heads=st.integers(1, 8),
    norm=st.sampled_from(["LN", "LNPre", None]),
    positions=st.sampled_from(["standard", None]),
    dtype=st.sampled_from(["float32", "float64", "bfloat16", "float16"]),
    seed=st.none() | st.integers(0, 2**40),
    switch=st.booleans(),
)
def test_a_trip_through_json_changes_nothing(n_layers, d_head, n_heads, norm, positions, dtype, seed, switch) -> None:  # noqa: ANN001
    cfg = HookedTransformerConfig(
        n_layers=n_layers,
        d_model=16,
        n_ctx=4,
        d_head=d_head,
        n_heads=n_heads,
        d_vocab=7,
        act_fn="gelu",
        normalization_type=norm,
        positional_embedding_type=positions,
        dtype=dtype,
        seed=seed,
        use_attn_result=switch,
    )
    again = HookedTransformerConfig.from_json(cfg.to_json())
    assert again == cfg
    assert json.loads(again.to_json()) == json.loads(cfg.to_json())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_layers": 0}, "n_layers must be an integer of at least 1; 0 came"),
        ({"d_head": 3}, "d_model=8 is no multiple of d_head=3; say n_heads"),
        ({"act_fn": None}, "act_fn is needed for a network with MLPs: one of relu"),
        ({"act_fn": "rele"}, "act_fn must be one of 'relu'"),
        ({"normalization_type": "BN"}, "normalization_type must be one of 'LN', 'LNPre', 'RMS', 'RMSPre', None; 'BN' came"),
        ({"attention_dir": "up"}, "attention_dir must be one of"),
        ({"positional_embedding_type": "absolute"}, "positional_embedding_type must be one of"),
        ({"attn_only": True, "d_mlp": 3}, "attn_only=True leaves the MLPs out"),
        ({"eps": -1.0}, "eps must be a finite number of at least 0; -1.0 came"),
        ({"eps": math.nan}, "eps must be a finite number"),
        ({"attn_scale": 0.0}, "attn_scale must be a finite number above 0"),
        ({"dtype": "int8"}, "dtype must be one of"),
        ({"seed": -3}, "seed must be an integer"),
        ({"d_mlp": 0}, "d_mlp must be an integer of at least 1"),
        ({"n_heds": 2}, "'n_heds' is no field of HookedTransformerConfig. Nearest: n_heads"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_every_bad_value_is_named(change: dict[str, object], text: str) -> None:
    with pytest.raises((ArgumentError, ConfigError), match=text):
        HookedTransformerConfig.from_dict({**SMALL, **change})


def test_missing_fields_and_bad_json() -> None:
    with pytest.raises(ConfigError, match="needs n_ctx, d_head, d_vocab"):
        HookedTransformerConfig.from_dict({"n_layers": 1, "d_model": 8})
    with pytest.raises(ConfigError, match="no valid JSON"):
        HookedTransformerConfig.from_json("{")
    with pytest.raises(ConfigError, match="must be a JSON object; list came"):
        HookedTransformerConfig.from_json("[]")


@pytest.mark.usefixtures("untyped")
def test_switches_are_settable_and_the_architecture_is_frozen() -> None:
    cfg = HookedTransformerConfig(**SMALL)
    cfg.use_attn_result = True
    assert cfg.use_attn_result
    with pytest.raises(ConfigError, match=r"cfg.d_model cannot be assigned: the architecture is frozen"):
        cfg.d_model = 3
    with pytest.raises(ConfigError, match="use_attn_resul cannot be assigned.*use_attn_result"):
        cfg.use_attn_resul = True
    with pytest.raises(ConfigError, match="use_attn_result must be True or False; 1 came"):
        cfg.use_attn_result = 1  # pyright: ignore[reportAttributeAccessIssue]
    bare = HookedTransformerConfig(**{**SMALL, "act_fn": None}, attn_only=True)
    with pytest.raises(ConfigError, match="attn_only"):
        bare.use_hook_mlp_in = True
