"""Hook points: what hooks may do, when they come off, and that names mean what they say."""

import copy
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from refractor.base.errors import HookError, UnknownNameError
from refractor.hooks import HookedRootModule, HookPoint

AXES = ("batch", "d_model")


class Chain(HookedRootModule):
    """x -> a(x) -> 2 a -> b -> c, with b and c sharing memory and an optional point on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.hook_a = HookPoint(AXES)
        self.blocks = nn.ModuleList([nn.ModuleDict({"hook_b": HookPoint(AXES), "hook_c": HookPoint(AXES)})])
        self.hook_extra = HookPoint(AXES, flag="use_extra")
        self.use_extra = False
        self.setup()

    def flag_is_set(self, flag: str) -> bool:
        assert flag == "use_extra"
        return self.use_extra

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * self.hook_a(self.lin(x))
        block: Any = self.blocks[0]
        x = block["hook_c"](block["hook_b"](x))
        if self.use_extra or self.hook_extra.hooked:
            x = self.hook_extra(x)
        return x.sum()


B, C = "blocks.0.hook_b", "blocks.0.hook_c"


@pytest.fixture
def net() -> Chain:
    torch.manual_seed(0)
    return Chain()


@pytest.fixture
def x() -> Tensor:
    return torch.arange(6.0).reshape(2, 3)


def count_hooks(net: HookedRootModule) -> int:
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in net.hook_points())


def test_names_follow_the_module_tree(net: Chain) -> None:
    assert list(net.hook_dict) == ["hook_a", B, C, "hook_extra"]
    assert net.mod_dict["lin"] is net.lin
    assert net.hook_dict[B].name == B
    assert net.hook_dict[B].layer() == 0
    with pytest.raises(HookError, match="belongs to no layer"):
        net.hook_dict["hook_a"].layer()


def test_a_hook_may_return_a_tensor_edit_in_place_or_return_none(net: Chain, x: Tensor) -> None:
    plain = net(x)
    doubled = net.run_with_hooks(x, fwd_hooks=[(B, lambda t, hook: 2 * t)])
    in_place = net.run_with_hooks(x, fwd_hooks=[(B, double_in_place)])
    untouched = net.run_with_hooks(x, fwd_hooks=[(B, lambda t, hook: None)])
    torch.testing.assert_close(doubled, 2 * plain)
    torch.testing.assert_close(in_place, 2 * plain)
    torch.testing.assert_close(untouched, plain)


def double_in_place(tensor: Tensor, hook: HookPoint) -> None:
    tensor.mul_(2)


def clear_first_row(tensor: Tensor, hook: HookPoint) -> None:
    tensor[0] = 0


@pytest.mark.parametrize(
    ("bad", "came"),
    [
        (lambda t, hook: t[:1], "shape \\[1, 3\\]"),
        (lambda t, hook: t.double(), "float64"),
        (lambda t, hook: (t,), "tuple came. Return the tensor itself"),
        (lambda t, hook: 3.0, "float came"),
    ],
)
def test_any_other_return_raises_and_says_what_is_needed(net: Chain, x: Tensor, bad: object, came: str) -> None:
    with pytest.raises(
        HookError, match=f"(?s){B}.*must return None or a tensor of shape \\[batch=2, d_model=3\\].*{came}"
    ):
        net.run_with_hooks(x, fwd_hooks=[(B, bad)])  # pyright: ignore[reportArgumentType]
    assert count_hooks(net) == 0


def test_a_name_that_matches_nothing_raises_before_anything_is_attached(net: Chain, x: Tensor) -> None:
    seen: list[str] = []
    with pytest.raises(UnknownNameError, match=r"no hook point is called 'blocks.0.hook_d'. Nearest: 'blocks.0.hook_"):
        net.run_with_hooks(
            x, fwd_hooks=[(B, lambda t, hook: seen.append("b")), ("blocks.0.hook_d", lambda t, hook: None)]
        )
    assert seen == []
    assert count_hooks(net) == 0
    with pytest.raises(UnknownNameError, match="predicate"):
        net.add_hook(lambda name: "zzz" in name, lambda t, hook: None)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("reset_hooks_end", [True, False])
def test_hooks_come_off_on_every_exit(net: Chain, x: Tensor, error: type[BaseException], reset_hooks_end: bool) -> None:
    def fail(tensor: Tensor, hook: HookPoint) -> None:
        raise error("stop")

    with pytest.raises(error):
        net.run_with_hooks(x, fwd_hooks=[(lambda name: True, fail)], reset_hooks_end=reset_hooks_end)
    assert count_hooks(net) == 0
    with pytest.raises(error), net.hooks(fwd_hooks=[(B, lambda t, hook: None)], reset_hooks_end=reset_hooks_end):
        raise error("stop")
    assert count_hooks(net) == 0
    assert net.context_level == 0
    with net.hooks(fwd_hooks=[(B, fail)]), pytest.raises(error):
        net.run_with_cache(x)
    assert count_hooks(net) == 0


def test_hooks_that_a_user_keeps_survive_other_runs(net: Chain, x: Tensor) -> None:
    plain = net(x)
    net.add_hook(B, lambda t, hook: 2 * t)
    net.run_with_hooks(x, fwd_hooks=[(B, lambda t, hook: None)])
    net.run_with_cache(x)
    net.run_with_hooks(x, fwd_hooks=[(C, lambda t, hook: 3 * t)], reset_hooks_end=False)
    net.run_with_hooks(x)
    torch.testing.assert_close(net(x), 6 * plain)
    net.reset_hooks()
    torch.testing.assert_close(net(x), plain)


def test_permanent_hooks_stay_until_they_are_named(net: Chain, x: Tensor) -> None:
    plain = net(x)
    net.add_perma_hook(B, lambda t, hook: 2 * t)
    net.reset_hooks()
    torch.testing.assert_close(net(x), 2 * plain)
    net.reset_hooks(including_permanent=True)
    torch.testing.assert_close(net(x), plain)


def test_order_prepend_and_levels(net: Chain, x: Tensor) -> None:
    order: list[str] = []

    def note(word: str):  # noqa: ANN202
        return lambda t, hook: order.append(word)

    net.add_hook(B, note("first"), level=7)
    net.add_hook(B, note("second"))
    net.add_hook(B, note("zeroth"), prepend=True)
    net(x)
    assert order == ["zeroth", "first", "second"]
    net.reset_hooks(level=7)
    order.clear()
    net(x)
    assert order == ["zeroth", "second"]
    point = net.hook_dict[B]
    point.remove_hooks("bwd")
    assert len(point.fwd_hooks) == 2
    point.remove_hooks("both")
    assert count_hooks(net) == 0


def test_nested_contexts_take_off_only_their_own(net: Chain, x: Tensor) -> None:
    plain = net(x)
    with net.hooks([(B, lambda t, hook: 2 * t)]):
        with net.hooks([(B, lambda t, hook: 5 * t)]):
            assert net.context_level == 2
            torch.testing.assert_close(net(x), 10 * plain)
        torch.testing.assert_close(net(x), 2 * plain)
    torch.testing.assert_close(net(x), plain)


def test_ctx_is_shared_between_hooks_and_cleared_on_request(net: Chain, x: Tensor) -> None:
    def write(tensor: Tensor, hook: HookPoint) -> None:
        hook.ctx["norm"] = tensor.norm()

    net.run_with_hooks(x, fwd_hooks=[(B, write)])
    assert "norm" in net.hook_dict[B].ctx
    net.run_with_hooks(x, fwd_hooks=[(B, write)], clear_contexts=True)
    assert net.hook_dict[B].ctx == {}


def test_every_hook_fires_exactly_once_forward_and_backward(net: Chain, x: Tensor) -> None:
    fired: list[tuple[str, str | None]] = []
    forward = [(lambda name: True, lambda t, hook: fired.append(("fwd", hook.name)))]
    backward = [(lambda name: True, lambda t, hook: fired.append(("bwd", hook.name)))]
    net.run_with_hooks(x, fwd_hooks=forward, bwd_hooks=backward).backward()
    on = ["hook_a", B, C]
    assert fired == [("fwd", name) for name in on] + [("bwd", name) for name in reversed(on)]


def test_backward_hooks_see_and_replace_gradients(net: Chain, x: Tensor) -> None:
    x = x.requires_grad_()
    seen: dict[str, Tensor] = {}
    net.run_with_hooks(
        x, bwd_hooks=[(B, lambda g, hook: 3 * g), ("hook_a", lambda g, hook: seen.update(a=g.clone()))]
    ).backward()
    torch.testing.assert_close(seen["a"], torch.full((2, 3), 6.0))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 6 * net.lin.weight.sum(0).expand(2, 3))
    with pytest.raises(HookError, match="must return None or a tensor"):
        net.run_with_hooks(x, bwd_hooks=[(B, lambda g, hook: cast("Any", (g,)))]).backward()
    with torch.no_grad(), pytest.raises(HookError, match="gradients are disabled"):
        net.run_with_hooks(x, bwd_hooks=[(B, lambda g, hook: None)])


def test_optional_points_are_switched_on_by_flag_or_literal_name_only(net: Chain, x: Tensor) -> None:
    assert "hook_extra" not in net.run_with_cache(x)[1]
    assert "hook_extra" not in net.run_with_cache(x, names_filter=lambda name: True)[1]
    assert "hook_extra" in net.run_with_cache(x, names_filter="hook_extra")[1]
    fired: list[str] = []
    net.run_with_hooks(x, fwd_hooks=[(lambda name: True, lambda t, hook: fired.append(hook.name))])
    assert "hook_extra" not in fired
    net.run_with_hooks(x, fwd_hooks=[("hook_extra", lambda t, hook: fired.append(hook.name))])
    assert "hook_extra" in fired
    net.use_extra = True
    assert "hook_extra" in net.run_with_cache(x)[1]


def test_a_copy_of_a_network_has_hooks_of_its_own(net: Chain, x: Tensor) -> None:
    other = copy.deepcopy(net)
    other.add_hook(B, lambda t, hook: 0 * t)
    assert other(x) == 0
    assert net(x) != 0


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(Exception, match="callable|hook"):
        HookPoint(AXES).add_hook(3)  # pyright: ignore[reportArgumentType]


def test_an_expanded_tensor_and_a_parameter_are_copied_before_an_edit() -> None:
    class Wide(HookedRootModule):
        def __init__(self) -> None:
            super().__init__()
            self.row = nn.Parameter(torch.ones(3))
            self.hook_row = HookPoint(AXES)
            self.setup()

        def forward(self, n: int) -> Tensor:
            return self.hook_row(self.row.expand(n, 3))

    wide = Wide()
    with torch.no_grad():
        out = wide.run_with_hooks(2, fwd_hooks=[("hook_row", clear_first_row)])
    assert out.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert wide.row.tolist() == [1, 1, 1]
