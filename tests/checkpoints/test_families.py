"""Every family against transformers: tiny random checkpoints, in float64, tensor by tensor and both ways."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_families as tiny
import torch
from safetensors.torch import load_file, save_file
from tiny_legacy import age

from refractor import HookedTransformer
from refractor.base.errors import CheckpointError, StoreError
from refractor.checkpoints import ADAPTERS, save_pretrained, verify
from refractor.checkpoints.assemble import FamilyReader, blank
from refractor.checkpoints.load import family_of
from refractor.checkpoints.sources import open_model
from refractor.models.rotary import RotaryScaling

ROUNDED = {"bloom": 2e-9, "bloom_six_heads": 2e-9}  # their reference has sqrt(2/π) to eight digits only
FLOAT32 = 1e-4  # a GELU or an epsilon of another kind moves logits by more: 4e-4


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a folder with a checkpoint of every family, written by transformers."""
    place = tmp_path_factory.mktemp("families")
    for name in tiny.FAMILIES:
        tiny.save(name, place / name)
    return {name: place / name for name in tiny.FAMILIES}


def raw(folder: Path, **options: Any) -> HookedTransformer:
    return HookedTransformer.from_pretrained_no_processing(str(folder), **options)


def largest(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def test_every_adapter_has_a_tiny_checkpoint(folders: dict[str, Path]) -> None:
    types = {json.loads((folder / "config.json").read_text())["model_type"] for folder in folders.values()}
    assert types == {adapter.model_types[0] for adapter in ADAPTERS.values()}


@pytest.mark.parametrize("name", tiny.FAMILIES)
@torch.no_grad()
def test_logits_hidden_states_and_patterns_in_float64(name: str, folders: dict[str, Path]) -> None:
    truth, tolerance = tiny.reference(name), ROUNDED.get(name, tiny.FAMILIES[name].tolerance)
    model = raw(folders[name], dtype="float64")
    logits, cache = model.run_with_cache(truth.tokens)
    assert largest(logits, truth.logits) <= tolerance
    assert largest(model(truth.tokens), truth.logits) <= tolerance
    assert len(truth.hidden) == model.cfg.n_layers + 1
    for layer, stream in enumerate(truth.hidden[:-1]):
        assert largest(cache["resid_pre", layer], stream) <= tolerance, f"stream before layer {layer}"
    if name != "opt_350m":  # the last one there is after a projection
        assert largest(model.ln_final(cache["resid_post", -1]), truth.hidden[-1]) <= tolerance
    for layer, pattern in enumerate(truth.patterns):
        assert largest(cache["pattern", layer], pattern) <= tolerance, f"pattern of layer {layer}"


@pytest.mark.parametrize("name", tiny.FAMILIES)
@torch.no_grad()
def test_logits_in_float32_and_log_probabilities_after_all_rewrites(name: str, folders: dict[str, Path]) -> None:
    truth, tolerance = tiny.reference(name), ROUNDED.get(name, tiny.FAMILIES[name].tolerance)
    assert largest(raw(folders[name])(truth.tokens).double(), truth.logits) <= FLOAT32
    model = HookedTransformer.from_pretrained(str(folders[name]), dtype="float64")
    assert model.provenance.rewrites[:1] == (
        ("fold_value_biases",) if model.cfg.norm_placement == "stream" else ("fold_ln",)
    )
    error = largest(model(truth.tokens).log_softmax(-1), truth.logits.log_softmax(-1))
    assert error <= max(10 * tolerance, 1e-9)


@pytest.mark.parametrize("name", tiny.FAMILIES)
@torch.no_grad()
def test_weights_go_back_into_the_format_of_their_family(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    truth = tiny.reference(name)
    model = raw(folders[name], dtype="float64")
    save_pretrained(model, tmp_path / "back")
    again = raw(tmp_path / "back", dtype="float64")
    assert largest(again(truth.tokens), truth.logits) <= max(tiny.FAMILIES[name].tolerance, 2e-9)
    tokens = truth.tokens
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "back", dtype=torch.float32).eval()
    original = AutoModelForCausalLM.from_pretrained(folders[name], dtype=torch.float32).eval()
    if name == "opt_350m":  # its projections come back as their products
        assert largest(theirs(tokens).logits, original(tokens).logits) <= 5e-5
        return
    for key, tensor in load_file(folders[name] / "model.safetensors").items():
        if not key.startswith(("model.decoder.embed_positions", "lm_head.weight")):
            written = load_file(tmp_path / "back" / "model.safetensors")[key]
            torch.testing.assert_close(written.float(), tensor, rtol=0, atol=1e-7)
    assert largest(theirs(tokens).logits, original(tokens).logits) <= 2e-6


@pytest.mark.parametrize("name", tiny.FAMILIES)
@torch.no_grad()
def test_files_of_older_libraries_are_read_alike(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    tiny.save(name, tmp_path)
    age(tmp_path)
    model, now = raw(tmp_path), raw(folders[name])
    assert replace(model.cfg, model_name="") == replace(now.cfg, model_name="")
    for key, tensor in now.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key


@pytest.mark.parametrize("name", ["mixtral", "gpt_neox", "gemma2", "gpt2", "opt_350m", "falcon_40b"])
@torch.no_grad()
def test_a_model_in_memory_is_read_like_its_files_and_left_alone(name: str, folders: dict[str, Path]) -> None:
    theirs = tiny.build(name, fresh=True)
    before = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    model = HookedTransformer.from_pretrained("in memory", hf_model=theirs)
    files = HookedTransformer.from_pretrained(str(folders[name]))
    for key, tensor in files.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key
    with torch.no_grad():
        model.W_E.fill_(0)
        model.unembed.W_U.fill_(0)
    assert all(torch.equal(tensor, before[key]) for key, tensor in theirs.state_dict().items())


FEATURES: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"act_fn": "gelu"}),
    ("gpt2", {"eps": 1e-5}),
    ("gpt2", {"use_attn_scale": False, "attn_scale": 1.0}),
    ("gpt2", {"attention_dir": "bidirectional"}),
    ("gpt_neo", {"use_local_attn": False, "window_size": None, "attn_types": None}),
    ("gpt_neo", {"window_size": 9}),
    ("gpt_neo", {"attn_types": ("local", "global", "global")}),
    ("gptj", {"rotary_adjacent_pairs": False}),
    ("gptj", {"rotary_dim": 16}),
    ("gpt_neox", {"parallel_attn_mlp": False}),
    ("gpt_neox", {"rotary_base": 10000.0}),
    ("gpt_neox_sequential", {"parallel_attn_mlp": True}),
    ("bloom_six_heads", {"alibi_scale": 0.5}),
    ("falcon_alibi", {"alibi_scale": 1.0}),
    ("llama3", {"rotary_scaling": None}),
    ("llama3", {"rotary_scaling": RotaryScaling(kind="linear", factor=8.0)}),
    ("llama_linear", {"rotary_scaling": None}),
    ("llama", {"eps": 1e-6}),
    ("mistral", {"window_size": 7}),
    ("mixtral", {"experts_per_token": 1}),
    ("mixtral", {"experts_per_token": 4}),
    ("qwen2_window", {"attn_types": ("local", "local", "local")}),
    ("gemma", {"act_fn": "gelu"}),
    ("gemma2", {"attn_scores_soft_cap": None}),
    ("gemma2", {"output_logits_soft_cap": None}),
    ("gemma2", {"attn_scale": 24**0.5}),
    ("gemma3", {"rotary_base_local": None}),
    ("gemma3", {"rotary_scaling": None}),
    ("phi", {"rotary_dim": 16}),
]
"""A family, and a part of its configuration that is ignored or wrong."""


@pytest.mark.parametrize(("name", "change"), FEATURES, ids=lambda value: str(value).replace(" ", ""))
@torch.no_grad()
def test_a_part_that_is_ignored_fails_the_comparison(
    name: str, change: dict[str, Any], folders: dict[str, Path]
) -> None:
    files = open_model(folders[name])
    family = family_of(files)
    model = blank(replace(family.cfg, **change))
    state = FamilyReader(family, files.weights, torch.float64).read()
    model.load_state_dict(state, assign=True)
    truth = tiny.reference(name)
    assert largest(model(truth.tokens), truth.logits) > FLOAT32


@pytest.mark.parametrize("name", ["gpt2", "gemma3", pytest.param("mixtral", marks=pytest.mark.slow)])
def test_verify_holds_for_what_is_right(name: str, folders: dict[str, Path]) -> None:
    found = verify(raw(folders[name]), tiny.reference(name).tokens)
    assert found.passed, str(found)
    assert [check.passed for check in found.checks] == [True] * 6
    processed = verify(HookedTransformer.from_pretrained(str(folders[name])), tiny.reference(name).tokens[:, :8])
    assert processed.passed, str(processed)


def test_verify_names_what_is_wrong(folders: dict[str, Path]) -> None:
    model = raw(folders["gpt2"])
    with torch.no_grad():
        model.blocks[1].mlp.b_out[3] += 0.01
        model.blocks[2].attn.W_O.zero_()
        model.blocks[0].attn.b_O[0] = torch.nan
        model.blocks[0].attn.b_O[0] = 0.0
    found = verify(model)
    failed = {check.name: check.detail for check in found.checks if check.passed is False}
    assert set(failed) == {
        "editing any hook point moves the logits",
        "logits agree with transformers",
        "hidden states agree with transformers",
    }
    assert "blocks.2.attn.hook_q" in failed["editing any hook point moves the logits"]
    assert not found.passed
    assert "FAILS" in str(found)


def test_verify_finds_nan(folders: dict[str, Path]) -> None:
    model = raw(folders["gpt2"])
    with torch.no_grad():
        model.blocks[0].attn.b_O[0] = torch.nan
    first = verify(model).checks[0]
    assert first.passed is False
    assert "blocks.0.attn.b_O" in first.detail


# ---- what does not fit stops the load --------------------------------------------------------------------------------


def changed(
    folder: Path,
    place: Path,
    config: dict[str, Any] | None = None,
    tensors: dict[str, torch.Tensor | None] | None = None,
) -> Path:
    """Write a checkpoint that differs: keys of its configuration, and tensors (None leaves one out)."""
    place.mkdir()
    values = json.loads((folder / "config.json").read_text()) | (config or {})
    (place / "config.json").write_text(json.dumps({key: value for key, value in values.items() if value != "gone"}))
    weights = load_file(folder / "model.safetensors") | (tensors or {})
    save_file({key: tensor for key, tensor in weights.items() if tensor is not None}, place / "model.safetensors")
    return place


BAD_TENSORS: list[tuple[str, dict[str, torch.Tensor | None], str]] = [
    (
        "llama",
        {"model.layers.1.mlp.up_proj.weight": None},
        r"lacks 1 of the tensors .*'model.layers.1.mlp.up_proj.weight'",
    ),
    ("llama", {"model.layers.0.self_attn.q_proj.bias": torch.zeros(96)}, r"holds 1 tensors that a llama model of this"),
    ("llama", {"model.layers.3.mlp.up_proj.weight": torch.zeros(2, 2)}, r"'model.layers.3.mlp.up_proj.weight'"),
    ("gpt2", {"transformer.wpe.weight": torch.zeros(48, 63)}, r"'transformer.wpe.weight' .* \[48, 63\]; .* \[48, 64\]"),
    ("gpt2", {"transformer.ln_f.bias": torch.zeros(64, dtype=torch.int32)}, r"holds torch.int32, not floating-point"),
    ("opt_350m", {"model.decoder.project_in.weight": torch.zeros(60, 40)}, r"shape"),
]


@pytest.mark.parametrize(("name", "tensors", "text"), BAD_TENSORS)
def test_tensors_that_do_not_fit_stop_the_load(
    name: str, tensors: dict[str, torch.Tensor | None], text: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=text):
        raw(changed(folders[name], tmp_path / "bad", tensors=tensors))


BAD_KEYS: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"attention_sinks": 4}, r"1 keys that are not known: 'attention_sinks'"),
    ("llama", {"hidden_act": "mish"}, r"hidden_act='mish' are not supported; activations are relu"),
    (
        "llama",
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}},
        r"type 'yarn' are not supported",
    ),
    ("llama", {"num_hidden_layers": "three"}, r"num_hidden_layers .* whole number of at least 1; 'three' came"),
    ("llama", {"num_hidden_layers": "gone"}, r"has no 'num_hidden_layers', which is needed"),
    ("llama", {"num_key_value_heads": 3}, r"num_attention_heads=4 is no multiple of num_key_value_heads=3"),
    ("llama", {"model_type": "lama"}, r"family 'lama', for which there is no adapter. Nearest: llama"),
    ("llama", {"model_type": "gone"}, r"does not say which family it is"),
    ("llama", {"quantization_config": {"bits": 4}}, r"quantised; load the unquantised model, or a GGUF"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, r"scale_attn_by_inverse_layer_idx=True are not supported"),
    ("gpt2", {"n_head": 5}, r"n_embd=64 is no multiple of n_head=5"),
    ("gpt_neo", {"attention_layers": ["global"]}, r"attention_layers names 1 layers, but num_layers=3"),
    ("gemma3", {"layer_types": ["full_attention", "chunked", "full_attention"]}, r"layers of type 'chunked'"),
    ("phi", {"qk_layernorm": True}, r"qk_layernorm=True are not supported"),
    ("bloom", {"apply_residual_connection_post_layernorm": True}, r"apply_residual_connection_post_layernorm=True"),
]


@pytest.mark.parametrize(("name", "keys", "text"), BAD_KEYS, ids=lambda value: str(value)[:40])
def test_configurations_that_are_not_understood_stop_the_load(
    name: str, keys: dict[str, Any], text: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=text):
        raw(changed(folders[name], tmp_path / "bad", keys))


def test_a_key_can_be_ignored_by_name(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(folders["llama"], tmp_path / "odd", {"attention_sinks": 4})
    assert torch.equal(raw(folder, ignore_keys=["attention_sinks"]).W_E, raw(folders["llama"]).W_E)


def test_nan_is_named_and_loaded(folders: dict[str, Path], tmp_path: Path) -> None:
    weight = load_file(folders["llama"] / "model.safetensors")["model.norm.weight"]
    weight[3] = torch.nan
    folder = changed(folders["llama"], tmp_path / "nan", tensors={"model.norm.weight": weight})
    with pytest.warns(UserWarning, match=r"NaN or infinity in 'model.norm.weight'"):
        assert raw(folder).ln_final.get_parameter("w")[3].isnan()


def test_truncated_and_corrupt_files_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(folders["gpt2"], tmp_path / "cut")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    with pytest.raises(StoreError, match=r"model.safetensors"):
        raw(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(StoreError, match=r"config.json is no JSON"):
        raw(folder)


# ---- options ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_fewer_layers_are_the_first_of_all(folders: dict[str, Path]) -> None:
    whole, two = raw(folders["gemma2"]), raw(folders["gemma2"], first_n_layers=2)
    tokens = tiny.reference("gemma2").tokens
    assert two.cfg.n_layers == 2
    torch.testing.assert_close(
        two.run_with_cache(tokens)[1]["resid_post", 1], whole.run_with_cache(tokens)[1]["resid_post", 1]
    )
    with pytest.raises(CheckpointError, match=r"has 2 of the 3 layers"):
        save_pretrained(two, folders["gemma2"].parent / "two")


@torch.no_grad()
def test_a_shorter_context_cuts_learned_positions_and_a_longer_one_is_refused(folders: dict[str, Path]) -> None:
    tokens = tiny.reference("gpt2").tokens
    short = raw(folders["gpt2"], n_ctx=28)
    assert short.W_pos.shape[0] == 28
    assert torch.equal(short(tokens), raw(folders["gpt2"])(tokens))
    with pytest.raises(CheckpointError, match=r"has 28 of the 48 positions"):
        save_pretrained(short, folders["gpt2"].parent / "short")
    with pytest.raises(ValueError, match=r"n_ctx=49, but .* learned positions for 48 tokens only"):
        raw(folders["gpt2"], n_ctx=49)
    assert raw(folders["llama"], n_ctx=4096).cfg.n_ctx == 4096


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@torch.no_grad()
def test_the_dtype_is_that_which_is_asked_for(dtype: str, folders: dict[str, Path]) -> None:
    model = raw(folders["gpt2"], dtype=dtype)
    assert {str(parameter.dtype) for parameter in model.parameters()} == {f"torch.{dtype}"}
    assert model.cfg.dtype == getattr(torch, dtype)
    tokens = tiny.reference("gpt2").tokens
    difference = largest(model(tokens).double(), tiny.reference("gpt2").logits)
    assert difference <= {"bfloat16": 0.5, "float16": 0.06, "float64": 1e-9}[dtype]


def test_tied_embeddings_are_one_memory_until_a_rewrite(folders: dict[str, Path]) -> None:
    model = raw(folders["gpt2"])
    assert model.is_tied
    assert model.double().is_tied
    assert model.W_U.dtype == torch.float64
    assert not HookedTransformer.from_pretrained(str(folders["gpt2"])).is_tied
    assert not raw(folders["llama"]).is_tied


@torch.no_grad()
def test_weights_can_be_rewritten_after_the_load(folders: dict[str, Path]) -> None:
    model, tokens = raw(folders["llama"], dtype="float64"), tiny.reference("llama").tokens
    scales: list[torch.Tensor] = []
    model.add_hook("blocks.1.ln1.hook_scale", lambda t, hook: scales.append(t))
    before = model(tokens).log_softmax(-1)
    model.process_weights_()
    torch.testing.assert_close(model(tokens).log_softmax(-1), before, rtol=0, atol=1e-9)
    assert len(scales) == 2  # the hook is still there
    assert model.cfg.normalization_type == "RMSPre"
    assert model.blocks[2].attn.cfg.normalization_type == "RMSPre"
    assert model.provenance.rewrites == ("fold_ln", "fold_value_biases", "center_unembed")
    same = HookedTransformer.from_pretrained(str(folders["llama"]), dtype="float64")
    for name, tensor in same.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=1e-12, atol=1e-12)
    model.process_weights_()
    assert model.provenance.rewrites == ("fold_ln", "fold_value_biases", "center_unembed")


def test_provenance_says_what_the_weights_are(folders: dict[str, Path]) -> None:
    model = HookedTransformer.from_pretrained(str(folders["gpt2"]), dtype="bfloat16")
    assert model.provenance.family == "gpt2"
    assert model.provenance.source == str(folders["gpt2"])
    assert str(model.provenance).endswith(
        "stored as float32, rewritten: fold_ln, fold_value_biases, center_writing_weights, center_unembed"
    )


def test_an_unembedding_of_its_own_is_used_though_the_configuration_says_tied(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = changed(folders["llama"], tmp_path / "said", {"tie_word_embeddings": True})
    assert torch.equal(raw(folder).W_U, raw(folders["llama"]).W_U)
    assert not raw(folder).is_tied
    same = load_file(folders["gpt2"] / "model.safetensors")["transformer.wte.weight"].clone()
    folder = changed(folders["gpt2"], tmp_path / "twice", tensors={"lm_head.weight": same})
    assert raw(folder).is_tied


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "type 'yarn' are not supported"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "has rope_parameters and rope_scaling, which differ"),
        ({"rope_scaling": 3}, "must be an object; 3 came"),
        ({"partial_rotary_factor": 0.5}, r"only a part of each head turns \(partial_rotary_factor=0.5\)"),
    ],
)
def test_rotary_words_that_disagree_stop_the_load(
    change: dict[str, Any], text: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=text):
        raw(changed(folders["llama"], tmp_path / "bad", change))


@pytest.mark.parametrize(
    ("name", "key", "field", "value"),
    [
        ("gemma2", "query_pre_attn_scalar", "attn_scale", 16.0),
        ("gemma3", "query_pre_attn_scalar", "attn_scale", 16.0),
        ("gemma2", "attn_logit_softcapping", "attn_scores_soft_cap", 50.0),
        ("gemma2", "final_logit_softcapping", "output_logits_soft_cap", 30.0),
        ("mixtral", "rope_parameters", "rotary_base", 1e6),
    ],
)
def test_keys_that_are_left_out_have_the_defaults_of_the_family(
    name: str, key: str, field: str, value: float, folders: dict[str, Path], tmp_path: Path
) -> None:
    assert getattr(raw(changed(folders[name], tmp_path / "less", {key: "gone"})).cfg, field) == value


def test_options_that_mean_nothing_are_refused(folders: dict[str, Path]) -> None:
    theirs, folder = tiny.build("gpt2"), str(folders["gpt2"])
    for options, text in (
        ({"hf_model": theirs, "revision": "main"}, "hf_model came too"),
        ({"hf_model": 3}, "hf_model must be a ...ForCausalLM of transformers; int came"),
        ({"device": "meta"}, "device='meta' is not there"),
        ({"dtype": "fp16"}, "dtype must be one of"),
        ({"first_n_layers": 0}, "first_n_layers must be a whole number"),
        ({"n_ctx": 0}, "n_ctx must be a whole number"),
        ({"revision": "main"}, "revision is for models of the hub"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            HookedTransformer.from_pretrained(folder, **options)
    with pytest.raises(ValueError, match="tokenizer is for language models"):
        HookedTransformer.from_pretrained("modular-addition-113", tokenizer=object())
    key = {"ignore_keys": "one", "first_n_layers": 2}
    assert verify(HookedTransformer.from_pretrained(folder, **key)).checks[-1].passed is None


def test_half_of_a_tied_pair_is_loaded_alone(folders: dict[str, Path]) -> None:
    model = raw(folders["gpt2"])
    before = model.W_E.detach().clone()
    model.load_state_dict({"unembed.W_U": model.W_U.detach() + 1}, strict=False)
    assert torch.equal(model.W_E, before)
    assert torch.equal(model.W_U, before.T + 1)
    other = raw(folders["gpt2"])
    other.untie()
    assert not other.is_tied
    assert torch.equal(other.W_U, other.W_E.T)


def test_verify_does_not_blame_the_network_for_hooks(folders: dict[str, Path]) -> None:
    model = raw(folders["gpt2"])
    model.add_hook("blocks.0.hook_resid_pre", lambda t, hook: t * 0)
    with pytest.raises(ValueError, match=r"hooks are attached at 'blocks.0.hook_resid_pre'"):
        verify(model)
