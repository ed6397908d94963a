"""The configuration: inert, validated, frozen but for its switches, and the same after a trip through JSON."""

import ast
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES, EDGES, make
from hypothesis import given
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ConfigError
from refractor.models import HookedTransformerConfig, config_checks
from refractor.models.rotary import RotaryScaling

SMALL = {"n_layers": 1, "d_model": 8, "n_ctx": 4, "d_head": 4, "d_vocab": 5, "act_fn": "relu"}


def test_what_follows_from_the_rest_is_filled_in() -> None:
    cfg = HookedTransformerConfig(**SMALL)
    assert (cfg.n_heads, cfg.d_mlp, cfg.d_vocab_out) == (2, 32, 5)
    assert cfg.attn_scale == 2.0
    assert cfg.initializer_range == pytest.approx(0.8 / math.sqrt(8))
    assert HookedTransformerConfig(**SMALL, use_attn_scale=False).attn_scale == 1.0
    assert HookedTransformerConfig(**{**SMALL, "act_fn": None}, attn_only=True).d_mlp is None
    assert HookedTransformerConfig(**SMALL, dtype="float64").dtype == torch.float64


ROTARY = {"positional_embedding_type": "rotary"}
LLAMA3 = {"kind": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_n_ctx": 8192}


def test_what_follows_from_heads_positions_and_windows() -> None:
    assert HookedTransformerConfig(**SMALL).n_kv_heads == 2
    assert HookedTransformerConfig(**SMALL, n_key_value_heads=2).n_key_value_heads is None  # nothing is shared
    assert HookedTransformerConfig(**SMALL, n_key_value_heads=1).n_kv_heads == 1
    assert HookedTransformerConfig(**SMALL).rotary_dim is None
    assert HookedTransformerConfig(**SMALL, positional_embedding_type="rotary").rotary_dim == 4
    assert not HookedTransformerConfig(**SMALL).is_local(0)
    deep = {**SMALL, "n_layers": 3}
    every = HookedTransformerConfig(**deep, use_local_attn=True, window_size=2)
    assert every.attn_types == ("local",) * 3
    some = HookedTransformerConfig(**deep, use_local_attn=True, window_size=2, attn_types=("local", "global", "local"))
    assert [some.is_local(layer) for layer in range(3)] == [True, False, True]
    assert some.is_local(-1)
    assert HookedTransformerConfig(**SMALL, qk_norm="RMS").use_qk_norm
    assert not HookedTransformerConfig(**SMALL).use_qk_norm
    assert HookedTransformerConfig(**SMALL, norm_placement="before_and_after").use_normalization_before_and_after
    assert not HookedTransformerConfig(**SMALL, norm_placement="after").use_normalization_before_and_after


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


@pytest.mark.parametrize("kind", [*ARCHITECTURES, *EDGES])
def test_every_architecture_comes_back_from_json(kind: str) -> None:
    cfg = make(kind).cfg
    text = cfg.to_json()
    again = HookedTransformerConfig.from_json(text)
    assert again == cfg
    assert again.to_json() == text
    assert replace(cfg) == cfg
    assert again.rotary_scaling is None or isinstance(again.rotary_scaling, RotaryScaling)
    assert again.attn_types is None or isinstance(again.attn_types, tuple)


def test_scaling_and_windows_come_back_from_json() -> None:
    cfg = HookedTransformerConfig(
        **{**SMALL, "n_layers": 2},
        positional_embedding_type="rotary",
        rotary_base_local=500.0,
        rotary_scaling=RotaryScaling(**LLAMA3),
        use_local_attn=True,
        window_size=2,
        attn_types=("local", "global"),
    )
    plain = json.loads(cfg.to_json())
    assert plain["rotary_scaling"] == LLAMA3
    assert plain["attn_types"] == ["local", "global"]
    again = HookedTransformerConfig.from_json(cfg.to_json())
    assert again == cfg
    assert again.rotary_scaling == RotaryScaling(**LLAMA3)
    assert replace(again, rotary_scaling=None) != cfg
    linear = RotaryScaling(kind="linear", factor=2)
    assert RotaryScaling.from_dict(linear.to_dict()) == linear


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({**LLAMA3, "kind": "yarn"}, "rotary_scaling.kind must be one of 'linear', 'llama3'; 'yarn' came"),
        ({"kind": "linear", "factor": 0.0}, "rotary_scaling.factor must be a finite number above 0; 0.0 came"),
        ({"kind": "linear", "factor": math.inf}, "rotary_scaling.factor must be a finite number above 0; inf came"),
        ({"kind": "linear", "factor": "two"}, "rotary_scaling.factor must be a finite number above 0; 'two' came"),
        ({**LLAMA3, "kind": "linear"}, "belong to rotary_scaling of kind 'llama3', all three together"),
        ({**LLAMA3, "original_n_ctx": None}, "low_freq_factor, high_freq_factor, original_n_ctx belong to"),
        ({"kind": "llama3", "factor": 8.0}, "all three together"),
        ({**LLAMA3, "original_n_ctx": 0}, "rotary_scaling.original_n_ctx must be an integer of at least 1; 0 came"),
        (
            {**LLAMA3, "low_freq_factor": 0.0},
            "rotary_scaling.low_freq_factor must be a finite number above 0; 0.0 came",
        ),
        (
            {**LLAMA3, "high_freq_factor": 1.0},
            "rotary_scaling.high_freq_factor must be a finite number above 1.0; 1.0 came",
        ),
        ({"factor": 8.0}, "rotary_scaling needs kind and factor"),
        ({"kind": "linear"}, "rotary_scaling needs kind and factor"),
        ({**LLAMA3, "low_freq": 1.0}, "'low_freq' is no field of RotaryScaling. Nearest: low_freq_factor"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_scalings_are_named(values: dict[str, object], text: str) -> None:
    with pytest.raises((ArgumentError, ConfigError), match=text):
        RotaryScaling.from_dict(values)
    with pytest.raises((ArgumentError, ConfigError), match=text):
        HookedTransformerConfig.from_dict({**SMALL, **ROTARY, "rotary_scaling": values})


BAD_VALUES: list[tuple[dict[str, object], str]] = [
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
    # heads
    ({"n_heads": 3, "n_key_value_heads": 2}, "n_heads=3 is no multiple of n_key_value_heads=2"),
    ({"n_key_value_heads": 0}, "n_key_value_heads must be an integer of at least 1; 0 came"),
    ({"n_key_value_heads": 4}, "n_heads=2 is no multiple of n_key_value_heads=4"),
    ({"n_key_value_heads": 1, "use_attn_in": True}, "use_attn_in needs heads with keys and values of their own; here several share"),
    ({"n_heads": 0}, "n_heads must be an integer of at least 1; 0 came"),
    ({"qk_norm": "L2"}, "qk_norm must be one of 'RMS', 'joint RMS', 'LN', None; 'L2' came"),
    # positions
    ({"rotary_dim": 4}, "rotary_dim needs positional_embedding_type='rotary'; 'standard' came"),
    ({"rotary_base_local": 10.0}, "rotary_base_local needs positional_embedding_type='rotary'; 'standard' came"),
    ({"rotary_scaling": LLAMA3, "positional_embedding_type": None}, "rotary_scaling needs positional_embedding_type='rotary'; None came"),
    ({**ROTARY, "rotary_dim": 3}, "rotary_dim must be even and at most d_head=4; 3 came"),
    ({**ROTARY, "rotary_dim": 6}, "rotary_dim must be even and at most d_head=4; 6 came"),
    ({**ROTARY, "rotary_dim": 0}, "rotary_dim must be an integer of at least 2; 0 came"),
    ({**ROTARY, "d_head": 1}, "rotary_dim must be an integer of at least 2; 1 came"),
    ({**ROTARY, "rotary_base": 0.0}, "rotary_base must be a finite number above 0; 0.0 came"),
    ({**ROTARY, "rotary_base_local": -1.0}, "rotary_base_local must be a finite number above 0; -1.0 came"),
    ({**ROTARY, "rotary_scaling": 2.0}, "rotary_scaling must be a RotaryScaling; 2.0 came"),
    ({**ROTARY, "rotary_adjacent_pairs": 1}, "rotary_adjacent_pairs must be True or False; 1 came"),
    ({"alibi_scale": 0.0}, "alibi_scale must be a finite number above 0; 0.0 came"),
    ({"alibi_rounded": "yes"}, "alibi_rounded must be True or False; 'yes' came"),
    ({"alibi_scale": 0.5}, "alibi_scale and alibi_rounded need positional_embedding_type='alibi'; 'standard' came"),
    ({**ROTARY, "alibi_rounded": True}, "alibi_scale and alibi_rounded need positional_embedding_type='alibi'; 'rotary' came"),
    ({"rotary_adjacent_pairs": True}, "rotary_adjacent_pairs needs positional_embedding_type='rotary'; 'standard' came"),
    # windows
    ({"use_local_attn": True}, "window_size must be an integer of at least 1; None"),
    ({"use_local_attn": True, "window_size": 0}, "window_size must be an integer of at least 1; 0 came"),
    ({"window_size": 3}, "attn_types and window_size need use_local_attn=True"),
    ({"attn_types": ["local"]}, "attn_types and window_size need use_local_attn=True"),
    ({"use_local_attn": True, "window_size": 3, "attn_types": ["local", "local"]}, "attn_types must name a kind for each of 1 layers; 2 came"),
    ({"use_local_attn": True, "window_size": 3, "attn_types": ["near"]}, "attn_types must be one of 'global', 'local'; 'near' came"),
    ({"use_local_attn": True, "window_size": 3, "attention_dir": "bidirectional"}, "use_local_attn needs attention_dir='causal': its window looks back"),
    # norms and caps
    ({"norm_placement": "between"}, "norm_placement must be one of 'before', 'before_and_after', 'after', 'stream'; 'between' came"),
    *[
        ({"norm_placement": placement, "parallel_attn_mlp": True}, f"parallel_attn_mlp needs norm_placement='before'; '{placement}' came")
        for placement in ("before_and_after", "after", "stream")
    ],
    *[
        ({"norm_placement": "stream", "normalization_type": kind}, f"norm_placement='stream' needs norms with weights; '{kind}' came")
        for kind in ("LNPre", "RMSPre")
    ],
    ({"attn_scores_soft_cap": 0.0}, "attn_scores_soft_cap must be a finite number above 0; 0.0 came"),
    ({"output_logits_soft_cap": -30.0}, "output_logits_soft_cap must be a finite number above 0; -30.0 came"),
    ({"initializer_range": -0.5}, "initializer_range must be a finite number of at least 0; -0.5 came"),
    ({"init_mode": "kaiming"}, "init_mode must be one of"),
    ({"post_embedding_ln": None}, "post_embedding_ln must be True or False; None came"),
    # MLPs
    *[
        ({"attn_only": True, name: value}, f"attn_only=True leaves the MLPs out; {name} cannot be set")
        for name, value in (("gated_mlp", True), ("num_experts", 2), ("experts_per_token", 2), ("parallel_attn_mlp", True))
    ],
    ({"attn_only": True, "use_hook_mlp_in": True}, "d_mlp must be None and use_hook_mlp_in False"),
    ({"act_fn": "solu_ln", "gated_mlp": True}, "act_fn='solu_ln' needs a plain MLP: neither gated nor of experts"),
    ({"act_fn": "solu_ln", "num_experts": 2, "experts_per_token": 1}, "act_fn='solu_ln' needs a plain MLP"),
    ({"num_experts": 2}, "num_experts and experts_per_token belong together"),
    ({"experts_per_token": 2}, "num_experts and experts_per_token belong together"),
    ({"num_experts": 0, "experts_per_token": 1}, "num_experts must be an integer of at least 1; 0 came"),
    ({"num_experts": 2, "experts_per_token": 3}, "experts_per_token must be an integer from 1 to 2; 3 came"),
    ({"num_experts": 2, "experts_per_token": 0}, "experts_per_token must be an integer from 1 to 2; 0 came"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text"), BAD_VALUES)
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
    shared = HookedTransformerConfig(**SMALL, n_key_value_heads=1)
    with pytest.raises(
        ConfigError, match="use_attn_in needs heads.*use_split_qkv_input: hook_q_input has one input for each head"
    ):
        shared.use_attn_in = True
    shared.use_attn_in = False
    shared.use_split_qkv_input = True
    with pytest.raises(ConfigError, match="use_attn_in needs heads"):
        replace(shared, use_attn_in=True)
    with pytest.raises(ConfigError, match="cfg.rotary_scaling cannot be assigned"):
        shared.rotary_scaling = None


@pytest.mark.usefixtures("untyped")
def test_lists_of_layers_are_frozen_too() -> None:
    kinds = ["local"]
    cfg = HookedTransformerConfig(**SMALL, use_local_attn=True, window_size=2, attn_types=kinds)  # pyright: ignore[reportArgumentType]
    kinds[0] = "global"
    assert cfg.attn_types == ("local",)
    assert cfg.is_local(0)


@pytest.mark.usefixtures("untyped")
def test_every_check_of_a_configuration_is_tested_above() -> None:
    """Each `raise` in the file of checks is reached by some bad value."""
    reached: set[int] = set()
    for change, _ in BAD_VALUES:
        with pytest.raises((ArgumentError, ConfigError)) as caught:
            HookedTransformerConfig.from_dict({**SMALL, **change})
        reached |= {entry.lineno + 1 for entry in caught.traceback if entry.path == Path(config_checks.__file__)}
    tree = ast.parse(Path(config_checks.__file__).read_text())
    raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    assert len(raises) > 12
    assert [node.lineno for node in raises if not reached & set(range(node.lineno, (node.end_lineno or 0) + 1))] == []
