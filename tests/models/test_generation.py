"""Generation: the same tokens with and without the cache, alone and in a batch; stops, texts, streams, hooks, refusals; and sampling."""

import gc
import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers.generation.logits_process import (
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from refractor.base.errors import ArgumentError, RefractorError, ShapeError
from refractor.models import HookedTransformer, generation_steps
from refractor.models.generation import Generated
from refractor.models.generation_steps import TextStream, aligned
from refractor.models.kv_cache import HookedTransformerKeyValueCache
from refractor.models.sampling import Sampling, next_tokens, penalised, truncated
from refractor.models.tokenizer import Tokenizer

BASE = {
    "n_layers": 2,
    "d_model": 12,
    "n_ctx": 24,
    "d_head": 4,
    "n_heads": 4,
    "d_vocab": 31,
    "d_mlp": 17,
    "act_fn": "gelu",
    "seed": 3,
}
ROTARY = {"positional_embedding_type": "rotary"}
ARCHITECTURES: dict[str, dict[str, object]] = {
    "learned": {},
    "no positions, attention only": {
        "positional_embedding_type": None,
        "attn_only": True,
        "d_mlp": None,
        "act_fn": None,
    },
    "shortformer": {"positional_embedding_type": "shortformer"},
    "alibi": {"positional_embedding_type": "alibi", "post_embedding_ln": True},
    "rotary, grouped, gated": {**ROTARY, "n_key_value_heads": 2, "gated_mlp": True, "normalization_type": "RMS"},
    "rotary in adjacent pairs, partial, parallel": {
        **ROTARY,
        "rotary_adjacent_pairs": True,
        "rotary_dim": 2,
        "parallel_attn_mlp": True,
    },
    "windows, two bases, caps, norms of queries and keys": {
        **ROTARY,
        "n_key_value_heads": 1,
        "use_local_attn": True,
        "window_size": 3,
        "attn_types": ("local", "global"),
        "rotary_base_local": 100.0,
        "attn_scores_soft_cap": 2.0,
        "output_logits_soft_cap": 3.0,
        "qk_norm": "RMS",
        "norm_placement": "before_and_after",
        "normalization_type": "RMS",
    },
    "windows, learned": {"use_local_attn": True, "window_size": 2},
    "windows, alibi, grouped": {
        "positional_embedding_type": "alibi",
        "use_local_attn": True,
        "window_size": 4,
        "n_key_value_heads": 2,
    },
    "experts": {**ROTARY, "num_experts": 4, "experts_per_token": 2, "gated_mlp": True},
    "norms of the stream": {"norm_placement": "stream"},
    "folded": {"normalization_type": "LNPre"},
}
LENGTHS = (5, 1, 7)


def make(kind: str = "learned", dtype: torch.dtype = torch.float64, **changes: object) -> HookedTransformer:
    """Return a network whose every parameter is random, so that it has much to say and repeats itself little."""
    model = HookedTransformer({**BASE, **ARCHITECTURES[kind], "dtype": dtype, **changes})
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(dtype)
            leaf = name.rsplit(".", 1)[-1]
            parameter.copy_(parameter + 0.3 * noise if leaf == "w" else (0.1 if leaf.startswith("b") else 0.7) * noise)
    return model


def prompts(model: HookedTransformer) -> list[list[int]]:
    generator = torch.Generator().manual_seed(9)
    return [torch.randint(model.cfg.d_vocab, (length,), generator=generator).tolist() for length in LENGTHS]


def padded(rows: list[list[int]], side: str, fill: int = 0) -> tuple[Tensor, Tensor]:
    """Return tokens and mask of rows of different lengths."""
    longest = max(map(len, rows))
    blanks = [[fill] * (longest - len(row)) for row in rows]
    ones = [[1] * len(row) for row in rows]
    zeros = [[0] * len(blank) for blank in blanks]
    tokens = [b + r if side == "left" else r + b for b, r in zip(blanks, rows, strict=True)]
    mask = [z + o if side == "left" else o + z for z, o in zip(zeros, ones, strict=True)]
    return torch.tensor(tokens), torch.tensor(mask)


def written_alone(model: HookedTransformer, row: list[int], new: int) -> tuple[list[int], Tensor]:
    """Return the greedy continuation of one row, and its logits, each step a plain pass over all tokens so far."""
    row, seen = list(row), []
    with torch.no_grad():
        for _ in range(new):
            seen.append(model(torch.tensor([row]))[0, -1])
            row.append(int(seen[-1].argmax()))
    return row[-new:], torch.stack(seen)


# ---- the cache changes nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_row_of_a_padded_batch_is_written_as_alone_and_without_a_cache(kind: str) -> None:
    model, new = make(kind), 6
    rows = prompts(model)
    alone = [written_alone(model, row, new) for row in rows]
    assert len({tuple(tokens) for tokens, _ in alone}) > 1  # the prompts do matter
    for side, cached in (("left", True), ("right", True), ("left", False)):
        tokens, mask = padded(rows, side, fill=7)
        made = model.generate(
            tokens, new, do_sample=False, attention_mask=mask, use_past_kv_cache=cached, output_logits=True
        )
        assert isinstance(made.sequences, Tensor)
        assert made.sequences.shape == (len(rows), max(LENGTHS) + new)
        for index, (continuation, logits) in enumerate(alone):
            assert made.sequences[index, -new:].tolist() == continuation, (side, cached, index)
            torch.testing.assert_close(made.logits[index], logits, rtol=1e-10, atol=1e-10)


def test_padding_that_is_not_masked_is_read_as_text() -> None:
    # the comparison above can fail: without its mask the short rows read their padding
    model = make()
    rows = prompts(model)
    tokens, _ = padded(rows, "left", fill=7)
    made = model.generate(tokens, 6, do_sample=False)
    assert any(made[index, -6:].tolist() != written_alone(model, row, 6)[0] for index, row in enumerate(rows))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.7, "top_k": 5},
        {"top_p": 0.8},
        {"do_sample": False, "repetition_penalty": 1.7},
        {"freq_penalty": 0.9, "top_k": 9, "top_p": 0.9},
    ],
)
def test_draws_are_the_same_with_and_without_a_cache_and_for_the_same_seed(options: Any) -> None:
    model = make("rotary, grouped, gated")
    tokens, mask = padded(prompts(model), "left")

    def draw(seed: int, cached: bool) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return model.generate(tokens, 7, generator=generator, attention_mask=mask, use_past_kv_cache=cached, **options)

    assert torch.equal(draw(0, cached=True), draw(0, cached=False))
    assert torch.equal(draw(0, cached=True), draw(1, cached=True)) == (options.get("do_sample") is False)


def test_the_global_generator_is_used_when_none_is_given() -> None:
    model = make()
    torch.manual_seed(4)
    first = model.generate(torch.tensor([[1, 2]]), 8)
    torch.manual_seed(4)
    assert torch.equal(first, model.generate(torch.tensor([[1, 2]]), 8))
    assert not torch.equal(first, model.generate(torch.tensor([[1, 2]]), 8))


def test_penalties_count_the_prompt_and_do_not_count_padding() -> None:
    model = make()
    row = [3, 3, 5]
    options: dict[str, Any] = {"do_sample": False, "freq_penalty": 1.5, "repetition_penalty": 1.3}
    made = model.generate(torch.tensor([row]), 10, output_logits=True, **options)
    alone = made.sequences
    assert isinstance(alone, Tensor)
    said = int(alone[0, 3])  # padding with what is said first: counted, it would not be said any more
    tokens, mask = torch.tensor([[said] * 3 + row]), torch.tensor([[0, 0, 0, 1, 1, 1]])
    assert torch.equal(model.generate(tokens, 10, attention_mask=mask, **options)[:, 3:], alone)
    with torch.no_grad():  # the logits are those of the network, before any penalty
        torch.testing.assert_close(made.logits, model(alone)[:, 2:-1], rtol=1e-10, atol=1e-10)
    by_hand = list(row)
    with torch.no_grad():
        for _ in range(10):
            logits = model(torch.tensor([by_hand]))[0, -1]
            for token in set(by_hand):
                logits[token] = logits[token] / 1.3 if logits[token] > 0 else logits[token] * 1.3
                logits[token] -= 1.5 * by_hand.count(token)
            by_hand.append(int(logits.argmax()))
    assert alone[0].tolist() == by_hand
    assert alone[0].tolist() != model.generate(torch.tensor([row]), 10, do_sample=False)[0].tolist()


@settings(max_examples=25)
@given(data=st.data())
def test_alignment_keeps_the_real_tokens_in_their_order(data: st.DataObject) -> None:
    batch, length = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=length, max_size=length).filter(any)
    real = torch.tensor(data.draw(st.lists(row, min_size=batch, max_size=batch)))
    tokens = torch.arange(batch * length).view(batch, length)
    moved, mask = aligned(tokens, real)
    for index in range(batch):
        kept = tokens[index][real[index]].tolist()
        assert moved[index, length - len(kept) :].tolist() == kept
        if mask is not None:
            assert mask[index].tolist() == [False] * (length - len(kept)) + [True] * len(kept)
    assert (mask is None) == bool(real.all())


def test_what_goes_in_is_left_alone_and_what_comes_out_begins_with_it() -> None:
    model = make()
    tokens = torch.tensor([[1, 2, 3]], dtype=torch.int32)
    made = model.generate(tokens, 4, do_sample=False)
    assert (tokens.tolist(), tokens.dtype) == ([[1, 2, 3]], torch.int32)
    assert (made.dtype, made.shape, made[:, :3].tolist()) == (torch.long, (1, 7), [[1, 2, 3]])
    assert torch.equal(model.generate(tokens[0], 4, do_sample=False), made)
    assert model.generate(tokens, 4, return_type=None) is None


def test_each_step_reads_one_token_and_unembeds_one_position() -> None:
    model = make()
    read, normed = [], []

    def run(cached: bool) -> None:
        read.clear()
        normed.clear()
        hooks: list[Any] = [
            ("hook_embed", lambda x, hook: read.append(x.shape[1])),
            ("ln_final.hook_normalized", lambda x, hook: normed.append(x.shape[1])),
        ]
        with model.hooks(hooks):
            model.generate(torch.tensor([[1, 2, 3]]), 4, use_past_kv_cache=cached)

    run(cached=True)
    assert (read, normed) == ([3, 1, 1, 1], [1, 1, 1, 1])
    run(cached=False)
    assert (read, normed) == ([3, 4, 5, 6], [1, 1, 1, 1])


def test_the_whole_context_can_be_used_and_no_more() -> None:
    model = make(n_ctx=6)
    tokens = torch.tensor([[1, 2, 3]])
    assert model.generate(tokens, 3, do_sample=False)[0, -3:].tolist() == written_alone(model, [1, 2, 3], 3)[0]
    with pytest.raises(
        ArgumentError,
        match="the prompt has 3 positions and max_new_tokens=4 would make it 7, but n_ctx=6. Pass max_new_tokens=3 or less",
    ):
        model.generate(tokens, 4)
    with pytest.raises(ArgumentError, match="would make it 7, but n_ctx=6. Shorten the prompt.$"):
        model.generate(torch.ones(1, 6, dtype=torch.long), 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_other_dtypes_write_too(dtype: torch.dtype) -> None:
    model = make("rotary, grouped, gated", dtype)
    made = model.generate(torch.tensor([[1, 2, 3]]), 5, top_p=0.9, output_logits=True)
    assert made.logits.dtype == dtype
    assert isinstance(made.sequences, Tensor)
    assert made.sequences.shape == (1, 8)


# ---- gradients, hooks, and what is left behind -----------------------------------------------------------------------


def test_no_gradients_inside_and_the_callers_setting_between_steps() -> None:
    model = make()
    inside = []
    with model.hooks([("hook_embed", lambda x, hook: inside.append(torch.is_grad_enabled()))]):
        for tokens in model.generate_stream(torch.tensor([[1, 2]]), 3):
            assert torch.is_grad_enabled()
            assert not tokens.requires_grad
    assert inside == [False] * 3
    made = model.generate(torch.tensor([[1, 2]]), 3, output_logits=True)
    assert not made.logits.requires_grad
    with torch.inference_mode():
        assert torch.equal(
            model.generate(torch.tensor([[1, 2]]), 5, do_sample=False),
            model.generate(torch.tensor([[1, 2]]), 5, do_sample=False, use_past_kv_cache=False),
        )


@pytest.mark.parametrize("kind", ["learned", "rotary, grouped, gated"])
def test_edits_of_hooks_bite_at_every_step_alike_with_and_without_a_cache(kind: str) -> None:
    model = make(kind)
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    plain = model.generate(tokens, 6, do_sample=False)

    def turn(x: Tensor, hook: Any) -> Tensor:
        return x.roll(1, -1)

    for name in ("blocks.0.hook_resid_post", "blocks.1.attn.hook_v", "ln_final.hook_normalized"):
        with model.hooks([(name, turn)]):
            cached = model.generate(tokens, 6, do_sample=False)
            uncached = model.generate(tokens, 6, do_sample=False, use_past_kv_cache=False)
        assert torch.equal(cached, uncached), name
        assert not torch.equal(cached, plain), name
    assert torch.equal(model.generate(tokens, 6, do_sample=False), plain)
    handles = model.add_hook("blocks.0.hook_resid_post", turn)
    assert not torch.equal(model.generate(tokens, 6, do_sample=False), plain)
    assert model.hook_dict["blocks.0.hook_resid_post"].fwd_hooks == handles  # the caller's hook is the caller's


def test_hooks_see_the_prompt_first_and_then_the_newest_position() -> None:
    model = make("rotary, grouped, gated")
    seen: list[tuple[int, ...]] = []
    with model.hooks([("blocks.1.attn.hook_pattern", lambda x, hook: seen.append(tuple(x.shape)))]):
        model.generate(torch.tensor([[1, 2, 3]]), 3)
    assert seen == [(1, 4, 3, 3), (1, 4, 1, 4), (1, 4, 1, 5)]


def test_a_hook_that_fails_leaves_a_network_that_writes_as_before() -> None:
    model = make()
    tokens = torch.tensor([[1, 2, 3]])
    plain = model.generate(tokens, 6, do_sample=False)
    calls = []

    def fails(x: Tensor, hook: Any) -> None:
        calls.append(x)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), model.hooks([("hook_embed", fails)]):
        model.generate(tokens, 6)
    assert len(calls) == 3
    assert torch.is_grad_enabled()
    assert torch.equal(model.generate(tokens, 6, do_sample=False), plain)


def test_a_stream_that_is_left_gives_its_cache_back(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[object]] = []

    class Watched(HookedTransformerKeyValueCache):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            held.append(weakref.ref(self))

    monkeypatch.setattr(generation_steps, "HookedTransformerKeyValueCache", Watched)
    model = make()
    stream: Any = model.generate_stream(torch.tensor([[1, 2]]), 9)
    next(stream)
    next(stream)
    assert held[0]() is not None
    stream.close()
    gc.collect()
    assert held[0]() is None
    assert list(stream) == []
    assert all(not point.hooked for point in model.hook_points())


def test_arguments_of_a_stream_are_checked_by_the_call() -> None:
    with pytest.raises(ArgumentError, match="max_new_tokens"):
        make().generate_stream(torch.tensor([[1, 2]]), 0)


def test_a_stream_of_tokens_is_what_generate_writes() -> None:
    model = make()
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    options: dict[str, Any] = {"do_sample": True, "top_k": 8, "eos_token_id": 30}
    whole = model.generate(tokens, 7, generator=torch.Generator().manual_seed(2), **options)
    parts = []
    for new in model.generate_stream(tokens, 7, generator=torch.Generator().manual_seed(2), **options):
        assert new.shape == (2,)
        parts.append(new.clone())
        new.fill_(30)  # what was handed out is the caller's
    assert torch.equal(torch.stack(parts, dim=1), whole[:, 3:])
    assert len(parts) > 3


# ---- stops -----------------------------------------------------------------------------------------------------------


def test_rows_end_at_a_stop_token_and_are_filled_up() -> None:
    model, new = make(), 12
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    free = model.generate(tokens, new, do_sample=False)[:, 3:]
    stops = [int(free[0, 2]), int(free[1, 6])]
    made = model.generate(tokens, new, do_sample=False, eos_token_id=stops, output_logits=True)
    assert isinstance(made.sequences, Tensor)
    lengths = []
    for row, whole in zip(made.sequences[:, 3:].tolist(), free.tolist(), strict=True):
        end = next((place for place, token in enumerate(whole) if token in stops), new - 1)
        assert row[: end + 1] == whole[: end + 1][: len(row)]
        assert set(row[end + 1 :]) <= {stops[0]}
        lengths.append(end + 1)
    assert len(set(lengths)) > 1
    assert made.sequences.shape[1] == 3 + max(lengths)  # over when the last row is
    for index, length in enumerate(lengths):
        assert made.logits[index, :length].isfinite().all()
        assert made.logits[index, length:].isnan().all()
    assert torch.equal(model.generate(tokens, new, False, stops, False)[:, 3:], free)


def test_generation_is_over_when_all_rows_ended() -> None:
    model = make()
    tokens = torch.tensor([[1, 2, 3]])
    free = model.generate(tokens, 12, do_sample=False)[0, 3:].tolist()
    end = free.index(free[4])
    passes = []
    with model.hooks([("hook_embed", lambda x, hook: passes.append(1))]):
        made = model.generate(tokens, 12, do_sample=False, eos_token_id=free[4])
    assert made[0, 3:].tolist() == free[: end + 1]
    assert len(passes) == end + 1
    prompt_has_it = torch.tensor([[free[4], 1, 2, 3]])  # a stop token of the prompt ends nothing
    assert model.generate(prompt_has_it, 2, do_sample=False, eos_token_id=free[4]).shape[1] >= 5


def test_nan_in_a_row_that_ended_stops_nobody_and_elsewhere_it_is_an_error() -> None:
    model = make()
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    free = model.generate(tokens, 8, do_sample=False)[:, 3:]
    stop = next(int(t) for t in free[0] if int(t) not in free[1].tolist())
    end = free[0].tolist().index(stop)
    step = []

    def spoil(x: Tensor, hook: Any) -> None:
        step.append(1)
        if len(step) > end + 1:
            x[0] = torch.nan

    with model.hooks([("blocks.1.hook_resid_post", spoil)]):
        made = model.generate(tokens, 8, do_sample=False, eos_token_id=stop)
    assert made[1, 3:].tolist() == free[1].tolist()
    step.clear()
    with (
        model.hooks([("blocks.1.hook_resid_post", spoil)]),
        pytest.raises(
            ArgumentError, match=rf"the logits of row 0 after {3 + end + 1} positions are NaN or infinite.*float16"
        ),
    ):
        model.generate(tokens, 8, do_sample=False)


# ---- text ------------------------------------------------------------------------------------------------------------


def byte_level() -> Tokenizer:
    """Return a tokenizer of GPT-2's kind, of 3 special tokens, 256 bytes, and a few merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<bos>", "<eos>", "<pad>", *alphabet, "th", "\u0120th", "the", "\u0120the", "\u00c3\u00a9"]
    merges = [("t", "h"), ("\u0120", "th"), ("th", "e"), ("\u0120th", "e"), ("\u00c3", "\u00a9")]
    library = tokenizers.Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, merges))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(["<bos>", "<eos>", "<pad>"])
    return Tokenizer(library, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")


def sentence_piece() -> Tokenizer:
    """Return a tokenizer of Llama 2's kind: a space before every text, and bytes for what has no piece."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b", "\u2581a", "ab"]
    merges = [("\u2581", "a"), ("a", "b")]
    vocab = {word: index for index, word in enumerate(words)}
    library = tokenizers.Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    library.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    library.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    library.add_special_tokens(["<unk>", "<s>", "</s>"])
    return Tokenizer(library, bos_token="<s>", eos_token="</s>")


BYTE_LEVEL, SENTENCE_PIECE = byte_level(), sentence_piece()


def reader(tokenizer: Tokenizer = BYTE_LEVEL, kind: str = "learned", **changes: object) -> HookedTransformer:
    model = make(kind, **{"d_vocab": len(tokenizer), "n_ctx": 60, **changes})
    model.set_tokenizer(tokenizer)
    return model


def test_text_in_text_out() -> None:
    model = reader()
    tokens = model.to_tokens("the caf\u00e9")
    made = model.generate(tokens, 9, do_sample=False)
    text = model.generate("the caf\u00e9", 9, do_sample=False)
    assert isinstance(text, str)
    assert text.startswith("the caf\u00e9")
    assert text == BYTE_LEVEL.decode(made[0, 1:])  # without the BOS
    assert torch.equal(model.generate("the caf\u00e9", 9, do_sample=False, return_type="tokens"), made)
    assert model.generate(tokens, 9, do_sample=False, return_type="str") == [text]
    assert model.generate(tokens[0], 9, do_sample=False, return_type="str") == text
    assert model.generate(["the caf\u00e9"], 9, do_sample=False) == [text]
    made = model.generate("the", 4, output_logits=True)
    assert isinstance(made, Generated)
    assert isinstance(made.sequences, str)
    assert made.logits.shape == (1, 4, len(BYTE_LEVEL))


@pytest.mark.parametrize("side", [None, "right"])
def test_texts_of_different_lengths_are_written_as_alone(side: Any) -> None:
    model = reader()
    texts = ["the", "a caf\u00e9 and the sea", "x"]
    alone = [model.generate(text, 9, do_sample=False) for text in texts]
    assert model.generate(texts, 9, do_sample=False, padding_side=side) == alone
    assert model.generate(tuple(texts), 9, do_sample=False, use_past_kv_cache=False) == alone


def test_the_bos_is_put_before_a_text_and_not_shown() -> None:
    model = reader()
    assert model.generate("", 5, do_sample=False) == model.generate(
        torch.tensor([0]), 5, do_sample=False, return_type="str"
    )
    with_bos, without = (model.generate("the", 5, do_sample=False, prepend_bos=flag) for flag in (True, False))
    assert with_bos == model.generate("the", 5, do_sample=False) != without
    # a BOS that is part of a text is not taken off
    assert model.generate("<bos>the", 5, do_sample=False, prepend_bos=False) == "<bos>" + with_bos
    with pytest.raises(ArgumentError, match="the prompt is empty"):
        model.generate("", 5, prepend_bos=False)


def test_the_eos_of_the_tokenizer_ends_a_text_and_is_not_part_of_it() -> None:
    model = reader()
    free = model.generate("the", 12, do_sample=False, return_type="tokens")[0].tolist()
    place = next(place for place in range(6, len(free)) if free[place] not in free[:place])
    with torch.no_grad():  # swap the names of two tokens: what is said at that place becomes the EOS
        order = list(range(model.cfg.d_vocab))
        order[1], order[free[place]] = free[place], 1
        for weight, axis in ((model.embed.W_E, 0), (model.unembed.W_U, 1), (model.unembed.b_U, 0)):
            weight.copy_(weight.index_select(axis, torch.tensor(order)))
    made = model.generate("the", 12, do_sample=False, return_type="tokens")[0].tolist()
    assert made == [*free[:place], 1]
    assert model.generate("the", 12, do_sample=False) == BYTE_LEVEL.decode(made[1:-1])
    kept = model.generate("the", 12, do_sample=False, stop_at_eos=False)
    assert kept.startswith(BYTE_LEVEL.decode(made[1:]))
    other = model.generate("the", 12, do_sample=False, eos_token_id=free[-1])  # instead of the tokenizer's
    assert "<eos>" in other


def test_tokens_that_the_tokenizer_has_not_are_shown_and_named() -> None:
    model = reader(d_vocab=len(BYTE_LEVEL) + 3, d_vocab_out=len(BYTE_LEVEL) + 3)
    unused = len(BYTE_LEVEL) + 2
    with torch.no_grad():
        model.unembed.b_U[unused] = 1e3
    assert model.generate("the", 2) == f"the<unused {unused}><unused {unused}>"
    assert list(model.generate_stream("the", 2)) == [f"<unused {unused}>"] * 2


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCE_PIECE], ids=["byte level", "sentence piece"])
@settings(max_examples=40)
@given(data=st.data())
def test_pieces_of_a_stream_are_the_text_of_all_tokens(tokenizer: Tokenizer, data: st.DataObject) -> None:
    text = st.text(st.sampled_from("the ab\n\u00e9\u20ac\U0001f600\u2581"), max_size=6)
    tokens = st.lists(st.integers(0, len(tokenizer) - 1), max_size=3)
    parts = data.draw(st.lists(st.one_of(text, tokens), max_size=5))
    new = [token for part in parts for token in (tokenizer.encode(part) if isinstance(part, str) else part)]
    # (SentencePiece reads a run of bytes as a whole, so that one bad byte spoils what was a text: prompts end in a piece)
    prompt = tokenizer.encode(data.draw(st.text(st.sampled_from("the ab\u00e9"), max_size=4)) + "ab")
    stream = TextStream(tokenizer, prompt)
    pieces = [stream.push(token) for token in new]
    pieces.append(stream.finish())
    assert stream.finish() == ""
    assert stream.start + "".join(pieces) == tokenizer.decode(prompt + new)


def test_no_piece_has_half_a_character() -> None:
    for tokenizer in (BYTE_LEVEL, SENTENCE_PIECE):
        stream = TextStream(tokenizer, tokenizer.encode("a"))
        pieces = [stream.push(token) for token in tokenizer.encode("\u20ac\U0001f600b")]
        assert len(pieces) >= 8
        assert all(piece in ("", " ", "\u20ac", "\U0001f600", "b", "\u20ac\U0001f600b") for piece in pieces)
        assert "".join(pieces).strip() == "\u20ac\U0001f600b"


def test_a_prompt_that_ends_within_a_character_is_completed() -> None:
    euro = BYTE_LEVEL.encode("\u20ac")
    stream = TextStream(BYTE_LEVEL, [*BYTE_LEVEL.encode("a"), *euro[:2]])
    assert (stream.start, stream.push(euro[2])) == ("a", "\u20ac")
    broken = TextStream(BYTE_LEVEL, [*BYTE_LEVEL.encode("a"), *euro[:2]])
    assert (broken.start, broken.finish(), broken.finish()) == ("a", "\ufffd", "")


def test_a_stream_of_text_is_what_generate_writes() -> None:
    for tokenizer in (BYTE_LEVEL, SENTENCE_PIECE):
        model = reader(tokenizer)
        for seed in range(2):
            whole = model.generate("the caf\u00e9", 9, generator=torch.Generator().manual_seed(seed))
            stream = model.generate_stream("the caf\u00e9", 9, generator=torch.Generator().manual_seed(seed))
            pieces = list(stream)
            assert all(isinstance(piece, str) for piece in pieces)
            assert "the caf\u00e9" + "".join(pieces) == whole
        texts = ["the", "a caf\u00e9 and the sea"]
        stops = list(range(10, 50))
        whole = model.generate(texts, 9, do_sample=False, eos_token_id=stops)
        rows = list(model.generate_stream(texts, 9, do_sample=False, eos_token_id=stops))
        assert [text + "".join(row[i] for row in rows) for i, text in enumerate(texts)] == whole


def test_what_is_held_back_is_told_when_a_row_ends() -> None:
    model = reader()
    euro, eos = BYTE_LEVEL.encode("\u20ac")[0], 1
    with torch.no_grad():  # the first byte of a character, then, as that was said already, the EOS
        model.unembed.b_U[euro], model.unembed.b_U[eos] = 10_000, 9_900
    texts = ["a", "a<eos>"]  # in the second row the EOS was said too, and so comes one step later
    options: dict[str, Any] = {"do_sample": False, "freq_penalty": 500.0}
    assert list(model.generate_stream(texts, 9, **options)) == [["", ""], ["\ufffd", ""], ["", "\ufffd\ufffd"]]
    assert model.generate(texts, 9, **options) == ["a\ufffd", "a<eos>\ufffd\ufffd"]
    assert list(model.generate_stream("a", 2, stop_at_eos=False)) == ["", "\ufffd\ufffd"]


# ---- refusals --------------------------------------------------------------------------------------------------------

TOKENS = torch.tensor([[1, 2, 3]])
WRONG_TEXT: Any = [1, 2]
WRONG_COUNT: Any = 1.5
NOTHING: Any = None
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "bidirectional": (
        lambda: make(attention_dir="bidirectional").generate(TOKENS),
        "needs attention_dir='causal'; this network is 'bidirectional'",
    ),
    "another question": (
        lambda: make(d_vocab_out=7).generate(TOKENS),
        "d_vocab=31 and d_vocab_out=7: this network answers another question",
    ),
    "no tokenizer": (lambda: make().generate("text"), "this network has no tokenizer"),
    "no tokenizer for the empty prompt": (lambda: make().generate(), "this network has no tokenizer"),
    "no tokenizer for the result": (
        lambda: make().generate(TOKENS, return_type="str"),
        "return_type='str' needs a tokenizer, and this network has none",
    ),
    "no token": (
        lambda: make().generate(TOKENS[:, :0]),
        "must have shape [batch, pos], both of at least 1; [1, 0] came",
    ),
    "no row": (lambda: make().generate(TOKENS[:0]), "must have shape [batch, pos], both of at least 1; [0, 3] came"),
    "three axes": (lambda: make().generate(TOKENS[None]), "[1, 1, 3] came"),
    "floats": (lambda: make().generate(TOKENS.float()), "must be a tensor of integers"),
    "out of vocabulary": (lambda: make().generate(TOKENS + 29), "tokens must lie in 0 \u2026 30 (d_vocab=31); 31 came"),
    "no texts": (lambda: reader().generate([]), "no text at all came"),
    "numbers": (lambda: reader().generate(WRONG_TEXT), "input must be a string or a list of strings"),
    "a mask for text": (
        lambda: reader().generate("a", attention_mask=torch.ones(1, 2)),
        "attention_mask belongs to tokens",
    ),
    "a mask of another shape": (
        lambda: make().generate(TOKENS, attention_mask=torch.ones(1, 2)),
        "attention_mask must have the shape of tokens, [1, 3]; [1, 2] came",
    ),
    "a mask of other values": (
        lambda: make().generate(TOKENS, attention_mask=torch.tensor([[-torch.inf, 0, 0]])),
        "attention_mask must be 1 where a token is real",
    ),
    "an empty row": (
        lambda: make().generate(TOKENS.expand(2, 3), attention_mask=torch.tensor([[1, 1, 1], [0, 0, 0]])),
        "row 1 of attention_mask has no real token",
    ),
    "no step": (lambda: make().generate(TOKENS, 0), "max_new_tokens must be an integer of at least 1; 0 came"),
    "half a step": (
        lambda: make().generate(TOKENS, WRONG_COUNT),
        "max_new_tokens must be an integer of at least 1; 1.5",
    ),
    "stop out of vocabulary": (
        lambda: make().generate(TOKENS, eos_token_id=31),
        "eos_token_id must be an integer from 0 to 30; 31 came",
    ),
    "no stop": (lambda: make().generate(TOKENS, eos_token_id=[]), "eos_token_id is an empty list"),
    "a return type": (lambda: make().generate(TOKENS, return_type="text"), "return_type must be one of"),
    "a stream of nothing": (lambda: make().generate_stream(TOKENS, return_type=NOTHING), "return_type must be one of"),
    "a side": (lambda: make().generate(TOKENS, padding_side="top"), "padding_side must be one of 'left', 'right'"),
    "temperature": (
        lambda: make().generate(TOKENS, temperature=-1.0),
        "temperature must be a finite number of at least 0",
    ),
    "infinite temperature": (
        lambda: make().generate(TOKENS, temperature=math.inf),
        "temperature must be a finite number",
    ),
    "top_k": (lambda: make().generate(TOKENS, top_k=0), "top_k must be an integer of at least 1; 0 came"),
    "top_p": (lambda: make().generate(TOKENS, top_p=1.2), "top_p must be a fraction above 0 and at most 1; 1.2 came"),
    "top_p of nothing": (lambda: make().generate(TOKENS, top_p=0.0), "top_p must be a fraction above 0"),
    "freq_penalty": (lambda: make().generate(TOKENS, freq_penalty=math.nan), "freq_penalty must be a finite number"),
    "repetition_penalty": (
        lambda: make().generate(TOKENS, repetition_penalty=0.0),
        "repetition_penalty must be a finite number above 0",
    ),
    "a truth that is none": (lambda: make().generate(TOKENS, do_sample="yes"), "do_sample must be one of True, False"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(case: str, untyped: None) -> None:
    call, message = REFUSED[case]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert message in str(caught.value)
    assert isinstance(caught.value, RefractorError)


def test_wrong_axes_are_shape_errors() -> None:
    with pytest.raises(ShapeError):
        make().generate(TOKENS[:, :0])


# ---- sampling --------------------------------------------------------------------------------------------------------


NONE_SEEN: Any = torch.zeros(3, 1, dtype=torch.long)


def logits_of(batch: int = 3, d_vocab: int = 50, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return (2 * torch.randn(batch, d_vocab, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)).to(
        dtype
    )


@pytest.mark.parametrize("top_k", [1, 3, 49, 50, 90])
def test_top_k_is_that_of_transformers(top_k: int) -> None:
    logits = logits_of()
    reference = TopKLogitsWarper(top_k)(NONE_SEEN, logits)
    assert torch.equal(truncated(logits, top_k, None), reference)


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.77, 0.95, 1.0])
def test_top_p_is_that_of_transformers(top_p: float) -> None:
    logits = logits_of()
    reference = TopPLogitsWarper(top_p)(NONE_SEEN, logits)
    assert torch.equal(truncated(logits, None, top_p), reference)
    both = TopPLogitsWarper(top_p)(NONE_SEEN, truncated(logits, 7, None))
    assert torch.equal(truncated(logits, 7, top_p), both)


@settings(max_examples=40)
@given(seed=st.integers(0, 999), top_p=st.floats(0.001, 1), top_k=st.none() | st.integers(1, 20))
def test_top_p_keeps_the_smallest_set_whose_mass_is_enough(seed: int, top_p: float, top_k: int | None) -> None:
    logits = logits_of(1, 20, seed)
    before = truncated(logits, top_k, None)
    kept = truncated(logits, top_k, top_p)[0] > -torch.inf
    probabilities = before.softmax(-1)[0]
    assert kept.any()
    assert probabilities[kept].sum() >= top_p - 1e-12
    if top_p < 1 and kept.sum() > 1:
        least = probabilities[kept].min()
        assert probabilities[kept].sum() - least < top_p + 1e-12
        assert (probabilities[~kept] <= least).all()


@pytest.mark.parametrize("penalty", [0.6, 1.0, 1.8])
def test_the_repetition_penalty_is_that_of_transformers(penalty: float) -> None:
    logits = logits_of()
    seen: Any = torch.tensor([[1, 2, 2, 9], [0, 0, 0, 0], [49, 48, 47, 1]])
    reference = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits)
    torch.testing.assert_close(
        penalised(logits, Sampling(repetition_penalty=penalty), seen), reference, rtol=1e-14, atol=0
    )


def test_the_frequency_penalty_counts() -> None:
    logits, seen = logits_of(2), torch.tensor([[1, 2, 2, 9], [3, 3, 3, 3]])
    real = torch.tensor([[True, True, True, False], [False, True, True, True]])
    expected = logits.clone()
    for row, token, times in ((0, 1, 1), (0, 2, 2), (1, 3, 3)):
        expected[row, token] -= 0.25 * times
    torch.testing.assert_close(penalised(logits, Sampling(freq_penalty=0.25), seen, real), expected)
    with pytest.raises(ArgumentError, match="need the tokens before"):
        next_tokens(logits, Sampling(freq_penalty=0.25))


def test_zero_temperature_is_greedy_and_so_is_a_single_candidate() -> None:
    logits = logits_of()
    best = logits.argmax(-1)
    assert Sampling(temperature=0).is_greedy
    for sampling in (
        Sampling(do_sample=False),
        Sampling(temperature=0),
        Sampling(temperature=1e-310),  # the logits divided by it are infinite
        Sampling(top_k=1),
        Sampling(top_p=1e-9),
    ):
        assert torch.equal(next_tokens(logits, sampling), best), sampling


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.6),
        Sampling(top_k=4),
        Sampling(top_p=0.7),
        Sampling(top_k=6, top_p=0.8, temperature=1.7),
    ],
)
def test_draws_have_the_distribution_that_is_asked_for(sampling: Sampling) -> None:
    n_draws = 10_000
    logits = logits_of(1, 12, seed=8)
    expected = truncated(logits / sampling.temperature, sampling.top_k, sampling.top_p).softmax(-1)[0] * n_draws
    drawn = next_tokens(logits.expand(n_draws, -1), sampling, generator=torch.Generator().manual_seed(1))
    counts = drawn.bincount(minlength=12)
    possible = expected > 0
    assert (counts[~possible] == 0).all()
    degrees = int(possible.sum()) - 1
    chi_square = ((counts - expected)[possible].square() / expected[possible]).sum()
    assert chi_square < degrees + 4 * math.sqrt(2 * degrees)  # four standard deviations above the mean
    wrong = expected[possible].flip(0)
    assert ((counts[possible] - wrong).square() / wrong).sum() > 100 * degrees  # another distribution is noticed


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_loses_no_tail(dtype: torch.dtype) -> None:
    # one token of probability 1/2 and 16,384 that share the rest: each is nothing beside it in half precision
    tail = 2**14
    logits = torch.zeros(1, tail + 1, dtype=dtype)
    logits[0, 0] = math.log(tail)
    drawn = next_tokens(logits.expand(200, -1), Sampling(), generator=torch.Generator().manual_seed(3))
    head = logits.double().softmax(-1)[0, 0].item()
    assert abs((drawn == 0).double().mean().item() - head) < 4 * math.sqrt(head * (1 - head) / 200)
    assert drawn[drawn > 0].unique().numel() > 50
    kept = truncated(logits.double(), None, 0.75) > -torch.inf
    assert abs(kept.sum().item() / tail - (0.75 - head) / (1 - head)) < 1e-3


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(do_sample=False), Sampling(top_p=0.5, top_k=3)])
def test_logits_that_are_no_numbers_are_an_error(bad: float, sampling: Sampling) -> None:
    logits = logits_of()
    logits[1, 4] = bad
    with pytest.raises(ArgumentError, match="the logits of row 1 are NaN or infinite. float16 overflows easily"):
        next_tokens(logits, sampling)
    logits[1] = -torch.inf
    with pytest.raises(ArgumentError, match="row 1"):
        next_tokens(logits, sampling)
    logits[1, 7] = 0  # one token is possible, and that is enough
    assert next_tokens(logits, sampling)[1] == 7


def test_a_draw_leaves_the_logits_alone_and_depends_on_the_generator_only() -> None:
    logits = logits_of()
    before = logits.clone()
    sampling = Sampling(top_k=20, top_p=0.9, repetition_penalty=1.2, freq_penalty=0.1, temperature=0.9)
    seen = torch.tensor([[1, 2], [3, 4], [5, 5]])

    def draws() -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(11)
        for _ in range(5):
            yield next_tokens(logits, sampling, seen, generator=generator).tolist()

    assert list(draws()) == list(draws())
    assert torch.equal(logits, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_generator_on_the_cpu_draws_the_same_for_a_network_on_a_gpu() -> None:
    logits, sampling = logits_of(), Sampling(top_k=20)
    here = next_tokens(logits, sampling, generator=torch.Generator().manual_seed(1))
    there = next_tokens(logits.cuda(), sampling, generator=torch.Generator().manual_seed(1))
    assert torch.equal(here, there.cpu())
    on_gpu = next_tokens(logits.cuda(), sampling, generator=torch.Generator("cuda").manual_seed(1))
    assert on_gpu.device.type == "cuda"
