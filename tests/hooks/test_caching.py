"""Caching: what is kept, that it never changes, what it costs, and what is refused."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from refractor.base import budget
from refractor.base.errors import ArgumentError, BudgetError, HookError, ShapeError, UnknownNameError
from refractor.hooks import ActivationCache, HookedRootModule, HookPoint

AXES = ("batch", "pos", "d_model")


class Stream(HookedRootModule):
    """A residual stream of three layers: the end of a layer is, in memory, the start of the next."""

    def __init__(self, n_layers: int = 3) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.parts = nn.ModuleList(nn.Linear(4, 4) for _ in range(n_layers))
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: HookPoint(AXES) for name in ("hook_resid_pre", "hook_out", "hook_resid_post")})
            for _ in range(n_layers)
        )
        self.setup()

    def forward(self, x: Tensor, stop_at_layer: int | None = None) -> Tensor:
        for layer in range(self.n_layers if stop_at_layer is None else stop_at_layer):
            block: Any = self.blocks[layer]
            x = block["hook_resid_pre"](x)
            x = block["hook_resid_post"](x + block["hook_out"](self.parts[layer](x)))
        return x.sum() if stop_at_layer is None else x


@pytest.fixture
def net() -> Stream:
    torch.manual_seed(0)
    return Stream()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))


def name(layer: int, point: str) -> str:
    return f"blocks.{layer}.hook_{point}"


def spoil(tensor: Tensor, hook: HookPoint) -> None:
    tensor.fill_(777.0)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("order", ["edit first", "cache first"])
def test_cached_values_survive_later_edits_in_place(net: Stream, x: Tensor, grad: bool, order: str) -> None:
    with torch.set_grad_enabled(grad):
        truth = net.run_with_cache(x)[1]
        if order == "edit first":  # the edit is at a later point that shares the memory of an earlier one
            with net.hooks([(name(1, "resid_pre"), spoil)]):
                cache = net.run_with_cache(x)[1]
        else:
            tensors = net.add_caching_hooks()
            net.run_with_hooks(x, fwd_hooks=[(name(1, "resid_pre"), spoil)])
            net.reset_hooks()
            cache = ActivationCache(tensors)
            assert torch.equal(cache[name(1, "resid_pre")], truth[name(1, "resid_pre")])
    assert torch.equal(cache["resid_post", 0], truth["resid_post", 0])
    assert not torch.equal(cache["resid_post", 1], truth["resid_post", 1])


def test_a_tensor_that_a_hook_hands_in_is_not_edited_either(net: Stream, x: Tensor) -> None:
    clean = net.run_with_cache(x)[1]
    kept = clean["resid_pre", 1].clone()
    patch = (name(1, "resid_pre"), lambda t, hook: clean["resid_pre", 1])
    with torch.no_grad():
        net.run_with_hooks(x, fwd_hooks=[patch, (name(1, "resid_pre"), spoil)])
    assert torch.equal(clean["resid_pre", 1], kept)


def test_nothing_is_copied(net: Stream, x: Tensor) -> None:
    with torch.no_grad():
        cache = net.run_with_cache(x)[1]
    assert cache["resid_post", 0].data_ptr() == cache["resid_pre", 1].data_ptr()
    one = x.numel() * 4
    assert cache.nbytes == net.cache_bytes(x) == one * (1 + 2 * net.n_layers)


def test_filters(net: Stream, x: Tensor) -> None:
    assert list(net.run_with_cache(x, names_filter=name(0, "out"))[1]) == [name(0, "out")]
    two = [name(2, "out"), name(0, "out")]
    assert set(net.run_with_cache(x, names_filter=two)[1]) == set(two)
    assert len(net.run_with_cache(x, names_filter=lambda n: "resid" in n)[1]) == 6
    with pytest.raises(UnknownNameError, match="Nearest: 'blocks.0.hook_out'"):
        net.run_with_cache(x, names_filter="blocks.0.hook_outt")
    with pytest.raises(UnknownNameError, match="predicate"):
        net.run_with_cache(x, names_filter=lambda n: False)
    with pytest.raises(UnknownNameError, match="zzz"):
        net.run_with_cache(x, names_filter=[name(0, "out"), "zzz"])
    with pytest.raises(HookError, match="empty"):
        net.run_with_cache(x, names_filter=[])


def test_a_named_point_that_never_fires_raises(net: Stream, x: Tensor) -> None:
    with pytest.raises(HookError, match="blocks.2.hook_out.*stop_at_layer"):
        net.run_with_cache(x, names_filter=name(2, "out"), stop_at_layer=1)
    cache = net.run_with_cache(x, names_filter=lambda n: "out" in n, stop_at_layer=1)[1]
    assert list(cache) == [name(0, "out")]
    with pytest.raises(UnknownNameError, match="is a hook point but was not cached"):
        cache["out", 2]


def test_entries_are_detached_unless_asked(net: Stream, x: Tensor) -> None:
    assert not net.run_with_cache(x)[1]["out", 0].requires_grad
    out, cache = net.run_with_cache(x, detach=False)
    gradient = torch.autograd.grad(out, cache["out", 2])[0]
    torch.testing.assert_close(gradient, torch.ones(2, 5, 4))


def test_incl_bwd_gives_gradients_and_leaves_parameters_alone(net: Stream, x: Tensor) -> None:
    net.parts[0].weight.grad = torch.full((4, 4), 5.0)
    cache = net.run_with_cache(x, incl_bwd=True)[1]
    truth: dict[str, Tensor] = {}
    hooks = [(lambda n: True, lambda g, hook: truth.update({hook.name: g}))]
    net.run_with_hooks(x.clone().requires_grad_(), bwd_hooks=hooks).backward()
    for point in net.hook_dict:
        if point != name(0, "resid_pre"):  # the input itself has no gradient in the first run
            torch.testing.assert_close(cache[point + "_grad"], truth[point])
    fresh = Stream()
    fresh.parts[0].weight.grad = torch.full((4, 4), 5.0)
    fresh.run_with_cache(x, incl_bwd=True)
    assert torch.equal(fresh.parts[0].weight.grad, torch.full((4, 4), 5.0))
    assert fresh.parts[1].weight.grad is None
    assert cache.nbytes <= net.cache_bytes(x, incl_bwd=True)


def test_incl_bwd_says_what_it_needs(net: Stream, x: Tensor) -> None:
    with pytest.raises(HookError, match=r"scalar output.*return_type='loss'"):
        net.run_with_cache(x, incl_bwd=True, stop_at_layer=2)
    with torch.no_grad(), pytest.raises(HookError, match="gradients, but they are disabled"):
        net.run_with_cache(x, incl_bwd=True)
    assert all(not point.hooked for point in net.hook_points())


def test_user_backward_hooks_take_part_in_incl_bwd(net: Stream, x: Tensor) -> None:
    plain = net.run_with_cache(x, incl_bwd=True)[1]
    with net.hooks(bwd_hooks=[(name(2, "out"), lambda g, hook: 2 * g)]):
        cache = net.run_with_cache(x, incl_bwd=True)[1]
    torch.testing.assert_close(cache[name(2, "out") + "_grad"], 2 * plain[name(2, "out") + "_grad"])


@pytest.mark.parametrize(
    ("positions", "shape", "axes"),
    [
        (3, (2, 4), ("batch", "d_model")),
        (-1, (2, 4), ("batch", "d_model")),
        (slice(1, 3), (2, 2, 4), AXES),
        ((1, 4), (2, 3, 4), AXES),
        ([0, 4], (2, 2, 4), AXES),
        (torch.tensor([1]), (2, 1, 4), AXES),
    ],
)
def test_pos_slice_cuts_the_declared_axis(net: Stream, x: Tensor, positions, shape, axes) -> None:  # noqa: ANN001
    full = net.run_with_cache(x)[1]
    cut = net.run_with_cache(x, pos_slice=positions)[1]
    index = slice(*positions) if isinstance(positions, tuple) else positions
    for key, tensor in cut.items():
        assert tensor.shape == shape
        assert cut.axes(key) == axes
        torch.testing.assert_close(tensor, full[key][:, index])
    assert cut.nbytes == net.cache_bytes(x, pos_slice=positions) == sum(t.numel() * 4 for t in cut.values())


@pytest.mark.usefixtures("untyped")
def test_pos_slice_out_of_range_names_the_point(net: Stream, x: Tensor) -> None:
    with pytest.raises(ArgumentError, match=r"pos_slice=9 does not fit 'blocks.0.hook_resid_pre', \[batch=2, pos=5"):
        net.run_with_cache(x, pos_slice=9)
    with pytest.raises(ArgumentError, match="pos_slice='a'"):
        net.run_with_cache(x, pos_slice="a")  # pyright: ignore[reportArgumentType]


def test_remove_batch_dim_needs_a_batch_of_one(net: Stream, x: Tensor) -> None:
    cache = net.run_with_cache(x[:1], remove_batch_dim=True)[1]
    assert cache["out", 0].shape == (5, 4)
    assert cache.axes(name(0, "out")) == ("pos", "d_model")
    with pytest.raises(ShapeError, match=r"batch of 1, but .*batch=2"):
        net.run_with_cache(x, remove_batch_dim=True)
    assert net.run_with_cache(x[:1])[1].remove_batch_dim()["out", 0].shape == (5, 4)


def test_plain_dictionary_and_caching_hooks_that_stay(net: Stream, x: Tensor) -> None:
    assert isinstance(net.run_with_cache(x, return_cache_object=False)[1], dict)
    tensors = net.add_caching_hooks(names_filter=name(1, "out"), incl_bwd=True)
    net(x).backward()
    assert set(tensors) == {name(1, "out"), name(1, "out") + "_grad"}
    first = tensors[name(1, "out")]
    net(2 * x)
    assert not torch.equal(tensors[name(1, "out")], first)
    net.reset_hooks()
    assert all(not point.hooked for point in net.hook_points())


def test_what_cannot_fit_is_refused_before_the_pass(net: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    net.register_forward_pre_hook(lambda module, args: ran.append(1) if not args[0].is_meta else None)
    monkeypatch.setattr(budget, "available_bytes", lambda device="cpu": 1000)
    with pytest.raises(
        BudgetError, match=r"run_with_cache would hold 1.1 kB, but 900 B may be used on cpu.*names_filter"
    ):
        net.run_with_cache(torch.zeros(2, 5, 4))
    assert ran == []
    net.run_with_cache(torch.zeros(2, 5, 4), names_filter=name(0, "out"))
    assert ran == [1]


def test_a_forecast_does_not_fire_users_hooks(net: Stream, x: Tensor) -> None:
    fired: list[str] = []
    net.add_hook(lambda n: True, lambda t, hook: fired.append(hook.name))
    net.cache_bytes(x)
    net.cache_bytes(x, names_filter=name(0, "out"))
    assert fired == []
    assert len(net.hook_dict[name(0, "out")].fwd_hooks) == 1


def test_a_pass_inside_a_pass_is_refused_when_it_would_mix_caches(net: Stream, x: Tensor) -> None:
    def again(tensor: Tensor, hook: HookPoint) -> None:
        hook.remove_hooks()
        net(x)

    with net.hooks([(name(1, "out"), again)]), pytest.raises(HookError, match="more than once in a pass"):
        net.run_with_cache(x)


@pytest.mark.usefixtures("untyped")
def test_shorthand_is_parsed() -> None:
    names = ["hook_embed", "hook_pos_embed"]
    for layer in range(12):
        names += [f"blocks.{layer}.{tail}" for tail in ("hook_resid_pre", "attn.hook_q", "attn.hook_pattern")]
        names += [
            f"blocks.{layer}.{tail}" for tail in ("ln1.hook_scale", "ln2.hook_scale", "mlp.hook_post", "hook_q_input")
        ]
    names.append("ln_final.hook_scale")
    cache = ActivationCache({key: torch.tensor(float(place)) for place, key in enumerate(names)})

    def full(key) -> str:  # noqa: ANN001
        return cache.resolve(key)

    assert full(("pattern", 0)) == full("pattern0") == full(("attn", 0)) == "blocks.0.attn.hook_pattern"
    assert full(("post", 0, "mlp")) == full(("mlp_post", 0)) == "blocks.0.mlp.hook_post"
    assert full(("scale", 1, "ln2")) == full("scale1ln2") == "blocks.1.ln2.hook_scale"
    assert full("scale") == "ln_final.hook_scale"
    assert full("embed") == "hook_embed"
    assert full(("q", 11)) == full(("q", -1)) == full(("query", -1)) == "blocks.11.attn.hook_q"
    assert full(("resid_pre", 1)) == "blocks.1.hook_resid_pre"
    assert ("pattern", 0) in cache
    assert ("pattern", 12) not in cache
    assert 3 not in cache
    with pytest.raises(UnknownNameError, match="could mean 2 hook points.*Give the layer or the type"):
        cache["scale", 0]
    with pytest.raises(UnknownNameError, match="Nearest: 'blocks.0.attn.hook_pattern'"):
        cache["patern", 0]
    with pytest.raises(UnknownNameError, match=r"\(name, layer\[, type\]\)"):
        cache[("pattern", "x")]  # pyright: ignore[reportArgumentType]


def test_the_cache_is_an_immutable_mapping(net: Stream, x: Tensor) -> None:
    cache = net.run_with_cache(x)[1]
    with pytest.raises(TypeError):
        cache["a"] = x  # pyright: ignore[reportIndexIssue]
    before = list(cache)
    with pytest.raises(UnknownNameError):
        cache["missing"]
    assert list(cache) == before == list(cache.keys()) == [key for key, _ in cache.items()]  # noqa: PERF102  items() is what is tested
    selected = cache.select(lambda n: "out" in n)
    assert list(selected) == [name(layer, "out") for layer in range(3)]
    assert list(cache.select([name(0, "out")])) == [name(0, "out")]
    with pytest.raises(UnknownNameError):
        cache.select("nothing")
    assert cache.to("cpu")["out", 0] is cache["out", 0]
    assert cache.to("meta")["out", 0].is_meta


def test_repr_shows_names_axes_shapes_and_bytes(net: Stream, x: Tensor) -> None:
    cache = net.run_with_cache(x)[1]
    assert "blocks.0.hook_out" in repr(cache)
    assert "[batch=2, pos=5, d_model=4]  float32  160 B" in repr(cache)
    assert repr(cache).startswith("ActivationCache: 9 activations, 1.1 kB")
    page = ActivationCache({"<b>": x})._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    deep = ActivationCache({f"p{i}": x for i in range(100)})
    assert "… 40 more …" in repr(deep)


@given(
    edits=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["resid_pre", "out", "resid_post"]), st.booleans()), max_size=6
    ),
    grad=st.booleans(),
)
def test_a_cached_run_returns_what_an_uncached_run_returns(edits: list[tuple[int, str, bool]], grad: bool) -> None:
    torch.manual_seed(0)
    net, x = Stream(), torch.randn(1, 2, 4)

    def hook_for(in_place: bool):  # noqa: ANN202
        def in_place_edit(tensor: Tensor, hook: HookPoint) -> None:
            tensor.mul_(1.5).add_(1)

        return in_place_edit if in_place else (lambda t, hook: 1.5 * t + 1)

    hooks = [(name(layer, point), hook_for(in_place)) for layer, point, in_place in edits]
    pure = [(name(layer, point), hook_for(False)) for layer, point, _ in edits]
    with torch.set_grad_enabled(grad):
        expected = net.run_with_hooks(x, fwd_hooks=pure)
        with net.hooks(hooks):
            out, cache = net.run_with_cache(x.clone())
        seen: dict[str, Tensor] = {}
        net.run_with_hooks(x, fwd_hooks=[*pure, (lambda n: True, lambda t, hook: seen.update({hook.name: t.clone()}))])
    torch.testing.assert_close(out, expected)
    for key, tensor in cache.items():
        torch.testing.assert_close(tensor, seen[key].detach())
