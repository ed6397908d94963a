"""Small networks of two elements: their formulas, how they are drawn, loaded, assigned to, hooked and refused."""

import copy
import json
from typing import Any

import pytest
import torch
from torch import Tensor

from refractor.base.errors import ArgumentError, CheckpointError, ConfigError, ShapeError
from refractor.models.pair_networks import (
    OneLayerMLP,
    PairNetwork,
    PairNetworkConfig,
    build_pair_network,
    pair_network_of,
)

KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"architecture": "mlp", "d_embed": 6, "d_hidden": 8},
    "mlp with biases": {"architecture": "mlp", "d_embed": 6, "d_hidden": 8, "biases": True},
    "mlp, shared": {"architecture": "mlp", "d_embed": 6, "d_hidden": 8, "shared": True},
    "mlp, two layers": {"architecture": "mlp", "d_embed": 6, "d_hidden": 8, "hidden_layers": 2, "biases": True},
    "mlp, all": {
        "architecture": "mlp",
        "d_embed": 6,
        "d_hidden": 8,
        "hidden_layers": 2,
        "biases": True,
        "shared": True,
    },
    "bilinear": {"architecture": "bilinear", "d_embed": 6},
    "bilinear, shared": {"architecture": "bilinear", "d_embed": 6, "shared": True},
    "quadratic": {"architecture": "quadratic", "d_hidden": 8},
}
N = 5
PAIRS = torch.cartesian_prod(torch.arange(N), torch.arange(N))


def make(kind: str, **options: Any) -> PairNetwork:
    """A network with every parameter away from 0, biases included."""
    model = build_pair_network({**KINDS[kind], "n": N, "seed": 0, "dtype": "float64", **options})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model


def by_formula(model: PairNetwork, x: int, y: int) -> Tensor:
    """The logits of one pair, written out."""
    w = dict(model.named_parameters())
    first, second = (w["W_E"], w["W_E"]) if model.cfg.shared else (w.get("W_x"), w.get("W_y"))
    if model.cfg.architecture == "quadratic":
        return (w["U"][x] + w["V"][y]) ** 2 @ w["W"]
    assert first is not None
    assert second is not None
    if model.cfg.architecture == "bilinear":
        return (first[x] * second[y]) @ w["W_U"]
    hidden = (torch.cat([first[x], second[y]]) @ w["W"] + w.get("b_1", 0)).relu()
    if "W_2" in w:
        hidden = (hidden @ w["W_2"] + w.get("b_2", 0)).relu()
    return hidden @ w["W_U"] + w.get("b_U", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_has_the_logits_of_the_formula(kind: str) -> None:
    model = make(kind)
    truth = torch.stack([by_formula(model, x, y) for x, y in PAIRS.tolist()])
    torch.testing.assert_close(model(PAIRS), truth, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(PAIRS[7:9]), truth[7:9], rtol=1e-12, atol=1e-12)  # fewer pairs than elements
    questions = torch.cat([PAIRS, torch.full((len(PAIRS), 1), N)], dim=1)
    assert torch.equal(model(questions), model(PAIRS))


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_point_bites_and_a_hooked_run_agrees(kind: str) -> None:
    model = make(kind)
    plain, cache = model.run_with_cache(PAIRS)
    torch.testing.assert_close(plain, model(PAIRS), rtol=1e-12, atol=1e-12)
    assert set(cache.keys()) == set(model.hook_dict)
    assert ("embed_stack" in cache) == (model.cfg.architecture == "mlp")
    assert ("hidden_2" in cache) == (model.cfg.hidden_layers == 2)
    for name, entry in cache.items():
        assert entry.reshape(N, N, -1).shape[-1] == {"embed_stack": 12}.get(name, model.cfg.d_hidden or 6)
        edited = model.run_with_hooks(PAIRS, fwd_hooks=[(name, lambda t, hook: 1.5 * t)])
        assert not torch.allclose(edited, plain), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_are_what_the_hidden_layer_is_made_of(kind: str) -> None:
    model = make(kind)
    x, y = PAIRS.T
    first, second = model.tables()
    joined = first[x] + second[y] if model.joins == "sum" else first[x] * second[y]
    torch.testing.assert_close(model.read_out(joined), model(PAIRS), rtol=1e-12, atol=1e-12)
    if model.cfg.architecture == "mlp":
        A, B = model.folded()
        w = dict(model.named_parameters())
        torch.testing.assert_close(A, w["W_E" if model.cfg.shared else "W_x"] @ w["W"][:6])
        torch.testing.assert_close(B, w["W_E" if model.cfg.shared else "W_y"] @ w["W"][6:])


def test_weights_are_drawn_as_in_the_published_code() -> None:
    model = build_pair_network({"architecture": "mlp", "n": 7, "d_embed": 4, "d_hidden": 3, "seed": 5})
    torch.manual_seed(5)
    for name, shape, scale in (("W_x", (7, 4), 4), ("W_y", (7, 4), 4), ("W", (8, 3), 8), ("W_U", (3, 7), 3)):
        assert torch.equal(model.state_dict()[name], torch.randn(shape) / scale**0.5), name
    assert list(model.state_dict()) == ["W_x", "W_y", "W", "W_U"]
    bilinear = build_pair_network({"architecture": "bilinear", "n": 7, "d_embed": 4, "seed": 5})
    torch.manual_seed(5)
    for name, shape in (("W_x", (7, 4)), ("W_y", (7, 4)), ("W_U", (4, 7))):
        assert torch.equal(bilinear.state_dict()[name], torch.randn(shape) / 2), name


def test_a_seed_gives_one_network_and_biases_begin_at_zero() -> None:
    one, two, other = (build_pair_network({**KINDS["mlp, all"], "n": N, "seed": seed}) for seed in (0, 0, 1))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
        assert (tensor.abs().max() == 0) == name.startswith("b_")
        assert torch.equal(tensor, other.state_dict()[name]) == name.startswith("b_")
    before = torch.get_rng_state()
    build_pair_network({**KINDS["mlp"], "n": N, "seed": 0})
    assert torch.equal(before, torch.get_rng_state())


def test_both_naming_schemes_load_and_read() -> None:
    source, target = make("mlp"), make("mlp", seed=3)
    assert isinstance(target, OneLayerMLP)
    state = source.state_dict()
    old = {{"W_x": "W_E_a", "W_y": "W_E_b"}.get(name, name): tensor for name, tensor in state.items()}
    target.load_state_dict(old)
    assert torch.equal(target(PAIRS), source(PAIRS))
    assert torch.equal(target.W_E_a, state["W_x"])
    assert target.W_E_b is target.W_y
    assert not hasattr(target, "W_E")
    assert not hasattr(make("quadratic"), "W_E_a")
    shared = make("mlp, shared")
    assert isinstance(shared, OneLayerMLP)
    assert shared.W_E_a is shared.W_y is shared.W_E


@pytest.mark.parametrize("name", ["W_E_a", "W_x"])
def test_after_a_deep_copy_an_assigned_embedding_changes_the_next_pass(name: str) -> None:
    model = make("mlp")
    before = model(PAIRS)
    new = copy.deepcopy(model)
    setattr(new, name, torch.nn.Parameter(torch.zeros(N, 6, dtype=torch.float64)))
    assert torch.equal(model(PAIRS), before)
    changed = new(PAIRS).reshape(N, N, N)
    assert not torch.allclose(changed, before.reshape(N, N, N))
    assert torch.allclose(changed, changed[:1].expand_as(changed))  # the first element is read no more
    assert list(new.state_dict()) == list(model.state_dict())
    _, cache = new.run_with_cache(PAIRS)
    assert cache["embed_stack"][:, :6].abs().max() == 0


def test_an_assigned_parameter_must_keep_its_shape() -> None:
    with pytest.raises(ShapeError, match=r"W_x must have shape \[5, 6\]; \[6, 5\] came"):
        make("mlp").W_E_a = torch.nn.Parameter(torch.zeros(6, 5))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"W_U": None}, "1 tensors are missing, the first is 'W_U'"),
        ({"W_z": torch.zeros(1)}, r"1 are left over, the first is 'W_z'"),
        ({"W": torch.zeros(13, 8)}, r"'W' must have shape \[12, 8\]; \[13, 8\]"),
        ({"W_E_a": torch.zeros(N, 6)}, "hold 'W_x' twice, the second time as 'W_E_a'"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: dict[str, Tensor | None], text: str) -> None:
    state = {**make("mlp").state_dict(), **change}
    with pytest.raises(CheckpointError, match=text):
        make("mlp").load_state_dict({name: tensor for name, tensor in state.items() if tensor is not None})


@pytest.mark.parametrize("kind", KINDS)
def test_weights_alone_tell_the_network(kind: str) -> None:
    model = make(kind)
    found = pair_network_of(model.state_dict(), name="found")
    assert torch.equal(found(PAIRS), model(PAIRS))
    assert {**found.cfg.to_dict(), "seed": 0, "model_name": "custom", "init_weights": True} == model.cfg.to_dict()


def test_weights_of_no_network_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"has the weights W_x, W_y, W, W_U \(mlp\).*\{'W_x': \[2, 3\]\} came"):
        pair_network_of({"W_x": torch.zeros(2, 3)})
    with pytest.raises(CheckpointError, match=r"'W_y' must have shape \[2, 3\]; \[4, 3\]"):
        pair_network_of({"W_x": torch.zeros(2, 3), "W_y": torch.zeros(4, 3), "W_U": torch.zeros(3, 2)})


def test_a_configuration_survives_a_trip_through_json_and_is_frozen() -> None:
    for kind in KINDS.values():
        cfg = PairNetworkConfig.from_dict({**kind, "n": N})
        assert PairNetworkConfig.from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg
    with pytest.raises(AttributeError):
        make("mlp").cfg.n = 6  # pyright: ignore[reportAttributeAccessIssue]
    assert make("mlp").float().cfg.torch_dtype == torch.float32
    assert next(make("mlp", dtype="float32").parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"architecture": "mpl", "n": 3}, "architecture must be one of 'mlp', 'bilinear', 'quadratic'; 'mpl' came"),
        ({"architecture": "mlp"}, "PairNetworkConfig needs n"),
        ({"architecture": "mlp", "n": 0}, "n must be an integer of at least 1"),
        ({"architecture": "mlp", "n": 3, "d_embd": 2}, "'d_embd' is no field of PairNetworkConfig. Nearest: d_embed"),
        ({"architecture": "mlp", "n": 3, "d_hidden": 0}, "d_hidden must be an integer of at least 1"),
        ({"architecture": "bilinear", "n": 3, "d_hidden": 4}, "'bilinear' has no d_hidden, only d_embed"),
        ({"architecture": "quadratic", "n": 3, "shared": True}, "shared=True needs architecture='mlp' or 'bilinear'"),
        ({"architecture": "bilinear", "n": 3, "biases": True}, "biases=True needs architecture='mlp'"),
        ({"architecture": "quadratic", "n": 3, "hidden_layers": 2}, "hidden_layers=2 needs architecture='mlp'"),
        ({"architecture": "mlp", "n": 3, "hidden_layers": 3}, "hidden_layers must be an integer from 1 to 2"),
        ({"architecture": "mlp", "n": 3, "biases": 1}, "biases must be True or False"),
        ({"architecture": "mlp", "n": 3, "dtype": "int8"}, "dtype must be one of"),
        ({"architecture": "mlp", "n": 3, "seed": -1}, "seed must be an integer from 0"),
        ({"architecture": "mlp", "n": 3, "device": "warp"}, "device must be one that torch knows"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_configurations_are_named(fields: dict[str, Any], text: str) -> None:
    with pytest.raises((ConfigError, ArgumentError), match=text):
        PairNetworkConfig.from_dict(fields)


@pytest.mark.parametrize(
    ("tokens", "error", "text"),
    [
        (torch.zeros(2, 4, dtype=torch.long), ShapeError, r"shape \[batch, 2\].*\[batch, 3\] with the token 5 for '='"),
        (torch.zeros(2, dtype=torch.long), ShapeError, r"\[2\] came"),
        (torch.zeros(2, 2), ShapeError, "elements must be a tensor of integers"),
        (torch.tensor([[0, 5]]), ArgumentError, r"elements must lie in 0 … 4"),
        (torch.tensor([[0, 1, 2]]), ArgumentError, "the third token must be 5, which stands for '='; 2 came"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_tokens_are_named(tokens: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make("mlp")(tokens)
