"""Norms, and the ways to say how many directions a matrix really uses."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_float, check_member
from refractor.linalg.chain import Chain, adjoint, beside, part
from refractor.linalg.contract import product_inner, wide_dtype
from refractor.linalg.evaluate import evaluate, evaluate_watched, plan_product
from refractor.linalg.factor import Factor, expand_leading
from refractor.linalg.finite import check_factors, check_finite
from refractor.linalg.gradient import Outcome, Pull, known_gradient
from refractor.linalg.scaling import scaled
from refractor.linalg.svd import real_dtype, singular_values
from refractor.linalg.sweep import cut_of
from refractor.linalg.trace import trace_factor

CANCELLED = 1e-3  # a squared norm below this share of the Gram matrices' norms has lost digits; then QR is used

ENLARGED = 1e3  # cancellation inside a Gram matrix, whose rounding is that of squares, beyond which QR is used


def norm(matrix: Chain, kind: Literal["fro", "spectral", "nuclear"] = "fro") -> Float[Tensor, "*leading"]:
    """Norm of each matrix: Frobenius `sqrt(sum S²)`, spectral `max S` or nuclear `sum S`.

    The Frobenius norm needs no decomposition: `|L R|² = tr((Lᴴ L)(R Rᴴ))`, two small Gram matrices. Where that trace is
    a small difference of large terms (the columns of R lie where L is small), or squares leave the range of the dtype,
    the singular values are used instead.
    Differentiable, with gradient 0 at the zero matrix.

    Returns:
        `[*leading]`, real, in the dtype of contractions.

    Raises:
        ArgumentError: a factor has NaN or infinite entries, or `kind` is unknown.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.eye(2), torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    >>> M.norm(), M.norm("spectral"), M.norm("nuclear")
    (tensor(5.), tensor(4.), tensor(7.))

    """
    check_member("kind", kind, ("fro", "spectral", "nuclear"))
    if kind == "spectral":
        values = singular_values(matrix)
        return values[..., 0] if values.shape[-1] else values.sum(-1)
    if kind == "nuclear":
        return singular_values(matrix).sum(-1)

    def ask(chain: Chain) -> Outcome:
        return (_frobenius(chain),)

    def ask_and_pull(chain: Chain) -> tuple[Outcome, Pull]:
        value = _frobenius(chain)

        def pull(grads: Outcome) -> list[Chain]:
            return [scaled(chain, torch.where(value > 0, grads[0] / torch.where(value > 0, value, 1), 0))]

        return (value,), pull

    return known_gradient(matrix, ask, ask_and_pull)[0]


def stable_rank(matrix: Chain) -> Float[Tensor, "*leading"]:
    """Stable rank `|M|_F² / |M|_2² = sum S² / max S²`: 1 … rank, not moved by small singular values.

    Source: Rudelson and Vershynin 2007.

    Returns:
        `[*leading]`; 0 for a zero matrix. Differentiable.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.eye(2), torch.tensor([[2.0, 0.0], [0.0, 1.0]])).stable_rank()
    tensor(1.2500)

    """
    values = singular_values(matrix)
    top = values[..., :1]
    share = torch.where(top > 0, values / torch.where(top > 0, top, 1), 0)
    return (share**2).sum(-1)


def participation_ratio(matrix: Chain) -> Float[Tensor, "*leading"]:
    """Participation ratio of the squared singular values: `(sum S²)² / sum S⁴`, 1 … rank.

    Returns:
        `[*leading]`; 0 for a zero matrix. Differentiable.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.eye(2), torch.eye(2)).participation_ratio()
    tensor(2.)

    """
    values = singular_values(matrix)
    top = values[..., :1]
    power = torch.where(top > 0, values / torch.where(top > 0, top, 1), 0) ** 2
    below = (power**2).sum(-1)
    return torch.where(below > 0, power.sum(-1) ** 2 / torch.where(below > 0, below, 1), 0)


def effective_rank(matrix: Chain) -> Float[Tensor, "*leading"]:
    """Effective rank `exp(-sum p log p)` with `p = S / sum S`: the exponential of the entropy in nats, 1 … rank.

    Source: Roy and Vetterli 2007.

    Returns:
        `[*leading]`; 0 for a zero matrix. Differentiable.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.eye(2), torch.eye(2)).effective_rank()
    tensor(2.)

    """
    values = singular_values(matrix)
    total = values.sum(-1, keepdim=True)
    share = torch.where(values > 0, values / torch.where(total > 0, total, 1), 1)  # log 1 = 0 where nothing is
    return torch.where(total[..., 0] > 0, torch.exp(-(share * share.log()).sum(-1)), 0)


def numerical_rank(matrix: Chain, tol: float | None = None) -> Int[Tensor, "*leading"]:
    """Count the singular values above `tol` times the largest.

    Args:
        matrix: the matrix that is asked.
        tol: relative tolerance; by default `max(ldim, rdim)` times the rounding of the dtype.

    Returns:
        `[*leading]`, integers.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.ones(3, 2), torch.ones(2, 3)).rank()
    tensor(1)

    """
    if tol is not None:
        check_float("tol", tol, least=0.0)
    with torch.no_grad():
        values = singular_values(matrix)
        relative = max(matrix.ldim, matrix.rdim) * torch.finfo(values.dtype).eps if tol is None else tol
        return ((values > relative * values[..., :1]) & (values > 0)).sum(-1)


def gram_chains(chain: Chain) -> list[Chain]:
    """Return `Lᴴ L` and `R Rᴴ` of the two sides of the narrowest width; at an outer end of M, the one that is not 1."""
    cut, count = cut_of(chain), len(chain.factors)
    if chain.mdim == chain.rank_bound:
        cut = chain.waist
    left, right = part(chain, 0, cut), part(chain, cut, count)
    made = [beside(adjoint(left), left)] if cut else []
    return [*made, beside(right, adjoint(right))] if cut < count else made


def _frobenius(chain: Chain) -> Tensor:
    if len(chain.factors) == 1:
        only = chain.factors[0]
        wide = torch.linalg.matrix_norm(only.tensor.to(wide_dtype(only.tensor)))
        check_finite(wide, chain, "norm")
        return expand_leading(wide, only.axes, trailing=0).to(real_dtype(chain))
    made = [_gram(each) for each in gram_chains(chain)]
    grams, enlarged = [gram for gram, _ in made], max(factor for _, factor in made)
    found = product_inner(*grams) if len(grams) == 2 else trace_factor(Chain.of(grams, chain.leading))
    squared = expand_leading(found.tensor[..., 0, 0].real, found.axes, trailing=0)
    sizes = [_size(gram) for gram in grams]
    trusted = squared > CANCELLED * math.prod(sizes[1:], start=sizes[0])
    for size in sizes:
        trusted &= _in_range(size, chain.compute_dtype)
    if enlarged < ENLARGED and bool(trusted.all()):
        return squared.sqrt().to(real_dtype(chain))
    check_factors(chain, "norm")
    values = singular_values(chain)
    return torch.linalg.vector_norm(values.to(wide_dtype(values)), dim=-1).to(real_dtype(chain))


def _gram(chain: Chain) -> tuple[Factor, float]:
    """Return a Gram matrix and by how much cancellation enlarged its rounding; `Fᴴ F` of one factor cannot cancel."""
    node = plan_product(chain, "norm")
    return evaluate_watched(node, chain.factors) if len(chain.factors) > 2 else (evaluate(node, chain.factors), 1.0)


def _in_range(size: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether squares of this size are so far from the ends of a dtype that none that matters was lost."""
    limits = torch.finfo(dtype)
    return (size > limits.tiny / limits.eps) & (size < limits.max * limits.eps)


def _size(gram: Factor) -> Tensor:
    lengths = torch.linalg.matrix_norm(gram.tensor.to(wide_dtype(gram.tensor)))
    return expand_leading(lengths, gram.axes, trailing=0)
