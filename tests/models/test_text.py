"""Text to tokens and back: against `transformers` on the same tokenizer, and by laws; padding, BOS, and what is refused."""

import copy
import warnings
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from refractor.base.errors import ArgumentError, ShapeError
from refractor.models.config import HookedTransformerConfig
from refractor.models.embed import Unembed
from refractor.models.padding import pad_rows, padding_mask
from refractor.models.text import TextMixin
from refractor.models.tokenizer import Tokenizer, as_tokenizer

CORPUS = ["the cat gave", "the cat sat with Mary", "Mary gave the cat the store"] * 9
SPECIAL = ["<bos>", "<eos>", "<pad>"]


def train_bpe(template: bool = False) -> tokenizers.Tokenizer:
    """Return a byte-level BPE tokenizer with three special tokens; `template` makes it put BOS before a text itself."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=282, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    library.train_from_iterator(CORPUS, trainer)
    if template:
        library.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 0)]
        )
    return library


def make_llama() -> tokenizers.Tokenizer:
    """Return a tokenizer of Llama 2's kind: a space before every text, spaces inside tokens, bytes for what is unknown."""
    pieces = [
        "\u2581",
        "c",
        "a",
        "t",
        "M",
        "r",
        "y",
        "\u2581c",
        "at",
        "\u2581cat",
        "\u2581M",
        "ar",
        "\u2581Mar",
        "\u2581Mary",
    ]
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, "\u2581\u2581"]
    merges = [("\u2581", "c"), ("a", "t"), ("\u2581c", "at"), ("\u2581", "M"), ("a", "r"), ("\u2581M", "ar")]
    merges += [("\u2581Mar", "y"), ("\u2581", "\u2581")]
    vocab = {word: index for index, word in enumerate(words)}
    library = tokenizers.Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    library.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    library.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    library.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    library.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>")])
    return library


BPE, TEMPLATE, LLAMA = train_bpe(), train_bpe(template=True), make_llama()
BOS, EOS, PAD = 0, 1, 2


def tokenizer(**options: Any) -> Tokenizer:
    return Tokenizer(BPE, **{"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", **options})


class Network(TextMixin):
    """What the mixin needs of a network."""

    def __init__(self, known: Tokenizer | None, **changes: Any) -> None:
        sizes = {"n_layers": 1, "d_model": 6, "n_ctx": 32, "d_head": 3, "d_vocab": 310, "act_fn": "relu", "seed": 0}
        self.cfg = HookedTransformerConfig.from_dict({**sizes, **changes})
        self.unembed = Unembed(self.cfg)
        with torch.no_grad():
            self.unembed.W_U.copy_(torch.randn(6, self.cfg.d_vocab_out, generator=torch.Generator().manual_seed(1)))
        self.tokenizer = known


@pytest.fixture
def model() -> Network:
    return Network(tokenizer())


TEXTS = ["the cat sat", "Mary", "Mary gave the cat the store, and why"]
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


# ---- the tokenizer ---------------------------------------------------------------------------------------------------


def reference(library: tokenizers.Tokenizer, **options: Any) -> PreTrainedTokenizerFast:
    clone = tokenizers.Tokenizer.from_str(library.to_str())  # that class changes what it is given
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=clone, **{**names, **options})


@given(any_text)
def test_tokens_are_those_of_transformers(text: str) -> None:
    theirs = reference(BPE)
    assert tokenizer().encode(text) == theirs.encode(text, add_special_tokens=False)
    assert tokenizer().decode(theirs.encode(text)) == text


def test_a_tokenizer_says_what_that_of_transformers_says() -> None:
    ours, theirs = tokenizer(), reference(BPE)
    for name in ("bos_token", "eos_token", "pad_token", "bos_token_id", "eos_token_id", "pad_token_id", "vocab_size"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert len(ours) == len(theirs) == 282
    assert ours.get_vocab() == theirs.get_vocab()
    ids = [0, 270, 280]
    assert ours.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
    assert ours.convert_ids_to_tokens(270) == theirs.convert_ids_to_tokens(270)
    assert ours.convert_ids_to_tokens(torch.tensor([270])) == [theirs.convert_ids_to_tokens(270)]
    assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)
    assert ours.decode(ids) == theirs.decode(ids)
    assert ours.decode(270) == ours.decode(torch.tensor(270)) == ours.decode(np.array([270])) == theirs.decode([270])
    assert ours.batch_decode(torch.tensor([ids, ids])) == [theirs.decode(ids)] * 2
    assert repr(ours) == (
        "Tokenizer(282 tokens, bos_token='<bos>', eos_token='<eos>', pad_token='<pad>', padding_side='right')"
    )


def test_special_tokens_and_side_can_be_assigned_and_are_checked() -> None:
    ours = tokenizer(pad_token=None)
    assert ours.pad_token_id is None
    ours.pad_token = ours.eos_token
    ours.padding_side = "left"
    assert (ours.pad_token_id, ours.padding_side) == (EOS, "left")
    with pytest.raises(
        ArgumentError, match=r"pad_token must be a token of the vocabulary \(282 tokens\) or None; '\[PAD\]' came"
    ):
        ours.pad_token = "[PAD]"
    with pytest.raises(ArgumentError, match="padding_side must be one of 'left', 'right'; 'middle' came"):
        ours.padding_side = "middle"  # type: ignore[assignment]
    with pytest.raises(ArgumentError, match="prepends_bos=True needs a bos_token; None came"):
        tokenizer(bos_token=None, prepends_bos=True)


def test_special_tokens_are_added_when_asked_for_and_only_where_the_model_does() -> None:
    plain = BPE.encode("the cat").ids
    assert tokenizer().encode("the cat", add_special_tokens=True) == plain
    adding = tokenizer(prepends_bos=True)
    assert adding.encode("the cat") == plain
    assert adding.encode("the cat", add_special_tokens=True) == [BOS, *plain]
    assert adding.encode("<bos>the cat", add_special_tokens=True) == [BOS, *plain]
    assert adding.encode("the cat", True) == reference(TEMPLATE).encode("the cat")


def test_every_kind_of_tokenizer_is_taken() -> None:
    ours = tokenizer()
    assert as_tokenizer(ours) is ours
    theirs = as_tokenizer(reference(TEMPLATE, padding_side="left", eos_token=AddedToken("<eos>")))
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (BOS, EOS, PAD)
    assert (theirs.prepends_bos, theirs.padding_side) == (True, "left")
    assert not as_tokenizer(reference(BPE)).prepends_bos
    nothing = as_tokenizer(PreTrainedTokenizerFast(tokenizer_object=train_bpe()))
    assert (nothing.bos_token, nothing.pad_token, nothing.prepends_bos) == (None, None, False)
    assert (as_tokenizer(BPE).bos_token, as_tokenizer(BPE).prepends_bos) == (None, False)
    assert (as_tokenizer(TEMPLATE).bos_token, as_tokenizer(TEMPLATE).prepends_bos) == ("<bos>", True)
    assert as_tokenizer(LLAMA).bos_token == "<s>"
    with pytest.raises(
        ArgumentError, match=r"a tokenizer must be a refractor Tokenizer.*tokenizers.Tokenizer; str came"
    ):
        as_tokenizer("gpt2")


def test_what_stands_behind_a_text_is_no_bos() -> None:
    library = train_bpe()
    library.post_processor = processors.TemplateProcessing(
        single="$A <eos>", pair="$A $B <eos>", special_tokens=[("<eos>", EOS)]
    )
    assert as_tokenizer(library).bos_token is None
    words = tokenizers.Tokenizer(models.WordLevel({"<bos>": 0, "7": 1, "8": 2}))  # reads nothing but its words
    words.add_special_tokens(["<bos>"])
    assert as_tokenizer(words).encode("7") == [1]
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", 0)]
    )
    assert as_tokenizer(words).bos_token == "<bos>"
    with pytest.raises(ArgumentError, match="the tokenizer cannot read 'nine' .str.: .*UNK"):
        as_tokenizer(words).encode("nine")


def test_settings_that_cut_or_pad_are_not_obeyed() -> None:
    library = train_bpe()
    library.enable_truncation(2)
    library.enable_padding(length=9, pad_id=PAD, pad_token="<pad>")
    ours = as_tokenizer(library)
    assert ours.encode("the cat sat") == BPE.encode("the cat sat").ids
    theirs = reference(BPE)
    ours = as_tokenizer(theirs)
    theirs("the cat sat on the mat", truncation=True, max_length=2)  # leaves its setting behind
    assert ours.encode("the cat sat") == BPE.encode("the cat sat").ids
    assert library.truncation is not None  # the caller's own stays as it is


def test_copies_share_the_vocabulary() -> None:
    ours = tokenizer()
    other = copy.deepcopy(ours)
    other.padding_side = "left"
    assert ours.padding_side == "right"
    assert other.backend_tokenizer is ours.backend_tokenizer


def test_what_cannot_be_encoded_or_decoded(untyped: None) -> None:
    ours: Any = tokenizer()
    with pytest.raises(ArgumentError, match=r"text must be a string; 5 \(int\) came"):
        ours.encode(5)
    with pytest.raises(ArgumentError, match=r"half of a surrogate pair, '\\ud800', came at 1"):
        ours.encode("a\ud800")
    for wrong in (282, -1, 2**40):
        with pytest.raises(ArgumentError, match=rf"token {wrong} \(at 1\) is not in the vocabulary of 282 tokens"):
            ours.decode([5, wrong])
        with pytest.raises(ArgumentError, match=rf"token {wrong} \(at 0\)"):
            ours.convert_ids_to_tokens(wrong)
    with pytest.raises(ShapeError, match=r"decode reads one text, \[pos\]; \[1, 2\] came"):
        ours.decode([[1, 2]])
    with pytest.raises(ShapeError, match="ids must be integers; torch.float32 came"):
        ours.decode(torch.tensor([1.0]))
    with pytest.raises(ShapeError, match="ids must be integers; torch.bool came"):
        ours.decode(True)
    with pytest.raises(
        ShapeError, match=r"ids must be an integer or a regular array of integers; \[\[1\], \[2, 3\]\] \(list\) came"
    ):
        ours.decode([[1], [2, 3]])
    with pytest.raises(ShapeError, match=r"regular array of integers; 'the' \(str\) came"):
        ours.decode("the")
    assert ours.decode([]) == ""


# ---- tokens of texts -------------------------------------------------------------------------------------------------


@given(any_text)
def test_text_comes_back(text: str) -> None:
    network = Network(tokenizer(), n_ctx=999)
    tokens = network.to_tokens(text)
    assert tokens.dtype == torch.long
    assert tokens[0, 0] == BOS
    assert network.to_string(tokens[0, 1:]) == text
    assert network.to_string(tokens) == ["<bos>" + text]
    assert torch.equal(network.to_tokens("<bos>" + text), tokens)  # no second one
    assert len(network.to_str_tokens(text)) == tokens.shape[1]


@given(st.text(st.characters(max_codepoint=126), min_size=1, max_size=30))
def test_single_tokens_make_up_the_text(text: str) -> None:
    network = Network(tokenizer())
    labels = network.to_str_tokens(text, prepend_bos=False)
    assert "".join(label for label in labels if isinstance(label, str)) == text
    assert network.to_str_tokens(network.to_tokens(text, prepend_bos=False)) == labels


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("library", [BPE, TEMPLATE], ids=["plain", "template"])
def test_batches_are_those_of_transformers(library: tokenizers.Tokenizer, side: Any) -> None:
    theirs = reference(library, padding_side=side)
    network = Network(None)
    network.set_tokenizer(theirs)
    assert network.tokenizer is not None
    assert network.tokenizer.prepends_bos == (library is TEMPLATE)
    expected = theirs(TEXTS, return_tensors="pt", padding=True)
    tokens, mask = network.text_input(TEXTS, prepend_bos=library is TEMPLATE)
    assert mask is not None
    assert torch.equal(tokens, expected["input_ids"])
    assert torch.equal(mask.long(), expected["attention_mask"])
    assert torch.equal(network.to_tokens(TEXTS, prepend_bos=library is TEMPLATE), tokens)
    assert bool((network.to_tokens(TEXTS) == BOS).sum(1).eq(1).all())  # the template never makes it two


@given(st.lists(any_text.filter(len), min_size=1, max_size=4), st.sampled_from(["left", "right"]), st.booleans())
def test_the_mask_marks_exactly_the_tokens_of_each_text(texts: list[str], side: Any, same: bool) -> None:
    """Also where BOS, EOS and padding are one token, which texts contain too."""
    known = tokenizer(bos_token="<eos>", pad_token="<eos>") if same else tokenizer()
    network = Network(known, n_ctx=999)
    texts = [texts[0] + "<eos>", *texts]
    tokens, mask = network.text_input(texts, padding_side=side)
    real = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
    for row, keep, text in zip(tokens, real, texts, strict=True):
        assert row[keep].tolist() == [known.bos_token_id, *BPE.encode(text).ids]
        places = keep.nonzero()[:, 0]
        assert places.tolist() == list(range(int(places[0]), int(places[0]) + len(places)))
        assert places[-1 if side == "left" else 0] == (len(row) - 1 if side == "left" else 0)
        assert set(row[~keep].tolist()) <= {known.pad_token_id}
    assert (mask is None) == (len({len(BPE.encode(text).ids) for text in texts}) == 1)


def test_the_side_is_that_of_the_call_then_of_the_tokenizer(model: Network) -> None:
    texts = ["the cat", "the"]
    assert model.to_tokens(texts)[1].tolist()[-1] == PAD
    assert model.to_tokens(texts, padding_side="left")[1].tolist()[0] == PAD
    mine = tokenizer()
    model.set_tokenizer(mine, default_padding_side="left")
    assert model.to_tokens(texts)[1].tolist()[0] == PAD
    assert model.to_tokens(texts, padding_side="right")[1].tolist()[-1] == PAD
    assert mine.padding_side == "right"


def test_padding_without_a_padding_token() -> None:
    texts = ["the cat", "the"]
    assert Network(tokenizer(pad_token=None)).to_tokens(texts)[1, -1] == EOS
    neither = Network(Tokenizer(LLAMA, bos_token="<s>"))
    assert neither.to_tokens(["cat cat", "cat"])[1, -1] == 0
    outside = train_bpe()
    outside.add_special_tokens(["[added]"])
    known = Tokenizer(outside, eos_token="<eos>", pad_token="[added]")
    assert Network(known, d_vocab=282).to_tokens(texts)[1, -1] == EOS  # 282 would be no token of the network


def test_whether_a_bos_is_prepended() -> None:
    plain = BPE.encode("the cat").ids
    without = Network(tokenizer(), default_prepend_bos=False)
    assert without.to_tokens("the cat").tolist() == [plain]
    assert without.to_tokens("the cat", prepend_bos=True).tolist() == [[BOS, *plain]]
    with_bos = Network(tokenizer())
    assert with_bos.to_tokens("the cat").tolist() == [[BOS, *plain]]
    assert with_bos.to_tokens("the cat", prepend_bos=False).tolist() == [plain]
    assert with_bos.to_tokens("<bos>the cat", prepend_bos=True).tolist() == [[BOS, *plain]]
    assert with_bos.to_tokens("<bos><bos>the cat").tolist() == [[BOS, BOS, *plain]]  # as it is written
    assert with_bos.to_tokens("").tolist() == [[BOS]]
    nothing = Network(tokenizer(bos_token=None))
    assert nothing.to_tokens("the cat").tolist() == [plain]
    with pytest.raises(
        ArgumentError, match="prepend_bos=True needs a tokenizer with a BOS token, and this one has none"
    ):
        nothing.to_tokens("the cat", prepend_bos=True)


def test_long_texts_are_cut_or_refused(model: Network) -> None:
    text = "the cat " * 40
    plain = BPE.encode(text).ids
    with pytest.warns(UserWarning, match=r"longer than n_ctx=32 tokens: its beginning is kept \(or truncate=False\)"):
        assert model.to_tokens(text).tolist() == [[BOS, *plain[:31]]]
    with pytest.warns(UserWarning, match="n_ctx=32"):
        tokens = model.to_tokens([text, "the"], padding_side="left")
    assert tokens[0, 0] == BOS
    assert tokens[1].tolist() == [PAD] * 30 + [BOS, *BPE.encode("the").ids]
    assert model.to_tokens(text, truncate=False).shape == (1, len(plain) + 1)
    with pytest.raises(
        ArgumentError, match=rf"the text has {len(plain) + 1} tokens, but the network reads at most n_ctx=32"
    ):
        model.text_input(text)
    with pytest.raises(ArgumentError, match=rf"text 1 has {len(plain)} tokens"):
        model.text_input(["the", text], prepend_bos=False)


def test_exactly_the_context_is_no_long_text(model: Network) -> None:
    text = "the" * 32
    plain = BPE.encode(text).ids
    network = Network(tokenizer(), n_ctx=len(plain) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert network.to_tokens(text).shape[1] == network.text_input(text)[0].shape[1] == len(plain) + 1


def test_tokens_go_where_the_network_is(model: Network) -> None:
    network = Network(tokenizer(), device="meta")
    assert network.to_tokens("the cat").is_meta
    assert not network.to_tokens("the cat", move_to_device=False).is_meta
    tokens, mask = network.text_input(["the cat", "the"])
    assert mask is not None
    assert tokens.is_meta
    assert mask.is_meta


def test_texts_that_cannot_be_read(model: Network, untyped: None) -> None:
    with pytest.raises(ArgumentError, match="the prompt is empty: it has no token; prepend_bos=True gives one"):
        model.to_tokens("", prepend_bos=False)
    with pytest.raises(ArgumentError, match="prompt 1 is empty"):
        model.text_input(["the", ""], prepend_bos=False)
    loose: Any = model
    with pytest.raises(ArgumentError, match="input must be a string or a list of strings; no text at all came"):
        loose.to_tokens([])
    with pytest.raises(ArgumentError, match="input must be a string or a list of strings; Tensor came"):
        loose.to_tokens(torch.tensor([1, 2]))
    with pytest.raises(ArgumentError, match="input must be a string or a list of strings; list came"):
        loose.to_tokens([1, 2])
    with pytest.raises(ArgumentError, match="prepend_bos must be one of True, False, None; 'left' came"):
        loose.to_tokens("the", "left")
    with pytest.raises(ArgumentError, match="padding_side must be one of 'left', 'right', None; 'middle' came"):
        loose.to_tokens("the", padding_side="middle")
    with pytest.raises(ArgumentError, match="default_padding_side must be one of 'left', 'right', None; 'middle' came"):
        loose.set_tokenizer(tokenizer(), "middle")
    small = Network(tokenizer(), d_vocab=270)
    with pytest.raises(
        ArgumentError, match=r"the tokenizer gives token 2\d\d \('.*'\), but d_vocab=270: tokenizer and network"
    ):
        small.to_tokens(TEXTS)


def test_without_a_tokenizer() -> None:
    bare: Any = Network(None)
    message = r"this network has no tokenizer: pass tokens, or set one with model.set_tokenizer\(tokenizer\)"
    calls: dict[str, tuple[Any, ...]] = {
        "to_tokens": ("a",),
        "text_input": ("a",),
        "to_string": ([1],),
        "to_str_tokens": ("a",),
        "to_single_token": ("a",),
        "to_single_str_token": (1,),
        "get_token_position": ("a", "a"),
        "tokens_to_residual_directions": ("a",),
    }
    for name, arguments in calls.items():
        with pytest.raises(ArgumentError, match=message):
            getattr(bare, name)(*arguments)
    assert TextMixin.tokenizer is None
    assert bare.tokens_to_residual_directions(5).shape == (6,)  # tokens need no text
    assert bare.get_token_position(5, torch.tensor([1, 5])) == 1


# ---- single tokens ---------------------------------------------------------------------------------------------------


def test_a_single_token(model: Network) -> None:
    token = model.to_single_token(" Mary")
    assert model.to_single_str_token(token) == " Mary"
    assert model.to_single_token("<bos>") == BOS
    pieces = BPE.encode(" Mary gave").ids
    gave = model.to_single_str_token(pieces[1])
    with pytest.raises(
        ArgumentError, match=rf"' Mary gave' is 2 tokens, not one: ' Mary' \({token}\), '{gave}' \({pieces[1]}\)\."
    ):
        model.to_single_token(" Mary gave")
    with pytest.raises(ArgumentError, match=r"is \d+ tokens, not one: .*, \.\.\."):
        model.to_single_token("xyz" * 9)
    with pytest.raises(ArgumentError, match=r"' x' is 2 tokens, not one: ' ' \(\d+\), 'x' \(\d+\)"):
        model.to_single_token(" x")  # "x" is one, but another
    with pytest.raises(ArgumentError, match="'' is no token"):
        model.to_single_token("")


def test_every_word_token_is_found_by_its_text(model: Network) -> None:
    assert model.tokenizer is not None
    for token in range(3, len(model.tokenizer)):
        text = model.to_single_str_token(token)
        if "\ufffd" not in text:
            assert model.to_single_token(text) == token


def test_spaces_of_llama_are_kept() -> None:
    network = Network(as_tokenizer(LLAMA))
    assert network.to_str_tokens("cat Mary") == ["<s>", " cat", " Mary"]
    assert network.to_str_tokens("cat  at") == ["<s>", " cat", "  ", "at"]
    assert network.to_string(network.to_tokens("cat Mary", prepend_bos=False)) == ["cat Mary"]
    token = LLAMA.token_to_id("\u2581Mary")
    assert network.to_single_token("Mary") == network.to_single_token(" Mary") == token
    assert network.get_token_position(" Mary", "cat Mary") == 2
    assert network.to_str_tokens("\u00e9", prepend_bos=False) == [" ", "\ufffd", "\ufffd"]
    with pytest.raises(ArgumentError, match="' cat Mary' is 3 tokens"):
        network.to_single_token(" cat Mary")


def test_an_added_token_with_the_sign_of_a_space_is_left_alone() -> None:
    library = make_llama()
    library.add_special_tokens(["<begin\u2581of>"])
    library.decoder = decoders.Fuse()  # writes the sign itself
    ours = as_tokenizer(library)
    for text in ("<begin\u2581of>", "\u2581cat"):
        assert ours.str_token(ours.get_vocab()[text]) == text


def test_labels_of_every_kind_of_input(model: Network) -> None:
    labels = model.to_str_tokens("the cat")
    assert labels == ["<bos>", "the", " cat"]
    tokens = model.to_tokens("the cat")
    assert model.to_str_tokens(tokens) == model.to_str_tokens(tokens[0]) == labels
    assert model.to_str_tokens(tokens[0].tolist()) == model.to_str_tokens(tokens.numpy()) == labels
    assert model.to_str_tokens(tokens[0].numpy().astype(np.int32)) == labels
    assert model.to_str_tokens(tokens.repeat(2, 1)) == [labels, labels]
    assert model.to_str_tokens(["the cat", "the"], prepend_bos=False) == [["the", " cat"], ["the"]]
    assert model.to_str_tokens(["the"]) == [["<bos>", "the"]]
    assert model.to_str_tokens(torch.tensor([], dtype=torch.long)) == []
    assert model.to_str_tokens([309, 0]) == ["<unused 309>", "<bos>"]  # d_vocab is 310
    assert model.to_single_str_token(282) == "<unused 282>"


def test_strings_of_every_kind_of_tokens(model: Network) -> None:
    ids = BPE.encode("the cat").ids
    assert model.to_string(ids) == model.to_string(torch.tensor(ids)) == model.to_string(np.array(ids)) == "the cat"
    assert model.to_string([ids, ids]) == model.to_string(torch.tensor([ids, ids])) == ["the cat", "the cat"]
    assert model.to_string(ids[0]) == "the"
    assert model.to_string([]) == ""


def test_tokens_without_text(model: Network, untyped: None) -> None:
    loose: Any = model
    for wrong in (282, 310, -1):
        with pytest.raises(
            ArgumentError, match=rf"token {wrong} has no text: the tokenizer has 282 tokens, the network d_vocab=310"
        ):
            model.to_string([1, wrong])
    for wrong in (310, -1, 2**40):
        with pytest.raises(ArgumentError, match=rf"token {wrong} has no text"):
            model.to_str_tokens([1, wrong])
        with pytest.raises(ArgumentError, match=rf"token {wrong} has no text"):
            model.to_single_str_token(wrong)
    with pytest.raises(ShapeError, match="int_token must be one token; .2. came"):
        loose.to_single_str_token(torch.tensor([1, 2]))
    with pytest.raises(ShapeError, match=r"tokens must have shape \[pos\] or \[batch, pos\]; \[1, 1, 1\] came"):
        model.to_string(torch.ones(1, 1, 1, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"tokens must have shape \[pos\] or \[batch, pos\]; \[1, 1, 1\] came"):
        model.to_str_tokens(torch.ones(1, 1, 1, dtype=torch.long))
    with pytest.raises(ShapeError, match="input must be integers; torch.float32 came"):
        model.to_str_tokens(torch.ones(3))


# ---- places and directions -------------------------------------------------------------------------------------------


def test_the_position_of_a_token(model: Network, untyped: None) -> None:
    loose: Any = model
    text = "the cat sat on the mat and the cat"
    tokens = model.to_tokens(text)
    cat = model.to_single_token(" cat")
    assert model.get_token_position(" cat", text) == 2
    assert model.get_token_position(" cat", text, prepend_bos=False) == 1
    assert model.get_token_position(" cat", text, mode="last") == tokens.shape[1] - 1
    assert model.get_token_position(cat, tokens) == model.get_token_position(torch.tensor(cat), tokens[0]) == 2
    assert model.get_token_position(cat, tokens[0].tolist()) == model.get_token_position(cat, tokens.numpy()) == 2
    with pytest.raises(ArgumentError, match=r"token \d+ \(' Mary'\) is not among the \d+ tokens of the input"):
        model.get_token_position(" Mary", text)
    with pytest.raises(ShapeError, match=r"input must be one text, or its tokens \[pos\]; \[2, \d+\] came"):
        model.get_token_position(cat, tokens.repeat(2, 1))
    with pytest.raises(ArgumentError, match="mode must be one of 'first', 'last'; 'all' came"):
        loose.get_token_position(cat, tokens, "all")


def test_directions_are_columns_of_the_unembedding(model: Network) -> None:
    W_U = model.unembed.W_U
    cat = model.to_single_token(" cat")
    for form in (" cat", cat, torch.tensor(cat), np.int64(cat)):
        assert torch.equal(model.tokens_to_residual_directions(form), W_U[:, cat])
    tokens: Tensor = torch.tensor([[1, 2, 3], [4, 5, 309]])
    directions = model.tokens_to_residual_directions(tokens)
    assert directions.shape == (2, 3, 6)
    assert all(torch.equal(directions[i, j], W_U[:, tokens[i, j]]) for i in range(2) for j in range(3))
    assert model.tokens_to_residual_directions([1, 2]).shape == (2, 6)
    assert model.tokens_to_residual_directions(torch.tensor([1])).shape == (1, 6)
    assert directions.requires_grad
    with torch.no_grad():
        model.tokens_to_residual_directions(cat).zero_()  # a copy
    assert W_U[:, cat].abs().sum() > 0
    with pytest.raises(ArgumentError, match=r"tokens must lie in 0 . 309 \(d_vocab=310\); 310 came at"):
        model.tokens_to_residual_directions(torch.tensor([0, 310]))
    with pytest.raises(ArgumentError, match="is 2 tokens, not one"):
        model.tokens_to_residual_directions("the cat")


# ---- masks -----------------------------------------------------------------------------------------------------------


inner = st.lists(st.integers(0, 9), max_size=4)  # a text may have the padding token inside, but not at its ends
rows_of_tokens = st.tuples(st.integers(3, 9), inner, st.integers(3, 9)).map(lambda row: [row[0], *row[1], row[2]])


@given(
    st.lists(rows_of_tokens, min_size=1, max_size=4), st.sampled_from(["left", "right"]), st.sampled_from([None, 0, 1])
)
def test_a_mask_can_be_found_again_from_the_padding(rows: list[list[int]], side: Any, bos: int | None) -> None:
    rows = rows if bos is None else [[bos, *row] for row in rows]
    tokens, mask = pad_rows(rows, 0, side)
    assert (mask is None) == (len({len(row) for row in rows}) == 1)
    found = padding_mask(tokens, 0, side, bos_id=bos)
    assert (found is None) == (mask is None)
    assert found is None or mask is None or torch.equal(found, mask)


def test_a_row_of_nothing_but_a_bos(untyped: None) -> None:
    for side, row in (("left", [False, False, True]), ("right", [True, False, False])):
        tokens, mask = pad_rows([[7, 7, 7], [7]], 7, side)  # type: ignore[arg-type]
        assert mask is not None
        assert mask.tolist() == [[True, True, True], row]
        found = padding_mask(tokens[1:], 7, side, bos_id=7)  # type: ignore[arg-type]
        assert found is not None
        assert found.tolist() == [row]
    with pytest.raises(ArgumentError, match="padding_side must be one of"):
        padding_mask(torch.ones(1, 1, dtype=torch.long), 0, "middle")  # type: ignore[arg-type]
