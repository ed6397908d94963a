"""The tables give the loss and the gradients of the plain pass, and step aside where they do not apply."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from refractor.base.numerics import LAW_TOLERANCE, cross_entropy
from refractor.models import HookedTransformer
from refractor.tasks import ModularAddition, split_rows
from refractor.training.last_position import last_logits, tables_apply

KINDS: dict[str, dict[str, object]] = {
    "the published kind": {"act_fn": "relu", "normalization_type": None},
    "with norms": {"act_fn": "gelu"},
    "with folded norms": {"act_fn": "silu", "normalization_type": "LNPre"},
    "attention only": {"attn_only": True, "d_mlp": None},
    "without positions": {"act_fn": "relu", "positional_embedding_type": None},
    "bidirectional": {"act_fn": "relu", "attention_dir": "bidirectional"},
}


def make(kind: str, p: int, dtype: torch.dtype, n_layers: int = 1) -> HookedTransformer:
    sizes = {
        "n_layers": n_layers,
        "d_model": 12,
        "n_ctx": 3,
        "d_head": 4,
        "n_heads": 3,
        "d_vocab": p + 1,
        "d_vocab_out": p,
    }
    model = HookedTransformer({**sizes, **KINDS[kind], "seed": 0, "dtype": dtype})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))
    return model


def loss_and_gradients(model: HookedTransformer, tokens: Tensor, labels: Tensor, tables: bool) -> list[Tensor]:
    loss = cross_entropy(last_logits(model, tokens, use_tables=tables), labels).mean()
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()), allow_unused=False)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_the_plain_pass(kind: str, dtype: torch.dtype) -> None:
    task = ModularAddition(11)
    model = make(kind, 11, dtype)
    rows = split_rows(task.n_rows, 0.5, 0).train
    tokens, labels = task.tokens()[rows], task.labels()[rows]
    assert tables_apply(model, tokens)
    plain = loss_and_gradients(model, tokens, labels, tables=False)
    tables = loss_and_gradients(model, tokens, labels, tables=True)
    names = ["loss", *(name for name, _ in model.named_parameters())]
    largest = max(truth.abs().max().item() for truth in plain[1:])
    for name, mine, truth in zip(names, tables, plain, strict=True):
        # b_K has no gradient at all (a shift of all keys shifts all scores alike): what is there is rounding of the rest.
        scale = largest if name.endswith("b_K") else truth.abs().max().item()
        error = (mine - truth).abs().max().item()
        assert error <= LAW_TOLERANCE[dtype] * scale, f"{name}: {error} of {scale}"


@settings(max_examples=30, deadline=None)
@given(p=st.integers(2, 9), seed=st.integers(0, 99), count=st.integers(1, 60), kind=st.sampled_from(sorted(KINDS)))
def test_any_rows_give_the_same_logits(p: int, seed: int, count: int, kind: str) -> None:
    task, model = ModularAddition(p), make(kind, p, torch.float64)
    rows = torch.randint(task.n_rows, (count,), generator=torch.Generator().manual_seed(seed))
    tokens = task.tokens()[rows]
    torch.testing.assert_close(last_logits(model, tokens), model(tokens)[:, -1], rtol=1e-9, atol=1e-9)


def test_the_plain_pass_is_taken_where_tables_do_not_apply() -> None:
    tokens = ModularAddition(5).tokens()
    one, two = make("with norms", 5, torch.float64), make("with norms", 5, torch.float64, n_layers=2)
    assert tables_apply(one, tokens)
    assert not tables_apply(two, tokens)
    assert not tables_apply(one, tokens[:3])
    assert not tables_apply(one, tokens.flip(1))
    torch.testing.assert_close(last_logits(two, tokens), two(tokens)[:, -1])
    torch.testing.assert_close(last_logits(one, tokens.flip(1)), one(tokens.flip(1))[:, -1])
    plain = last_logits(one, tokens)
    with one.hooks([("blocks.0.mlp.hook_post", lambda t, hook: 0 * t)]):
        assert not tables_apply(one, tokens)
        assert not torch.allclose(last_logits(one, tokens), plain)


@pytest.mark.parametrize(
    "change",
    [
        {"use_local_attn": True, "window_size": 2},
        {"norm_placement": "stream"},
        {"norm_placement": "after"},
        {"norm_placement": "before_and_after"},
        {"parallel_attn_mlp": True},
        {"positional_embedding_type": "shortformer"},
        {"positional_embedding_type": "rotary"},
        {"positional_embedding_type": "alibi"},
        {"n_key_value_heads": 1},
        {"qk_norm": "RMS"},
        {"attn_scores_soft_cap": 0.5},
        {"num_experts": 2, "experts_per_token": 1},
        {"normalization_type": "RMS"},
        {"gated_mlp": True},
        {"output_logits_soft_cap": 0.5},
        {"post_embedding_ln": True},
    ],
    ids=str,
)
def test_networks_of_every_kind_have_the_logits_of_the_plain_pass(change: dict[str, Any]) -> None:
    shape = {"n_layers": 1, "d_model": 8, "n_ctx": 3, "d_head": 4, "d_vocab": 5, "act_fn": "relu", "seed": 0}
    model = HookedTransformer({**shape, "dtype": "float64", **change})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    tokens = torch.cartesian_prod(torch.arange(4), torch.arange(4), torch.tensor([4]))
    torch.testing.assert_close(last_logits(model, tokens), model(tokens)[:, -1], rtol=1e-10, atol=1e-10)
