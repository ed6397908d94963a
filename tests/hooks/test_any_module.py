"""Any plain module as a hooked one."""

import copy
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from refractor.base.errors import HookError, UnknownNameError
from refractor.hooks import HookedRootModule, hook_module


class Pair(NamedTuple):
    hidden: Tensor
    extra: int


class Odd(nn.Module):
    """Submodules that return a tensor, a named tuple, a tuple and a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.named = Returns("named")
        self.tuple = Returns("tuple")
        self.dict = Returns("dict")

    def forward(self, x: Tensor) -> Tensor:
        x = self.named(self.lin(x)).hidden
        x = self.tuple(x)[1]
        return self.dict(x)["x"]


class Returns(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        return {"named": Pair(x, 1), "tuple": (None, x), "dict": {"n": 1, "x": x}, "nothing": "text"}[self.kind]


def test_each_submodule_is_a_point_and_hooks_bite() -> None:
    plain = Odd()
    x = torch.randn(2, 3)
    expected = plain(x)
    net = hook_module(plain)
    assert list(net.hook_dict) == ["lin", "named", "tuple", "dict", "output"]
    out, cache = net.run_with_cache(x)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(cache["tuple"], plain.lin(x).detach())
    for point in net.hook_dict:
        torch.testing.assert_close(net.run_with_hooks(x, fwd_hooks=[(point, lambda t, hook: t + 1)]), expected + 1)
    assert net.run_with_cache(x)[1].nbytes == net.cache_bytes(x)
    torch.testing.assert_close(plain(x), expected)
    net.release()
    assert not any(module._forward_hooks for module in plain.modules())


def test_backward_hooks_and_gradients() -> None:
    net = hook_module(nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Flatten(0), nn.Linear(4, 1)))
    cache = net.run_with_cache(torch.randn(2, 3), incl_bwd=True)[1]
    torch.testing.assert_close(cache["2_grad"], net.module.get_parameter("3.weight")[0].detach())


def test_declared_axes_allow_slices() -> None:
    net = hook_module(nn.Sequential(nn.Linear(3, 2)), axes={"0": ("batch", "pos", "d_model")})
    cache = net.run_with_cache(torch.randn(1, 4, 3), names_filter="0", pos_slice=-1, remove_batch_dim=True)[1]
    assert cache["0"].shape == (2,)
    with pytest.raises(Exception, match="axes of 'output' are not declared"):
        net.run_with_cache(torch.randn(1, 4, 3), pos_slice=-1)
    with pytest.raises(UnknownNameError, match="zero"):
        hook_module(nn.Sequential(nn.Linear(3, 2)), axes={"zero": ("batch",)})


def test_networks_that_edit_in_place_are_noticed_or_copied() -> None:
    plain = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
    x = torch.randn(5, 3)
    with pytest.raises(HookError, match=r"'0' was changed in place by the network.*copies=True"):
        hook_module(plain).run_with_cache(x)
    net = hook_module(copy.deepcopy(nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))), copies=True)
    cache = net.run_with_cache(x)[1]
    assert cache["0"].min() < 0
    torch.testing.assert_close(cache["1"], cache["0"].relu())


def test_a_module_that_runs_twice_is_refused_in_a_cache_but_can_be_left_out() -> None:
    relu = nn.ReLU()
    net = hook_module(nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu))
    with pytest.raises(HookError, match="'1' fires more than once in a pass.*names_filter"):
        net.run_with_cache(torch.randn(1, 3))
    assert list(net.run_with_cache(torch.randn(1, 3), names_filter=lambda n: n != "1")[1]) == ["0", "2", "output"]


def test_what_cannot_be_hooked_says_so() -> None:
    net = hook_module(nn.Sequential(Returns("nothing")))
    with pytest.raises(HookError, match="returned str, in which there is no tensor"):
        net.run_with_cache(torch.zeros(1))
    with pytest.raises(HookError, match="hook points of its own"):
        hook_module(nn.Sequential(HookedRootModule()))


def test_a_copy_is_independent() -> None:
    net = hook_module(nn.Sequential(nn.Linear(3, 3)))
    other = copy.deepcopy(net)
    other.add_hook("0", lambda t, hook: 0 * t)
    x = torch.randn(1, 3)
    assert other(x).abs().max() == 0
    assert net(x).abs().max() > 0


def test_a_network_that_depends_on_data_still_runs_with_a_cache() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.lin(x) if x.sum().item() > 0 else self.lin(-x)

    net = hook_module(Picky())
    assert "lin" in net.run_with_cache(torch.ones(1, 3))[1]
    with pytest.raises(HookError, match="cannot be run without data"):
        net.cache_bytes(torch.ones(1, 3))
