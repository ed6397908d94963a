"""Reading a text in several passes: whatever the split, the logits are those of one pass."""

from typing import Any

import pytest
import torch
from architectures import CAUSAL, EDGES, MASKS, make, tokens_for
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.models import HookedTransformer
from refractor.models.kv_cache import FIRST_CAPACITY, HookedTransformerKeyValueCache

SPLITS = [[1, 1, 1, 1, 1, 1], [2, 3, 1], [5, 1], [1, 5], [6]]


def in_passes(
    model: HookedTransformer, tokens: Tensor, split: list[int], mask: Tensor | None = None, whole_masks: bool = False
) -> Tensor:
    """Return the logits of all positions, read in passes of these lengths."""
    cache, parts, start = HookedTransformerKeyValueCache(model.cfg, len(tokens)), [], 0
    for length in split:
        stop = start + length
        some = None if mask is None else mask[:, 0 if whole_masks else start : stop]
        parts.append(model(tokens[:, start:stop], past_kv_cache=cache, attention_mask=some))
        start = stop
        assert cache.length == stop
    return torch.cat(parts, 1)


@pytest.mark.parametrize("kind", [*CAUSAL, *EDGES])
@pytest.mark.usefixtures("untyped")  # for speed: one kind is checked below
def test_any_split_into_passes_equals_one_pass(kind: str) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            truth = model(tokens)
            for split in SPLITS[: 2 if gradients else None]:
                torch.testing.assert_close(in_passes(model, tokens, split), truth, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["plain", "two bases", "slopes"])
def test_splits_with_scores_and_patterns_hooked(kind: str) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    logits, whole = model.run_with_cache(tokens)
    seen: list[Tensor] = []
    with model.hooks([("blocks.0.attn.hook_pattern", lambda pattern, hook: seen.append(pattern))]):
        torch.testing.assert_close(in_passes(model, tokens, [2, 3, 1]), logits, rtol=1e-10, atol=1e-10)
    for pattern, (start, stop) in zip(seen, [(0, 2), (2, 5), (5, 6)], strict=True):
        torch.testing.assert_close(pattern, whole["pattern", 0][:, :, start:stop, :stop], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [*CAUSAL, *EDGES])
@pytest.mark.usefixtures("untyped")
def test_splits_of_a_padded_batch(kind: str) -> None:
    model, mask = make(kind), torch.tensor([row for rows in MASKS.values() for row in rows])
    tokens = tokens_for(model, len(mask))
    with torch.no_grad():
        truth = model(tokens, attention_mask=mask)
        for split, whole_masks in ((SPLITS[0], False), (SPLITS[1], True)):
            logits = in_passes(model, tokens, split, mask, whole_masks)
            torch.testing.assert_close(logits[mask == 1], truth[mask == 1], rtol=1e-10, atol=1e-10)


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["windows", "two bases", "slopes", "shortformer"]),
    split=st.lists(st.integers(1, 4), min_size=1, max_size=6).filter(lambda split: sum(split) <= 7),
    bits=st.integers(0, 2**14 - 1),
    whole_masks=st.booleans(),
)
def test_any_split_of_any_padded_batch(kind: str, split: list[int], bits: int, whole_masks: bool) -> None:
    model, length = make(kind), sum(split)
    tokens = tokens_for(model, 2, length)
    mask = torch.tensor([[bits >> (7 * row + place) & 1 for place in range(length)] for row in range(2)])
    with torch.no_grad():
        truth = model(tokens, attention_mask=mask)
        logits = in_passes(model, tokens, split, mask, whole_masks)
    torch.testing.assert_close(logits[mask == 1], truth[mask == 1], rtol=1e-10, atol=1e-10)


def test_masks_of_a_pass_after_others() -> None:
    model, mask = make("turning"), torch.tensor(MASKS["left"])
    tokens = tokens_for(model)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    model(tokens[:, :4], past_kv_cache=cache, attention_mask=mask[:, :4])
    assert cache.real is not None
    assert torch.equal(cache.real, mask[:, :4].bool())
    with pytest.raises(ShapeError, match=r"\[batch=3, pos=2\], or pos=6 with what past_kv_cache holds; \[3, 3\] came"):
        model(tokens[:, 4:], past_kv_cache=cache, attention_mask=mask[:, :3])
    # what comes without a mask is real, and what came before stays as it was said then
    last = model(tokens[:, 4:], past_kv_cache=cache)
    real = mask.index_fill(1, torch.tensor([4, 5]), 1)
    assert torch.equal(cache.real, real.bool())
    torch.testing.assert_close(last, model(tokens, attention_mask=real)[:, 4:], rtol=1e-10, atol=1e-10)


def test_the_loss_of_a_pass_is_that_of_its_own_tokens() -> None:
    model, mask = make("turning"), torch.tensor(MASKS["right"])
    tokens = tokens_for(model)
    whole = model(tokens, "loss", loss_per_token=True, attention_mask=mask)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    model(tokens[:, :2], past_kv_cache=cache, attention_mask=mask[:, :2])
    later = model(tokens[:, 2:], "loss", loss_per_token=True, attention_mask=mask, past_kv_cache=cache)
    torch.testing.assert_close(later, whole[:, 2:], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["plain", "turning", "stored norms"])
def test_what_is_kept_are_the_keys_that_scores_are_made_of(kind: str) -> None:
    model = make("two bases" if kind == "stored norms" else kind)
    tokens, cfg = tokens_for(model), model.cfg
    whole = model.run_with_cache(tokens)[1]
    kept = HookedTransformerKeyValueCache.init_cache(cfg, "cpu", 3)
    assert kept.keys(0).shape == (3, 0, cfg.n_kv_heads, cfg.d_head)
    model(tokens[:, :4], past_kv_cache=kept)
    model(tokens[:, 4:], past_kv_cache=kept)
    for layer in range(cfg.n_layers):
        keys = whole["k" if kind == "plain" else "rot_k", layer]
        torch.testing.assert_close(kept.keys(layer), keys, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(kept.values(layer), whole["v", layer], rtol=1e-10, atol=1e-10)
        assert not kept.keys(layer).requires_grad


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_another_batch_a_longer_text_and_layers_left_out_are_refused() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    model(tokens[:, :5], past_kv_cache=cache)
    cases: list[tuple[type[Exception], str, Tensor, dict[str, Any]]] = [
        (ShapeError, "past_kv_cache belongs to 3 rows; tokens of 2 rows came", tokens[:2, 5:], {}),
        (ArgumentError, "holds 5 positions and 3 more came, but n_ctx=7", tokens[:, :3], {}),
        (ArgumentError, "through all 2 layers.*stop_at_layer=1 came", tokens[:, 5:], {"stop_at_layer": 1}),
        (ArgumentError, "through all 2 layers.*stop_at_layer=0 came", tokens[:, 5:], {"stop_at_layer": 0}),
        (ArgumentError, "start_at_layer=1", torch.zeros(3, 1, 12).double(), {"start_at_layer": 1}),
        (ArgumentError, "at least 2 positions", tokens[:, 5:], {"return_type": "loss"}),
    ]
    for error, text, given_tokens, options in cases:
        with pytest.raises(error, match=text):
            model(given_tokens, past_kv_cache=cache, **options)
        assert cache.length == 5
    truth = model(tokens)[:, 5:]
    torch.testing.assert_close(model(tokens[:, 5:], past_kv_cache=cache), truth, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "changes",
    [{"n_layers": 3}, {"n_heads": 2}, {"d_head": 6}, {"dtype": torch.float32}],
    ids=str,
)
def test_the_keys_of_another_network_are_refused(changes: dict[str, Any]) -> None:
    cache = HookedTransformerKeyValueCache(make("plain", **changes).cfg, 3)
    model = make("plain")
    with pytest.raises(
        ArgumentError, match="past_kv_cache is of another network or dtype.*must be 2, 3, 5, torch.float64"
    ):
        model(tokens_for(model), past_kv_cache=cache)
    assert cache.length == 0


@pytest.mark.parametrize("kind", ["bidirectional", "bidirectional, turning", "bidirectional, slopes"])
def test_a_bidirectional_network_keeps_nothing(kind: str) -> None:
    model = make(kind)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    with pytest.raises(
        ArgumentError, match="past_kv_cache needs attention_dir='causal'.*Run the whole text in one pass"
    ):
        model(tokens_for(model), past_kv_cache=cache)
    assert cache.length == 0


class Stopped(Exception):
    """What a hook raises."""


@pytest.mark.parametrize("point", ["blocks.1.mlp.hook_post", "blocks.1.attn.hook_v", "ln_final.hook_scale"])
@pytest.mark.parametrize("n_before", [0, 3])
def test_a_pass_that_fails_counts_for_nothing(point: str, n_before: int) -> None:
    model, mask = make("plain"), torch.tensor(MASKS["left"])
    tokens = tokens_for(model)

    def stop(tensor: Tensor, hook: object) -> None:
        raise Stopped

    truth = model(tokens, attention_mask=mask)[:, n_before:]
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    if n_before:
        model(tokens[:, :n_before], past_kv_cache=cache, attention_mask=mask[:, :n_before])
    real = cache.real
    with pytest.raises(Stopped):
        model.run_with_hooks(tokens[:, n_before:].flip(0), past_kv_cache=cache, fwd_hooks=[(point, stop)])
    assert cache.length == n_before
    assert cache.real is real
    logits = model(tokens[:, n_before:], past_kv_cache=cache, attention_mask=mask[:, n_before:])
    torch.testing.assert_close(logits[mask[:, n_before:] == 1], truth[mask[:, n_before:] == 1], rtol=1e-10, atol=1e-10)


# ---- rows, memory, gradients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["turning in part, folded", "slopes"])
def test_going_on_with_some_rows_only(kind: str) -> None:
    model, mask = make(kind), torch.tensor(MASKS["left"])
    tokens = tokens_for(model)
    truth = model(tokens, attention_mask=mask)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    model(tokens[:, :3], past_kv_cache=cache, attention_mask=mask[:, :3])
    rows = torch.tensor([2, 0])
    cache.keep(rows)
    assert (cache.batch, cache.length, cache.keys(0).shape[0]) == (2, 3, 2)
    later = model(tokens[rows, 3:], past_kv_cache=cache, attention_mask=mask[rows, 3:])
    real = mask[rows, 3:] == 1
    torch.testing.assert_close(later[real], truth[rows, 3:][real], rtol=1e-10, atol=1e-10)
    with pytest.raises(ShapeError, match="belongs to 2 rows; tokens of 3 rows came"):
        model(tokens[:, 3:4], past_kv_cache=cache)


def test_memory_doubles_and_stops_at_the_context() -> None:
    model = make("turning in part, folded", n_ctx=150)
    tokens = tokens_for(model, 1, 150)
    cache = HookedTransformerKeyValueCache(model.cfg, 1)
    sizes = []
    with torch.no_grad():
        for start, stop in ((0, 3), (3, 64), (64, 65), (65, 128), (128, 150)):
            model(tokens[:, start:stop], past_kv_cache=cache)
            sizes.append(cache.keys(0).untyped_storage().nbytes() // (8 * model.cfg.n_kv_heads * model.cfg.d_head))
    assert sizes == [FIRST_CAPACITY, 64, 128, 128, 150]


@pytest.mark.parametrize("kind", ["plain", "turning", "slopes"])
def test_gradients_flow_to_the_keys_of_this_pass(kind: str) -> None:
    model = make(kind)
    tokens, parameters = tokens_for(model), list(model.parameters())
    turned = "hook_rot_k" if model.cfg.positional_embedding_type == "rotary" else "hook_k"

    def first_ones_held(tensor: Tensor, hook: object) -> Tensor:
        return torch.cat([tensor[:, :3].detach(), tensor[:, 3:]], 1)

    def held(name: str) -> bool:
        return name.endswith((f"attn.{turned}", "attn.hook_v"))

    whole = model.run_with_hooks(tokens, fwd_hooks=[(held, first_ones_held)])[:, 3:]
    truth = torch.autograd.grad(whole.square().sum(), parameters)
    for gradients in (False, True):  # of the pass before
        cache = HookedTransformerKeyValueCache(model.cfg, 3)
        with torch.set_grad_enabled(gradients):
            model(tokens[:, :3], past_kv_cache=cache)
        logits = model(tokens[:, 3:], past_kv_cache=cache)
        model(tokens[:, :1], past_kv_cache=cache)  # a later pass changes nothing that this one needs
        mine = torch.autograd.grad(logits.square().sum(), parameters)
        for (name, _), a, b in zip(model.named_parameters(), mine, truth, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8, msg=lambda m, name=name: f"{name}: {m}")


def test_gradients_where_keys_and_values_have_none() -> None:
    model = make("plain", n_layers=1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("W_Q"))
    tokens = tokens_for(model)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    first = model(tokens[:, :3], past_kv_cache=cache)
    second = model(tokens[:, 3:], past_kv_cache=cache)
    W_Q = model.blocks[0].attn.W_Q
    mine = torch.autograd.grad(first.square().sum() + second.square().sum(), W_Q)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(model(tokens).square().sum(), W_Q)[0])


@pytest.mark.parametrize("first", [torch.inference_mode, torch.no_grad])
def test_passes_in_inference_mode_and_out_of_it(first: Any) -> None:
    model = make("turning")
    tokens = tokens_for(model)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    with first():
        model(tokens[:, :2], past_kv_cache=cache)
    second = model(tokens[:, 2:4], past_kv_cache=cache)
    with torch.inference_mode():
        third = model(tokens[:, 4:], past_kv_cache=cache)
    torch.testing.assert_close(torch.cat([second, third], 1), model(tokens)[:, 2:], rtol=1e-10, atol=1e-10)


# ---- caching activations of such a pass ------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", ["plain", "turning", "slopes", "shortformer"])
def test_activations_of_a_later_pass_are_cached(kind: str, padded: bool) -> None:
    model, mask = make(kind), torch.tensor(MASKS["left"]) if padded else None
    tokens = tokens_for(model)
    logits, whole = model.run_with_cache(tokens, attention_mask=mask)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    model(tokens[:, :2], past_kv_cache=cache, attention_mask=None if mask is None else mask[:, :2])
    for start, stop in ((2, 5), (5, 6)):
        options = {"attention_mask": None if mask is None else mask[:, :stop], "past_kv_cache": cache}
        foreseen = model.cache_bytes(tokens[:, start:stop], **options)
        assert cache.length == start
        part, seen = model.run_with_cache(tokens[:, start:stop], **options)
        assert seen.nbytes == foreseen
        assert cache.length == stop
        real = slice(None) if mask is None else mask[:, start:stop] == 1
        torch.testing.assert_close(part[real], logits[:, start:stop][real], rtol=1e-10, atol=1e-10)
        for layer in range(model.cfg.n_layers):
            expected = whole["pattern", layer][:, :, start:stop, :stop].transpose(1, 2)[real]
            torch.testing.assert_close(seen["pattern", layer].transpose(1, 2)[real], expected, rtol=1e-10, atol=1e-10)
            expected = whole["resid_post", layer][:, start:stop][real]
            torch.testing.assert_close(seen["resid_post", layer][real], expected, rtol=1e-10, atol=1e-10)


def test_a_forecast_is_that_of_what_the_cache_holds_now() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    foreseen, held = [], []
    for place in range(4):
        foreseen.append(model.cache_bytes(tokens[:, place : place + 1], past_kv_cache=cache))
        held.append(model.run_with_cache(tokens[:, place : place + 1], past_kv_cache=cache)[1].nbytes)
    assert foreseen == held == sorted(set(held))
    assert repr(cache) == "HookedTransformerKeyValueCache(2 layers of 3 heads, 3 rows, 4 positions)"
    cache.advance(0, torch.ones(3, 4, dtype=torch.bool).index_fill(1, torch.tensor([0]), False))
    assert repr(cache).endswith("4 positions, some of them padding)")


def test_editing_what_was_cached_leaves_the_keys_alone() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    cache = HookedTransformerKeyValueCache(model.cfg, 3)
    with torch.no_grad():
        seen = model.run_with_cache(tokens[:, :4], past_kv_cache=cache)[1]
        for activation in seen.values():
            activation.zero_()
        torch.testing.assert_close(model(tokens[:, 4:], past_kv_cache=cache), model(tokens)[:, 4:])
