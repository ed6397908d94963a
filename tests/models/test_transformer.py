"""The transformer against a reference written from the formulas, and the contract that every hook point bites."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES, BASE, EDGES, make, tokens_for
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_transformer import reference
from torch import Tensor

from refractor.base.errors import ArgumentError, ConfigError, ShapeError, UnknownNameError
from refractor.hooks import HookPoint
from refractor.models import HookedTransformer, HookedTransformerConfig

SHARED = Path(__file__).parents[2].parent / "shared"

FLAGS = ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in", "use_hook_tokens")


@pytest.mark.parametrize("kind", [*ARCHITECTURES, *EDGES])
def test_every_activation_and_the_logits_equal_the_formulas(kind: str) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    truth = reference(model, tokens)
    logits, cache = model.run_with_cache(tokens)
    for key in cache:
        torch.testing.assert_close(
            cache[key], truth[key].detach(), rtol=1e-10, atol=1e-10, msg=lambda m, key=key: f"{key}: {m}"
        )
    assert set(cache) == set(truth) - {"logits"} - {key for key in truth if "hook_result" in key}
    torch.testing.assert_close(logits, truth["logits"], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model(tokens), truth["logits"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [*ARCHITECTURES, *EDGES])
def test_gradients_equal_those_of_the_formulas(kind: str) -> None:
    model = make(kind)
    tokens = tokens_for(model)
    mine = torch.autograd.grad(model(tokens).square().sum(), list(model.parameters()))
    truth = torch.autograd.grad(reference(model, tokens)["logits"].square().sum(), list(model.parameters()))
    for (key, _), a, b in zip(model.named_parameters(), mine, truth, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8, msg=lambda m, key=key: f"{key}: {m}")


def all_flags_on(model: HookedTransformer) -> None:
    for flag in FLAGS:
        lacks_mlp = flag == "use_hook_mlp_in" and model.cfg.attn_only
        shares = flag == "use_attn_in" and model.cfg.n_key_value_heads is not None
        if not lacks_mlp and not shares:
            setattr(model.cfg, flag, True)


def nudge(tensor: Tensor, hook: HookPoint) -> Tensor:
    if not tensor.is_floating_point():
        return (tensor + 1) % 11
    if "scores" in hook.name or "pattern" in hook.name:
        return tensor * 0.5 + 0.1
    return 1.5 * tensor + 0.1 * torch.arange(tensor.shape[-1], dtype=tensor.dtype).add(1).sqrt()


def points_that_do_not_bite(model: HookedTransformer, tokens: Tensor) -> list[str]:
    """Return the points whose edit leaves the logits as they were."""
    with torch.no_grad():
        plain = model(tokens)
        return [
            point
            for point in model.hook_dict
            if torch.allclose(model.run_with_hooks(tokens, fwd_hooks=[(point, nudge)]), plain, rtol=1e-9, atol=1e-9)
        ]


SLOWLY = pytest.param(False, marks=pytest.mark.slow)  # points fire with and without their switch in the same way


@pytest.mark.parametrize("flags", [SLOWLY, True])
@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.usefixtures("untyped")  # for speed: the same passes are checked elsewhere here
def test_editing_any_point_moves_the_logits(kind: str, flags: bool) -> None:
    model = make(kind)
    if flags:
        all_flags_on(model)
    assert points_that_do_not_bite(model, tokens_for(model)) == []


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("kind", ["plain", "turning", "attention only"])
def test_editing_a_point_that_is_switched_off_moves_the_logits_too(kind: str) -> None:
    model = make(kind)
    assert points_that_do_not_bite(model, tokens_for(model)) == []


@pytest.mark.usefixtures("untyped")
def test_where_there_is_no_choice_nothing_bites() -> None:
    model = make("window of one", n_layers=1)
    choosing = {"attn.hook_q", "attn.hook_k", "attn.hook_attn_scores", "hook_q_input", "hook_k_input"}
    assert set(points_that_do_not_bite(model, tokens_for(model))) == {f"blocks.0.{name}" for name in choosing}
    model = make("the only expert")
    assert points_that_do_not_bite(model, tokens_for(model)) == ["blocks.0.mlp.hook_router_logits"]


def test_a_point_that_does_not_bite_is_found() -> None:
    model = make("plain")
    model.blocks[1].mlp.hook_post.forward = lambda x: x
    assert points_that_do_not_bite(model, tokens_for(model)) == ["blocks.1.mlp.hook_post"]


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.usefixtures("untyped")
def test_hooked_and_unhooked_runs_agree(kind: str) -> None:
    model = make(kind, torch.float32)
    tokens = tokens_for(model)
    plain = model(tokens)
    last = model.cfg.n_layers - 1
    for point in model.hook_dict:
        of_last = not point.startswith("blocks.") or point.startswith(f"blocks.{last}.")
        if of_last or model.cfg.use_local_attn:  # otherwise all layers are the same
            torch.testing.assert_close(model.run_with_hooks(tokens, fwd_hooks=[(point, lambda t, hook: None)]), plain)
    all_flags_on(model)
    torch.testing.assert_close(model(tokens), plain)
    torch.testing.assert_close(model.run_with_cache(tokens)[0], plain)


@pytest.mark.parametrize("flags", [SLOWLY, True])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_point_fires_exactly_once_with_the_axes_it_declares(kind: str, flags: bool) -> None:
    model = make(kind)
    if flags:
        all_flags_on(model)
    tokens = tokens_for(model)
    cfg = model.cfg
    sizes = {"batch": 3, "pos": 6, "query_pos": 6, "key_pos": 6, "one": 1, "head": cfg.n_heads}
    sizes |= {"d_model": cfg.d_model, "d_head": cfg.d_head, "d_mlp": cfg.d_mlp or 0}
    sizes |= {"kv_head": cfg.n_kv_heads, "expert": cfg.num_experts or 0}
    fired: list[str] = []

    def look(tensor: Tensor, hook: HookPoint) -> None:
        fired.append(hook.name)
        assert tuple(tensor.shape) == tuple(sizes[axis] for axis in hook.axes), hook.name

    model.run_with_hooks(tokens, fwd_hooks=[(lambda name: True, look)])
    expected = [name for name, point in model.hook_dict.items() if point.flag is None or flags]
    assert sorted(fired) == sorted(expected)
    gradients: list[str] = []
    out = model.run_with_hooks(tokens, bwd_hooks=[(lambda name: True, lambda g, hook: gradients.append(hook.name))])
    out.sum().backward()
    unreached = {"hook_tokens"}  # integers have no gradient
    assert sorted(gradients) == sorted(set(expected) - unreached)


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("flags", [SLOWLY, True])
@pytest.mark.usefixtures("untyped")
def test_the_cache_is_foreseen_to_the_byte(kind: str, flags: bool) -> None:
    model = make(kind, torch.float32)
    if flags:
        all_flags_on(model)
    tokens = tokens_for(model)
    assert model.run_with_cache(tokens)[1].nbytes == model.cache_bytes(tokens)


@pytest.mark.parametrize("kind", ["plain", "turning", "slopes", "experts"])
def test_parts_of_a_cache_are_foreseen_to_the_byte(kind: str) -> None:
    model = make(kind, torch.float32)
    tokens = tokens_for(model)
    mask = torch.ones_like(tokens).index_fill(1, torch.tensor([0]), 0)
    every: list[dict[str, Any]] = [
        {"pos_slice": -1},
        {"names_filter": lambda name: "resid" in name},
        {"attention_mask": mask},
    ]
    for options in every:
        assert model.run_with_cache(tokens, **options)[1].nbytes == model.cache_bytes(tokens, **options)


def test_pos_slice_and_remove_batch_dim_follow_the_declared_axes() -> None:
    model = make("plain")
    all_flags_on(model)
    tokens = tokens_for(model, batch=1)
    full = model.run_with_cache(tokens)[1]
    cut = model.run_with_cache(tokens, pos_slice=-2, remove_batch_dim=True)[1]
    for key in full:
        axis = next(i for i, word in enumerate(full.axes(key)) if word in ("pos", "query_pos"))
        torch.testing.assert_close(cut[key], full[key].select(axis, -2)[0])


def test_scores_and_pattern_are_formed_only_when_hooked(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("plain")
    calls: list[int] = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def count(q: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not q.is_meta:
            calls.append(1)
        return fused(q, *args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", count)
    model.run_with_cache(tokens_for(model), names_filter=lambda name: "scores" not in name and "pattern" not in name)
    assert len(calls) == 2
    model.run_with_hooks(tokens_for(model), fwd_hooks=[("blocks.1.attn.hook_pattern", lambda t, hook: None)])
    assert len(calls) == 3


def test_a_pass_repacks_no_weight() -> None:
    attn = make("plain").blocks[0].attn
    for weight in (attn.W_Q, attn.W_K, attn.W_V):
        assert weight.shape == (3, 12, 5)
        assert weight.transpose(0, 1).flatten(1).data_ptr() == weight.data_ptr()


def test_stop_and_start_at_layer() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    logits, cache = model.run_with_cache(tokens)
    torch.testing.assert_close(model(tokens, stop_at_layer=1), cache["resid_post", 0])
    torch.testing.assert_close(model(tokens, stop_at_layer=-1), cache["resid_pre", 1])
    torch.testing.assert_close(model(tokens, stop_at_layer=0), cache["resid_pre", 0])
    torch.testing.assert_close(model(cache["resid_pre", 1], start_at_layer=1), logits)
    torch.testing.assert_close(model(cache["resid_post", 1], start_at_layer=2), logits)
    fired: list[str] = []
    model.run_with_hooks(
        cache["resid_pre", 1], start_at_layer=1, fwd_hooks=[(lambda n: True, lambda t, hook: fired.append(hook.name))]
    )
    assert not any(name.startswith(("blocks.0", "hook_")) for name in fired)
    with pytest.raises(ArgumentError, match="do not fit a network of 2 layers"):
        model(tokens, stop_at_layer=3)
    with pytest.raises(ShapeError, match=r"residual stream \[batch, pos, d_model=12\]"):
        model(tokens, start_at_layer=1)


@pytest.mark.usefixtures("untyped")
def test_return_types() -> None:
    model = make("square")
    tokens = tokens_for(model)
    logits = model(tokens)
    losses = -logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    torch.testing.assert_close(model(tokens, return_type="loss"), losses.mean())
    torch.testing.assert_close(model(tokens, return_type="loss", loss_per_token=True), losses)
    both = model(tokens, return_type="both")
    torch.testing.assert_close(both.logits, logits)
    torch.testing.assert_close(both.loss, losses.mean())
    assert model(tokens, return_type=None) is None
    stream = model(tokens, stop_at_layer=0)
    torch.testing.assert_close(model(stream, "loss", start_at_layer=0, tokens=tokens), losses.mean())
    with pytest.raises(ArgumentError, match="pass them as tokens="):
        model(stream, "loss", start_at_layer=0)
    with pytest.raises(ArgumentError, match="return_type must be one of"):
        model(tokens, "logit")  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(ArgumentError, match="at least 2 positions"):
        model(tokens[:, :1], "loss")
    small = make("square", d_vocab_out=5)
    with pytest.raises(ArgumentError, match="d_vocab_out=5 is below d_vocab=12"):
        small(tokens, "loss")


@pytest.mark.parametrize("kind", ["square", "turning", "experts", "shortformer", "norms of the stream"])
@pytest.mark.usefixtures("untyped")
def test_a_gradient_at_a_point_is_that_of_what_is_added_there(kind: str) -> None:
    model = make(kind, d_vocab_out=12)
    all_flags_on(model)
    tokens = tokens_for(model)
    cache = model.run_with_cache(tokens, return_type="loss", incl_bwd=True)[1]
    points = [point for point in model.hook_dict if point != "hook_tokens"]
    for point in points:
        added = torch.zeros_like(cache[point], requires_grad=True)
        loss = model.run_with_hooks(
            tokens, return_type="loss", fwd_hooks=[(point, lambda t, hook, added=added: t + added)]
        )
        truth = torch.autograd.grad(loss, added)[0]
        torch.testing.assert_close(cache[point + "_grad"], truth, msg=lambda m, point=point: f"{point}: {m}")
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("tokens", "error", "text"),
    [
        (torch.tensor([[0, 11]]), ArgumentError, r"tokens must lie in 0 … 10 \(d_vocab=11\); 11 came at \[0, 1\]"),
        (torch.tensor([[0, -1]]), ArgumentError, "-1 came"),
        (torch.zeros(1, 2), ShapeError, "tensor of integers"),
        (
            torch.zeros(1, 1, 1, dtype=torch.long),
            ShapeError,
            r"\[batch, pos\] with pos of at least 1; \[1, 1, 1\] came",
        ),
        (torch.zeros(1, 0, dtype=torch.long), ShapeError, "at least 1"),
        (torch.zeros(1, 8, dtype=torch.long), ArgumentError, "8 positions, but n_ctx=7"),
    ],
)
def test_bad_tokens_are_named(tokens: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make("plain")(tokens)


def test_one_row_of_tokens_is_a_batch_of_one_and_an_empty_batch_works() -> None:
    model = make("plain")
    tokens = tokens_for(model, batch=1)
    torch.testing.assert_close(model(tokens[0]), model(tokens))
    assert model(tokens[:0]).shape == (0, 6, 13)
    assert model.run_with_cache(tokens[:0])[1]["pattern", 0].shape == (0, 3, 6, 6)


@pytest.mark.parametrize("mode", ["gpt2", "xavier_uniform", "xavier_normal"])
def test_initial_weights_come_from_the_seed_alone(mode: Any) -> None:
    cfg = HookedTransformerConfig(
        n_layers=2,
        d_model=64,
        n_ctx=32,
        d_head=16,
        d_vocab=300,
        act_fn="relu",
        init_mode=mode,
        seed=1,
    )
    state = torch.get_rng_state()
    first, second, other = HookedTransformer(cfg), HookedTransformer(cfg), HookedTransformer(replace(cfg, seed=2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.W_E, other.W_E)
    assert first.b_in.abs().max() == 0
    expected = cfg.initializer_range if mode == "gpt2" else (2 / (64 + 256)) ** 0.5
    assert first.W_in.std().item() == pytest.approx(expected, rel=0.03)
    assert HookedTransformer(replace(cfg, dtype=torch.float64)).W_Q.float().equal(first.W_Q)
    unseeded = replace(cfg, seed=None)
    torch.manual_seed(0)
    a = HookedTransformer(unseeded)
    torch.manual_seed(0)
    assert torch.equal(a.W_E, HookedTransformer(unseeded).W_E)


def test_the_network_owns_its_configuration() -> None:
    cfg = HookedTransformerConfig(**BASE, n_layers=1, act_fn="relu")  # pyright: ignore[reportArgumentType]
    a, b = HookedTransformer(cfg), HookedTransformer(cfg)
    a.cfg.use_attn_result = True
    assert not b.cfg.use_attn_result
    assert not cfg.use_attn_result
    assert "blocks.0.attn.hook_result" in a.run_with_cache(torch.tensor([[1, 2]]))[1]
    assert "blocks.0.attn.hook_result" not in b.run_with_cache(torch.tensor([[1, 2]]))[1]


def test_optional_points_are_switched_on_by_their_literal_name() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    truth = reference(model, tokens)
    cache = model.run_with_cache(tokens, names_filter=["blocks.1.attn.hook_result", "blocks.0.hook_q_input"])[1]
    torch.testing.assert_close(cache["result", 1], truth["blocks.1.attn.hook_result"].detach())
    assert cache["q_input", 0].shape == (3, 6, 3, 12)
    with pytest.raises(UnknownNameError, match="optional points count only when switched on"):
        model.run_with_cache(tokens, names_filter=lambda name: "result" in name)


def test_editing_the_input_of_one_head_leaves_the_others_alone() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    plain = model.run_with_cache(tokens)[1]

    def clear_head_one(tensor: Tensor, hook: HookPoint) -> None:
        tensor[:, :, 1] = 0

    with model.hooks([("blocks.0.hook_k_input", clear_head_one)]):
        edited = model.run_with_cache(tokens)[1]
    k, k_plain = edited["k", 0], plain["k", 0]
    torch.testing.assert_close(k[:, :, [0, 2]], k_plain[:, :, [0, 2]])
    assert not torch.allclose(k[:, :, 1], k_plain[:, :, 1])
    torch.testing.assert_close(edited["q", 0], plain["q", 0])
    torch.testing.assert_close(edited["resid_pre", 0], plain["resid_pre", 0])


def test_edits_of_a_norm_and_of_what_heads_read_both_count() -> None:
    model = make("plain")
    tokens = tokens_for(model)
    plain = model.run_with_cache(tokens)[1]
    shift = ("blocks.0.hook_q_input", lambda t, hook: t + 0.3 * torch.arange(12))
    scale = ("blocks.0.ln1.hook_normalized", lambda t, hook: 2 * t)
    results = []
    for hooks in ([shift], [scale], [shift, scale]):
        with model.hooks(hooks):
            results.append(model.run_with_cache(tokens)[1]["q", 0] - plain["q", 0])
    torch.testing.assert_close(results[2], results[0] + results[1])
    assert min(result.abs().max().item() for result in results) > 0.1


@pytest.mark.parametrize("point", ["hook_mlp_in", "hook_q_input", "hook_k_input", "hook_v_input", "hook_attn_in"])
def test_editing_what_a_part_reads_leaves_the_stream_alone(point: str) -> None:
    model = make("plain")
    tokens = tokens_for(model)

    def clear(tensor: Tensor, hook: HookPoint) -> None:
        tensor.zero_()

    with torch.no_grad():
        in_place = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.0.{point}", clear)])
        pure = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.0.{point}", lambda t, hook: 0 * t)])
    torch.testing.assert_close(in_place, pure)


def test_cached_positions_do_not_follow_the_weights() -> None:
    model = make("plain")
    cache = model.run_with_cache(tokens_for(model))[1]
    kept = cache["pos_embed"].clone()
    with torch.no_grad():
        model.pos_embed.W_pos.zero_()
    assert torch.equal(cache["pos_embed"], kept)


def test_seed_3_names_come_in_the_printed_order() -> None:
    cfg = HookedTransformerConfig(
        n_layers=1,
        d_model=128,
        n_ctx=3,
        d_head=32,
        d_vocab=114,
        d_vocab_out=113,
        act_fn="relu",
        normalization_type=None,
    )
    cache = HookedTransformer(cfg).run_with_cache(torch.tensor([[1, 2, 113]]))[1]
    assert [key for key, _ in cache.items()] == [  # noqa: PERF102  items() is what is tested
        "hook_embed",
        "hook_pos_embed",
        "blocks.0.hook_resid_pre",
        *(f"blocks.0.attn.hook_{part}" for part in ("q", "k", "v", "attn_scores", "pattern", "z")),
        "blocks.0.hook_attn_out",
        "blocks.0.hook_resid_mid",
        "blocks.0.mlp.hook_pre",
        "blocks.0.mlp.hook_post",
        "blocks.0.hook_mlp_out",
        "blocks.0.hook_resid_post",
    ]


@pytest.mark.skipif(not (SHARED / "data").exists(), reason="the folder of published networks is not there")
def test_a_published_network_has_its_published_loss() -> None:
    state = torch.load(SHARED / "data/group_runs/C113_T_seed1/model.pt", weights_only=True, map_location="cpu")
    cfg = HookedTransformerConfig(
        n_layers=1,
        d_model=128,
        n_ctx=3,
        d_head=32,
        d_vocab=114,
        d_vocab_out=113,
        act_fn="relu",
        normalization_type=None,
    )
    model = HookedTransformer(cfg)
    model.load_state_dict({name: tensor for name, tensor in state.items() if name not in ("x_embed", "y_embed")})
    pairs = torch.cartesian_prod(torch.arange(113), torch.arange(113), torch.tensor([113]))
    with torch.no_grad():
        logits = model(pairs)[:, -1].double()
    loss = torch.nn.functional.cross_entropy(logits, (pairs[:, 0] + pairs[:, 1]) % 113)
    assert loss.item() == pytest.approx(1.5851601308126488e-07, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    n_layers=st.integers(1, 3),
    n_heads=st.integers(1, 3),
    d_head=st.integers(1, 4),
    d_model=st.integers(1, 9),
    length=st.integers(1, 5),
    batch=st.integers(0, 3),
    kind=st.sampled_from(["plain", "no norm", "folded norm", "attention only", "bidirectional", "all experts"]),
)
def test_any_size_runs_and_equals_the_formulas(
    n_layers: int, n_heads: int, d_head: int, d_model: int, length: int, batch: int, kind: str
) -> None:
    model = make(kind, n_layers=n_layers, n_heads=n_heads, d_head=d_head, d_model=d_model)
    tokens = tokens_for(model, batch, length)
    torch.testing.assert_close(model(tokens), reference(model, tokens)["logits"], rtol=1e-8, atol=1e-8)


def test_config_errors_reach_the_constructor() -> None:
    with pytest.raises(ConfigError, match="'n_layer' is no field of HookedTransformerConfig. Nearest: n_layers"):
        HookedTransformer({"n_layer": 1})
