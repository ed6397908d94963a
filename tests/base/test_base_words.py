"""The ground floor: errors that help, checks that name the argument, precision, budgets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base import budget, checks, errors, numerics
from refractor.base.axes import GLOSSARY, describe
from refractor.base.errors import ArgumentError, BudgetError, RefractorError, ShapeError, UnknownNameError


def test_every_error_is_a_refractor_error_and_a_builtin_one() -> None:
    tree = {
        errors.ArgumentError: ValueError,
        errors.OutOfRangeError: IndexError,
        errors.ShapeError: ValueError,
        errors.ConfigError: ValueError,
        errors.UnknownNameError: KeyError,
        errors.HookError: RuntimeError,
        errors.BudgetError: MemoryError,
        errors.StoreError: OSError,
        errors.CheckpointError: RuntimeError,
    }
    classes = {item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, RefractorError)}
    assert classes - {RefractorError} == set(tree)
    for ours, builtin in tree.items():
        assert issubclass(ours, builtin)
        assert str(ours("a 'b' c")) == "a 'b' c"


def test_unknown_names_offer_the_nearest() -> None:
    known = ["blocks.0.attn.hook_pattern", "blocks.0.mlp.hook_pre", "hook_embed"]
    assert str(errors.unknown_name("hook point", "hook_patern", known)) == (
        "no hook point is called 'hook_patern'. Nearest: 'blocks.0.attn.hook_pattern'."
    )
    assert "Known: 'a', 'b'." in str(errors.unknown_name("thing", "zzz", ["a", "b"]))
    assert "20 names are known, the first is '0'" in str(errors.unknown_name("thing", "zzz", map(str, range(20))))
    assert errors.nearest("", known) == []


@given(st.one_of(st.booleans(), st.floats(), st.text(), st.none(), st.integers(max_value=1), st.integers(min_value=8)))
def test_check_int_refuses_everything_but_integers_in_range(value: object) -> None:
    with pytest.raises(ArgumentError, match="^size must be an integer from 2 to 7; .* came\\.$"):
        checks.check_int("size", value, least=2, most=7)


@given(st.integers(2, 7))
def test_check_int_returns_what_is_in_range(value: int) -> None:
    assert checks.check_int("size", value, least=2, most=7) == value


@pytest.mark.parametrize("value", [0, -0.1, 1.0001, math.nan, "0.3", None, True])
def test_check_fraction_refuses(value: object) -> None:
    with pytest.raises(ArgumentError, match="fraction must be a fraction above 0 and at most 1; .* came"):
        checks.check_fraction("fraction", value)


def test_check_fraction_accepts_the_whole() -> None:
    assert checks.check_fraction("fraction", 1) == 1.0


@pytest.mark.parametrize("value", [math.inf, math.nan, "1", None, True, 0.0])
def test_check_float_refuses(value: object) -> None:
    with pytest.raises(ArgumentError, match="lr must be a finite number above 0; .* came"):
        checks.check_float("lr", value, above=0)


def test_check_shape_says_what_is_needed_and_what_came() -> None:
    checks.check_shape("logits", torch.zeros(2, 3), ("batch", "p"), (None, 3))
    with pytest.raises(ShapeError, match=r"logits must have shape \[batch, p=3\]; \[2, 4\] came"):
        checks.check_shape("logits", torch.zeros(2, 4), ("batch", "p"), (None, 3))
    with pytest.raises(ShapeError, match=r"\[6\] came"):
        checks.check_shape("logits", torch.zeros(6), ("batch", "p"), (None, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64])
def test_check_tokens_refuses_what_is_no_integer(dtype: torch.dtype) -> None:
    with pytest.raises(ShapeError, match="tensor of integers"):
        checks.check_tokens("tokens", torch.zeros(2, dtype=dtype), 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_check_tokens_accepts_any_integers(dtype: torch.dtype) -> None:
    checks.check_tokens("tokens", torch.tensor([0, 2], dtype=dtype), 3)
    checks.check_tokens("tokens", torch.zeros(0, dtype=dtype), 3)
    with pytest.raises(ArgumentError, match=r"0 … 2 \(d_vocab=3\); 3 came at \[1, 0\]"):
        checks.check_tokens("tokens", torch.tensor([[0], [3]], dtype=dtype), 3)


def test_unknown_members_are_listed() -> None:
    with pytest.raises(ArgumentError, match="order must be one of 'a', 'b'; 'c' came"):
        checks.check_member("order", "c", ("a", "b"))
    with pytest.raises(UnknownNameError, match="Known: 'a'"):
        checks.check_known("order", "zzz", ["a"])


def test_the_loss_is_computed_in_float64() -> None:
    logits = torch.tensor([[30.0, 0.0]])
    loss = numerics.cross_entropy(logits, torch.tensor([0]))
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(math.log1p(math.exp(-30.0)), rel=1e-12)
    assert torch.nn.functional.cross_entropy(logits, torch.tensor([0])).item() == 0.0
    logits.requires_grad_()
    numerics.cross_entropy(logits, torch.tensor([0])).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].item() < 0


def test_reduced_precision_is_contracted_in_float32() -> None:
    assert numerics.compute_dtype(torch.float16) == torch.float32
    assert numerics.compute_dtype(torch.float64) == torch.float64
    assert set(numerics.LAW_TOLERANCE) == {torch.float64, torch.float32, torch.float16, torch.bfloat16}


def test_budgets_refuse_with_both_figures() -> None:
    assert budget.available_bytes() > 0
    budget.check_fits(10, "it", "", limit=10)
    with pytest.raises(BudgetError, match=r"it would hold 3.0 GB, but 2.0 GB may be used on cpu. Do less."):
        budget.check_fits(3_000_000_000, "it", "Do less.", limit=2_000_000_000)
    assert [budget.format_bytes(n) for n in (999, 1000, 2.5e12)] == ["999 B", "1.0 kB", "2.5 TB"]


def test_axes_are_described_by_name_where_they_are_known() -> None:
    assert describe(("batch",), (3,)) == "[batch=3]"
    assert describe((), (3, 4)) == "[3, 4]"
    assert all(meaning and word.isidentifier() for word, meaning in GLOSSARY.items())
