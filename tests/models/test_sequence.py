"""Padding, masks and positions: a padded batch is computed as its rows would be alone."""

import math
from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES, EDGES, MASKS, make, tokens_for
from reference_transformer import slopes
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.models import HookedTransformer, HookedTransformerConfig, lm_cross_entropy_loss
from refractor.models.sequence import alibi, alibi_slopes, make_sequence


def mask_for(side: str) -> Tensor:
    return torch.tensor(MASKS[side])


def alone(tokens: Tensor, mask: Tensor, row: int) -> tuple[Tensor, Tensor]:
    """Return the tokens of one row without padding, [1, pos], and their places in the batch."""
    places = mask[row].nonzero()[:, 0]
    return tokens[row, places].unsqueeze(0), places


@pytest.mark.parametrize("kind", [*ARCHITECTURES, *EDGES])
@pytest.mark.usefixtures("untyped")  # for speed: what is passed is the same as below
def test_a_padded_batch_equals_its_rows_alone(kind: str) -> None:
    model, mask = make(kind), torch.cat([mask_for(side) for side in MASKS])
    tokens = tokens_for(model, len(mask))
    with torch.no_grad():
        logits = model(tokens, attention_mask=mask)
        for row in range(len(mask)):
            text, places = alone(tokens, mask, row)
            torch.testing.assert_close(logits[row, places], model(text)[0], rtol=1e-10, atol=1e-10)
    assert logits.isfinite().all()


@pytest.mark.parametrize("kind", ["plain", "two bases", "slopes", "bidirectional", "shortformer", "experts"])
def test_what_a_padding_token_is_does_not_matter(kind: str) -> None:
    model, mask = make(kind), mask_for("anywhere")
    tokens = tokens_for(model)
    other = torch.where(mask == 1, tokens, 7)
    assert not torch.equal(tokens, other)
    first, second = model(tokens, attention_mask=mask), model(other, attention_mask=mask)
    torch.testing.assert_close(first[mask == 1], second[mask == 1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["plain", "windows", "slopes", "turning", "bidirectional", "bidirectional, slopes"])
def test_patterns_sum_to_one_and_give_padding_nothing(kind: str) -> None:
    model, mask = make(kind), torch.cat([mask_for(side) for side in MASKS])
    tokens = tokens_for(model, len(mask))
    cache = model.run_with_cache(tokens, attention_mask=mask)[1]
    for layer in range(model.cfg.n_layers):
        pattern = cache["pattern", layer]
        torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern[..., 0]))
        padding = mask[:, None, None, :].expand_as(pattern) == 0
        reads = mask[:, None, :, None].expand_as(pattern) == 1
        assert pattern[padding & reads].count_nonzero() == 0
        for row in range(0, len(mask), 2):
            text, places = alone(tokens, mask, row)
            single = model.run_with_cache(text)[1]["pattern", layer]
            torch.testing.assert_close(pattern[row][:, places][:, :, places], single[0], rtol=1e-10, atol=1e-10)


def test_positions_count_real_tokens() -> None:
    model = make("plain")
    cfg, mask = model.cfg, mask_for("anywhere")
    positions = make_sequence(cfg, (3, 6), torch.device("cpu"), mask).positions
    assert positions.tolist() == [[0, 0, 1, 2, 2, 3], [0, 0, 1, 2, 3, 3], [0, 1, 1, 1, 2, 3]]
    embedded = model.run_with_cache(tokens_for(model), attention_mask=mask)[1]["pos_embed"]
    torch.testing.assert_close(embedded, model.W_pos[positions])
    later = make_sequence(cfg, (3, 2), torch.device("cpu"), mask[:, 4:], n_past=4, past_real=mask[:, :4].bool())
    assert torch.equal(later.positions, positions[:, 4:])
    assert torch.equal(later.key_positions, positions)
    assert make_sequence(cfg, (3, 2), torch.device("cpu"), n_past=4).positions.tolist() == [[4, 5]]


@pytest.mark.parametrize("kind", ["plain", "windows", "slopes", "bidirectional", "shortformer"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.long, torch.float64])
def test_an_all_true_mask_equals_none(kind: str, dtype: torch.dtype) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    logits, cache = model.run_with_cache(tokens)
    masked, same = model.run_with_cache(tokens, attention_mask=torch.ones(3, 6, dtype=dtype))
    assert torch.equal(masked, logits)
    assert all(torch.equal(cache[key], same[key]) for key in cache)
    assert make_sequence(model.cfg, (3, 6), torch.device("cpu"), torch.ones(3, 6)).real is None


@pytest.mark.parametrize("shape", [(3, 5), (3, 7), (2, 6), (1, 6), (6,), (3, 6, 1), (3, 1, 6, 6)])
@pytest.mark.usefixtures("untyped")
def test_masks_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    model = make("plain")
    text = rf"attention_mask must have shape \[batch=3, pos=6\]; \[{', '.join(map(str, shape))}\] came"
    with pytest.raises(ShapeError, match=text):
        model(tokens_for(model), attention_mask=torch.ones(shape))


@pytest.mark.parametrize("value", [-math.inf, 0.5, 2.0, math.nan])
def test_masks_of_other_values_are_refused(value: float) -> None:
    model = make("plain")
    mask = mask_for("left").double()
    mask[1, 0] = value
    with pytest.raises(ArgumentError, match=f"must be 1 where a token is real and 0 where it is padding; {value} came"):
        model(tokens_for(model), attention_mask=mask)


@pytest.mark.parametrize("kind", ["plain", "slopes", "turning", "bidirectional"])
def test_a_row_of_nothing_but_padding_is_finite_and_disturbs_nobody(kind: str) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    mask = torch.tensor([[0] * 6, [1] * 6, [1] * 6])
    logits = model(tokens, attention_mask=mask)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[1:], model(tokens[1:]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["plain", "slopes", "turning", "bidirectional"])
def test_no_gradient_reaches_padding(kind: str) -> None:
    model, mask = make(kind), mask_for("left")
    tokens = tokens_for(model)
    found: list[Tensor] = []
    logits = model.run_with_hooks(
        tokens, attention_mask=mask, bwd_hooks=[("hook_embed", lambda gradient, hook: found.append(gradient))]
    )
    logits[mask == 1].square().sum().backward()
    assert found[0][mask == 0].count_nonzero() == 0
    assert (found[0][mask == 1].abs().sum(-1) > 0).all()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["plain", "two bases", "slopes", "shortformer"])
def test_a_pass_from_a_later_layer_knows_the_mask(kind: str) -> None:
    model, mask = make(kind), mask_for("left")
    tokens = tokens_for(model)
    logits, cache = model.run_with_cache(tokens, attention_mask=mask)
    read: dict[str, Any] = {"shortformer_pos_embed": cache["pos_embed"]} if kind == "shortformer" else {}
    again = model(cache["resid_pre", 1], start_at_layer=1, attention_mask=mask, **read)
    torch.testing.assert_close(again, logits, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(model(cache["resid_pre", 1], start_at_layer=1, **read)[mask == 1], logits[mask == 1])


def test_positions_of_a_shortformer_go_with_its_stream_and_with_no_other() -> None:
    model = make("shortformer")
    cache = model.run_with_cache(tokens_for(model))[1]
    with pytest.raises(ArgumentError, match=r"in a shortformer needs shortformer_pos_embed: .* cache\['pos_embed'\]"):
        model(cache["resid_pre", 1], start_at_layer=1)
    torch.testing.assert_close(model(cache["resid_post", 1], start_at_layer=2), model(tokens_for(model)))
    plain = make("plain")
    with pytest.raises(ArgumentError, match="positional_embedding_type='shortformer'; this network has 'standard'"):
        plain(cache["resid_pre", 1], start_at_layer=1, shortformer_pos_embed=cache["pos_embed"])


# ---- slopes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_heads", [1, 2, 3, 6, 8, 12, 16, 40, 112])
def test_slopes_are_the_published_series(n_heads: int) -> None:
    assert alibi_slopes(n_heads) == pytest.approx(slopes(n_heads), rel=1e-12)
    assert len(alibi_slopes(n_heads)) == n_heads
    assert alibi_slopes(8) == [2.0**-i for i in range(1, 9)]  # Press et al. 2021
    assert alibi_slopes(12)[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions_tell_long_distances_apart(dtype: torch.dtype) -> None:
    cfg = HookedTransformerConfig(
        n_layers=1, d_model=8, n_ctx=2000, d_head=4, d_vocab=5, act_fn="relu", positional_embedding_type="alibi"
    )
    sequence = make_sequence(cfg, (1, 1500), torch.device("cpu"))
    exact = alibi(sequence, torch.float64)
    assert exact[0, 0, 1400, 1395] == -5 * alibi_slopes(2)[0]
    assert torch.equal(alibi(sequence, dtype), exact.to(dtype))


# ---- the loss of a padded batch --------------------------------------------------------------------------------------


def losses_of(model: HookedTransformer, text: Tensor) -> Tensor:
    """The losses of one text, [pos - 1], from the formula."""
    with torch.no_grad():
        odds = model(text)[0].exp()
    listed = [-(odds[i, text[0, i + 1]] / odds[i].sum()).log().item() for i in range(text.shape[1] - 1)]
    return torch.tensor(listed, dtype=torch.float64)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_loss_of_a_padded_batch_counts_each_real_token_once(side: str) -> None:
    model, mask = make("turning"), mask_for(side)
    tokens = tokens_for(model)
    alone_losses = [losses_of(model, alone(tokens, mask, row)[0]) for row in range(3)]
    per_token = model(tokens, "loss", loss_per_token=True, attention_mask=mask)
    counted = (mask[:, 1:] == 1) & (mask[:, :-1] == 1)
    for row in range(3):
        torch.testing.assert_close(per_token[row][counted[row]], alone_losses[row], rtol=1e-10, atol=1e-10)
    assert per_token[~counted].count_nonzero() == 0
    mean = torch.cat(alone_losses).mean()
    assert torch.cat(alone_losses).numel() == counted.sum()
    torch.testing.assert_close(model(tokens, "loss", attention_mask=mask), mean, rtol=1e-10, atol=1e-10)
    both = model(tokens, "both", attention_mask=mask)
    torch.testing.assert_close(both.loss, mean, rtol=1e-10, atol=1e-10)


def test_the_loss_function_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    tokens = torch.randint(5, (2, 4), generator=generator)
    mask = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 1]])
    every = torch.tensor(
        [
            [-math.log(logits[b, i].exp()[tokens[b, i + 1]] / logits[b, i].exp().sum()) for i in range(3)]
            for b in range(2)
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(lm_cross_entropy_loss(logits, tokens, per_token=True), every)
    torch.testing.assert_close(lm_cross_entropy_loss(logits, tokens), every.mean())
    counted = torch.tensor([[True, False, False], [False, True, True]])
    for kind in (mask, mask.bool(), mask.double()):
        torch.testing.assert_close(lm_cross_entropy_loss(logits, tokens, kind, per_token=True), every * counted)
        torch.testing.assert_close(lm_cross_entropy_loss(logits, tokens, kind), every[counted].mean())


def test_a_loss_has_gradients_where_tokens_are_real_only() -> None:
    logits = torch.zeros(1, 4, 3, dtype=torch.float64, requires_grad=True)
    tokens = torch.tensor([[0, 1, 2, 0]])
    lm_cross_entropy_loss(logits, tokens, torch.tensor([[0, 1, 1, 1]])).backward()
    gradient: Any = logits.grad
    assert gradient[0, 0].count_nonzero() == 0
    assert (gradient[0, 1:3].abs().sum(-1) > 0).all()
    assert gradient[0, 3].count_nonzero() == 0
