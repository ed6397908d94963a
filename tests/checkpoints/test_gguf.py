"""GGUF files against the folders that they were converted from: tensors, configurations, logits, quantised numbers."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from tiny_families import altered, run, tokens
from tiny_gguf import CHANGES, add, finish, saved, write
from torch import Tensor

from refractor.base.errors import ArgumentError, CheckpointError, UnknownNameError
from refractor.checkpoints import gguf_file, load
from refractor.checkpoints.gguf_config import FAMILIES
from refractor.checkpoints.gguf_file import open_gguf
from refractor.checkpoints.gguf_header import STORED
from refractor.checkpoints.gguf_metadata import rounded
from refractor.checkpoints.gguf_names import NAMES
from refractor.checkpoints.gguf_rope import llama3_factors, llama3_scaling
from refractor.checkpoints.sources import ModelFiles, open_model

OFF = dict.fromkeys(("fold_ln", "center_writing_weights", "center_unembed", "fold_value_biases"), False)
QUICK = ("llama3", "mixtral", "gemma3", "gpt2", "stablelm_parallel")  # every change that conversion makes
TINY = (
    *("llama", "llama_square", "llama3", "llama_linear", "llama_biased", "mistral", "mixtral", "qwen2", "qwen3"),
    *("gemma", "gemma2", "gemma3", "phi3", "gpt2", "gpt2_square", "stablelm", "stablelm_parallel", "olmo2"),
)
MOST_SLOW = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TINY]
PEERS = ("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt2", "stablelm")  # that transformers reads from GGUF


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


def made(folder: Path, name: str) -> Path:
    path = folder / f"{name}.gguf"
    return path if path.exists() else write(path, name)


def once_rounded(name: str, tensor: str, values: Tensor) -> Tensor:
    """A tensor as a file can hold it: Gemma's norms are rounded where they are stored as 1 + w."""
    return values + 1 - 1 if name.startswith("gemma") and tensor.endswith("norm.weight") else values


@pytest.mark.parametrize("name", MOST_SLOW)
def test_a_file_has_the_tensors_of_the_folder(name: str, folder: Path) -> None:
    state, _ = saved(name)
    weights = open_gguf(made(folder, name)).weights
    assert set(weights.names) == set(state)
    for tensor, values in state.items():
        ours = weights.read(tensor)
        assert ours.equal(once_rounded(name, tensor, values)), tensor
        assert ours.is_contiguous()
        assert (weights.shape(tensor), weights.dtype(tensor)) == (tuple(values.shape), torch.float32)


@pytest.mark.parametrize("name", MOST_SLOW)
def test_a_file_gives_the_logits_of_the_folder(name: str, folder: Path) -> None:
    reference = altered(name, torch.float64, **CHANGES.get(name, {}))
    with torch.no_grad():
        for tensor, values in reference.named_parameters():
            values.copy_(once_rounded(name, tensor, values.float()))
        model = load(made(folder, name), dtype="float64", **OFF)
        logits = model(tokens(name))
    assert (logits - run(reference, tokens(name)).logits).abs().max() < 1e-10


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in PEERS]
)
def test_tensors_are_those_that_transformers_reads(name: str, folder: Path) -> None:
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    model = altered(name, torch.float32, **CHANGES.get(name, {}))
    theirs = load_gguf_checkpoint(str(made(folder, name)), return_tensors=True, model_to_load=model)["tensors"]
    weights = open_gguf(made(folder, name)).weights
    assert set(theirs) == set(weights.names)
    for tensor, values in theirs.items():
        assert weights.read(tensor).equal(values), tensor


def test_every_architecture_has_names_and_a_configuration() -> None:
    assert set(NAMES) == set(FAMILIES)
    tested = {saved(name)[1].model_type for name in TINY}
    assert {"llama", "mistral", "mixtral", "gemma3_text"} | (set(FAMILIES) - {"gemma3"}) == tested


# Quantised numbers


def llama(path: Path, tensors: dict[str, tuple[np.ndarray, Kind]], **metadata: Any) -> Path:
    """A Llama whose sizes are multiples of 256, the block of most quantisations; with the tensors that are given."""
    writer = gguf.GGUFWriter(path, "llama")
    entries = {"context_length": 8, "embedding_length": 512, "feed_forward_length": 256, "block_count": 1}
    entries |= {"attention.head_count": 4, "attention.head_count_kv": 2, "attention.layer_norm_rms_epsilon": 1e-5}
    for key, value in {**entries, **metadata}.items():
        add(writer, f"llama.{key}", value)
    for name, (content, kind) in tensors.items():
        writer.add_tensor(name, content, raw_dtype=kind)
    return finish(writer, path)


def rubbish(kind: Kind, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Rows of any quantisation: random bytes, in which no scale is infinite or NaN."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    content = np.random.default_rng(seed).integers(0, 256, (rows, columns // block * size), dtype=np.uint8)
    return content & np.uint8(0b10111011)  # no 16-bit float with all bits of its exponent, at any place


READABLE = [stored.name for stored in STORED.values() if stored.name not in ("Q8_1", "Q8_K", "I8", "I16", "I32", "I64")]


@pytest.mark.parametrize("kind", READABLE)
def test_every_quantisation_is_read_as_the_gguf_package_reads_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = Kind[kind]
    embedding, queries = rubbish(code, 7, 512), rubbish(code, 512, 512, 1)
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
    }
    if kind in ("F32", "F16", "F64"):
        embedding, queries = (part.view({"F32": "f4", "F16": "f2", "F64": "f8"}[kind]) for part in (embedding, queries))
    path = llama(tmp_path / "x.gguf", {"token_embd.weight": (embedding, code), "blk.0.attn_q.weight": (queries, code)})
    expected = {}
    for tensor in gguf.GGUFReader(path).tensors:
        plain = tensor.data if kind == "F64" else gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        expected[names[tensor.name]] = torch.from_numpy(
            np.array(plain, dtype=np.float64 if kind == "F64" else np.float32)
        )
    q_proj = names["blk.0.attn_q.weight"]
    expected[q_proj] = expected[q_proj].unflatten(0, (4, 64, 2)).transpose(1, 2).flatten(0, 2)
    for dtype, block in ((torch.float32, 1), (torch.float32, 2**23), (torch.float16, 2**16), (torch.bfloat16, 2**23)):
        monkeypatch.setattr(gguf_file, "BLOCK_BYTES", block)  # one row or one head at a time, some, everything at once
        weights = open_gguf(path, dtype).weights
        for name, values in expected.items():
            ours = weights.read(name)
            assert weights.dtype(name) == ours.dtype == dtype
            torch.testing.assert_close(ours, values.to(dtype), rtol=0, atol=0, equal_nan=True)


def test_experts_are_slices_of_one_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "BLOCK_BYTES", 2**16)
    experts = rubbish(Kind.Q4_K, 3 * 256, 512).reshape(3, 256, -1)
    tensors = {
        "token_embd.weight": (np.ones((2, 512), dtype=np.float32), Kind.F32),
        "blk.0.ffn_up_exps.weight": (experts, Kind.Q4_K),
    }
    weights = open_gguf(llama(tmp_path / "x.gguf", tensors, expert_count=3, expert_used_count=2)).weights
    whole = gguf.quants.dequantize(experts, Kind.Q4_K)
    for number in range(3):
        ours = weights.read(f"model.layers.0.block_sparse_moe.experts.{number}.w3.weight")
        torch.testing.assert_close(ours, torch.from_numpy(whole[number]), rtol=0, atol=0, equal_nan=True)


def test_quantised_files_of_a_real_shape_are_close_to_the_original(folder: Path) -> None:
    state, _ = saved("llama")
    close = {
        Kind.F16: 1e-3,
        Kind.BF16: 8e-3,
        Kind.Q8_0: 0.01,
        Kind.Q5_0: 0.08,
        Kind.Q5_1: 0.08,
        Kind.Q4_0: 0.2,
        Kind.Q4_1: 0.2,
    }
    for kind, bound in close.items():

        def choose(name: str, tensor: Tensor, kind: Kind = kind) -> Kind:
            return kind if tensor.ndim == 2 and tensor.shape[1] % 32 == 0 else Kind.F32

        weights = open_gguf(write(folder / f"llama-{kind.name}.gguf", "llama", choose)).weights
        far = max(
            float((weights.read(name) - values).abs().max() / values.abs().max()) for name, values in state.items()
        )
        assert bound / 20 < far < bound, kind


def test_a_quantised_file_without_the_gguf_package_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantised = llama(tmp_path / "q.gguf", {"token_embd.weight": (rubbish(Kind.Q4_K, 4, 512), Kind.Q4_K)})
    plain = llama(tmp_path / "f.gguf", {"token_embd.weight": (np.ones((4, 512), dtype=np.float32), Kind.F32)})
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(
        CheckpointError, match=r"q.gguf is quantised \(Q4_K\), which takes the gguf package: pip install "
    ):
        open_gguf(quantised)
    assert open_gguf(plain).weights.read("model.embed_tokens.weight").sum() == 4 * 512


def test_a_type_that_cannot_be_dequantised_is_named(tmp_path: Path) -> None:
    path = llama(tmp_path / "x.gguf", {"token_embd.weight": (rubbish(Kind.Q8_K, 4, 512), Kind.Q8_K)})
    with pytest.raises(
        CheckpointError, match="stores 'token_embd.weight' as Q8_K, which the installed gguf package does not"
    ):
        open_gguf(path)


@pytest.mark.slow
def test_reading_a_tensor_takes_little_more_than_the_tensor(tmp_path: Path) -> None:
    rows = 2**16
    code = f"""
        import resource
        from refractor.checkpoints.gguf_file import open_gguf
        weights = open_gguf({str(tmp_path / "big.gguf")!r}).weights
        weights.read("model.layers.0.self_attn.k_proj.weight")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tensor = weights.read("model.embed_tokens.weight")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, tensor.nbytes // 1024)
    """
    llama(
        tmp_path / "big.gguf",
        {
            "token_embd.weight": (rubbish(Kind.Q8_0, rows, 512), Kind.Q8_0),
            "blk.0.attn_k.weight": (rubbish(Kind.Q8_0, 8192, 512), Kind.Q8_0),
        },
    )
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    grown, size = map(int, done.stdout.split())
    unit = 1 if sys.platform != "darwin" else 1024  # kilobytes here, bytes there
    assert size == rows * 512 * 4 // 1024
    assert grown / unit < 1.25 * size


# What is refused, by name

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "yarn": ({"llama.rope.scaling.type": "yarn"}, "llama.rope.scaling.type = 'yarn'; only 'none' is supported there"),
    "longrope": ({"llama.rope.scaling.type": "longrope"}, "llama.rope.scaling.type = 'longrope'"),
    "attention factor": ({"llama.rope.scaling.attn_factor": 1.2}, "llama.rope.scaling.attn_factor = 1.2"),
    "alibi": (
        {"llama.attention.max_alibi_bias": 8.0},
        "llama.attention.max_alibi_bias = 8.0; only 0 is supported there",
    ),
    "two ways": ({"llama.attention.causal": False}, "llama.attention.causal = False; only True is supported there"),
    "logits": ({"llama.final_logit_softcapping": 30.0}, "llama.final_logit_softcapping = 30.0"),
    "scale": (
        {"llama.attention.scale": 0.5},
        "scales attention scores by 0.5; for llama only 1 / sqrt(24) is supported",
    ),
    "unknown": ({"llama.atention.sliding_windw": 3}, "llama.atention.sliding_windw = 3. What it changes is not built"),
    "near": ({"llama.atention.causal": True}, "(Near: 'attention.causal'.)"),
    "partial": ({"llama.rope.dimension_count": 12}, "has heads of width 24 (values 24, turning 12) in a stream of 64"),
    "values": ({"llama.attention.value_length": 16}, "has heads of width 24 (values 16, turning 24)"),
    "layers differ": ({"llama.attention.head_count_kv": [2, 2, 1]}, "the same for all layers; [2, 2, 1] came"),
    "no size": (
        {"llama.block_count": 0},
        "llama.block_count of",
    ),
    "text for a number": ({"llama.rope.freq_base": "10000"}, "llama.rope.freq_base of"),
    "part": ({"split.count": 3}, "is one of 3 parts of a model; join them first: llama-gguf-split --merge"),
    "adapter": ({"general.type": "adapter"}, "holds 'adapter' (general.type), not a whole model"),
    "experts": ({"llama.expert_count": 4}, "has no llama.expert_used_count, which its configuration needs"),
    "rows": ({"llama.attention.head_count": 5, "llama.attention.key_length": 24}, "has 96 rows, which are not 5 heads"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_would_change_the_network_is_refused_by_name(reason: str, tmp_path: Path) -> None:
    metadata, message = REFUSED[reason]
    path = write(tmp_path / "x.gguf", "llama", metadata=metadata)
    with pytest.raises(CheckpointError) as caught:
        open_gguf(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "metadata", "message"),
    [
        (
            "qwen2",
            {"qwen2.attention.sliding_window": 8},
            "qwen2.attention.sliding_window = 8; only 0 is supported there",
        ),
        ("olmo2", {"olmo2.attention.sliding_window": 8}, "olmo2.attention.sliding_window = 8"),  # that would be OLMo 3
        (
            "gemma3",
            {"gemma3.attention.sliding_window_pattern": [True]},
            "true or false for each of the 3 layers; [True]",
        ),
        ("gpt2", {"gpt2.attention.head_count_kv": 2}, "with shared keys, which GPT-2 has not"),
        ("qwen3", {"qwen3.expert_count": 8}, "qwen3.expert_count = 8; only 0 is supported there"),
        ("llama_biased", {"llama.attention.sliding_window": 8}, "has biases and a sliding window"),
        ("llama3", {"llama.rope.scaling.factor": 2.0}, "scales rotary positions in two ways"),
    ],
)
def test_each_family_refuses_what_it_has_not(name: str, metadata: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_gguf(write(tmp_path / "x.gguf", name, metadata=metadata))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {"llama.rope.scaling.type": "none", "llama.rope.scaling.finetuned": True},
        {"llama.attention.sliding_window": 0, "llama.expert_count": 0, "llama.expert_used_count": 0},
        {"llama.attention.scale": 24**-0.5, "llama.attention.causal": True},
        {"general.file_type": 7, "general.quantization_version": 2, "quantize.imatrix.file": "x", "split.count": 0},
        {"llama.attention.head_count_kv": [2, 2, 2], "llama.pooling_type": 0, "someone.else": 3.5},
    ],
)
def test_what_changes_nothing_is_ignored(metadata: dict[str, Any], tmp_path: Path) -> None:
    plain = open_gguf(write(tmp_path / "plain.gguf", "llama")).config
    assert open_gguf(write(tmp_path / "more.gguf", "llama", metadata=metadata)).config == plain


def other(path: Path, architecture: str) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_tensor("token_embd.weight", np.ones((4, 8), dtype=np.float32))
    return finish(writer, path)


def test_an_unknown_architecture_names_the_nearest_and_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_gguf(other(tmp_path / "x.gguf", "qwen2moe"))
    assert "is of architecture 'qwen2moe', which is not supported in GGUF files (near 'qwen2')" in str(caught.value)
    assert "Supported are llama, qwen2, qwen3, gemma, gemma2, gemma3, phi3, stablelm, olmo2, gpt2." in str(caught.value)


def test_a_file_without_an_embedding_or_an_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no llama.attention.head_count, which its configuration needs"):
        open_gguf(other(tmp_path / "x.gguf", "llama"))
    path = llama(tmp_path / "y.gguf", {"output_norm.weight": (np.ones(512, dtype=np.float32), Kind.F32)})
    with pytest.raises(CheckpointError, match="has no matrix token_embd.weight, so it holds no language model"):
        open_gguf(path)


@pytest.mark.parametrize(
    ("tensor", "near"),
    [
        ("blk.0.attn_qq.weight", "(near 'attn_q')"),
        ("blk.00.attn_q.weight", ""),
        ("blk.0.ffn_gate.0.weight", ""),  # one expert each, as the first conversions of Mixtral had them
        ("token_embed.weight", "(near 'token_embd')"),
        ("rope_factors_long.weight", ""),
    ],
)
def test_a_tensor_that_is_not_known_is_named(tensor: str, near: str, tmp_path: Path) -> None:
    one = np.ones((2, 512), dtype=np.float32)
    path = llama(tmp_path / "x.gguf", {"token_embd.weight": (one, Kind.F32), tensor: (one, Kind.F32)})
    with pytest.raises(CheckpointError) as caught:
        open_gguf(path)
    assert f"has tensors that are not known there: {tensor!r}" in str(caught.value)
    assert near in str(caught.value)


def test_frequencies_that_old_conversions_kept_are_left_out(tmp_path: Path) -> None:
    tensors = {
        "token_embd.weight": (np.ones((2, 512), dtype=np.float32), Kind.F32),
        "blk.0.attn_rot_embd.weight": (np.ones(64, dtype=np.float32), Kind.F32),
    }
    assert open_gguf(llama(tmp_path / "x.gguf", tensors)).weights.names == ("model.embed_tokens.weight",)


# Rotary factors


def meta(base: float, width: int, factor: float, high: float, n_ctx: int) -> Tensor:
    values = {
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": high,
        "original_max_position_embeddings": n_ctx,
    }
    frequencies = 1.0 / base ** (torch.arange(0, width, 2, dtype=torch.float32) / width)
    return llama3_factors(values, frequencies).float()


@pytest.mark.parametrize(
    "values",
    [(500000.0, 128, 8.0, 4.0, 8192), (500000.0, 64, 32.0, 4.0, 8192), (10000.0, 80, 3.5, 2.5, 4096)],
)
def test_the_rule_of_llama3_is_found_again(values: tuple[float, int, float, float, int]) -> None:
    base, _, factor, high, n_ctx = values
    assert llama3_scaling(meta(*values), base) == {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": high,
        "original_max_position_embeddings": n_ctx,
    }


def test_factors_of_another_rule_are_refused(tmp_path: Path) -> None:
    factors = meta(500000.0, 128, 8.0, 4.0, 8192)
    assert llama3_scaling(torch.ones(64), 500000.0) == {}
    between = ((factors > 1.01) & (factors < 7.9)).nonzero().flatten()
    assert len(between) >= 5
    bent = factors.clone()
    bent[between[2]] *= 1.001  # the line through the first and the last of them stays
    assert llama3_scaling(bent, 500000.0) is None
    for wrong in (
        factors * 1.001,
        factors.flip(0),
        torch.linspace(1, 8, 64),
        factors.index_fill(0, torch.tensor([40]), 2.0),
    ):
        assert llama3_scaling(wrong, 500000.0) is None
    tensors = {
        "token_embd.weight": (np.ones((2, 512), dtype=np.float32), Kind.F32),
        "rope_freqs.weight": (np.linspace(1, 8, 64, dtype=np.float32), Kind.F32),
    }
    with pytest.raises(CheckpointError, match="does not follow the rule of Llama 3, .* its 64 factors go from 1 to 8"):
        open_gguf(llama(tmp_path / "x.gguf", tensors))
    tensors["rope_freqs.weight"] = (meta(500000.0, 64, 8.0, 4.0, 8192).numpy(), Kind.F32)  # 32 factors for heads of 128
    with pytest.raises(CheckpointError, match="does not follow the rule of Llama 3, .* its 32 factors"):
        open_gguf(llama(tmp_path / "x.gguf", tensors))


# The rest


def test_numbers_are_what_they_were_before_they_had_32_bits() -> None:
    for value in (1e-5, 1e-6, 5e-5, 10000.0, 500000.0, 0.1, 1e6):
        assert rounded(float(np.float32(value))) == value


def test_the_largest_gemmas_scale_scores_by_another_number(tmp_path: Path) -> None:
    for name, layers in (("gemma2", 46), ("gemma3", 62)):
        metadata = {f"{name}.block_count": layers, f"{name}.attention.sliding_window_pattern": 2}
        config = open_gguf(write(tmp_path / f"{name}.gguf", name, metadata=metadata)).config
        assert config["query_pre_attn_scalar"] == 64 // 4
        assert config["layer_types"] == ["sliding_attention", "full_attention"] * (layers // 2)
        assert open_gguf(write(tmp_path / f"{name}.gguf", name)).config["query_pre_attn_scalar"] == 24


def test_what_gemma_does_not_say_is_what_its_runtime_assumes(tmp_path: Path) -> None:
    said = ("attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window", "rope.freq_base")
    two = open_gguf(write(tmp_path / "2.gguf", "gemma2", without=tuple(f"gemma2.{key}" for key in said))).config
    assert (two["attn_logit_softcapping"], two["final_logit_softcapping"], two["sliding_window"]) == (50.0, 30.0, 4096)
    assert two["rope_theta"] == 10000.0
    said = ("attention.sliding_window_pattern", "rope.freq_base_swa")
    three = open_gguf(write(tmp_path / "3.gguf", "gemma3", without=tuple(f"gemma3.{key}" for key in said))).config
    assert (three["rope_local_base_freq"], three["layer_types"]) == (10000.0, ["sliding_attention"] * 3)
    without = (*(f"gemma3.{key}" for key in said), "gemma3.attention.sliding_window")
    assert (
        open_gguf(write(tmp_path / "4.gguf", "gemma3", without=without)).config["layer_types"] == ["full_attention"] * 3
    )


def test_activations_follow_from_the_architecture(tmp_path: Path) -> None:
    for name, key, value in [
        ("gemma", "hidden_act", "gelu_pytorch_tanh"),
        ("gemma2", "hidden_activation", "gelu_pytorch_tanh"),
        ("gpt2", "activation_function", "gelu_new"),
        ("llama", "hidden_act", "silu"),
    ]:
        assert open_gguf(write(tmp_path / f"{name}.gguf", name)).config[key] == value


def test_special_tokens_and_the_name_are_told(tmp_path: Path) -> None:
    metadata = {"general.name": "Tiny", "tokenizer.ggml.bos_token_id": 5, "tokenizer.ggml.padding_token_id": 0}
    model = open_gguf(write(tmp_path / "file.gguf", "llama", metadata=metadata))
    assert isinstance(model, ModelFiles)
    assert (model.name, model.folder, model.revision, model.tokenizer) == ("Tiny", None, None, None)
    assert (model.config["bos_token_id"], model.config["pad_token_id"]) == (5, 0)
    assert "eos_token_id" not in model.config
    assert open_gguf(write(tmp_path / "file.gguf", "llama")).name == "file"


def test_a_path_to_a_gguf_file_is_a_model(folder: Path) -> None:
    path = made(folder, "llama3")
    assert open_model(path).config == open_model(str(path)).config == open_gguf(path).config
    assert load(path, **OFF).cfg.model_name == "llama3"


def test_names_and_dtypes_that_are_not_there_are_refused(folder: Path) -> None:
    weights = open_gguf(made(folder, "llama3")).weights
    for ask in (weights.read, weights.shape, weights.dtype):
        with pytest.raises(UnknownNameError, match="Nearest: 'model.norm.weight'"):
            ask("model.nrm.weight")
    with pytest.raises(ArgumentError, match="dtype must be one of"):
        open_gguf(made(folder, "llama3"), torch.int64)
    assert weights.described == str(made(folder, "llama3"))


def mutations() -> Iterator[tuple[str, str]]:
    yield "unpermute queries", "none"
    yield "less one", "none"
    yield "transpose", "none"


@pytest.mark.parametrize(("change", "instead"), list(mutations()))
def test_a_change_that_is_not_undone_is_seen(change: str, instead: str, folder: Path) -> None:
    name = {"unpermute queries": "llama3", "less one": "gemma3", "transpose": "gpt2"}[change]
    weights: Any = open_gguf(made(folder, name)).weights
    state, _ = saved(name)
    changed = [tensor for tensor, source in weights._table.items() if source.change == change]
    assert changed
    for tensor in changed:
        source = weights._table[tensor]
        weights._table[tensor] = type(source)(source.tensor, instead, source.heads, source.part)
        values = weights.read(tensor)
        assert values.shape != state[tensor].shape or not values.equal(once_rounded(name, tensor, state[tensor]))
