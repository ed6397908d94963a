"""Weights of all layers, the circuits made of them and what these leave out, tied weights, and state dictionaries."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES, BASE, make, tokens_for
from torch import Tensor, nn

from refractor.base.errors import ArgumentError, CheckpointError
from refractor.linalg import FactoredMatrix
from refractor.models import HookedTransformer

GROUPED = [kind for kind, fields in ARCHITECTURES.items() if "n_key_value_heads" in fields]


def gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def test_stacked_weights_carry_gradients() -> None:
    model = make("plain")
    assert model.W_Q.shape == (2, 3, 12, 5)
    assert model.W_O.shape == (2, 3, 5, 12)
    assert (model.W_in.shape, model.b_in.shape) == ((2, 12, 17), (2, 17))
    assert (model.W_out.shape, model.b_out.shape, model.b_O.shape) == ((2, 17, 12), (2, 12), (2, 12))
    assert (model.b_Q.shape, model.b_K.shape, model.b_V.shape) == ((2, 3, 5),) * 3
    assert model.W_E is model.embed.W_E
    assert model.W_U is model.unembed.W_U
    assert (model.W_pos.shape, model.b_U.shape) == ((7, 12), (13,))
    (model.W_K[1].sum() + 2 * model.W_V[0].sum()).backward()
    assert gradient(model.blocks[0].attn.W_K).abs().max() == 0
    assert gradient(model.blocks[1].attn.W_K).min() == 1
    assert gradient(model.blocks[0].attn.W_V).min() == 2


@pytest.mark.parametrize("kind", GROUPED)
def test_what_heads_share_is_stacked_with_one_entry_for_each(kind: str) -> None:
    model = make(kind)
    cfg = model.cfg
    group = cfg.n_heads // cfg.n_kv_heads
    assert model.W_K.shape == model.W_V.shape == (cfg.n_layers, cfg.n_heads, cfg.d_model, cfg.d_head)
    assert model.b_K.shape == model.b_V.shape == (cfg.n_layers, cfg.n_heads, cfg.d_head)
    stacks = {"W_K": model.W_K, "W_V": model.W_V, "b_K": model.b_K, "b_V": model.b_V}
    for name, stacked in stacks.items():
        for layer in range(cfg.n_layers):
            attn = model.blocks[layer].attn
            stored = attn.get_parameter("_" + name)
            assert stored.shape[0] == cfg.n_kv_heads
            assert attn.of_kv_heads(name) is stored
            for head in range(cfg.n_heads):
                assert torch.equal(stacked[layer, head], stored[head // group])
            of_layer = {"W_K": attn.W_K, "W_V": attn.W_V, "b_K": attn.b_K, "b_V": attn.b_V}
            assert torch.equal(of_layer[name], stacked[layer])
    model.W_K[0].sum().backward()
    assert (gradient(model.blocks[0].attn.get_parameter("_W_K")) == group).all()


def test_gates_experts_and_what_a_network_lacks() -> None:
    gated = make("turning in part, folded")
    assert gated.W_gate.shape == (2, 12, 17)
    assert torch.equal(gated.W_gate[1], gated.blocks[1].mlp.get_parameter("W_gate"))
    experts = make("experts", n_layers=2)
    assert (experts.W_in.shape, experts.W_gate.shape) == ((2, 4, 12, 17), (2, 4, 12, 17))
    assert (experts.b_in.shape, experts.W_out.shape, experts.b_out.shape) == ((2, 4, 17), (2, 4, 17, 12), (2, 4, 12))
    with pytest.raises(ArgumentError, match="the MLPs of this network have no W_gate"):
        make("plain").W_gate
    bare: list[Callable[[HookedTransformer], Tensor]] = [
        lambda model: model.W_in,
        lambda model: model.b_in,
        lambda model: model.W_gate,
        lambda model: model.W_out,
        lambda model: model.b_out,
    ]
    model = make("attention only")
    for name, ask in zip(("W_in", "b_in", "W_gate", "W_out", "b_out"), bare, strict=True):
        with pytest.raises(ArgumentError, match=f"an attention-only network has no {name}"):
            ask(model)
    assert model.W_V.shape == (2, 3, 12, 5)
    with pytest.raises(ArgumentError, match="a network with positional_embedding_type='rotary' has no W_pos"):
        make("turning").W_pos
    assert make("shortformer").W_pos.shape == (7, 12)


# ---- circuits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "attention only", *GROUPED])
def test_circuits_equal_the_products_head_by_head(kind: str) -> None:
    model = make(kind)
    cfg = model.cfg
    group = cfg.n_heads // cfg.n_kv_heads
    shape = (cfg.n_layers, cfg.n_heads, cfg.d_model, cfg.d_model)
    assert model.OV.shape == model.QK.shape == shape
    OV, QK = model.OV.dense(), model.QK.dense()
    for layer, block in enumerate(model.blocks):
        for head in range(cfg.n_heads):
            W_K, W_V = block.attn.of_kv_heads("W_K")[head // group], block.attn.of_kv_heads("W_V")[head // group]
            torch.testing.assert_close(OV[layer, head], W_V @ block.attn.W_O[head])
            torch.testing.assert_close(QK[layer, head], block.attn.W_Q[head] @ W_K.T)
        torch.testing.assert_close(block.attn.OV.dense(), OV[layer])
        torch.testing.assert_close(block.attn.QK.dense(), QK[layer])
        assert (block.attn.OV.note, block.attn.QK.note) == (model.OV.note, model.QK.note)
    kv, full = (8 * cfg.n_layers * n_heads * cfg.d_model * cfg.d_head for n_heads in (cfg.n_kv_heads, cfg.n_heads))
    assert model.OV.nbytes == model.QK.nbytes == kv + full  # nothing is repeated inside
    held = {factor.tensor.untyped_storage().data_ptr() for factor in model.blocks[0].attn.OV.factors}
    assert held == {
        model.blocks[0].attn.of_kv_heads("W_V").untyped_storage().data_ptr(),
        model.blocks[0].attn.W_O.untyped_storage().data_ptr(),
    }


@pytest.mark.parametrize("kind", GROUPED[:3])
def test_circuits_of_shared_heads_answer_as_dense_ones_do_and_carry_gradients(kind: str) -> None:
    model = make(kind)
    logits = model.W_E @ model.OV @ model.W_U
    assert isinstance(logits, FactoredMatrix)
    dense = model.W_E @ model.OV.dense() @ model.W_U
    torch.testing.assert_close(logits.dense(), dense)
    torch.testing.assert_close(logits.norm(), torch.linalg.matrix_norm(dense))
    torch.testing.assert_close(model.QK[0, 1:].trace(), model.QK.dense()[0, 1:].diagonal(dim1=-2, dim2=-1).sum(-1))
    shared = model.blocks[0].attn.get_parameter("_W_V")
    mine = torch.autograd.grad(model.OV.norm().sum(), shared)[0]
    W_V = shared.repeat_interleave(model.cfg.n_heads // model.cfg.n_kv_heads, dim=0)
    truth = torch.autograd.grad(torch.linalg.matrix_norm(W_V @ model.blocks[0].attn.W_O).sum(), shared)[0]
    torch.testing.assert_close(mine, truth)


SCORES = "not all of the scores: "
TURNED = "queries and keys turn with the position (this is the form at distance 0)"
NOTES = {
    "turning": SCORES + TURNED,
    "adjacent pairs, parallel": SCORES + TURNED,
    "slopes": SCORES + "scores fall with the distance",
    "two bases": f"{SCORES}queries and keys are normalised, {TURNED}",
    "caps, norms before and after": f"{SCORES}{TURNED}, scores are capped at 1.5",
    "norms of heads, parallel": f"{SCORES}queries and keys are normalised, {TURNED}",
}
AFTER = "not what is added: a norm of the sum over heads follows"
STREAM = "not what stays: the stream is normalised after the addition"


def test_the_texts_of_notes() -> None:
    for kind, note in NOTES.items():
        assert make(kind).QK.note == note
    for kind in ("caps, norms before and after", "joint norm of heads, norms after", "norms after, attention only"):
        assert make(kind).OV.note == AFTER
    for kind in ("norms of the stream", "norms of the stream, RMS"):
        assert make(kind).OV.note == STREAM
    for kind in ("plain", "folded norm", "attention only", "windows", "experts", "square", "bidirectional"):
        assert make(kind).OV.note == ""
    for kind in (
        "plain",
        "folded norm",
        "attention only",
        "windows",
        "all experts",
        "norms of the stream",
        "shortformer",
    ):
        assert make(kind).QK.note == ""
    assert "Note" not in repr(make("plain").QK)
    assert repr(make("slopes").QK).endswith(f"Note({NOTES['slopes']})")


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_note_stands_exactly_where_the_circuits_are_not_all(kind: str) -> None:
    model = make(kind, n_layers=1, **({"attn_types": ("local",)} if "attn_types" in ARCHITECTURES[kind] else {}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("b_Q", "b_K", "b_V", "b_O")):
                parameter.zero_()
    cache = model.run_with_cache(tokens_for(model))[1]
    pre = cache["resid_pre", 0]
    read = pre if model.cfg.norm_placement in ("after", "stream") else model.blocks[0].ln1(pre).detach()
    asks = read + cache["pos_embed"] if kind.startswith("shortformer") else read
    QK, OV = model.QK.dense()[0].detach(), model.OV.dense()[0].detach()
    scores = torch.einsum("bqm,hmn,bkn->bhqk", asks, QK, asks) / model.cfg.attn_scale
    scores = scores.masked_fill(cache["attn_scores", 0] == -torch.inf, -torch.inf)
    assert torch.allclose(scores, cache["attn_scores", 0]) == (model.QK.note == "")
    written = torch.einsum("bhqk,bkm,hmn->bqn", cache["pattern", 0], read, OV)
    if model.cfg.attn_only:
        added = cache["resid_post", 0] - pre
    elif model.cfg.parallel_attn_mlp:
        added = cache["resid_post", 0] - pre - cache["mlp_out", 0]
    else:
        added = cache["resid_mid", 0] - pre
    assert torch.allclose(written, added) == (model.OV.note == "")
    if model.QK.note == SCORES + TURNED:  # what the note says about distance 0
        torch.testing.assert_close(
            scores.diagonal(dim1=-2, dim2=-1), cache["attn_scores", 0].diagonal(dim1=-2, dim2=-1), rtol=1e-9, atol=1e-9
        )


MADE_FROM_A_CIRCUIT: dict[str, Callable[[FactoredMatrix, HookedTransformer], object]] = {
    "@ from the right": lambda QK, model: QK @ model.W_E.T,
    "@ from the left": lambda QK, model: model.W_E @ QK,
    "@ from both sides": lambda QK, model: model.W_E @ QK @ model.W_E.T,
    "@ of a chain without note": lambda QK, model: QK @ FactoredMatrix(model.W_U, model.W_U.T),
    "@ after a chain without note": lambda QK, model: FactoredMatrix(model.W_U, model.W_U.T) @ QK,
    "T": lambda QK, model: QK.T,
    "a layer": lambda QK, model: QK[0],
    "a head": lambda QK, model: QK[0, 1],
    "heads in another order": lambda QK, model: QK[:, [2, 0, 2]],
    "rows": lambda QK, model: QK[0, 1, 2:5],
    "iteration": lambda QK, model: next(iter(QK)),
    "unsqueeze": lambda QK, model: QK.unsqueeze(0),
    "times": lambda QK, model: 2 * QK,
    "minus": lambda QK, model: -QK,
    "sum": lambda QK, model: QK + QK,
    "make_even": lambda QK, model: QK.make_even(),
    "to": lambda QK, model: QK.to(torch.float32),
    "detach": lambda QK, model: QK.detach(),
    "pickle": lambda QK, model: pickle.loads(pickle.dumps(QK.detach())),
    "deepcopy": lambda QK, model: copy.deepcopy(QK.detach()),
    "copy": lambda QK, model: copy.copy(QK),
}


@pytest.mark.parametrize("how", MADE_FROM_A_CIRCUIT)
@pytest.mark.parametrize("kind", ["slopes", "turning"])
def test_what_is_made_from_a_circuit_carries_its_note(kind: str, how: str) -> None:
    model = make(kind, n_layers=2)
    made = MADE_FROM_A_CIRCUIT[how](model.QK, model)
    assert isinstance(made, FactoredMatrix)
    assert made.note == NOTES[kind]
    assert model.QK.with_note("").note == ""


# ---- tied weights ----------------------------------------------------------------------------------------------------


def tied(**changes: Any) -> HookedTransformer:
    model = make("plain", d_vocab_out=11, **changes)
    model.unembed.W_U.data = model.embed.W_E.data.T
    return model


def test_what_counts_as_tied() -> None:
    assert tied().is_tied
    assert not make("plain", d_vocab_out=11).is_tied
    square = make("square")
    square.unembed.W_U.data = square.embed.W_E.data  # the same memory, and not the transpose
    assert not square.is_tied
    copied = tied()
    copied.unembed.W_U.data = copied.embed.W_E.data.T.clone()
    assert not copied.is_tied
    assert not tied().to("meta").is_tied


@pytest.mark.parametrize("move", ["to", "half", "double"])
def test_a_tied_network_stays_tied_when_it_is_cast(move: str) -> None:
    model = tied(dtype=torch.float32)
    before = model.W_E.detach().clone()
    for _ in range(2):
        {"to": lambda: model.to(torch.float64), "half": model.bfloat16, "double": model.double}[move]()
        assert model.is_tied
    assert isinstance(model.unembed.W_U, nn.Parameter)
    torch.testing.assert_close(model.W_E.double(), before.double(), rtol=1e-2, atol=0)
    assert model.cfg.dtype == model.W_E.dtype
    assert not make("plain", d_vocab_out=11).to(torch.float32).is_tied


@pytest.mark.parametrize("is_tied", [True, False])
def test_a_copy_is_tied_where_the_network_is_and_shares_nothing_with_it(is_tied: bool) -> None:
    model = tied() if is_tied else make("plain", d_vocab_out=11)
    model.unembed.W_U.requires_grad_(False)
    tokens = tokens_for(model)
    before = model(tokens)
    other = copy.deepcopy(model)
    assert type(other) is HookedTransformer
    assert other.is_tied == is_tied
    assert torch.equal(other(tokens), before)
    assert not other.unembed.W_U.requires_grad
    assert other.embed.W_E.requires_grad
    assert other.cfg is not model.cfg
    assert other.blocks[1].attn.cfg is other.cfg
    assert [name for name, _ in other.named_parameters()] == [name for name, _ in model.named_parameters()]
    mine = {parameter.data_ptr() for parameter in model.parameters()}
    assert not mine & {parameter.data_ptr() for parameter in other.parameters()}
    with torch.no_grad():
        other.embed.W_E.mul_(2)
    assert torch.equal(model(tokens), before)
    assert (other.unembed.W_U == other.embed.W_E.T).all() == is_tied
    seen: list[str] = []
    other.run_with_hooks(tokens, fwd_hooks=[("hook_embed", lambda t, hook: seen.append(hook.name))])
    assert seen == ["hook_embed"]
    assert other.hook_dict["hook_embed"] is other.hook_embed
    pair = copy.deepcopy({"first": model, "second": model})  # one memory of what was copied
    assert pair["first"] is pair["second"]


def test_state_dictionaries_of_tied_networks() -> None:
    model, other = tied(), tied(seed=9)
    with torch.no_grad():
        other.embed.W_E.mul_(3)
    other.load_state_dict(model.state_dict())
    assert other.is_tied
    assert torch.equal(other.W_E, model.W_E)
    other.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()})
    assert other.is_tied
    # weights that differ untie it, instead of one overwriting the other
    state = dict(make("plain", d_vocab_out=11).state_dict())
    state["unembed.W_U"] = torch.arange(132.0).view(12, 11).double()
    other.load_state_dict(state)
    assert not other.is_tied
    assert torch.equal(other.W_E, state["embed.W_E"])
    assert torch.equal(other.W_U, state["unembed.W_U"])
    again = tied()
    again.load_state_dict(state, assign=True)
    assert torch.equal(again.W_U, state["unembed.W_U"])
    assert not again.is_tied
    # what a part of a state does not name stays as it was
    part, before = tied(), model.W_U.detach().clone()
    part.load_state_dict({"unembed.b_U": torch.ones(11).double()}, strict=False)
    assert part.is_tied
    part.load_state_dict({"embed.W_E": torch.ones(11, 12).double()}, strict=False)
    assert not part.is_tied
    assert (part.W_E == 1).all()
    assert torch.equal(part.W_U, before)
    part = tied()
    part.load_state_dict({"unembed.W_U": torch.ones(12, 11).double()}, strict=False)
    assert not part.is_tied
    assert torch.equal(part.W_E, before.T)
    fresh = make("plain", d_vocab_out=11)
    fresh.load_state_dict(model.state_dict(), assign=True)
    assert fresh.is_tied


# ---- state dictionaries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_round_trip_of_the_state(kind: str) -> None:
    model = make(kind)
    other = HookedTransformer({**BASE, **ARCHITECTURES[kind], "dtype": torch.float64, "seed": 8})
    other.load_state_dict(model.state_dict())
    tokens = tokens_for(model)
    assert torch.equal(other(tokens), model(tokens))


def test_the_layout_of_weights_survives_loading() -> None:
    model, other = make("turning"), make("turning", seed=4)
    other.load_state_dict({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    for name in ("W_Q", "_W_K", "_W_V"):
        weight = other.blocks[0].attn.get_parameter(name)
        assert weight.transpose(0, 1).flatten(1).data_ptr() == weight.data_ptr()


OLD = {
    "blocks.0.attn.mask": torch.ones(7, 7, dtype=torch.bool),
    "blocks.1.attn.IGNORE": torch.tensor(-1e5),
    "blocks.0.attn.rotary_sin": torch.zeros(7, 4),
    "blocks.1.attn.rotary_cos": torch.zeros(7, 4),
}


def test_state_dictionaries_of_older_tools_load_strictly() -> None:
    model = make("turning in part, folded")
    with torch.no_grad():
        for block in model.blocks:
            block.mlp.get_parameter("b_gate").zero_()
    state = dict(model.state_dict())
    other = make("turning in part, folded", seed=8)  # its gates have biases, which must become zero
    old = {name: tensor for name, tensor in state.items() if not name.endswith("b_gate")} | OLD
    assert "blocks.0.attn._W_K" in old
    other.load_state_dict(old)
    assert torch.equal(other(tokens_for(model)), model(tokens_for(model)))
    assert sorted(other.state_dict()) == sorted(state)
    assert not set(OLD) & set(other.state_dict())


def test_experts_of_older_tools_have_no_biases_of_their_gates() -> None:
    model, other = make("experts"), make("experts", seed=8)
    with torch.no_grad():
        model.blocks[0].mlp.get_parameter("b_gate").zero_()
    other.load_state_dict({name: tensor for name, tensor in model.state_dict().items() if not name.endswith("b_gate")})
    assert torch.equal(other(tokens_for(model)), model(tokens_for(model)))


@pytest.mark.parametrize(
    ("kind", "drop", "add", "text"),
    [
        ("plain", "embed.W_E", {}, "1 tensors are missing, the first is 'embed.W_E'"),
        ("plain", None, {"blocks.0.attn.W_QQ": torch.zeros(1)}, r"left over, the first is 'blocks.0.attn.W_QQ' \(near 'blocks.0.attn.W_Q'\)"),
        ("plain", None, {"blocks.0.mask": torch.zeros(1)}, "left over, the first is 'blocks.0.mask'"),
        ("plain", None, {"blocks.0.attn.rotary_sin.x": torch.zeros(1)}, "left over"),
        ("plain", "blocks.0.mlp.b_in", {}, "1 tensors are missing, the first is 'blocks.0.mlp.b_in'"),
        ("plain", None, {"pos_embed.W_pos": torch.zeros(8, 12)}, r"'pos_embed.W_pos' must have shape \[7, 12\]; \[8, 12\] of torch.float32 came"),
        ("plain", None, {"pos_embed.W_pos": torch.zeros(7, 12, dtype=torch.complex64)}, r"\[7, 12\] of torch.complex64 came"),
        ("turning", "blocks.0.attn._W_K", {"blocks.0.attn.W_K": torch.zeros(4, 12, 6)}, "first is 'blocks.0.attn._W_K'; 1 are left over, the first is 'blocks.0.attn.W_K'"),
        ("turning", "blocks.0.mlp.W_gate", {}, "1 tensors are missing, the first is 'blocks.0.mlp.W_gate'"),
        ("two bases", "blocks.1.attn.q_norm.w", {}, "1 tensors are missing, the first is 'blocks.1.attn.q_norm.w'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(kind: str, drop: str | None, add: dict[str, Tensor], text: str) -> None:
    model = make(kind)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items() if name != drop}
    with pytest.raises(CheckpointError, match=text):
        model.load_state_dict({**state, **add})


def test_the_configuration_follows_the_parameters() -> None:
    model = make("plain", torch.float32)
    model.to(torch.float64)
    assert model.cfg.dtype == torch.float64
    model.to("meta")
    assert str(model.cfg.device) == "meta"


@pytest.mark.parametrize("mode", ["gpt2", "xavier_uniform", "xavier_normal"])
def test_what_heads_share_is_drawn_as_what_they_do_not(mode: str) -> None:
    model = make("turning", d_model=64, d_head=32, init_mode=mode)
    model.init_weights()
    width = 64 + 2 * 32  # of a layer's keys, all heads together
    expected = model.cfg.initializer_range if mode == "gpt2" else (2 / width) ** 0.5
    for name in ("_W_K", "_W_V"):
        drawn = model.blocks[0].attn.get_parameter(name)
        assert drawn.std().item() == pytest.approx(expected, rel=0.05)
    for name in ("_b_K", "_b_V"):
        assert model.blocks[0].attn.get_parameter(name).count_nonzero() == 0
