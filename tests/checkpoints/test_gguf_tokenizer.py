"""Tokenizers in GGUF files: those that were trained here are built again from what a file keeps of them."""

import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import add, finish
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Library

from refractor.base.errors import CheckpointError
from refractor.checkpoints.gguf_header import read_header
from refractor.checkpoints.gguf_tokenizer import RULES, merges_of_scores, tokenizer_from_gguf
from refractor.models.tokenizer import Tokenizer

SPACE = "\u2581"
CORPUS = [
    "The jury praised the city's officials; it didn't find that they'd acted against 3 of the 12 rules of 1961.",
    "Four score and seven years ago our fathers brought forth on this continent a new nation, conceived in liberty.",
    "  He said: 'We'll see what they've done, and I'm sure you're right.'\n\nShe answered -- nothing at all!\n",
    "In 1234567 cases out of 8,900,000 the naïve café owner paid €4.50 (or more) for 2 kg of sugar...\r\n\tYES.",
    "def add(a, b):\n    return a + b  # 100% of what's asked\n",
    "日本語のテキストと, русский текст, और हिन्दी; ½ of ² is Ⅷ?",
] * 3
TEXTS = [
    *CORPUS,
    "",
    " ",
    "   ",
    "\n\n \n",
    "it's IT'S 's",
    "a  b   c",
    "emoji 😀😀 and \u200d joiners",
    "1 12 123 1234",
    "e\u0301 é",
]
LETTERS = st.text(st.sampled_from("abcdet 'sS123,.!\n\té世😀\u2581"), max_size=40)

EXPRESSIONS: dict[str, Callable[[], str]] = {  # as transformers writes them
    "llama-bpe": lambda: _peers()["llama-bpe"],
    "dbrx": lambda: _peers()["dbrx"],
    "qwen2": lambda: _peers()["qwen2"],
}


def _peers() -> dict[str, str]:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    return GGUF_PRE_TOKENIZER_SPLITS


@cache
def trained(rule: str) -> Library:
    """A byte-level tokenizer that cuts text into words as models with this rule do."""
    library = Library(models.BPE(ignore_merges=rule == "llama-bpe"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=rule not in EXPRESSIONS)
    before: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if rule == "smollm" else []
    if rule in EXPRESSIONS:
        before = [pre_tokenizers.Split(Regex(EXPRESSIONS[rule]()), behavior="isolated")]
    library.pre_tokenizer = pre_tokenizers.Sequence([*before, byte_level])
    if rule == "qwen2":
        library.normalizer = normalizers.NFC()
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    library.train_from_iterator(CORPUS, trainer)
    return library


def described(library: Library, rule: str) -> dict[str, Any]:
    """What conversion keeps of a byte-level tokenizer."""
    model = json.loads(library.to_str())["model"]
    tokens = [library.id_to_token(number) for number in range(library.get_vocab_size())]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": rule,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token and token.startswith("<|") else 1 for token in tokens],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
    }


def built(metadata: dict[str, Any]) -> Tokenizer:
    tokenizer = tokenizer_from_gguf(metadata)
    assert tokenizer is not None
    return tokenizer


def through_a_file(path: Path, metadata: dict[str, Any]) -> dict[str, Any]:
    writer = gguf.GGUFWriter(path, metadata["general.architecture"])
    for key, value in metadata.items():
        if key != "general.architecture":
            add(writer, key, value)
    writer.add_tensor("token_embd.weight", np.ones((1, 1), dtype=np.float32))
    return dict(read_header(finish(writer, path)).metadata)


@pytest.mark.parametrize("rule", ["gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2"])
def test_a_byte_level_tokenizer_is_built_again(rule: str, tmp_path: Path) -> None:
    library = trained(rule)
    tokenizer = built(through_a_file(tmp_path / "x.gguf", described(library, rule)))
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert ids == library.encode(text, add_special_tokens=False).ids, text
        assert tokenizer.decode(ids) == (library.normalizer.normalize_str(text) if library.normalizer else text)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<|im_start|>", "<|endoftext|>", None)
    assert len(tokenizer) == library.get_vocab_size()


@given(LETTERS)
def test_any_text_is_cut_alike(text: str) -> None:
    for rule in ("gpt-2", "smollm", "llama-bpe", "qwen2"):
        assert built(described(trained(rule), rule)).encode(text) == trained(rule).encode(text).ids


def test_rules_differ_where_they_should() -> None:
    """A tokenizer with one rule, read with another, cuts some text in another way; else the test above sees nothing."""
    for rule, others in {
        "gpt-2": ["smollm", "llama-bpe", "qwen2"],
        "llama-bpe": ["dbrx", "qwen2"],
        "qwen2": ["stablelm2"],
    }.items():
        library = trained(rule)
        for other in others:
            tokenizer = built(described(library, other))
            texts = [*TEXTS, "1961 The12", "e\u0301"]
            if (rule, other) == ("llama-bpe", "dbrx"):
                continue  # they differ only for words that are tokens which the merges do not make
            assert any(tokenizer.encode(text) != library.encode(text).ids for text in texts), (rule, other)


def test_a_word_that_is_a_token_is_taken_whole_where_the_rule_says_so() -> None:
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": ["a", "b", "c", "bc", "abc"],
        "tokenizer.ggml.merges": ["b c"],
    }
    assert built({**metadata, "tokenizer.ggml.pre": "llama-bpe"}).encode("abc") == [4]
    assert built({**metadata, "tokenizer.ggml.pre": "dbrx"}).encode("abc") == [0, 3]


def sentencepiece() -> dict[str, Any]:
    """A SentencePiece vocabulary: control tokens, 256 bytes, pieces with scores in the order in which they were made."""
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    model = json.loads(library.to_str())["model"]
    single = sorted(token for token in model["vocab"] if len(token) == 1)
    merged = sorted((token for token in model["vocab"] if len(token) > 1), key=model["vocab"].__getitem__)
    control, bytes_ = ["<unk>", "<s>", "</s>"], [f"<0x{byte:02X}>" for byte in range(256)]
    own = ["<table>", "  "]  # runs of spaces lie in files as they are, as Gemma's do
    tokens = [*control, *bytes_, *own, *merged, *single]
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [*[0.0] * 261, *(-float(rank) for rank in range(len(merged) + len(single)))],
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, 4, 4, *[1] * (len(merged) + len(single))],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


SENTENCEPIECE = sentencepiece()


def by_scores(text: str, metadata: dict[str, Any]) -> list[int]:
    """SentencePiece's own algorithm (Kudo & Richardson 2018), for text without special tokens.

    Again and again the two neighbours are joined that make the piece with the highest score, the first such pair.
    """
    numbers = {token: number for number, token in enumerate(metadata["tokenizer.ggml.tokens"])}
    types, scores = metadata["tokenizer.ggml.token_type"], metadata["tokenizer.ggml.scores"]
    parts = list(text.replace(" ", SPACE))
    while True:
        pairs = [(left + right, place) for place, (left, right) in enumerate(pairwise(parts))]
        known = [
            (scores[numbers[pair]], -place) for pair, place in pairs if pair in numbers and types[numbers[pair]] == 1
        ]
        if not known:
            break
        place = -max(known)[1]
        parts[place : place + 2] = ["".join(parts[place : place + 2])]
    ids = []
    for part in parts:
        whole = part in numbers and types[numbers[part]] == 1
        ids += [numbers[part]] if whole else [numbers[f"<0x{byte:02X}>"] for byte in part.encode()]
    return ids


@given(LETTERS.filter(lambda text: "  " not in text))
def test_scores_join_what_sentencepiece_joins(text: str) -> None:
    for before in (True, False):
        tokenizer = built({**SENTENCEPIECE, "tokenizer.ggml.add_space_prefix": before})
        expected = f"{SPACE}{text}" if before and text else text
        assert tokenizer.encode(text) == by_scores(expected, SENTENCEPIECE)


def test_scores_join_what_sentencepiece_joins_in_words_with_many_pieces() -> None:
    tokenizer = built({**SENTENCEPIECE, "tokenizer.ggml.add_space_prefix": False})
    for text in [" ".join(part for part in sentence.split(" ") if part) for sentence in CORPUS]:
        assert tokenizer.encode(text) == by_scores(text, SENTENCEPIECE)


def test_a_piece_that_is_not_used_is_not_made() -> None:
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["<unk>", "a", "b", "ab"],
        "tokenizer.ggml.scores": [0.0, -2.0, -3.0, -1.0],
        "tokenizer.ggml.add_space_prefix": False,
    }
    assert built({**metadata, "tokenizer.ggml.token_type": [2, 1, 1, 1]}).encode("ab") == [3]
    assert built({**metadata, "tokenizer.ggml.token_type": [2, 1, 1, 5]}).encode("ab") == [1, 2]


def test_a_sentencepiece_tokenizer_gives_text_back(tmp_path: Path) -> None:
    tokenizer = built(through_a_file(tmp_path / "x.gguf", SENTENCEPIECE))
    without = built({**SENTENCEPIECE, "tokenizer.ggml.add_space_prefix": False})
    for text in TEXTS:
        assert without.decode(without.encode(text)) == text
        if "  " not in text:  # what follows a token of the model's own gets a space too, as from its other readers
            assert tokenizer.decode(tokenizer.encode(text)) == text
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.prepends_bos) == ("<s>", "</s>", True)
    words = [tokenizer.str_token(token) for token in tokenizer.encode("The jury")]
    assert "".join(words) == " The jury"
    assert len(words) < 6


def test_scores_that_are_turned_round_join_something_else() -> None:
    turned = {**SENTENCEPIECE, "tokenizer.ggml.scores": [-score for score in SENTENCEPIECE["tokenizer.ggml.scores"]]}
    assert any(built(turned).encode(text) != built(SENTENCEPIECE).encode(text) for text in CORPUS)


def test_pieces_that_are_not_normal_are_never_joined_from_parts() -> None:
    assert merges_of_scores(["a", "b", "", "ab"], [0.0, 0.0, 0.0, -1.0]) == [("a", "b")]
    assert merges_of_scores(["a", "", "ab"], [0.0, 0.0, -1.0]) == []


@pytest.mark.parametrize("metadata", [described(trained("gpt-2"), "gpt-2"), SENTENCEPIECE], ids=["bytes", "pieces"])
def test_special_tokens_are_found_whole_in_text(metadata: dict[str, Any]) -> None:
    tokenizer = built(metadata)
    bos = tokenizer.bos_token
    assert bos is not None
    ids = tokenizer.encode(f"one{bos}two")
    assert ids.count(metadata["tokenizer.ggml.bos_token_id"]) == 1
    assert bos not in tokenizer.decode(ids, skip_special_tokens=True)
    assert bos in tokenizer.decode(ids)
    assert len(tokenizer) == len(metadata["tokenizer.ggml.tokens"])


def test_own_tokens_are_found_whole_and_are_text() -> None:
    tokenizer = built(SENTENCEPIECE)
    ids = tokenizer.encode("a<table>b  c")
    assert {259, 260} <= set(ids)
    assert tokenizer.decode(ids, skip_special_tokens=True) == " a<table> b   c".strip()


def test_special_tokens_of_files_without_types_are_those_that_have_a_role() -> None:
    metadata = described(trained("gpt-2"), "gpt-2")
    del metadata["tokenizer.ggml.token_type"]
    assert built(metadata).encode("<|endoftext|>") == [0]


@pytest.mark.parametrize(
    ("kind", "rule", "said", "expected"),
    [
        ("gpt2", "gpt-2", None, False),
        ("gpt2", "smollm", None, False),
        ("gpt2", "llama-bpe", None, True),
        ("gpt2", "llama-bpe", False, False),
        ("gpt2", "qwen2", True, True),
        ("llama", None, None, True),
        ("llama", None, False, False),
    ],
)
def test_whether_a_bos_comes_first(kind: str, rule: str | None, said: bool | None, expected: bool) -> None:
    metadata = SENTENCEPIECE if kind == "llama" else described(trained("gpt-2"), str(rule))
    if said is not None:
        metadata = {**metadata, "tokenizer.ggml.add_bos_token": said}
    assert built(metadata).prepends_bos is expected
    without = {key: value for key, value in metadata.items() if not key.endswith("bos_token_id")}
    assert built(without).prepends_bos is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.model": "bert"}, "it is of kind 'bert'; 'gpt2' and 'llama' are read"),
        ({"tokenizer.ggml.pre": "tekken"}, "it cuts text into words by the rule 'tekken'; gpt-2, "),
        ({"tokenizer.ggml.tokens": ["a", "b", "a"]}, "it has tokens twice: 'a'. The model reads tokens, not text"),
        ({**SENTENCEPIECE, "tokenizer.ggml.precompiled_charsmap": [1]}, "it replaces characters by a table of its own"),
        ({**SENTENCEPIECE, "tokenizer.ggml.remove_extra_whitespaces": True}, "it removes spaces"),
    ],
)
def test_what_is_not_supported_is_none_and_a_warning(change: dict[str, Any], message: str) -> None:
    with pytest.warns(UserWarning, match="the tokenizer in the GGUF file is not supported: .*set_tokenizer") as caught:
        assert tokenizer_from_gguf({**described(trained("gpt-2"), "gpt-2"), **change}) is None
    assert message in str(caught[0].message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.tokens": []}, "tokenizer.ggml.tokens must be a list of strings, and not empty"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "tokenizer.ggml.tokens must be a list of strings"),
        (
            {"tokenizer.ggml.merges": ["a zz"]},
            "tokenizer.ggml.merges has 'a zz', which does not make a token of two tokens",
        ),
        ({"tokenizer.ggml.merges": ["ab"]}, "tokenizer.ggml.merges has 'ab', which does not make a token"),
        ({"tokenizer.ggml.token_type": [1]}, "tokenizer.ggml.token_type must be a list of 500 numbers, one for each"),
        ({"tokenizer.ggml.eos_token_id": 500}, "tokenizer.ggml.eos_token_id is 500; there are 500 tokens"),
        ({**SENTENCEPIECE, "tokenizer.ggml.scores": None}, "tokenizer.ggml.scores must be a list of"),
    ],
)
def test_entries_that_contradict_each_other_are_an_error(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        tokenizer_from_gguf({**described(trained("gpt-2"), "gpt-2"), **change})
    assert message in str(caught.value)


def test_a_rule_that_is_not_named_is_gpt2s_and_a_warning_for_others() -> None:
    metadata = described(trained("gpt-2"), "gpt-2")
    del metadata["tokenizer.ggml.pre"]
    with pytest.warns(UserWarning, match="does not say how its tokenizer cuts text into words"):
        assert built(metadata).encode("it's 12") == trained("gpt-2").encode("it's 12").ids
    for rule in ({}, {"tokenizer.ggml.pre": "default"}):
        assert (
            built({**metadata, **rule, "general.architecture": "gpt2"}).encode("a") == trained("gpt-2").encode("a").ids
        )


def test_a_file_without_a_tokenizer_has_none() -> None:
    assert tokenizer_from_gguf({}) is None
    assert tokenizer_from_gguf({"tokenizer.ggml.model": "no_vocab"}) is None


def test_rules_that_transformers_knows_too_are_its_own() -> None:
    peers = _peers()
    shared = [name for name in RULES if name in peers and RULES[name].words is not None]
    assert len(shared) >= 6
    for name in shared:
        assert RULES[name].words == peers[name], name
