"""Gradients: of every question by finite differences, and at degenerate points against closed forms."""

import gc
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import chains
import pytest
import torch
from torch import Tensor

from refractor.linalg import FactoredMatrix, Grouped, IdentityPlus

FINITE = 1e-5, 1e-6  # relative and absolute: central differences at 1e-6 in float64 are good to about 1e-9
EXACT = 1e-8, 1e-9  # relative and absolute: two analytic gradients in float64

Question = Callable[[FactoredMatrix], Any]  # a tensor; `@` may return either kind


class Case(NamedTuple):
    """Leaf tensors, and how a chain is made of them."""

    parts: tuple[Tensor, ...]
    build: Callable[..., FactoredMatrix] = FactoredMatrix


def complex_draw(*shape: int) -> Tensor:
    return chains.draw(*shape, dtype=torch.complex128)


CASES: dict[str, Callable[[], Case]] = {
    "two factors": lambda: Case((chains.draw(4, 2), chains.draw(2, 4))),
    "three factors": lambda: Case((chains.draw(4, 3), chains.draw(3, 3), chains.draw(3, 4))),
    "four factors, shared ends": lambda: Case(
        (chains.draw(4, 3), chains.draw(2, 1, 3, 2), chains.draw(2, 3, 2, 3), chains.draw(3, 4))
    ),
    "shared in the middle": lambda: Case((chains.draw(2, 4, 3), chains.draw(3, 2), chains.draw(2, 2, 4))),
    "groups": lambda: Case(
        (chains.draw(2, 4, 2), chains.draw(4, 2, 4)), lambda A, B: FactoredMatrix(Grouped(A, [0, 0, 1, 1]), B)
    ),
    "uneven groups among others": lambda: Case(
        (chains.draw(4, 3), chains.draw(2, 3, 2), chains.draw(3, 2, 4)),
        lambda A, B, C: FactoredMatrix(A, Grouped(B, [1, 0, 1]), C),
    ),
    "wider inside than outside": lambda: Case((chains.draw(3, 5), chains.draw(5, 3))),
    "complex": lambda: Case((complex_draw(4, 2), complex_draw(2, 4))),
    "complex stack": lambda: Case((complex_draw(4, 3), complex_draw(2, 3, 2), complex_draw(2, 4))),
}
"""Square matrices."""

OTHER: dict[str, Callable[[], Case]] = {
    "tall": lambda: Case((chains.draw(5, 2), chains.draw(2, 3, 3)[:, :2], chains.draw(3, 3))),
    "wide": lambda: Case((chains.draw(3, 2), chains.draw(2, 5))),
    "wider inside, few rows": lambda: Case((chains.draw(2, 5), chains.draw(5, 4))),
    "wider inside, few columns": lambda: Case((chains.draw(4, 5), chains.draw(5, 2))),
}

REAL = [name for name in {**CASES, **OTHER} if "complex" not in name]


def leaves(case: Case) -> tuple[Tensor, ...]:
    return tuple(part.detach().clone().requires_grad_() for part in case.parts)


def check_gradient(question: Callable[..., Any], parts: tuple[Tensor, ...]) -> None:
    """Hold the gradient of `question`, a function of all `parts`, against finite differences.

    The parts are laid into one vector, whose derivative along one direction is cheap: all parts move at once.
    """
    sizes = [part.numel() for part in parts]

    def of_vector(vector: Tensor) -> Any:
        pieces = vector.split(sizes)
        return question(*(piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)))

    vector = torch.cat([part.detach().reshape(-1) for part in parts]).requires_grad_()
    assert torch.autograd.gradcheck(
        of_vector, vector, fast_mode=True, check_undefined_grad=False, rtol=FINITE[0], atol=FINITE[1]
    )


def check_question(question: Question, name: str) -> None:
    case = {**CASES, **OTHER}[name]()
    check_gradient(lambda *parts: question(case.build(*parts)), case.parts)


def symmetric(values: Tensor) -> Tensor:
    return torch.stack([(values**power).sum(-1) for power in (1, 2, 3)], -1)


def projector(vectors: Tensor, count: int) -> Tensor:
    kept = vectors[..., :count]
    return kept @ kept.mH


def svd_function(M: FactoredMatrix, function: Callable[[Tensor], Tensor]) -> Tensor:
    U, S, Vh = M.svd()
    return U @ function(S).to(U.dtype).diag_embed() @ Vh.mT


def even_spectrum(M: FactoredMatrix) -> Tensor:
    """The traces of powers of `(Aᴴ A)(B Bᴴ)`, whose eigenvalues are the squared singular values in any basis."""
    A, B = M.make_even().pair
    core = (A.mH @ A) @ (B @ B.mH)
    return torch.stack([core.diagonal(dim1=-2, dim2=-1).sum(-1), torch.linalg.slogdet(core).logabsdet], -1)


def rounded(M: FactoredMatrix) -> Tensor:
    S = M.S.detach()
    tol = (S[..., -1] / S.norm(dim=-1)).max().item() * 1.01  # drops the last value of every matrix
    low = M.round(tol).matrix
    assert low.mdim < S.shape[-1]
    return low.AB


def line(M: FactoredMatrix, length: int) -> Tensor:
    return torch.linspace(-1, 2, length, dtype=torch.float64).to(M.dtype)


def stretched(M: FactoredMatrix) -> FactoredMatrix:
    found = M @ torch.diag(line(M, M.rdim))
    assert isinstance(found, FactoredMatrix)
    return found


ANY: dict[str, Question] = {
    "S": lambda M: M.S,
    "norm": lambda M: M.norm(),
    "spectral norm": lambda M: M.norm("spectral"),
    "nuclear norm": lambda M: M.norm("nuclear"),
    "stable_rank": lambda M: M.stable_rank(),
    "participation_ratio": lambda M: M.participation_ratio(),
    "effective_rank": lambda M: M.effective_rank(),
    "svd, S": lambda M: M.svd().S,
    "svd, projector of the first left vector": lambda M: projector(M.U, 1),
    "svd, projector of all left vectors": lambda M: projector(M.U, M.rank_bound),
    "svd, projector of the first right vector": lambda M: projector(M.V, 1),
    "svd, projector of all right vectors": lambda M: projector(M.V, M.rank_bound),
    "svd, the matrix itself": lambda M: svd_function(M, lambda S: S),
    "svd, the nearest isometry": lambda M: svd_function(M, torch.ones_like),
    "svd, a function of singular values": lambda M: svd_function(M, torch.tanh),
    "make_even, product": lambda M: M.make_even().AB,
    "make_even, spectrum of both sides": even_spectrum,
    "collapse_l": lambda M: M.collapse_l().mH @ M.collapse_l(),
    "collapse_r": lambda M: M.collapse_r() @ M.collapse_r().mH,
    "truncate, matrix of rank 1": lambda M: M.truncate(1).matrix.AB,
    "truncate, matrix of full rank": lambda M: M.truncate(M.rank_bound).matrix.AB,
    "truncate, error": lambda M: M.truncate(1).error,
    "truncate, spectral error": lambda M: M.truncate(1).spectral_error,
    "round, matrix": rounded,
    "round, nothing dropped": lambda M: M.round(0.0).matrix.AB,
    "sum with itself": lambda M: (M + M).AB,
    "sum with its conjugate": lambda M: (M + M.conj()).AB,
    "sum with the same factors scaled": lambda M: (M + 3 * M).AB,
    "difference": lambda M: (M - 0.5 * M.conj()).AB,
    "times a number": lambda M: (M * 3).AB,
    "through a number": lambda M: (M / 4).AB,
    "entries": lambda M: M.entries(torch.tensor([[0, -1], [1, 1]]), torch.tensor([0, -1])),
    "block": lambda M: M.block(torch.tensor([0, -1, 0]), torch.tensor([1, 0])),
    "corner": lambda M: M.get_corner(2),
    "indexing": lambda M: M[..., [0, -1, 0], 1:].AB,
    "row_norms": lambda M: M.row_norms(),
    "col_norms": lambda M: M.col_norms(),
    "sum of all entries": lambda M: M.sum(),
    "sum of rows": lambda M: M.sum(-1),
    "sum of columns": lambda M: M.sum(-2),
    "mean": lambda M: M.mean(),
    "mean of rows": lambda M: M.mean(-1),
    "mean of columns": lambda M: M.mean(-2),
    "var": lambda M: M.var(),
    "var of rows": lambda M: M.var(-1),
    "var of columns": lambda M: M.var(-2, correction=0),
    "inner": lambda M: M.inner(stretched(M.conj())),
    "inner with itself": lambda M: M.inner(M),
    "cosine_similarity": lambda M: M.cosine_similarity(stretched(M)),
    "dense": lambda M: M.dense(),
    "AB": lambda M: M.AB,
    "A": lambda M: M.A,
    "B": lambda M: M.B,
    "mH": lambda M: M.mH.AB,
    "matrix times vector": lambda M: M @ line(M, M.rdim),
    "vector times matrix": lambda M: line(M, M.ldim) @ M,
}  # fmt: skip
"""Questions of any matrix."""

SQUARE: dict[str, Question] = {
    "eigenvalues, power sums": lambda M: symmetric(M.eigenvalues),
    "eigenvalues, sum of absolute values": lambda M: M.eigenvalues.abs().sum(-1),
    "eigenvalues, spectral radius": lambda M: M.eigenvalues.abs()[..., 0],
    "torch.linalg.eigvals": lambda M: symmetric(torch.linalg.eigvals(M)),
    "trace": lambda M: M.trace(),
    "BA": lambda M: M.BA,
    "diagonal": lambda M: M.diagonal(),
    "sum with the transpose": lambda M: (M + M.T).AB,
    "identity_plus, logabsdet": lambda M: M.identity_plus().slogdet().logabsdet,
    "identity_plus, inverse": lambda M: M.identity_plus().inverse().dense(),
    "identity_plus, solve for a vector": lambda M: M.identity_plus().solve(line(M, M.ldim)),
    "identity_plus, solve for columns": lambda M: M.identity_plus().solve(torch.stack([line(M, M.ldim)] * 2, -1)),
    "identity_plus, trace": lambda M: M.identity_plus().trace(),
    "identity_plus, eigenvalues": lambda M: symmetric(M.identity_plus().eigenvalues),
    "identity_plus, squared": lambda M: squared(M.identity_plus()).dense(),
}
"""Questions of square matrices."""

ORDERED: dict[str, Question] = {
    "topk": lambda M: M.topk(3).values,
    "topk of rows": lambda M: M.topk(2, -1).values,
    "topk of columns": lambda M: M.topk(2, -2).values,
    "max": lambda M: M.max(),
    "max of rows": lambda M: M.max(-1),
    "max of columns": lambda M: M.max(-2),
    "min": lambda M: M.min(),
    "min of rows": lambda M: M.min(-1),
}
"""Questions of real matrices."""


def squared(plus: IdentityPlus[FactoredMatrix]) -> IdentityPlus[FactoredMatrix]:
    return plus @ plus


QUESTIONS = {**ANY, **SQUARE, **ORDERED}
EVERYWHERE = (
    "S", "norm", "svd, a function of singular values", "make_even, product", "truncate, matrix of rank 1", "row_norms",
    "eigenvalues, power sums", "identity_plus, inverse",
)  # fmt: skip
"""Questions that are asked of every chain; the others of one."""
SPECTRAL = (
    "spectral norm", "nuclear norm", "effective_rank", "svd, projector of the first left vector", "collapse_l",
    "svd, projector of the first right vector", "svd, the nearest isometry", "make_even, spectrum of both sides",
    "collapse_r", "truncate, error", "truncate, matrix of full rank", "col_norms", "var", "diagonal", "entries", "inner",
    "cosine_similarity", "eigenvalues, sum of absolute values", "trace", "identity_plus, logabsdet",
    "identity_plus, solve for columns", "sum with its conjugate", "mH", "matrix times vector",
)  # fmt: skip
"""Questions that are asked of a complex chain too."""


def asked() -> list[tuple[str, str]]:
    pairs = []
    for question in QUESTIONS:
        for name in {**CASES, **OTHER}:
            fits = (name in CASES or question not in SQUARE) and (name in REAL or question not in ORDERED)
            asked_here = name == "shared in the middle" or (name == "complex stack" and question in SPECTRAL)
            if fits and (question in EVERYWHERE or asked_here):
                pairs.append((name, question))
    return pairs


@pytest.mark.parametrize(("name", "question"), asked())
def test_questions(name: str, question: str) -> None:
    check_question(QUESTIONS[question], name)


# the check itself


class _Wrong(torch.autograd.Function):
    """The sum of squares with a gradient that is off by a thousandth."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.save_for_backward(tensor)
        return (tensor**2).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2.002 * ctx.saved_tensors[0] * grads[0]


def apply(function: type[torch.autograd.Function], *inputs: Tensor) -> Tensor:
    found: Any = function.apply(*inputs)
    return found


def test_a_wrong_gradient_is_seen() -> None:
    parts = (chains.draw(2, 1), chains.draw(1, 2))
    check_gradient(lambda A, B: (FactoredMatrix(A, B).S ** 2).sum(), parts)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check_gradient(lambda A, B: apply(_Wrong, FactoredMatrix(A, B).S), parts)


@pytest.mark.parametrize("place", [0, 1])
def test_a_gradient_that_misses_one_factor_is_seen(place: int) -> None:
    def without_one(*parts: Tensor) -> Tensor:
        first, second = (part.detach() if at == place else part for at, part in enumerate(parts))
        return FactoredMatrix(first, second).norm()

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check_gradient(without_one, (chains.draw(2, 1), chains.draw(1, 2)))


def test_a_gradient_that_is_not_connected_is_seen() -> None:
    with pytest.raises(RuntimeError, match="expected to be zero"):
        check_gradient(lambda A, B: FactoredMatrix(A, B).detach().S, CASES["two factors"]().parts)


# gradients with respect to what is not a factor


def test_other_operands_have_gradients() -> None:
    A, B, vector, rows, weights, number = (
        chains.draw(*shape) for shape in ((2, 4, 2), (2, 4), (4,), (3, 4), (2, 1, 1), (1,))
    )
    check_gradient(lambda A, B, v: FactoredMatrix(A, B) @ v, (A, B, vector))
    check_gradient(lambda A, B, v: v @ FactoredMatrix(A, B), (A, B, vector))
    check_gradient(lambda A, B, X: (X @ FactoredMatrix(A, B)).S, (A, B, rows))
    check_gradient(lambda A, B, X: (FactoredMatrix(A, B) @ X.mT).AB, (A, B, rows))
    check_gradient(lambda A, B, w: (FactoredMatrix(A, B) * w).S, (A, B, weights))
    check_gradient(lambda A, B, x: (FactoredMatrix(A, B) * x).norm(), (A, B, number))
    check_gradient(lambda A, B, x: (FactoredMatrix(A, B) / x).norm(), (A, B, number))
    check_gradient(lambda A, B, v: FactoredMatrix(A, B).identity_plus().solve(v), (A, B, vector))
    check_gradient(lambda A, B, X: FactoredMatrix(A, B).identity_plus().solve(X.mT), (A, B, rows))
    check_gradient(lambda A, B, X: (FactoredMatrix(A, B) + FactoredMatrix(X.mT, X)).AB, (A, B, rows))
    check_gradient(lambda A, B, X: FactoredMatrix(A, B).inner(FactoredMatrix(X.mT, X)), (A, B, rows))
    check_gradient(lambda A, B, X: FactoredMatrix(A, B).cosine_similarity(FactoredMatrix(X.mT, X)), (A, B, rows))


DECOMPOSED = ("S", "svd, a function of singular values", "norm", "eigenvalues, power sums", "collapse_l")


@pytest.mark.parametrize("question", DECOMPOSED)
@pytest.mark.parametrize("free", [0, 1, 2])
def test_one_factor_may_ask_alone(question: str, free: int) -> None:
    parts = CASES["uneven groups among others"]().parts
    build = CASES["uneven groups among others"]().build

    def of_one(part: Tensor) -> Tensor:
        return QUESTIONS[question](build(*parts[:free], part, *parts[free + 1 :]))

    check_gradient(of_one, (parts[free].clone().requires_grad_(),))


@pytest.mark.parametrize("question", DECOMPOSED)
def test_one_tensor_may_be_two_factors(question: str) -> None:
    part = chains.draw(3, 3).requires_grad_()
    check_gradient(lambda W: QUESTIONS[question](FactoredMatrix(W, W)), (part,))
    check_gradient(lambda W: QUESTIONS[question](FactoredMatrix(W, W.mT)), (part,))


@pytest.mark.parametrize("question", DECOMPOSED)
def test_factors_may_be_views_of_others(question: str) -> None:
    part = chains.draw(4, 4).requires_grad_()
    check_gradient(lambda W: QUESTIONS[question](FactoredMatrix(2 * W[:, ::2], W[1:3])), (part,))


def test_leaves_on_one_memory_keep_their_own_gradients() -> None:
    """Tied weights: two parameters over the same numbers."""
    A, B = leaves(CASES["two factors"]())
    tied = torch.nn.Parameter(A.detach())
    (FactoredMatrix(A, B) + FactoredMatrix(tied, B)).sum().backward()
    wanted = B.detach().sum(-1).expand_as(A)
    assert A.grad is not None
    assert tied.grad is not None
    assert torch.allclose(A.grad, wanted)
    assert torch.allclose(tied.grad, wanted)


# what surrounds a gradient


COMPARED = (
    "norm",
    "S",
    "row_norms",
    "col_norms",
    "var",
    "var of rows",
    "diagonal",
    "topk",
    "max of rows",
    "trace",
    "sum",
)


@pytest.mark.parametrize("question", [name for name in COMPARED if name in QUESTIONS])
def test_numbers_are_the_same_with_and_without_gradients(question: str) -> None:
    """Also where rows are zero by cancellation, relative to the largest number."""
    left = torch.cat([chains.draw(3, 2), chains.draw(1, 2, seed=1)])
    right = chains.draw(2, 4)
    A, B = torch.cat([left, -0.7 * left], dim=-1), torch.cat([right, right / 0.7])
    A[-1, 2:] += 0.3
    plain = QUESTIONS[question](FactoredMatrix(A, B))
    free = QUESTIONS[question](FactoredMatrix(A.clone().requires_grad_(), B.clone().requires_grad_()))
    assert (plain - free).abs().max() <= 1e-10 * plain.abs().max()


def test_nothing_is_connected_where_nothing_asks() -> None:
    A, B = leaves(CASES["two factors"]())
    with torch.no_grad():
        for name, question in QUESTIONS.items():
            assert name in ("A", "B") or not question(FactoredMatrix(A, B)).requires_grad
    assert not FactoredMatrix(A.detach(), B.detach()).S.requires_grad
    assert not FactoredMatrix(A, B).detach().S.requires_grad
    assert not FactoredMatrix(A, B).factored_svd().S.requires_grad


@pytest.mark.parametrize("question", DECOMPOSED)
def test_a_second_derivative_is_refused(question: str) -> None:
    A, B = leaves(CASES["two factors"]())
    (first,) = torch.autograd.grad(QUESTIONS[question](FactoredMatrix(A, B)).abs().sum(), A, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable|does not require grad"):
        first.sum().backward()


@pytest.mark.parametrize("question", DECOMPOSED)
def test_a_graph_may_be_gone_through_twice(question: str) -> None:
    A, B = leaves(CASES["two factors"]())
    value = QUESTIONS[question](FactoredMatrix(A, B)).abs().sum()
    first = torch.autograd.grad(value, (A, B), retain_graph=True)
    second = torch.autograd.grad(value, (A, B))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("question", DECOMPOSED)
@pytest.mark.usefixtures("untyped")
def test_a_graph_is_freed_when_nothing_holds_it(question: str) -> None:
    """Without the garbage collector, which may come late while memory fills."""
    gc.collect()
    gc.disable()
    try:
        parts = leaves(CASES["two factors"]())
        kept = weakref.ref(parts[0])
        value = QUESTIONS[question](FactoredMatrix(*parts))
        value.abs().sum().backward()
        del value, parts
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("question", DECOMPOSED)
def test_a_stack_without_entries_has_an_empty_gradient(question: str) -> None:
    A = chains.draw(0, 4, 2).requires_grad_()
    B = chains.draw(2, 4).requires_grad_()
    QUESTIONS[question](FactoredMatrix(A, B)).abs().sum().backward()
    assert A.grad is not None
    assert A.grad.shape == (0, 4, 2)
    assert B.grad is not None
    assert torch.equal(B.grad, torch.zeros(2, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    "question", ["norm", "nuclear norm", "S", "trace", "row_norms", "var", "eigenvalues, power sums"]
)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_lower_precisions_have_gradients_in_their_own_dtype(dtype: torch.dtype, near: float, question: str) -> None:
    low = [chains.draw(4, 2, dtype=dtype).requires_grad_(), chains.draw(2, 4, dtype=dtype).requires_grad_()]
    high = [part.detach().double().requires_grad_() for part in low]
    for parts in (low, high):
        QUESTIONS[question](FactoredMatrix(*parts)).real.double().sum().backward()
    for one, other in zip(low, high, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.dtype == dtype
        assert (one.grad.double() - other.grad).abs().max() <= near * other.grad.abs().max()


# degenerate points

DEGENERATE: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "equal singular values": lambda: (chains.orthonormal(5, 3), 2 * chains.orthonormal(5, 3).mT),
    "identity": lambda: (torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)),
    "some equal": lambda: (
        chains.orthonormal(5, 3) * torch.tensor([3.0, 3.0, 1.0], dtype=torch.float64),
        chains.orthonormal(5, 3).mT,
    ),
    "rank deficient on the left": lambda: (chains.deficient(5, 3, 2), chains.draw(3, 5)),
    "rank deficient on the right": lambda: (chains.draw(5, 3), chains.deficient(3, 5, 2)),
    "rank deficient on both sides": lambda: (chains.deficient(5, 3, 2), chains.deficient(3, 5, 2)),
    "zero": lambda: (torch.zeros(4, 2, dtype=torch.float64), chains.draw(2, 4)),
    "zero on both sides": lambda: (torch.zeros(4, 2, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)),
    "nilpotent": lambda: (torch.eye(4, dtype=torch.float64)[:, :3], torch.eye(4, dtype=torch.float64)[1:]),
    "a Jordan block": lambda: (
        torch.eye(3, dtype=torch.float64) * 2 + torch.eye(3, dtype=torch.float64).roll(1, 1).triu(),
        torch.eye(3, dtype=torch.float64),
    ),
    "a rotation": lambda: (chains.orthonormal(5, 5), torch.eye(5, dtype=torch.float64)),
    "a reflection": lambda: (
        chains.orthonormal(4, 4) * torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64),
        chains.orthonormal(4, 4).mT,
    ),
    "a cycle": lambda: (torch.eye(6, dtype=torch.float64).roll(1, 0), torch.eye(6, dtype=torch.float64)),
}


def gradients(question: Question, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the gradients with respect to the factors of the real part of a weighted sum of the outcome."""
    free = tuple(part.detach().clone().requires_grad_() for part in parts)
    return torch.autograd.grad(weighted(question(FactoredMatrix(*free))), free)


def weighted(outcome: Tensor) -> Tensor:
    """Return a sum with weights that are all different, so that no entry of the outcome goes unseen."""
    weights = torch.linspace(0.5, 1.5, outcome.numel(), dtype=torch.float64).sin().reshape(outcome.shape)
    return (outcome.real * weights).sum()


def of_product(question: Callable[[Tensor], Tensor], parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the same gradients of a question that is asked of the formed product."""
    free = tuple(part.detach().clone().requires_grad_() for part in parts)
    return torch.autograd.grad(weighted(question(free[0] @ free[1])), free)


def same(ours: tuple[Tensor, ...], truth: tuple[Tensor, ...]) -> None:
    for one, other in zip(ours, truth, strict=True):
        assert torch.isfinite(one).all()
        assert torch.allclose(one, other, rtol=EXACT[0], atol=EXACT[1]), (one - other).abs().max()


SINGULAR = ("a reflection", "a rotation", "a cycle")
"""Points at which I + M may be singular."""
FINITE_POINTS = ("equal singular values", "rank deficient on both sides", "zero", "nilpotent", "a Jordan block")
AT_RISK = (
    "S", "norm", "spectral norm", "nuclear norm", "stable_rank", "participation_ratio", "effective_rank",
    "svd, projector of the first left vector", "svd, the nearest isometry", "svd, a function of singular values",
    "make_even, product", "collapse_l", "collapse_r", "truncate, matrix of rank 1", "truncate, matrix of full rank",
    "row_norms", "var", "topk", "max", "eigenvalues, power sums", "eigenvalues, sum of absolute values",
    "eigenvalues, spectral radius", "identity_plus, logabsdet", "identity_plus, inverse",
)  # fmt: skip


@pytest.mark.parametrize("question", AT_RISK)
def test_gradients_are_finite_at_degenerate_points(question: str) -> None:
    for point in FINITE_POINTS:
        parts = DEGENERATE[point]
        for each in gradients(QUESTIONS[question], parts()):
            assert torch.isfinite(each).all(), point


POLYNOMIAL: dict[str, tuple[Question, Callable[[Tensor], Tensor]]] = {
    "sum of squared singular values": (lambda M: (M.S**2).sum(), lambda D: (D**2).sum()),
    "sum of fourth powers": (lambda M: (M.S**4).sum(), lambda D: ((D.mT @ D) ** 2).sum()),
    "participation ratio": (
        lambda M: M.participation_ratio(),
        lambda D: (D**2).sum() ** 2 / ((D.mT @ D) ** 2).sum(),
    ),
    "Frobenius norm": (lambda M: M.norm(), lambda D: (D**2).sum().sqrt()),
    "collapse_l": (lambda M: M.collapse_l().mT @ M.collapse_l(), lambda D: D.mT @ D),
    "collapse_r": (lambda M: M.collapse_r() @ M.collapse_r().mT, lambda D: D @ D.mT),
    "truncate at full rank": (lambda M: M.truncate(M.rank_bound).matrix.AB, lambda D: D),
    "round to nothing dropped": (lambda M: M.round(0.0).matrix.AB, lambda D: D),
    "identity_plus, slogdet": (
        lambda M: M.identity_plus().slogdet().logabsdet,
        lambda D: torch.linalg.slogdet(torch.eye(len(D), dtype=D.dtype) + D).logabsdet,
    ),
    "row_norms": (lambda M: M.row_norms() ** 2, lambda D: (D**2).sum(-1)),
    "var": (lambda M: M.var(), lambda D: D.var()),
    "trace": (lambda M: M.trace(), lambda D: D.trace()),
}
"""Questions that are a smooth function of the entries of the product, at every matrix that is not zero."""


@pytest.mark.parametrize("question", POLYNOMIAL)
def test_smooth_questions_are_right_at_degenerate_points(question: str) -> None:
    ours, dense = POLYNOMIAL[question]
    wrong = []
    for point, parts in DEGENERATE.items():
        if point.startswith("zero") or ("identity_plus" in question and point in SINGULAR):
            continue
        both = zip(gradients(ours, parts()), of_product(dense, parts()), strict=True)
        if not all(torch.allclose(one, other, rtol=EXACT[0], atol=EXACT[1]) for one, other in both):
            wrong.append(point)
    assert not wrong


DIAGONALISABLE = ("equal singular values", "identity", "some equal", "a rotation", "a reflection", "a cycle")


@pytest.mark.parametrize("power", [1, 2, 3, 4])
@pytest.mark.parametrize("point", DIAGONALISABLE)
def test_power_sums_of_eigenvalues_are_right_where_they_coincide(point: str, power: int) -> None:
    parts = DEGENERATE[point]()
    ours = gradients(lambda M: (M.eigenvalues**power).sum(-1), parts)
    same(ours, of_product(lambda D: torch.linalg.matrix_power(D, power).trace(), parts))


@pytest.mark.parametrize("seed", range(6))
def test_power_sums_of_eigenvalues_of_equal_size_are_right(seed: int) -> None:
    """On the unit circle rounding decides the order, which is not the same in two calls of LAPACK."""
    parts = (
        torch.stack([torch.linalg.qr(chains.draw(7, 7, seed=9 * seed + each))[0] for each in range(3)]),
        torch.eye(7, dtype=torch.float64),
    )
    ours = gradients(lambda M: (M.eigenvalues**3).sum(-1), parts)
    same(ours, of_product(lambda D: torch.linalg.matrix_power(D, 3).diagonal(dim1=-2, dim2=-1).sum(-1), parts))


@pytest.mark.parametrize("point", ["nilpotent", "a Jordan block", "zero", "zero on both sides"])
def test_the_sum_of_defective_eigenvalues_has_the_gradient_of_the_trace(point: str) -> None:
    parts = DEGENERATE[point]()
    ours = gradients(lambda M: M.eigenvalues.sum(-1), parts)
    for one, other in zip(ours, of_product(torch.trace, parts), strict=True):
        assert torch.allclose(one, other, atol=1e-5)  # eigenvectors that were separated by 1e-9


@pytest.mark.parametrize("point", ["equal singular values", "identity", "a rotation", "a reflection", "a cycle"])
def test_the_nuclear_norm_of_equal_singular_values(point: str) -> None:
    """`d |M|_* = U Vᵀ`, which is M over its singular value."""
    A, B = DEGENERATE[point]()
    G = A @ B / torch.linalg.matrix_norm(A @ B, 2)
    free = A.clone().requires_grad_(), B.clone().requires_grad_()
    same(torch.autograd.grad(FactoredMatrix(*free).norm("nuclear"), free), (G @ B.mT, A.mT @ G))


@pytest.mark.parametrize("point", ["equal singular values", "identity", "a rotation", "a reflection", "a cycle"])
def test_the_nearest_isometry_where_singular_values_are_equal(point: str) -> None:
    """`M (Mᵀ M)^-1/2` for M = s Q: its change is that of `(3 M - M Mᵀ M / s²) / 2s`, the next step of Newton."""
    A, B = DEGENERATE[point]()
    s = float(torch.linalg.matrix_norm(A @ B, 2))
    count = min(*A.shape, *B.shape)
    basis = torch.linalg.svd(A @ B)

    def dense(D: Tensor) -> Tensor:
        core = basis.U[:, :count].mT @ D @ basis.Vh[:count].mT  # the square part, where M is s times a rotation
        inside = basis.U[:, :count] @ (1.5 * core / s - core @ core.mT @ core / (2 * s**3)) @ basis.Vh[:count]
        left = basis.U[:, count:] @ (basis.U[:, count:].mT @ D) / s
        right = (D @ basis.Vh[count:].mT) @ basis.Vh[count:] / s
        return inside + left + right

    same(
        gradients(lambda M: svd_function(M, torch.ones_like), (A, B)),
        of_product(dense, (A, B)),
    )


@pytest.mark.parametrize("point", ["some equal", "rank deficient on the left", "rank deficient on both sides"])
def test_projectors_on_what_is_separated_are_right(point: str) -> None:
    """The projector on the first two vectors is `(1 + sign(M Mᵀ - c)) / 2`, whose sign is the limit of Newton's steps."""
    parts = DEGENERATE[point]()
    squares = torch.linalg.svdvals(parts[0] @ parts[1]) ** 2
    between = (squares[1] + squares[2]) / 2

    def dense(D: Tensor) -> Tensor:
        eye = torch.eye(len(D), dtype=D.dtype)
        sign = D @ D.mT - between * eye
        for _ in range(60):
            sign = (sign + torch.linalg.inv(sign)) / 2
        return (eye + sign) / 2

    for of_M, of_D in (
        (lambda M: projector(M.U, 2), dense),
        (lambda M: projector(M.V, 2), lambda D: dense(D.mT)),
    ):
        same(gradients(of_M, parts), of_product(of_D, parts))


def test_the_frobenius_norm_at_zero_has_gradient_zero() -> None:
    for point in ("zero", "zero on both sides"):
        for each in gradients(lambda M: M.norm(), DEGENERATE[point]()):
            assert torch.equal(each, torch.zeros_like(each))


def test_the_frobenius_norm_of_one_zero_among_others() -> None:
    A = chains.draw(3, 4, 2)
    A[1] = 0
    B = chains.draw(2, 4)
    ours = gradients(lambda M: M.norm(), (A, B))
    assert torch.equal(ours[0][1], torch.zeros(4, 2, dtype=torch.float64))
    kept = torch.tensor([0, 2])
    weights = torch.linspace(0.5, 1.5, 3, dtype=torch.float64).sin()[kept]
    free = A[kept].clone().requires_grad_(), B.clone().requires_grad_()
    truth = torch.autograd.grad((torch.linalg.matrix_norm(free[0] @ free[1]) * weights).sum(), free)
    same((ours[0][kept], ours[1]), truth)


@pytest.mark.parametrize("question", ["stable_rank", "participation_ratio", "effective_rank"])
def test_ranks_of_the_zero_matrix_have_gradient_zero(question: str) -> None:
    for each in gradients(QUESTIONS[question], DEGENERATE["zero"]()):
        assert torch.equal(each, torch.zeros_like(each))


def test_lengths_of_rows_of_zeros_have_gradient_zero() -> None:
    A = chains.draw(4, 2)
    A[1] = 0
    first, _ = gradients(lambda M: M.row_norms(), (A, chains.draw(2, 3)))
    assert torch.isfinite(first).all()
    assert torch.equal(first[1], torch.zeros(2, dtype=torch.float64))


def test_lengths_of_rows_that_cancel_have_small_values() -> None:
    """A row that lies where the right side is nothing is zero to rounding, not to the root of rounding."""
    base = chains.draw(1, 4)
    A = torch.tensor([[0.7, -0.7 / 3], [1.0, 1.0]], dtype=torch.float64).requires_grad_()
    B = torch.cat([base / 3, base])
    assert FactoredMatrix(A, B).row_norms()[0] <= 1e-14
    assert FactoredMatrix(A.detach(), B).row_norms()[0] <= 1e-14


def test_variance_of_equal_entries_has_gradient_zero() -> None:
    parts = (torch.ones(4, 2, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64))
    for dim in (None, -1, -2):
        for each in gradients(lambda M, dim=dim: M.var(dim), parts):
            assert torch.equal(each, torch.zeros_like(each))


def test_equal_entries_share_no_gradient_of_the_largest() -> None:
    A = torch.ones(3, 1, dtype=torch.float64)
    B = torch.ones(1, 4, dtype=torch.float64)
    first, second = gradients(lambda M: M.topk(2).values, (A, B))
    assert torch.isfinite(first).all()
    assert torch.isclose(first.sum(), second.sum())
    (whole, _) = gradients(lambda M: M.max(), (A, B))
    assert (whole != 0).sum() == 1
