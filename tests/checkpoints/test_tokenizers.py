"""Tokenizers of model folders: against `transformers` on the same files; special tokens, BOS, and damaged folders."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Tokenizer, PreTrainedTokenizerFast

from refractor.base.errors import CheckpointError
from refractor.checkpoints.tokenizers import as_tokenizer, byte_level_bpe, load_tokenizer, read_merges
from refractor.models.tokenizer import Tokenizer

CORPUS = ["the cat gave", "the cat sat with Mary", "# # Mary gave the cat the store"] * 9
TEXT = "the cat, naïve <end>Mary\n\n  gave 12 \U0001f600"
END = "<|endoftext|>"


def train(specials: list[str], template: str | None = None) -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    library.train_from_iterator(CORPUS, trainer)
    if template is not None:
        library.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(
                    single=f"{template} $A",
                    pair=f"{template} $A {template} $B",
                    special_tokens=[(template, library.get_vocab()[template])],
                ),
            ]
        )
    return library


PLAIN, LLAMA3 = train(["<begin>", "<end>", "<pad>"]), train(["<begin>", "<end>", "<pad>"], template="<begin>")
NAMES = {"bos_token": "<begin>", "eos_token": "<end>", "pad_token": "<pad>"}


def write(folder: Path, library: tokenizers.Tokenizer | None = None, **files: Any) -> Path:
    """Write a model folder: the tokenizer, and JSON files by their names without the suffix."""
    if library is not None:
        library.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_gpt2(folder: Path, **files: Any) -> Path:
    """Write a folder with vocabulary and merges only, in which `<|endoftext|>` is a word like others."""
    library = train([])
    library.model.save(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    return write(folder, vocab={**vocab, END: len(vocab)}, **files)


def loaded(folder: Path) -> Tokenizer:
    found = load_tokenizer(folder)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return loaded(write_gpt2(tmp_path_factory.mktemp("gpt2")))


# ---- tokenizer.json --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [PLAIN, LLAMA3], ids=["plain", "template"])
def test_a_folder_reads_as_transformers_reads_it(tmp_path: Path, library: tokenizers.Tokenizer) -> None:
    write(tmp_path, library, tokenizer_config={**NAMES, "padding_side": "left"})
    ours, theirs = loaded(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for name in (*NAMES, "bos_token_id", "eos_token_id", "pad_token_id", "vocab_size", "padding_side"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.encode(TEXT) == theirs.encode(TEXT, add_special_tokens=False)
    assert ours.encode(TEXT, add_special_tokens=True) == theirs.encode(TEXT)
    assert ours.decode(ours.encode(TEXT)) == TEXT
    assert ours.prepends_bos == (library is LLAMA3)
    same = as_tokenizer(theirs)
    assert (same.bos_token_id, same.prepends_bos, same.padding_side) == (0, ours.prepends_bos, "left")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_text_comes_back(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.decode(gpt2.encode(text)) == text


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tokenizer_config": NAMES}, ("<begin>", "<end>", "<pad>")),
        ({"tokenizer_config": {"bos_token": {"content": "<begin>", "lstrip": False}}}, ("<begin>", None, None)),
        ({"special_tokens_map": NAMES, "tokenizer_config": {"bos_token": "<pad>"}}, ("<pad>", "<end>", "<pad>")),
        ({"config": {"bos_token_id": 0, "eos_token_id": [1, 2]}}, ("<begin>", "<end>", None)),
        ({"generation_config": {"eos_token_id": 1}, "config": {"eos_token_id": 0}}, (None, "<end>", None)),
        ({"config": {"text_config": {"bos_token_id": 0, "pad_token_id": 2}}}, ("<begin>", None, "<pad>")),
        ({"config": {"bos_token_id": 0}, "tokenizer_config": {"bos_token": None}}, (None, None, None)),
        ({"config": {"bos_token_id": 4000, "eos_token_id": None, "pad_token_id": -1}}, (None, None, None)),
        ({"config": {"eos_token_id": []}}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_where_special_tokens_come_from(
    tmp_path: Path, files: Mapping[str, Any], expected: tuple[str | None, ...]
) -> None:
    ours = loaded(write(tmp_path, PLAIN, **files))
    assert (ours.bos_token, ours.eos_token, ours.pad_token) == expected


@pytest.mark.parametrize(
    ("library", "declared", "bos", "expected"),
    [
        (PLAIN, None, "<begin>", False),
        (PLAIN, True, "<begin>", True),
        (LLAMA3, None, "<begin>", True),
        (LLAMA3, False, "<begin>", False),
        (LLAMA3, None, "<end>", False),  # what it puts before a text is not its BOS
        (PLAIN, True, None, False),
    ],
)
def test_whether_the_model_was_trained_with_a_bos(
    tmp_path: Path, library: tokenizers.Tokenizer, declared: bool | None, bos: str | None, expected: bool
) -> None:
    ours = loaded(write(tmp_path, library, tokenizer_config={"bos_token": bos, "add_bos_token": declared}))
    assert ours.prepends_bos is expected
    assert ours.encode("the") == PLAIN.encode("the").ids  # never by itself


def test_settings_that_cut_or_pad_are_switched_off(tmp_path: Path) -> None:
    library = train(["<begin>", "<end>", "<pad>"])
    library.enable_truncation(2)
    library.enable_padding(length=50)
    ours = loaded(write(tmp_path, library))
    assert (ours.backend_tokenizer.truncation, ours.backend_tokenizer.padding) == (None, None)
    assert ours.encode(TEXT) == PLAIN.encode(TEXT).ids


def test_special_tokens_of_the_vocabulary_are_matched_whole(tmp_path: Path) -> None:
    vocab = {**train([]).get_vocab(), "<end>": 280}
    assert byte_level_bpe(vocab, [], ["<end>", "<absent>"]).encode("<end>").ids == [280]
    library = byte_level_bpe(vocab, [])
    assert len(library.encode("<end>").ids) > 1
    assert loaded(write(tmp_path, library, tokenizer_config={"eos_token": "<end>"})).encode("<end>") == [280]


def test_tokens_listed_beside_the_tokenizer_are_added(tmp_path: Path) -> None:
    listed = {
        "281": {"content": "<two>", "special": True},
        "280": {"content": "<one>", "special": False, "lstrip": True},
    }
    write(tmp_path, PLAIN, tokenizer_config={**NAMES, "added_tokens_decoder": listed}, added_tokens={"<three>": 282})
    ours = loaded(tmp_path)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert ours.encode("<one>") == theirs.encode("<one>", add_special_tokens=False) == [280]
    assert ours.encode("the  <one><two>") == theirs.encode("the  <one><two>", add_special_tokens=False)
    assert ours.decode([280, 281], skip_special_tokens=True) == "<one>"
    assert ours.encode("<three>") == [282]
    assert (len(ours), ours.vocab_size) == (283, 280)
    write(tmp_path, added_tokens={"<three>": 290})
    with pytest.raises(
        CheckpointError, match=r"lists the added token '<three>' as 290, but the tokenizer has it as 282"
    ):
        load_tokenizer(tmp_path)


def test_a_token_that_the_vocabulary_lacks_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path, PLAIN, tokenizer_config={**NAMES, "pad_token": "[PAD]"})
    with pytest.warns(
        UserWarning, match=r"tokenizer_config.json names the pad_token '\[PAD\]', which the vocabulary does not"
    ):
        assert loaded(tmp_path).pad_token is None


# ---- vocabulary and merges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")])
def test_vocabulary_and_merges_read_as_transformers_reads_them(tmp_path: Path, names: tuple[str, str]) -> None:
    write_gpt2(tmp_path)
    theirs = GPT2Tokenizer(vocab=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt"))
    for old, new in zip(("vocab.json", "merges.txt"), names, strict=True):
        (tmp_path / old).rename(tmp_path / new)
    ours = loaded(tmp_path)
    assert ours.encode(TEXT + " # # #") == theirs.encode(TEXT + " # # #")
    assert len(ours.encode("the cat")) == 2
    assert ours.encode(f"the{END}cat") == theirs.encode(f"the{END}cat")
    assert ours.encode(END) == [280]
    assert (ours.bos_token, ours.eos_token, ours.pad_token, ours.prepends_bos) == (END, END, None, False)
    assert ours.decode(ours.encode(TEXT)) == TEXT


def test_a_space_before_the_text_where_the_family_wants_one(tmp_path: Path) -> None:
    ours = loaded(
        write_gpt2(tmp_path, tokenizer_config={"add_prefix_space": True, "tokenizer_class": "GPT2TokenizerFast"})
    )
    assert ours.encode("cat") == ours.encode(" cat") == [ours.get_vocab()["\u0120cat"]]
    assert loaded(write_gpt2(tmp_path, tokenizer_config={"bos_token": None})).bos_token is None
    assert loaded(write_gpt2(tmp_path, config={"model_type": "gptj"})).bos_token is None  # as the file before says


def test_other_families_split_otherwise_and_are_not_guessed(tmp_path: Path) -> None:
    for files in ({"tokenizer_config": {"tokenizer_class": "Qwen2Tokenizer"}}, {"config": {"model_type": "qwen2"}}):
        folder = tmp_path / next(iter(files))
        folder.mkdir()
        with pytest.warns(UserWarning, match="has a tokenizer only as vocab.json, which is not read here"):
            assert load_tokenizer(write_gpt2(folder, **files)) is None


def test_merges_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "merges.txt"
    path.write_bytes("#version: 0.2\r\n# #\r\n\u0120 t\n\n".encode())
    assert read_merges(path) == [("#", "#"), ("\u0120", "t")]
    path.write_text("# #\n", encoding="utf-8")
    assert read_merges(path) == [("#", "#")]
    for line in ("a b c", "a", "a  b", " a"):
        path.write_text(f"#version: 0.2\n{line}\n", encoding="utf-8")
        with pytest.raises(
            CheckpointError, match=rf"merges.txt:2 must be two tokens with a space between; '{line}' came"
        ):
            read_merges(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"merges.txt cannot be read: 'utf-8' codec"):
        read_merges(path)


def test_vocabularies_that_lose_text_are_refused(tmp_path: Path) -> None:
    vocab = train([]).get_vocab()
    with pytest.raises(
        CheckpointError, match="the vocabulary is not byte-level: 2 of the 256 bytes are missing, first 'H'"
    ):
        byte_level_bpe({word: id_ for word, id_ in vocab.items() if word not in ("H", "\u0120")}, [])
    with pytest.raises(
        CheckpointError, match="this vocabulary with these merges cannot be read as a tokenizer .*: .*out of vocabulary"
    ):
        byte_level_bpe(vocab, [("H", "e")])
    with pytest.raises(CheckpointError, match="the vocabulary and merges do not keep text"):
        byte_level_bpe({**vocab, "H": vocab["e"]}, [])
    write_gpt2(tmp_path)
    (tmp_path / "merges.txt").write_text("H e\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"vocab.json and merges.txt: this vocabulary with these merges"):
        load_tokenizer(tmp_path)
    write(tmp_path, vocab={"a": "0"})
    with pytest.raises(CheckpointError, match=r"vocab.json must give every token its id, an integer"):
        load_tokenizer(tmp_path)


# ---- nothing, something else, and damage -----------------------------------------------------------------------------


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    assert load_tokenizer(write(tmp_path, config={"bos_token_id": 1})) is None
    assert load_tokenizer(str(tmp_path)) is None
    with pytest.raises(CheckpointError, match="nowhere is no folder, so no tokenizer can be read from it"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.model", "tekken.json", "vocab.json"])
def test_a_tokenizer_of_another_kind_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.warns(UserWarning, match=name) as caught:
        assert load_tokenizer(tmp_path) is None
    assert str(caught[0].message) == (
        f"{tmp_path} has a tokenizer only as {name}, which is not read here: text cannot be passed, tokens can. To convert "
        'it once, with transformers and sentencepiece installed: python -c "from transformers import AutoTokenizer; '
        f"AutoTokenizer.from_pretrained(r'{tmp_path}').save_pretrained(r'{tmp_path}')\""
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", "{", r"tokenizer.json cannot be read as a tokenizer \(download it again\): "),
        ("tokenizer.json", "[]", r"tokenizer.json cannot be read as a tokenizer"),
        ("tokenizer.json", "{}", r"tokenizer.json cannot be read as a tokenizer"),
        ("tokenizer.json", "\x00\x01", r"tokenizer.json cannot be read as a tokenizer"),
        ("tokenizer_config.json", "{", r"tokenizer_config.json cannot be read as JSON: .*Download it again"),
        ("tokenizer_config.json", "[" * 100_000, r"tokenizer_config.json cannot be read as JSON"),
        ("tokenizer_config.json", "[]", r"tokenizer_config.json must be a JSON object; list came"),
        (
            "tokenizer_config.json",
            '{"bos_token": 5}',
            r"tokenizer_config.json has bos_token=5; it must be a token or null",
        ),
        ("tokenizer_config.json", '{"padding_side": "up"}', r"has padding_side='up'; it must be left or right"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": "<a>"}}', "lists added tokens without ids"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"280": {}}}', "lists an added token 280 without its text"),
        ("added_tokens.json", '{"<a>": null}', "lists added tokens without ids"),
        ("config.json", '{"bos_token_id": "0"}', r"config.json: bos_token_id must be an integer; '0' came"),
        ("config.json", '{"bos_token_id": true}', r"config.json: bos_token_id must be an integer; True came"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    write(tmp_path, PLAIN)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(tmp_path)


def test_an_empty_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer.json has an empty vocabulary"):
        load_tokenizer(write(tmp_path, tokenizers.Tokenizer(models.BPE())))


def test_a_template_without_its_token_is_found_when_loading(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = json.loads(LLAMA3.to_str())
    content["post_processor"]["processors"][1]["special_tokens"] = {}
    write(tmp_path, tokenizer=content)
    with pytest.raises(CheckpointError, match=r"tokenizer.json cannot be read as a tokenizer"):
        load_tokenizer(tmp_path)


def test_damage_anywhere_is_one_error_or_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Characters changed and lines lost at random: either the folder still reads, or the error is ours."""
    generator = random.Random(0)
    good, seen = LLAMA3.to_str(), set()
    for _ in range(150):
        place = generator.randrange(len(good))
        cut = generator.random() < 0.2
        bad = good[:place] if cut else good[:place] + generator.choice('{}[]",:0x-') + good[place + 1 :]
        (tmp_path / "tokenizer.json").write_text(bad, encoding="utf-8")
        try:
            seen.add(type(load_tokenizer(tmp_path)))
        except CheckpointError as error:
            seen.add(type(error))
    assert seen == {CheckpointError, Tokenizer}


def test_added_tokens_of_transformers_are_taken_over() -> None:
    theirs = PreTrainedTokenizerFast(tokenizer_object=train(["<begin>"]), bos_token=AddedToken("<begin>"))
    assert as_tokenizer(theirs).bos_token == "<begin>"
