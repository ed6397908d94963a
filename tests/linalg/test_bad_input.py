"""Bad input: an error of ours that repeats the shapes or figures and says what to do."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from refractor.base import budget
from refractor.base.errors import ArgumentError, BudgetError, OutOfRangeError, ShapeError, UnknownNameError
from refractor.linalg import FactoredMatrix, Grouped, pairwise_norms, plan, principal_angles

ones = torch.ones
Ask = Callable[[Any], object]  # Any: what is asked here is what type checkers refuse

NAN = ones(5, 2)
NAN[3, 1] = math.nan
INF = ones(2, 5)
INF[0, 2] = math.inf


def matrix(*shape: int, dtype: torch.dtype = torch.float32) -> FactoredMatrix:
    *leading, rows, cols = shape
    return FactoredMatrix(ones(*leading, rows, 2, dtype=dtype), ones(2, cols, dtype=dtype))


def make(*parts: object) -> Any:
    """Make a matrix of what may be no factors at all."""
    build: Any = FactoredMatrix
    return build(*parts)


def refused(error: type[Exception], words: str, ask: Callable[[], object]) -> None:
    with pytest.raises(error, match=words):
        ask()


# factors that do not fit

FACTORS: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "inner widths": (
        ShapeError, r"factor 0 has 2 columns and factor 1 has 3 rows.*equal in \[5, 2\] @ \[3, 5\]",
        lambda: make(ones(5, 2), ones(3, 5)),
    ),
    "inner widths further on": (
        ShapeError, r"factor 1 has 3 columns and factor 2 has 4 rows.*\[5, 2\] @ \[2, 3\] @ \[4, 5\]",
        lambda: make(ones(5, 2), ones(2, 3), ones(4, 5)),
    ),
    "leading axes": (
        ShapeError, r"equal or 1.*axis -3 has sizes 3 and 4 in \[3, 5, 2\] @ \[4, 2, 5\]",
        lambda: make(ones(3, 5, 2), ones(4, 2, 5)),
    ),
    "a vector": (ShapeError, r"shape \[5\] came. A vector v is used as M @ v, or.*v\[:, None\]", lambda: make(ones(5), ones(5, 2))),
    "a number": (ShapeError, r"\[\.\.\., rows, cols\]; shape \[\] came", lambda: make(torch.tensor(1.0), ones(5, 2))),
    "integers": (
        ShapeError, r"floating or complex dtype.*; factor 0 of \[5, 2\] @ \[2, 5\] has dtype torch.int32. Convert it with .float\(\)",
        lambda: make(ones(5, 2).int(), ones(2, 5)),
    ),
    "booleans": (ShapeError, r"factor 1 of .* has dtype torch.bool", lambda: make(ones(5, 2), ones(2, 5).bool())),
    "mixed dtypes": (
        ShapeError, r"one dtype; torch.float32 and torch.float64 came in \[5, 2\] @ \[2, 5\]. Convert one with .to\(torch.float32\)",
        lambda: make(ones(5, 2), ones(2, 5).double()),
    ),
    "mixed devices": (
        ArgumentError, r"one device; cpu and meta came in \[5, 2\] @ \[2, 5\]. Move one with .to\('cpu'\)",
        lambda: make(ones(5, 2), ones(2, 5, device="meta")),
    ),
    "an array": (ArgumentError, "factor 0 must be a torch.Tensor; ndarray came.*torch.as_tensor", lambda: make(np.ones((5, 2)), ones(2, 5))),
    "None": (ArgumentError, "factor 1 must be a torch.Tensor; NoneType came", lambda: make(ones(5, 2), None)),
    "a factored matrix": (ArgumentError, "FactoredMatrix came.*@", lambda: make(ones(5, 2), matrix(2, 5))),
    "a sparse tensor": (ArgumentError, r"to_dense\(\)", lambda: make(ones(5, 2).to_sparse(), ones(2, 5))),
    "groups of a matrix": (ShapeError, r"Grouped needs a leading axis.*shape \[5, 2\]", lambda: make(Grouped(ones(5, 2), [0]), ones(2, 5))),
    "groups of an axis that is not there": (
        ShapeError, r"Grouped needs a leading axis.*shape \[2, 5, 2\]; axis=0 came",
        lambda: make(Grouped(ones(2, 5, 2), [0, 1], axis=0), ones(2, 5)),
    ),
    "groups that are not there": (
        ArgumentError, r"entries 0 … 1 of axis -3 of a tensor of shape \[2, 5, 2\]; 2 came",
        lambda: make(Grouped(ones(2, 5, 2), [0, 1, 2]), ones(2, 5)),
    ),
    "negative groups": (ArgumentError, "entries 0 … 1.*; -1 came", lambda: make(Grouped(ones(2, 5, 2), [-1]), ones(2, 5))),
    "groups by no integers": (ArgumentError, "integer", lambda: make(Grouped(ones(2, 5, 2), [0, 1, 1.5]), ones(2, 5))),  # pyright: ignore[reportArgumentType]
    "groups of the wrong number": (
        ShapeError, r"sizes 3 and 4 in \[2, 5, 2\] \(groups of 3\) @ \[4, 2, 5\]",
        lambda: make(Grouped(ones(2, 5, 2), [0, 1, 1]), ones(4, 2, 5)),
    ),
    "groups of an array": (ArgumentError, "torch.Tensor; ndarray came", lambda: make(Grouped(np.ones((2, 5, 2)), [0, 1]), ones(2, 5))),  # pyright: ignore[reportArgumentType]
}  # fmt: skip


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("case", FACTORS)
def test_factors_that_do_not_fit_are_refused(case: str) -> None:
    refused(*FACTORS[case])


def test_a_dtype_that_factors_cannot_have_is_not_cast_to() -> None:
    refused(ShapeError, "floating or complex.*torch.int64", lambda: matrix(5, 5).to(torch.int64))


# numbers that are none

SPECTRA: dict[str, Ask] = {
    "eigenvalues": lambda M: M.eigenvalues,
    "eig": lambda M: M.eig(),
    "S": lambda M: M.S,
    "svd": lambda M: M.svd(),
    "factored_svd": lambda M: M.factored_svd(),
    "norm": lambda M: M.norm(),
    "spectral norm": lambda M: M.norm("spectral"),
    "nuclear norm": lambda M: M.norm("nuclear"),
    "rank": lambda M: M.rank(),
    "make_even": lambda M: M.make_even(),
    "truncate": lambda M: M.truncate(1),
    "round": lambda M: M.round(0.1),
    "slogdet": lambda M: M.identity_plus().slogdet(),
    "inverse": lambda M: M.identity_plus().inverse(),
}


@pytest.mark.parametrize("asks_for_gradients", [False, True])
@pytest.mark.parametrize("question", SPECTRA)
def test_the_factor_that_is_not_finite_is_named(question: str, asks_for_gradients: bool) -> None:
    ask = SPECTRA[question]
    left, right = ones(5, 2).requires_grad_(asks_for_gradients), ones(2, 5)
    bad_left = NAN.clone().requires_grad_(asks_for_gradients)
    refused(
        ArgumentError,
        r"finite factors; factor 0 of shape \[5, 2\] has 1 entr.*\(nan\) at \[3, 1\]",
        lambda: ask(FactoredMatrix(bad_left, right)),
    )
    refused(
        ArgumentError,
        r"finite factors; factor 1 of shape \[2, 5\] has 1 entr.*\(inf\) at \[0, 2\]",
        lambda: ask(FactoredMatrix(left, INF)),
    )
    refused(ArgumentError, r"factor 2 of shape \[5, 2\]", lambda: ask(FactoredMatrix(left, right, NAN, INF)))
    refused(ArgumentError, r"factor 1 of shape", lambda: ask(FactoredMatrix(0 * left, INF)))


@pytest.mark.parametrize("question", SPECTRA)
def test_a_product_that_overflows_is_refused(question: str) -> None:
    large = FactoredMatrix(torch.full((5, 2), 3e38), torch.full((2, 5), 3e38))
    words = r"factors are finite, but their product overflows torch.float32. Scale.*M.to\(torch.float64\)"
    refused(ArgumentError, words, lambda: SPECTRA[question](large))
    SPECTRA[question](FactoredMatrix(torch.full((5, 2), 3e10), torch.full((2, 5), 3e3)).to(torch.float64))


def test_of_two_matrices_the_one_that_is_not_finite_is_named() -> None:
    good, bad = matrix(5, 5), FactoredMatrix(NAN, ones(2, 5))
    words = r"finite factors; factor 0 of shape \[5, 2\]"
    refused(ArgumentError, words, lambda: good.cosine_similarity(bad))
    refused(ArgumentError, words, lambda: principal_angles(good, bad))
    refused(ArgumentError, words, lambda: pairwise_norms(bad, good))


def test_of_pairwise_norms_the_right_stack_is_looked_at_too() -> None:
    words = r"finite factors; factor 0 of shape \[5, 2\]"
    refused(ArgumentError, words, lambda: pairwise_norms(matrix(5, 5), FactoredMatrix(NAN, ones(2, 5))))


def test_a_singular_matrix_has_no_inverse() -> None:
    plus = FactoredMatrix(-torch.eye(3), torch.eye(3)).identity_plus()
    refused(ArgumentError, r"singular for 1 of the matrices of \[3, 3\]", plus.inverse)
    refused(ArgumentError, r"singular for 1 of the matrices of \[3, 3\]", lambda: plus.solve(ones(3)))


# memory

LONG = 1_000_000
WOULD = {
    "dense": lambda M: M.dense(),
    "AB": lambda M: M.AB,
    "A block": lambda M: M.block(torch.arange(LONG), torch.arange(LONG)),
    "get_corner": lambda M: M.get_corner(LONG),
    "the identity and the matrix": lambda M: M.identity_plus().dense(),
}


@pytest.mark.parametrize("question", WOULD)
def test_what_memory_cannot_hold_is_refused_with_both_figures(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_bytes", lambda device="cpu": 20_000_000)
    M = FactoredMatrix(ones(LONG, 2), ones(2, LONG))
    words = r"shape \[1000000, 1000000\] would hold 4.0 TB, but 18.0 MB may be used on cpu.*dense\(limit=math.inf\)"
    refused(BudgetError, words, lambda: WOULD[question](M))


def test_a_limit_is_kept_and_may_be_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    M = matrix(5, 5)
    refused(BudgetError, r"dense .*\[5, 5\] would hold 100 B, but 99 B", lambda: M.dense(limit=99))
    assert M.dense(limit=100).shape == (5, 5)
    monkeypatch.setattr(budget, "available_bytes", lambda device="cpu": 0)
    refused(BudgetError, "100 B, but 0 B", M.dense)
    refused(BudgetError, "AB .*100 B, but 0 B", lambda: M.AB)
    refused(BudgetError, r"entries at 2 places of \[5, 5\] would hold 8 B, but 0 B.*fewer", lambda: M.entries(torch.tensor([0, 1]), torch.tensor([0, 1])))  # fmt: skip
    refused(BudgetError, "eig .*160 B, but 0 B.*eigenvalues", M.eig)
    assert torch.equal(M.dense(limit=math.inf), torch.full((5, 5), 2.0))


@pytest.mark.parametrize("question", ["S", "eigenvalues", "norm", "svd", "dense"])
def test_steps_that_do_not_fit_are_refused(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    M = FactoredMatrix(torch.eye(5), 2 * torch.eye(5), torch.eye(5))
    monkeypatch.setattr(plan, "UNASKED", 0)
    monkeypatch.setattr(plan, "available_bytes", lambda device="cpu": 10)
    ask = SPECTRA.get(question, lambda M: M.dense())
    words = (
        r"of a chain of shape \[5, 5\] would hold \d+ B in the leanest order, but 9 B may be used on cpu. Ask for fewer"
    )
    refused(BudgetError, words, lambda: ask(M))
    assert M.dense(limit=math.inf).trace() == 10


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("limit", [math.nan, "10"])
def test_a_limit_that_is_no_number_is_refused(limit: Any) -> None:
    refused(ArgumentError, "limit", lambda: matrix(5, 5).dense(limit))


# questions of square or real matrices

SQUARE: dict[str, Ask] = {
    "eigenvalues": lambda M: M.eigenvalues,
    "eig": lambda M: M.eig(),
    "trace": lambda M: M.trace(),
    "BA": lambda M: M.BA,
    "diagonal": lambda M: M.diagonal(),
    "identity_plus": lambda M: M.identity_plus(),
    "diagonal_argmax_share": lambda M: M.diagonal_argmax_share(),
}


@pytest.mark.parametrize("question", SQUARE)
def test_a_matrix_that_is_not_square_is_refused(question: str) -> None:
    words = rf"{question} needs square matrices; the shape is \[3, 5, 7\]"
    refused(ShapeError, words, lambda: SQUARE[question](matrix(3, 5, 7)))


def test_pytorch_s_own_questions_need_a_square_matrix_too() -> None:
    M: Any = matrix(5, 7)
    refused(ShapeError, r"square matrices; the shape is \[5, 7\]", lambda: torch.trace(M))
    refused(ShapeError, r"square matrices; the shape is \[5, 7\]", lambda: torch.linalg.eigvals(M))


ORDERED: dict[str, Ask] = {
    "topk": lambda M: M.topk(1),
    "argmax": lambda M: M.argmax(),
    "rank_of": lambda M: M.rank_of(0, 0),
    "min": lambda M: M.min(),
    "max": lambda M: M.max(),
    "diagonal_argmax_share": lambda M: M.diagonal_argmax_share(),
}


@pytest.mark.parametrize("question", ORDERED)
def test_complex_entries_have_no_order(question: str) -> None:
    words = rf"{question} needs real entries, which have an order; the matrix is torch.complex64"
    refused(ArgumentError, words, lambda: ORDERED[question](matrix(5, 5, dtype=torch.complex64)))


@pytest.mark.parametrize("question", ["topk", "argmax", "rank_of", "min"])
def test_a_matrix_without_entries_has_no_largest(question: str) -> None:
    refused(ShapeError, rf"{question} needs entries; .*shape \[0, 5\]", lambda: ORDERED[question](matrix(0, 5)))


# arguments

ARGUMENTS: dict[str, tuple[str, Ask]] = {
    "topk(0)": ("k must be an integer from 1 to 25; 0 came", lambda M: M.topk(0)),
    "topk(26)": ("k must be an integer from 1 to 25; 26 came", lambda M: M.topk(26)),
    "topk(6, -1)": ("k must be an integer from 1 to 5; 6 came", lambda M: M.topk(6, -1)),
    "topk(1.5)": (r"k must be an integer.*1.5 \(float\) came", lambda M: M.topk(1.5)),
    "topk(True)": (r"k must be an integer.*True \(bool\) came", lambda M: M.topk(True)),
    "topk('3')": (r"k must be an integer.*'3' \(str\) came", lambda M: M.topk("3")),
    "topk(2, 2)": ("dim must be .*-2.*; 2 came", lambda M: M.topk(2, 2)),
    "topk(2, 'rows')": ("dim must be .*rows.* came", lambda M: M.topk(2, "rows")),
    "topk(2, True)": ("dim must be .*True.* came", lambda M: M.topk(2, True)),
    "argmax(5)": ("dim must be .*5 came", lambda M: M.argmax(5)),
    "max(3)": ("dim must be .*3 came", lambda M: M.max(3)),
    "min(-3)": ("dim must be .*-3 came", lambda M: M.min(-3)),
    "sum(-3)": ("dim must be .*-3 came", lambda M: M.sum(-3)),
    "mean(0.5)": ("dim must be .*0.5.* came", lambda M: M.mean(0.5)),
    "var(2)": ("dim must be .*2 came", lambda M: M.var(2)),
    "var(correction=-1)": ("correction must be an integer of at least 0; -1 came", lambda M: M.var(correction=-1)),
    "var(correction=0.5)": ("correction must be an integer.*0.5", lambda M: M.var(correction=0.5)),
    "truncate(3)": ("k must be an integer from 0 to 2; 3 came", lambda M: M.truncate(3)),
    "truncate(-1)": ("k must be an integer from 0 to 2; -1 came", lambda M: M.truncate(-1)),
    "truncate(1.0)": ("k must be an integer from 0 to 2; 1.0", lambda M: M.truncate(1.0)),
    "round(-0.1)": ("tol must be a finite number of at least 0.0; -0.1 came", lambda M: M.round(-0.1)),
    "round(nan)": ("tol must be a finite number.*nan came", lambda M: M.round(math.nan)),
    "round('x')": ("tol must be a finite number.*'x' came", lambda M: M.round("x")),
    "rank(-1)": ("tol must be a finite number.*-1", lambda M: M.rank(-1.0)),
    "rank(nan)": ("tol must be a finite number.*nan came", lambda M: M.rank(math.nan)),
    "rank('x')": ("tol must be a finite number.*'x' came", lambda M: M.rank("x")),
    "singular_clusters(-1)": ("tol must be a finite number.*-1", lambda M: M.singular_clusters(-1.0)),
    "principal_angles(tol=-1)": ("tol must be a finite number.*-1", lambda M: principal_angles(M, M, tol=-1.0)),
    "principal_angles(space)": ("space must be one of 'column', 'row'; 'columns' came", lambda M: principal_angles(M, M, "columns")),  # pyright: ignore[reportArgumentType]
    "norm('frobenius')": ("kind must be one of 'fro', 'spectral', 'nuclear'; 'frobenius' came", lambda M: M.norm("frobenius")),
    "norm(2)": ("kind must be one of .*; 2 came", lambda M: M.norm(2)),
    "get_corner(-1)": ("k must be an integer.*-1 came", lambda M: M.get_corner(-1)),
    "get_corner(1.5)": ("k must be an integer.*1.5", lambda M: M.get_corner(1.5)),
    "unsqueeze(1)": (r"k must be 0 … 0 or -3 … -3 for shape \[5, 5\]; 1 came", lambda M: M.unsqueeze(1)),
    "unsqueeze(-1)": ("k must be .*; -1 came", lambda M: M.unsqueeze(-1)),
    "/ 0": (r"shape \[5, 5\] cannot be divided by 0", lambda M: M / 0),
    "/ 0.0": (r"shape \[5, 5\] cannot be divided by 0", lambda M: M / 0.0),
    "times a complex number": ("complex", lambda M: M * 1j),
    "times a complex tensor": ("complex", lambda M: M * torch.tensor(1j)),
}  # fmt: skip


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("call", ARGUMENTS)
def test_wrong_arguments_are_refused(call: str) -> None:
    words, ask = ARGUMENTS[call]
    with warnings.catch_warnings(action="ignore"):
        refused(ArgumentError, words, lambda: ask(matrix(5, 5)))


# indices

INDICES: dict[str, tuple[type[Exception], str, Ask]] = {
    "too many": (ArgumentError, r"index \[0, 0, 0, 0\] has more than the 3 axes of shape \[3, 5, 7\]", lambda M: M[0, 0, 0, 0]),
    "two ellipses": (ArgumentError, r"\[\.\.\., \.\.\.\].*(once|one)", lambda M: M[..., ...]),
    "leading out of range": (OutOfRangeError, r"index 3 is out of range for axis 0 of shape \[3, 5, 7\]", lambda M: M[3]),
    "leading below range": (OutOfRangeError, "index -4 is out of range for axis 0", lambda M: M[-4]),
    "row out of range": (OutOfRangeError, "index 5 is out of range for axis 1", lambda M: M[0, 5]),
    "column out of range": (OutOfRangeError, "index -8 is out of range for axis 2", lambda M: M[..., -8]),
    "list out of range": (OutOfRangeError, r"indices 0 … 9 are out of range for axis 1 of shape \[3, 5, 7\]", lambda M: M[:, [0, 9]]),
    "tensor out of range": (OutOfRangeError, "indices -6 … 0 are out of range", lambda M: M[:, torch.tensor([0, -6])]),
    "bool": (ArgumentError, r"True and False are no indices.*\[True\] came", lambda M: M[True]),
    "bool among others": (ArgumentError, r"no indices.*\[0, False\] came", lambda M: M[0, False]),
    "bool of numpy": (ArgumentError, "no indices", lambda M: M[np.bool_(True)]),
    "bool as a tensor": (ArgumentError, "no indices", lambda M: M[torch.tensor(True)]),
    "float": (ArgumentError, r"integers, slices.*float came in \[1.0\]", lambda M: M[1.0]),
    "list of floats": (ArgumentError, "integers or booleans; .*torch.float64", lambda M: M[[0.5]]),
    "tensor of floats": (ArgumentError, "integers or booleans; .*torch.float32", lambda M: M[torch.tensor([0.5])]),
    "slice of floats": (ArgumentError, "slice", lambda M: M[1.5:]),
    "string": (ArgumentError, "integers, slices.*str came", lambda M: M["x"]),
    "list of strings": (ArgumentError, "integers or booleans", lambda M: M[["x"]]),
    "ragged list": (ArgumentError, "integers or booleans", lambda M: M[[[0], [1, 2]]]),
    "set": (ArgumentError, "integers, slices.*set came", lambda M: M[{0}]),
    "negative step": (ArgumentError, "steps of slices must be positive, as for tensors; -1 came", lambda M: M[::-1]),
    "negative step of columns": (ArgumentError, "steps of slices must be positive.*-2 came", lambda M: M[..., ::-2]),
    "step zero": (ArgumentError, "steps of slices must be positive.*0 came", lambda M: M[::0]),
    "bytes as a mask": (ArgumentError, "mask must be of dtype torch.bool", lambda M: M[torch.tensor([1, 0, 1], dtype=torch.uint8)]),
    "mask of a leading axis": (ShapeError, r"mask must have the sizes.*\[4\] came for axes of sizes \[3\] of \[3, 5, 7\]", lambda M: M[ones(4).bool()]),
    "mask of columns": (ShapeError, r"\[5\] came for axes of sizes \[7\]", lambda M: M[..., ones(5).bool()]),
    "mask of another shape": (ShapeError, r"\[5, 3\] came for axes of sizes \[3, 5\]", lambda M: M[ones(5, 3).bool()]),
    "mask over rows and columns": (ArgumentError, r"no matrix; use entries\(rows, cols\)", lambda M: M[:, ones(5, 7).bool()]),
    "mask over heads and rows": (ArgumentError, r"use entries\(rows, cols\)", lambda M: M[ones(3, 5).bool()]),
    "table of rows": (ShapeError, r"by lists; for single entries use entries\(rows, cols\)", lambda M: M[:, [[0, 1]]]),
    "size of no axis": (OutOfRangeError, r"\[3, 5, 7\]", lambda M: M.size(5)),
    "entries, row": (OutOfRangeError, r"rows must lie in -5 … 4 for a matrix of shape \[3, 5, 7\]; 5 … 5 came", lambda M: M.entries(torch.tensor([5]), torch.tensor([0]))),
    "entries, column": (OutOfRangeError, "cols must lie in -7 … 6 .*-8 … 0 came", lambda M: M.entries(torch.tensor([0]), torch.tensor([0, -8]))),
    "entries, floats": (ArgumentError, "rows must be integers; dtype torch.float32 came", lambda M: M.entries(torch.tensor([0.5]), torch.tensor([0]))),
    "entries, mask": (ArgumentError, "cols must be integers; dtype torch.bool came", lambda M: M.entries(torch.tensor([0]), torch.tensor([True]))),
    "entries, shapes": (ShapeError, r"\[2\].*\[3\]", lambda M: M.entries(torch.arange(2), torch.arange(3))),
    "block, row": (OutOfRangeError, "rows must lie in -5 … 4 .*0 … 9 came", lambda M: M.block(torch.tensor([0, 9]), torch.tensor([0]))),
    "block, column": (OutOfRangeError, "cols must lie in -7 … 6", lambda M: M.block(torch.tensor([0]), torch.tensor([7]))),
    "block, table": (ShapeError, r"lists of rows and columns; shapes \[1, 1\], \[1\] came", lambda M: M.block(torch.tensor([[0]]), torch.tensor([0]))),
    "rank_of, row": (OutOfRangeError, r"row must lie in -5 … 4 .*\[3, 5, 7\]; 5 … 5 came", lambda M: M.rank_of(5, 0)),
    "rank_of, column": (OutOfRangeError, "col must lie in -7 … 6", lambda M: M.rank_of(0, torch.tensor([0, 7]))),
    "rank_of, float": (ArgumentError, "col must be integers; dtype torch.float32 came", lambda M: M.rank_of(0, 1.5)),
    "rank_of, shapes": (ShapeError, r"\[2\].*\[3\]", lambda M: M.rank_of(torch.arange(2), torch.arange(3))),
}  # fmt: skip


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("case", INDICES)
def test_indices_that_name_nothing_are_refused(case: str) -> None:
    error, words, ask = INDICES[case]
    refused(error, words, lambda: ask(matrix(3, 5, 7)))


def test_lists_of_leading_places_must_fit_each_other() -> None:
    refused(ShapeError, r"\[2\].*\[3\]", lambda: matrix(2, 3, 5, 5)[[0, 1], [0, 1, 2]])


# functions of PyTorch and numpy

HINT = r"{} would need the product of a factored matrix, which is not formed in silence. Ask the matrix.*M.dense\(\)"

FUNCTIONS: dict[str, tuple[str, Ask]] = {
    "torch.stack": (HINT.format("torch.stack"), lambda M: torch.stack([M, M])),
    "torch.cat": (HINT.format("torch.cat"), lambda M: torch.cat([M, M])),
    "torch.einsum": (HINT.format("einsum"), lambda M: torch.einsum("ij,jk->ik", M, M)),
    "torch.exp": (HINT.format("torch.exp"), torch.exp),
    "torch.sum": (HINT.format("torch.sum"), torch.sum),
    "torch.diagonal": (HINT.format("torch.diagonal"), torch.diagonal),
    "torch.zeros_like": (HINT.format("torch.zeros_like"), torch.zeros_like),
    "torch.allclose": (HINT.format("torch.allclose"), lambda M: torch.allclose(M, M)),
    "torch.softmax": (HINT.format("softmax"), lambda M: torch.nn.functional.softmax(M, -1)),
    "torch.linalg.eig": (HINT.format("torch.linalg.eig"), torch.linalg.eig),
    "torch.linalg.inv": (HINT.format("torch.linalg.inv"), torch.linalg.inv),
    "torch.mm": (HINT.format("torch.mm"), lambda M: torch.mm(M, ones(5, 5))),
    "torch.add": (HINT.format("torch.add"), lambda M: torch.add(ones(5, 5), M)),
    "M + tensor": ("two factored matrices; Tensor came.*FactoredMatrix", lambda M: M + ones(5, 5)),
    "tensor + M": ("would need the product", lambda M: ones(5, 5) + M),
    "M - tensor": ("two factored matrices; Tensor came.*FactoredMatrix", lambda M: M - ones(5, 5)),
    "tensor - M": ("would need the product", lambda M: ones(5, 5) - M),
    "svd": (r"torch.linalg.svd .*\[5, 5\] needs full_matrices=False: the full U and V would be 5 × 5", torch.linalg.svd),
    "svd, full": ("needs full_matrices=False", lambda M: torch.linalg.svd(M, full_matrices=True)),
    "svd, driver": ("takes no driver", lambda M: torch.linalg.svd(M, full_matrices=False, driver="gesvd")),
    "svdvals, driver": ("takes no driver", lambda M: torch.linalg.svdvals(M, driver="gesvd")),
    "matrix_norm, 1": ("'fro', 'nuc' and 2; ord=1 came", lambda M: torch.linalg.matrix_norm(M, 1)),
    "matrix_norm, dim": ("takes no dim", lambda M: torch.linalg.matrix_norm(M, "fro", dim=(-2, -1))),
    "matrix_norm, keepdim": ("takes no keepdim", lambda M: torch.linalg.matrix_norm(M, "fro", keepdim=True)),
    "matmul, out": ("torch.matmul.*'out'", lambda M: torch.matmul(M, ones(5, 5), out=ones(5, 5))),
    "mul of two": ("@", lambda M: torch.mul(M, M)),
    "array": (r"\[5, 5\] is not formed in silence; use M.dense\(\).numpy\(\)", np.asarray),
    "array of arrays": ("not formed in silence", lambda M: np.array([M])),
    "svd of numpy": ("not formed in silence", np.linalg.svd),
    "array of I + M": ("not formed in silence", lambda M: np.asarray(M.identity_plus())),
    "M @ array": ("torch.as_tensor", lambda M: M @ np.ones((5, 5))),
    "array @ M": ("torch.as_tensor", lambda M: np.ones((5, 5)) @ M),
}  # fmt: skip


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("call", FUNCTIONS)
def test_functions_that_need_the_product_are_refused_with_a_hint(call: str) -> None:
    words, ask = FUNCTIONS[call]
    refused(ArgumentError, words, lambda: ask(matrix(5, 5)))


def test_a_norm_of_a_stack_as_one_vector_is_refused() -> None:
    M: Any = matrix(3, 5, 7)
    refused(ArgumentError, r"\[3, 5, 7\] for one long vector.*M.norm\(\)", lambda: torch.linalg.norm(M))


# a matrix never changes


@pytest.mark.parametrize("name", ["A", "S", "AB", "factors", "_factors", "_leading", "new"])
def test_attributes_are_not_set_or_deleted(name: str) -> None:
    M = matrix(5, 5)
    refused(ArgumentError, f"FactoredMatrix never changes; make a new one instead of setting '{name}'", lambda: setattr(M, name, ones(5, 5)))  # fmt: skip
    refused(ArgumentError, f"never changes; '{name}' cannot be deleted", lambda: delattr(M, name))
    assert torch.equal(M.AB, torch.full((5, 5), 2.0))


def test_factors_are_not_replaced() -> None:
    M = matrix(5, 5)
    factors: Any = M.factors
    with pytest.raises(TypeError, match="does not support item assignment"):
        factors[0] = factors[1]
    refused(AttributeError, "cannot assign to field 'tensor'", lambda: setattr(factors[0], "tensor", ones(5, 2)))


def test_the_matrix_of_identity_plus_is_not_replaced() -> None:
    plus = matrix(5, 5).identity_plus()
    refused(ArgumentError, "never changes", lambda: setattr(plus, "matrix", matrix(4, 4)))


# two operands

OTHER = FactoredMatrix(ones(4, 5, 2), ones(4, 2, 7))
OPERANDS: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "@ matrix": (ShapeError, r"left has 7 columns and the right has 4 rows in \[3, 5, 7\] @ \[4, 6\]", lambda: matrix(3, 5, 7) @ matrix(4, 6)),
    "@ tensor": (ShapeError, r"left has 7 columns and the right has 4 rows in \[5, 7\] @ \[4, 6\]", lambda: matrix(5, 7) @ ones(4, 6)),
    "tensor @": (ShapeError, r"left has 6 columns and the right has 5 rows in \[4, 6\] @ \[5, 7\]", lambda: ones(4, 6) @ matrix(5, 7)),
    "@ leading axes": (ShapeError, r"sizes 3 and 4 in \[3, 5, 7\] @ \[4, 7, 5\]", lambda: matrix(3, 5, 7) @ ones(4, 7, 5)),
    "@ vector": (ShapeError, r"vector of 7 entries is needed for shape \[5, 7\]; \[4\] came", lambda: matrix(5, 7) @ ones(4)),
    "vector @": (ShapeError, r"vector of 5 entries is needed for shape \[5, 7\]; \[4\] came", lambda: ones(4) @ matrix(5, 7)),
    "@ number": (ShapeError, "vector of 7 entries", lambda: matrix(5, 7) @ torch.tensor(1.0)),
    "@ dtype": (ShapeError, "torch.float32 and torch.float64 came", lambda: matrix(5, 7) @ ones(7, 2).double()),
    "@ integers": (ShapeError, "torch.int64", lambda: matrix(5, 7) @ ones(7, 2).long()),
    "@ device": (ArgumentError, "cpu and meta came", lambda: matrix(5, 7) @ ones(7, 2, device="meta")),
    "+ shape": (ShapeError, r"sum needs matrices of one shape; \[5, 5\] \+ \[5, 7\] came", lambda: matrix(5, 5) + matrix(5, 7)),
    "- shape": (ShapeError, "sum needs matrices of one shape", lambda: matrix(5, 5) - matrix(4, 5)),
    "+ leading axes": (ShapeError, r"sizes 3 and 4 in \[3, 5, 7\] \+ \[4, 5, 7\]", lambda: matrix(3, 5, 7) + OTHER),
    "+ dtype": (ShapeError, r"torch.float32 and torch.float64 came in \[5, 5\] \+ \[5, 5\]", lambda: matrix(5, 5) + matrix(5, 5, dtype=torch.float64)),
    "+ device": (ArgumentError, r"cpu and meta came in \[5, 5\]", lambda: matrix(5, 5) + matrix(5, 5).to("meta")),
    "* matrix": (ShapeError, r"a number, or .*\[\.\.\., 1, 1\]; shape \[5, 5\] came for \[5, 5\]. For matrix products use @", lambda: matrix(5, 5) * ones(5, 5)),
    "/ matrix": (ShapeError, r"shape \[5, 5\] came for \[5, 5\]", lambda: matrix(5, 5) / ones(5, 5)),
    "* one per head": (ShapeError, r"\[\.\.\., 1, 1\]; shape \[3\] came for \[3, 5, 7\]", lambda: matrix(3, 5, 7) * ones(3)),
    "* for other heads": (ShapeError, r"\[4, 1, 1\].*\[3, 5, 7\]", lambda: matrix(3, 5, 7) * ones(4, 1, 1)),
    "* for heads that are not there": (ShapeError, r"\[2, 1, 1\].*\[5, 5\]", lambda: matrix(5, 5) * ones(2, 1, 1)),
    "inner": (ShapeError, r"one shape; \[5, 5\] and \[5, 7\] came", lambda: matrix(5, 5).inner(matrix(5, 7))),
    "inner, leading axes": (ShapeError, r"sizes 3 and 4 in \[3, 5, 7\] .*\[4, 5, 7\]", lambda: matrix(3, 5, 7).inner(OTHER)),
    "inner, tensor": (ArgumentError, "factored matri.*Tensor came", lambda: matrix(5, 5).inner(tensor())),
    "cosine": (ShapeError, r"one shape; \[5, 5\] and \[5, 7\] came", lambda: matrix(5, 5).cosine_similarity(matrix(5, 7))),
    "pairwise_norms": (ShapeError, r"7 columns and 5 rows in \[5, 7\] with \[5, 7\]", lambda: pairwise_norms(matrix(5, 7), matrix(5, 7))),
    "pairwise_norms, dtype": (ShapeError, "torch.float32 and torch.float64", lambda: pairwise_norms(matrix(5, 5), matrix(5, 5, dtype=torch.float64))),
    "pairwise_norms, wanted": (
        ShapeError, r"a place for every pair, \[3, 4\]; \[3, 3\]",
        lambda: pairwise_norms(matrix(3, 5, 5), matrix(4, 5, 5), ones(3, 3).bool()),
    ),
    "pairwise_norms, wanted by numbers": (
        ArgumentError, "wanted.*bool.*torch.float32", lambda: pairwise_norms(matrix(3, 5, 5), matrix(3, 5, 5), ones(3, 3)),
    ),
    "pairwise_norms, tensor": (ArgumentError, "factored matri.*Tensor came", lambda: pairwise_norms(matrix(5, 5), tensor())),
    "principal_angles": (
        ShapeError, r"column spaces of \[5, 5\] and \[4, 4\] do not lie in one space: 5 and 4 rows",
        lambda: principal_angles(matrix(5, 5), matrix(4, 4)),
    ),
    "principal_angles, rows": (
        ShapeError, r"row spaces of \[5, 7\] and \[5, 4\] do not lie in one space: 7 and 4 columns",
        lambda: principal_angles(matrix(5, 7), matrix(5, 4), "row"),
    ),
    "principal_angles, leading axes": (ShapeError, r"sizes 3 and 4 in \[3, 5, 7\] and \[4, 5, 7\]", lambda: principal_angles(matrix(3, 5, 7), OTHER)),
    "principal_angles, tensor": (ArgumentError, "factored matri.*Tensor came", lambda: principal_angles(matrix(5, 5), tensor())),
    "I + M, vector": (ShapeError, r"vector of 5 entries is needed for shape \[5, 5\]; \[4\] came", lambda: matrix(5, 5).identity_plus() @ ones(4)),
    "I + M, solve": (ShapeError, r"5 columns and the right has 4 rows", lambda: matrix(5, 5).identity_plus().solve(ones(4, 2))),
    "I + M, text": (ArgumentError, "tensors and factored matrices; str came", lambda: matrix(5, 5).identity_plus() @ text()),
}  # fmt: skip


def tensor() -> Any:
    return ones(5, 5)


def text() -> Any:
    return "x"


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("case", OPERANDS)
def test_operands_that_do_not_fit_are_refused(case: str) -> None:
    refused(*OPERANDS[case])


# explain


@pytest.mark.parametrize(
    ("question", "near"),
    [("eigenvlues", "'eigenvalues'"), ("sdv", "'svd'"), ("top_k", "'topk'"), ("Diagonal", "'diagonal'"), ("args", "'argmax'")],
)  # fmt: skip
def test_an_unknown_question_offers_the_nearest(question: str, near: str) -> None:
    refused(UnknownNameError, f"no question is called '{question}'. Nearest: .*{near}", lambda: matrix(5, 5).explain(question))  # fmt: skip


def test_a_question_like_no_other_says_how_many_there_are() -> None:
    refused(
        UnknownNameError, "no question is called 'zzz'. [0-9]+ names are known", lambda: matrix(5, 5).explain("zzz")
    )


def test_the_check_itself_sees_other_words_and_other_errors() -> None:
    with pytest.raises(AssertionError, match="Regex"):
        refused(ShapeError, "quite other words", lambda: make(ones(5), ones(5, 2)))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        refused(ShapeError, "any", lambda: make(ones(5, 2), ones(2, 5)))
    with pytest.raises(ShapeError):
        refused(OutOfRangeError, "any", lambda: make(ones(5), ones(5, 2)))


def test_what_is_wrong_says_nothing_about_what_is_right() -> None:
    """The smallest use of each refused kind: refusing everything would not do."""
    M = matrix(5, 5)
    found: Tensor = M.topk(25).values
    assert found.shape == (25,)
    assert M.truncate(2).matrix.mdim == 2
    assert M[..., -5, 4].shape == (1, 1)
    assert M[ones(5).bool()].shape == (5, 5)
    assert (M / 2).AB[0, 0] == 1
    assert M.entries(torch.tensor([-5]), torch.tensor([4])).item() == 2
    assert M.explain("eigenvalues").question == "eigenvalues"
