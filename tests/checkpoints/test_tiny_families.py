"""The tiny checkpoints themselves: random everywhere, the same in every run, exact in float64, and sensitive."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_exact import NARROW, NarrowSeen, exactly
from tiny_families import (
    FAMILIES,
    NOISE,
    POSITIONS,
    WINDOW,
    altered,
    build,
    reference,
    run,
    save,
    slopes_once,
    tokens,
    unfilled,
)
from tiny_features import FEATURES, Feature, biases, norms
from tiny_legacy import age

pytestmark = pytest.mark.slow  # tests of what other tests are held against

NAMES = tuple(FAMILIES)
QUICK = ("gpt2", "gpt_neox", "llama3", "gemma3", "mixtral")  # whose kinds of code are those of all others
MOST_SLOW = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES]
LOCAL = {  # the layers with a window of 8; in all others every earlier token is seen
    "gpt_neo": (1,),
    "mistral": (0, 1, 2),
    "mixtral": (0, 1, 2),
    "qwen2_window": (1, 2),
    "gemma2": (0, 2),
    "gemma3": (0, 2),
    "phi3": (0, 1, 2),
}
UNBIASED = (
    *("llama", "llama_square", "llama3", "llama_linear", "mistral", "mixtral", "qwen3"),
    *("gemma", "gemma2", "gemma3", "phi3", "olmo2"),
)
EXPECTED = [0.46975363346396914, -0.49309266703124416, -0.33682017750372234, 0.27712630582460307]  # llama, torch 2.13
GENERAL = (
    *(Feature(name, "biases", edit=biases, floor=1.0) for name in NAMES if name not in UNBIASED),
    *(Feature(name, "norms", edit=norms, floor=1.0) for name in NAMES),
)


def farthest(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).abs().max().item()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_random(name: str) -> None:
    model = build(name)
    assert not model.training
    for key, parameter in model.named_parameters():
        assert parameter.std() > 0.05, key
        assert not parameter.requires_grad
    assert any(key.endswith("bias") for key, _ in model.named_parameters()) == (name not in UNBIASED)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_the_same_every_time_and_in_both_dtypes(name: str) -> None:
    first, again, wide = build(name).state_dict(), altered(name, torch.float32).state_dict(), build(name, torch.float64)
    assert first.keys() == again.keys()
    for key, value in wide.state_dict().items():
        assert value.dtype == torch.float64
        assert first[key].equal(again[key])
        assert first[key].double().equal(value)


def test_a_model_is_the_same_on_every_machine() -> None:
    logits = reference("llama").logits
    expected = torch.tensor(EXPECTED, dtype=torch.float64)
    torch.testing.assert_close(logits[1, -1, :4], expected, rtol=0, atol=1e-9)


def test_a_shared_model_is_shared_and_a_fresh_one_is_not() -> None:
    assert build("llama") is build("llama")
    fresh = build("llama", fresh=True)
    fresh.model.norm.weight.zero_()
    assert build("llama").model.norm.weight.abs().min() > 0


def test_building_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state(), torch.get_default_dtype()
    altered("gpt2", torch.float64)
    assert torch.get_rng_state().equal(before[0])
    assert torch.get_default_dtype() == before[1]


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_float64_with_noise(name: str) -> None:
    narrow, wide = reference(name, torch.float32), reference(name)
    assert farthest(narrow.logits, wide.logits) <= NOISE
    for ours, theirs in zip(narrow.hidden, wide.hidden, strict=True):
        assert farthest(ours, theirs) <= NOISE
    for ours, theirs in zip(narrow.patterns, wide.patterns, strict=True):
        assert farthest(ours, theirs) <= NOISE


@pytest.mark.parametrize("name", MOST_SLOW)
def test_no_step_of_a_float64_reference_is_in_float32(name: str) -> None:
    with NarrowSeen() as seen:
        model = unfilled(name, torch.float64)
        run(model, tokens(name))
    assert seen.operations > 300
    assert not seen.found
    assert not [key for key, buffer in model.named_buffers() if buffer.dtype in NARROW]


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "gemma", "gpt_neo"])
def test_float64_is_not_float64_without_help(name: str) -> None:
    with NarrowSeen() as seen:
        build(name, torch.float64)(tokens(name))
    assert seen.found


def test_float64_agrees_with_a_rotation_written_out() -> None:
    """The tables of a model with linear scaling against the formula, position by position."""
    model = build("llama_linear", torch.float64)
    with exactly(torch.float64):
        cos, sin = model.model.rotary_emb(torch.zeros(1, dtype=torch.float64), torch.arange(POSITIONS)[None])
    angles = torch.arange(POSITIONS, dtype=torch.float64)[:, None] / 3 / 5000 ** (torch.arange(12).double() / 12)
    assert farthest(cos[0, :, :12], angles.cos()) < 1e-14
    assert farthest(sin[0, :, 12:], angles.sin()) < 1e-14


@pytest.mark.parametrize("name", NAMES)
def test_the_last_hidden_state_is_what_is_unembedded(name: str) -> None:
    truth = reference(name)
    model = build(name, torch.float64)
    head: Any = model.get_output_embeddings()
    logits = head(truth.hidden[-1])
    if cap := FAMILIES[name].config.get("final_logit_softcapping"):
        logits = cap * torch.tanh(logits / cap)
    assert farthest(logits, truth.logits) < 1e-12
    assert len(truth.hidden) == 4
    assert truth.logits.shape == (2, POSITIONS, model.config.vocab_size)


@pytest.mark.parametrize("name", NAMES)
def test_attention_is_causal_windowed_and_far_from_uniform(name: str) -> None:
    query, key = torch.arange(POSITIONS)[:, None], torch.arange(POSITIONS)
    assert len(reference(name).patterns) == 3
    for layer, pattern in enumerate(reference(name).patterns):
        assert pattern.shape == (2, build(name).config.num_attention_heads, POSITIONS, POSITIONS)
        assert farthest(pattern.sum(-1), torch.ones(())) < 1e-12
        seen = (key <= query) & (query - key < (WINDOW if layer in LOCAL.get(name, ()) else POSITIONS))
        assert pattern[..., ~seen].abs().max() == 0
        assert pattern[..., seen].min() > 0
        entropy = -(pattern * pattern.clamp_min(1e-300).log()).sum(-1)
        assert entropy[..., -1].mean() < 0.8 * seen[-1].sum().log()


def test_falcon_has_its_slopes_once() -> None:
    truth, model = reference("falcon_alibi"), build("falcon_alibi", torch.float64, fresh=True)
    with exactly(torch.float64):
        once = slopes_once(model, truth.tokens)
        model.config._attn_implementation = "eager"
        twice = model(truth.tokens).logits
    assert farthest(once.logits, truth.logits) < 1e-12
    assert farthest(twice, truth.logits) > 0.1


def test_all_three_bands_of_llama3_occur() -> None:
    scaled = build("llama3", torch.float64).model.rotary_emb.inv_freq
    ratio = scaled * 10000 ** (torch.arange(12).double() / 12)
    assert ((ratio - 1).abs() < 1e-12).sum() == 2
    assert ((ratio > 0.126) & (ratio < 0.999)).sum() == 2
    assert ((ratio - 1 / 8).abs() < 1e-12).sum() == 8


def test_sizes_do_not_agree_by_accident() -> None:
    for name in ("llama", "mistral", "mixtral", "qwen3", "gemma", "gemma2", "gemma3"):
        config = build(name).config
        assert config.head_dim * config.num_attention_heads != config.hidden_size
        assert config.num_key_value_heads < config.num_attention_heads
    for name in ("gpt2_square", "llama_square"):
        for key, parameter in build(name).named_parameters():
            assert set(parameter.shape) <= {64, 48, 192}, key  # 48 positions; queries, keys and values side by side


@pytest.mark.parametrize("feature", [*GENERAL, *FEATURES], ids=lambda feature: f"{feature.family}-{feature.name}")
def test_a_feature_left_out_is_seen(feature: Feature) -> None:
    model = feature.model()
    logits = run(model, tokens(feature.family)).logits
    assert farthest(logits, reference(feature.family).logits) >= feature.floor


def test_a_change_without_effect_would_be_noticed() -> None:
    idle = Feature("llama", "nothing", {"rms_norm_eps": FAMILIES["llama"].config["rms_norm_eps"]})
    assert farthest(run(idle.model(), tokens("llama")).logits, reference("llama").logits) < 1e-4 <= idle.floor
    with pytest.raises(LookupError, match="no parameter of llama matches bias"):
        Feature("llama", "biases", edit=biases).model()


def loaded(folder: Path, name: str) -> torch.Tensor:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=FAMILIES[name].attention)
    return run(model.eval(), tokens(name)).logits


@pytest.mark.parametrize("name", MOST_SLOW)
def test_a_saved_model_is_read_back(name: str, tmp_path: Path) -> None:
    save(name, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"config.json", "model.safetensors"}
    assert loaded(tmp_path / "new", name).equal(reference(name, torch.float32).logits)


@pytest.mark.parametrize("name", MOST_SLOW)
def test_a_checkpoint_of_the_older_style_is_read_back(name: str, tmp_path: Path) -> None:
    config = json.loads((age(save(name, tmp_path)) / "config.json").read_text())
    assert "rope_parameters" not in config
    assert loaded(tmp_path, name).equal(reference(name, torch.float32).logits)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral"])
def test_a_model_is_saved_in_shards(name: str, tmp_path: Path) -> None:
    save(name, tmp_path, max_shard_size="100KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1
    assert loaded(tmp_path, name).equal(reference(name, torch.float32).logits)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "mixtral"])
def test_a_model_is_saved_as_a_pickle(name: str, tmp_path: Path) -> None:
    save(name, tmp_path / "safe")
    folder = save(name, tmp_path / "pickled", pickled=True)
    assert not (folder / "model.safetensors").exists()
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    expected = load_file(tmp_path / "safe" / "model.safetensors")
    tied = {"lm_head.weight"} if name == "gpt2" else set()
    assert state.keys() - expected.keys() == tied
    assert all(state[key].equal(value) for key, value in expected.items())


def test_half_precision_is_saved_as_such(tmp_path: Path) -> None:
    save("llama", tmp_path, dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
