"""What comes in: logits of anybody, operations, splits. Every refusal names the argument, what came and what is needed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, BudgetError, ShapeError, UnknownNameError
from refractor.lab import sums as sums_module
from refractor.lab.analyse import analyse
from refractor.lab.operations import (
    discrete_log_cube,
    discrete_log_rows,
    operation_of,
    primitive_root,
    sum_index,
)
from refractor.lab.pairs import pair_sets
from refractor.lab.scores import Score, Scores, chance_loss
from refractor.lab.sums import sum_logits
from refractor.tasks.modular import ModularAddition, ModularMultiplication, ModularSubtraction, SumOfSquares

laws = settings(deadline=None, max_examples=30)


@laws
@given(st.integers(2, 12), st.sampled_from(["addition", "subtraction"]), st.integers(0, 2**32))
def test_grouping_by_sum_loses_nothing(p: int, operation: str, seed: int) -> None:
    logits = torch.randn(p, p, p, generator=torch.Generator().manual_seed(seed))
    sums = sum_logits(logits, p, operation)
    assert torch.equal(sums.cube(), logits.double())
    sign = 1 if operation == "addition" else -1
    for s in range(p):
        rows = sums.pairs[s]
        assert bool((((rows // p) + sign * (rows % p)) % p == s).all())
        torch.testing.assert_close(sums.means[s], logits.double().reshape(p * p, p)[rows].mean(0))
    torch.testing.assert_close(sums.grand_mean, logits.double().mean((0, 1)))


@pytest.mark.parametrize(
    "convert",
    [
        lambda cube: cube,
        lambda cube: cube.reshape(25, 5),
        lambda cube: cube.double(),
        lambda cube: cube.clone().requires_grad_(),
        lambda cube: cube.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        lambda cube: cube.numpy(),
        lambda cube: cube.numpy().astype(np.float64)[::-1][::-1],
        lambda cube: cube.numpy().astype(np.longdouble),
        lambda cube: cube.numpy().astype(">f4"),
        lambda cube: cube.numpy().reshape(25, 5),
    ],
)
def test_any_array_of_logits_will_do(convert: Callable[[torch.Tensor], torch.Tensor | np.ndarray]) -> None:
    cube = torch.randn(5, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sum_logits(convert(cube), 5).cube(), cube.double())


def test_double_precision_keeps_every_digit() -> None:
    cube = torch.randn(5, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sum_logits(cube, 5).cube(), cube)
    assert torch.equal(sum_logits(cube.numpy(), 5).cube(), cube)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_it_stands(dtype: Any) -> None:
    cube = torch.randn(5, 5, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(sum_logits(cube, 5).cube(), cube.double())


def test_logits_are_copied_not_shared() -> None:
    cube = torch.zeros(3, 3, 3, dtype=torch.float64)
    sums = sum_logits(cube, 3)
    cube += 1
    assert float(sums.values.max()) == 0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 5), r"\[a=5, b=5, c=5\], or \[pairs=25, c=5\] with pairs in a-major order; \[5, 5\] came"),
        ((25,), r"\[25\] came"),
        ((5, 5, 6), r"\[5, 5, 6\] came. The last axis has one output too many: drop the logit of '='"),
        ((25, 6), r"drop the logit of '='"),
        ((25, 3, 5), r"That looks like logits at every position: take the last one"),
        ((7, 7, 7), r"\[7, 7, 7\] came"),
        ((1, 5, 5, 5), r"\[1, 5, 5, 5\] came"),
        ((0,), r"\[0\] came"),
    ],
)
def test_wrong_shapes_name_axes_and_sizes(shape: tuple[int, ...], message: str) -> None:
    for array in (torch.zeros(shape), np.zeros(shape)):
        with pytest.raises(ShapeError, match="logits must have shape .*" + message):
            analyse(array, p=5)


@pytest.mark.parametrize("dtype", [torch.long, torch.bool, torch.complex64, torch.uint8])
def test_wrong_torch_dtypes_are_named(dtype: Any) -> None:
    with pytest.raises(ShapeError, match=f"logits must be real floating point; a tensor of {dtype} came"):
        analyse(torch.zeros(5, 5, 5).to(dtype), p=5)


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.complex128, object, "U1"])
def test_wrong_numpy_dtypes_are_named(dtype: Any) -> None:
    with pytest.raises(ShapeError, match="logits must be real floating point; a numpy array of"):
        analyse(np.zeros((5, 5, 5)).astype(dtype), p=5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_located(value: float) -> None:
    cube = torch.zeros(5, 5, 5)
    cube[1, 2, 3] = value
    cube[4, 4, 4] = value
    with pytest.raises(ArgumentError, match=f"logits must be finite; 2 are not, the first is {value} at a=1, b=2, c=3"):
        analyse(cube, p=5)


def test_opposite_infinities_are_seen_too() -> None:
    cube = torch.zeros(5, 5, 5)
    cube[0, 0, 0], cube[0, 0, 1] = math.inf, -math.inf
    with pytest.raises(ArgumentError, match="2 are not"):
        analyse(cube, p=5)


@pytest.mark.parametrize("p", [1, 0, -5, True])
def test_p_must_be_an_integer_of_at_least_two(p: int) -> None:
    with pytest.raises(ArgumentError, match="p must be an integer of at least 2"):
        analyse(torch.zeros(5, 5, 5), p=p)


def test_what_does_not_fit_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums_module, "FACTOR", 10**15)
    with pytest.raises(
        BudgetError, match=r"the analysis of logits over 5 elements would hold .* Take a smaller modulus or group"
    ):
        analyse(torch.zeros(5, 5, 5), p=5)


# ---- operations ---------------------------------------------------------------------------------------------------


@given(st.integers(2, 30))
def test_sum_index_is_the_label_of_the_task(p: int) -> None:
    assert torch.equal(sum_index(p, "addition").flatten(), ModularAddition(p).labels())
    assert torch.equal(sum_index(p, "subtraction").flatten(), ModularSubtraction(p).labels())
    for operation in ("addition", "subtraction"):
        assert torch.bincount(sum_index(p, operation).flatten(), minlength=p).tolist() == [p] * p


def test_operations_that_are_no_sums_are_refused() -> None:
    assert operation_of(ModularAddition(5)) == "addition"
    assert operation_of(ModularSubtraction(5)) == "subtraction"
    with pytest.raises(
        ArgumentError, match=r"multiplication is a sum only of discrete logarithms: .*discrete_log_cube"
    ):
        operation_of(ModularMultiplication(5))
    with pytest.raises(ArgumentError, match="operation must be one of addition, subtraction; 'sum-of-squares' came"):
        operation_of(SumOfSquares(5))
    with pytest.raises(ArgumentError, match="operation must be one of addition, subtraction; 'division' came"):
        analyse(torch.zeros(5, 5, 5), p=5, operation="division")


@pytest.mark.parametrize("p", [3, 5, 7, 11, 23, 59, 113])
def test_discrete_logarithms_turn_products_into_sums(p: int) -> None:
    g = primitive_root(p)
    assert sorted(pow(g, e, p) for e in range(p - 1)) == list(range(1, p))
    product = torch.arange(p)[:, None] * torch.arange(p) % p
    cube = discrete_log_cube(torch.nn.functional.one_hot(product, p).double(), p)
    assert torch.equal(cube.argmax(-1), sum_index(p - 1))
    assert torch.equal(cube, discrete_log_cube(torch.nn.functional.one_hot(product, p).double().reshape(p * p, p), p))


def test_discrete_log_rows_follow_the_cube() -> None:
    p = 7
    logits = torch.randn(p * p, p, generator=torch.Generator().manual_seed(0))
    rows = torch.randperm(p * p, generator=torch.Generator().manual_seed(1))[:20]
    moved = discrete_log_rows(rows, p)
    kept = rows[(rows // p != 0) & (rows % p != 0)]
    assert len(moved) == len(kept) > 0
    cube = discrete_log_cube(logits, p).reshape((p - 1) ** 2, p - 1)
    assert torch.equal(cube[moved].sort(1).values, logits[kept][:, 1:].sort(1).values)


def test_discrete_logarithms_need_a_prime() -> None:
    with pytest.raises(ArgumentError, match="discrete logarithms need a prime p; 9 came"):
        discrete_log_cube(torch.zeros(9, 9, 9), 9)
    with pytest.raises(ArgumentError, match="p must be an integer of at least 3; 2 came"):
        discrete_log_cube(torch.zeros(2, 2, 2), 2)
    with pytest.raises(ShapeError, match=r"\[a=5, b=5, c=5\] or \[pairs=25, c=5\]; \[5, 5\] came"):
        discrete_log_cube(torch.zeros(5, 5), 5)


# ---- splits -------------------------------------------------------------------------------------------------------


def test_pairs_not_trained_on_are_held_out() -> None:
    pairs = pair_sets(3, torch.tensor([0, 4]))
    assert {name: pairs.count(name) for name in ("all", "train", "test")} == {"all": 9, "train": 2, "test": 7}
    assert pairs.unseen == "test"
    some = pair_sets(3, torch.tensor([0, 4]), torch.tensor([8]))
    assert some.members["test"].nonzero().flatten().tolist() == [8]


@pytest.mark.parametrize("test", [None, torch.tensor([], dtype=torch.long)])
def test_a_split_that_trains_on_everything_has_no_test_set(test: torch.Tensor | None) -> None:
    pairs = pair_sets(3, torch.arange(9), test)
    assert pairs.unseen == "all"
    assert pairs.count("test") == 0
    assert analyse(torch.zeros(3, 3, 3), p=3, train=torch.arange(9), test=test).scores.test is None


def test_without_a_split_only_all_pairs_are_known() -> None:
    pairs = pair_sets(3)
    assert (pairs.count("all"), pairs.count("train"), pairs.unseen) == (9, 0, "all")


@pytest.mark.parametrize(
    ("train", "test", "error", "message"),
    [
        ([9], None, ArgumentError, r"train must lie in 0 … 8 \(p=3\); 9 came"),
        ([-1], None, ArgumentError, r"train must lie in 0 … 8 \(p=3\); -1 came"),
        ([0], [9], ArgumentError, r"test must lie in 0 … 8 \(p=3\); 9 came"),
        ([0, 1], [1, 2], ArgumentError, "train and test must not overlap; row 1 is in both"),
        ([0, 0], None, ArgumentError, "train has 2 rows but only 1 different ones"),
        ([], None, ArgumentError, "train must have at least one row; it is empty"),
        (None, [0], ArgumentError, "test rows came without train rows"),
        ([0.5], None, ShapeError, r"train must be row numbers, integers \[n\]; torch\.float32 of \[1\] came"),
        ([True], None, ShapeError, r"torch\.bool"),
        ([[0]], None, ShapeError, r"\[1, 1\] came"),
    ],
)
def test_bad_splits_are_named(
    train: list[Any] | None, test: list[Any] | None, error: type[Exception], message: str
) -> None:
    def rows(values: list[Any] | None) -> torch.Tensor | None:
        return None if values is None else torch.tensor(values, dtype=None if values else torch.long)

    with pytest.raises(error, match=message):
        analyse(torch.zeros(3, 3, 3), p=3, train=rows(train), test=rows(test))


def test_scores_are_found_by_name() -> None:
    scores = Scores(Score(1.0, 0.5, 9), Score(0.5, 1.0, 3))
    assert scores.on("train") is scores.train
    assert scores.on("test") is None
    assert scores.unseen is scores.all
    assert chance_loss(113) == pytest.approx(4.72739, abs=1e-5)
    with pytest.raises(UnknownNameError, match=r"no set of pairs is called 'training'\. Nearest: 'train'"):
        scores.on("training")
