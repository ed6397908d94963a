"""Experts: each token goes through the chosen ones only, and every result is that of going through all."""

from typing import Any

import pytest
import torch
from architectures import make, tokens_for
from reference_transformer import reference
from torch import Tensor, nn

from refractor.models import HookedTransformer
from refractor.models.experts import Experts
from refractor.models.mlp import MLP, GatedMLP

KINDS = ["experts", "all experts", "one expert of four", "the only expert"]
GATED = [{"gated_mlp": False}, {"gated_mlp": True}]


def look(tensor: Tensor, hook: object) -> None:
    """A hook that changes nothing."""


def experts_of(model: HookedTransformer) -> Experts:
    part = model.blocks[0].mlp
    assert isinstance(part, Experts)
    return part


def alone(part: Experts, model: HookedTransformer, expert: int) -> nn.Module:
    """One of the experts as an MLP of its own."""
    cfg: Any = model.cfg
    single = (GatedMLP if part.gated else MLP)(cfg)
    with torch.no_grad():
        for name, parameter in single.named_parameters():
            parameter.copy_(part.get_parameter(name)[expert])
    return single


@pytest.mark.parametrize("gated", GATED)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["hook_pre", "hook_post", "hook_expert_weights"])
def test_going_through_all_experts_changes_nothing(kind: str, gated: dict[str, bool], point: str) -> None:
    model = make(kind, **gated)
    tokens, parameters = tokens_for(model), list(model.parameters())
    few = model(tokens)
    every = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.0.mlp.{point}", look)])
    torch.testing.assert_close(few, every, rtol=1e-10, atol=1e-10)
    for (name, _), a, b in zip(
        model.named_parameters(),
        torch.autograd.grad(few.square().sum(), parameters),
        torch.autograd.grad(every.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("gated", GATED)
@pytest.mark.parametrize("kind", KINDS)
def test_only_chosen_experts_are_computed(kind: str, gated: dict[str, bool]) -> None:
    model = make(kind, **gated)
    part, tokens, cfg = experts_of(model), tokens_for(model), model.cfg
    rows: list[int] = []
    act = part.act_fn
    part.act_fn = lambda x: rows.append(x.shape[:-1].numel()) or act(x)
    model(tokens)
    assert sum(rows) == tokens.numel() * (cfg.experts_per_token or 0)
    rows.clear()
    model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.mlp.hook_post", look)])
    assert sum(rows) == tokens.numel() * (cfg.num_experts or 0)
    model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.mlp.hook_router_logits", look)])
    assert sum(rows) == tokens.numel() * ((cfg.num_experts or 0) + (cfg.experts_per_token or 0))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_the_softmax_of_the_largest(kind: str) -> None:
    model = make(kind)
    cache = model.run_with_cache(tokens_for(model))[1]
    logits, weights = cache["blocks.0.mlp.hook_router_logits"], cache["blocks.0.mlp.hook_expert_weights"]
    chosen = model.cfg.experts_per_token or 0
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert ((weights > 0).sum(-1) == chosen).all()
    smallest_chosen = torch.where(weights > 0, logits, torch.inf).amin(-1)
    largest_left = torch.where(weights > 0, -torch.inf, logits).amax(-1)
    assert (smallest_chosen > largest_left).all()
    odds = (logits - logits.amax(-1, keepdim=True)).exp() * (weights > 0)
    torch.testing.assert_close(weights, odds / odds.sum(-1, keepdim=True))


@pytest.mark.parametrize("gated", GATED)
def test_weights_that_a_hook_gives_are_obeyed(gated: dict[str, bool]) -> None:
    model = make("experts", **gated)
    tokens, part = tokens_for(model), experts_of(model)
    cache = model.run_with_cache(tokens)[1]
    read = cache["resid_mid", 0]
    for expert in range(4):

        def choose(weights: Tensor, hook: object, expert: int = expert) -> Tensor:
            return torch.zeros_like(weights).index_fill(-1, torch.tensor([expert]), 2.5)

        with model.hooks([("blocks.0.mlp.hook_expert_weights", choose)]):
            out = model.run_with_cache(tokens, names_filter="blocks.0.hook_mlp_out")[1]["mlp_out", 0]
        torch.testing.assert_close(out, 2.5 * alone(part, model, expert)(model.blocks[0].ln2(read)))


@pytest.mark.parametrize("kind", ["experts", "one expert of four"])
@pytest.mark.parametrize("others", [[], ["blocks.0.mlp.hook_pre"]])
def test_the_gradient_of_a_weight_that_is_zero_is_right(kind: str, others: list[str]) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    found: list[Tensor] = []
    logits = model.run_with_hooks(
        tokens,
        fwd_hooks=[(name, look) for name in others],
        bwd_hooks=[("blocks.0.mlp.hook_expert_weights", lambda gradient, hook: found.append(gradient))],
    )
    logits.square().sum().backward()
    weights = model.run_with_cache(tokens)[1]["blocks.0.mlp.hook_expert_weights"]
    left_out = int(weights[1, 4].argmin())
    assert weights[1, 4, left_out] == 0

    def moved(by: float) -> Tensor:
        """The same after the weight of that expert for one token grew."""

        def nudge(weights: Tensor, hook: object) -> None:
            weights[1, 4, left_out] += by

        return model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.mlp.hook_expert_weights", nudge)]).square().sum()

    with torch.no_grad():
        slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert slope.abs() > 1e-2
    torch.testing.assert_close(found[0][1, 4, left_out], slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gated", GATED)
def test_a_single_expert_is_a_plain_mlp(gated: dict[str, bool]) -> None:
    model = make("the only expert", **gated)
    plain = make("the only expert", num_experts=None, experts_per_token=None, **gated)
    state = {name: tensor for name, tensor in model.state_dict().items() if "router" not in name}
    plain.load_state_dict({name: tensor[0] if ".mlp." in name else tensor for name, tensor in state.items()})
    tokens = tokens_for(model)
    torch.testing.assert_close(model(tokens), plain(tokens), rtol=1e-10, atol=1e-10)


def test_shapes_of_weights_and_an_empty_batch() -> None:
    model = make("experts")
    assert {name: tuple(parameter.shape) for name, parameter in experts_of(model).named_parameters()} == {
        "W_router": (12, 4),
        "b_router": (4,),
        "W_in": (4, 12, 17),
        "b_in": (4, 17),
        "W_gate": (4, 12, 17),
        "b_gate": (4, 17),
        "W_out": (4, 17, 12),
        "b_out": (4, 12),
    }
    assert model(tokens_for(model)[:0]).shape == (0, 6, 13)
    assert model.run_with_cache(tokens_for(model)[:0])[1]["blocks.0.mlp.hook_post"].shape == (0, 6, 4, 17)


def test_an_expert_that_nobody_chooses_has_gradient_zero() -> None:
    model = make("one expert of four")
    with torch.no_grad():
        experts_of(model).b_router[2] = -1e3
    tokens = tokens_for(model)
    model(tokens).square().sum().backward()
    gradient: Any = experts_of(model).W_in.grad
    assert gradient[2].count_nonzero() == 0
    assert gradient.isfinite().all()
    assert gradient.count_nonzero() > 0
    torch.testing.assert_close(model(tokens), reference(model, tokens)["logits"], rtol=1e-10, atol=1e-10)


def test_initial_weights_spread_over_one_expert_and_not_over_all() -> None:
    model = make("one expert of four", d_model=64, d_mlp=128, init_mode="xavier_normal")
    model.init_weights()
    assert experts_of(model).W_in.std().item() == pytest.approx((2 / (64 + 128)) ** 0.5, rel=0.03)
    assert experts_of(model).W_out.std().item() == pytest.approx((2 / (64 + 128)) ** 0.5, rel=0.03)
