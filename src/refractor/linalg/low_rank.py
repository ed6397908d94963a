"""Other factorisations of the same matrix, or of the best matrix of lower rank, without forming it.

With `M = L R` cut at the narrowest width and `M = U S Vᴴ`, the matrices `T = R V S^-1/2` and `T⁺ = S^-1/2 Uᴴ L`
turn the two sides into `L T = U S^1/2` and `T⁺ R = S^1/2 Vᴴ`. T is small and comes from the core; only the factors
beside the cut change. T is a choice of basis (a gauge) and is treated as constant by gradients, so that the gradient of
whatever does not depend on the basis is right, and finite also where singular values vanish.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Inexact
from torch import Tensor

from refractor.base.checks import check_float, check_int
from refractor.linalg.chain import Chain, ChainT, adjoint, beside
from refractor.linalg.contract import multiply, upcast, wide_dtype
from refractor.linalg.evaluate import contracted
from refractor.linalg.factor import Factor
from refractor.linalg.gradient import Outcome, Pull, known_gradient
from refractor.linalg.leading import full_axes
from refractor.linalg.sums import identity_factor
from refractor.linalg.svd import decompose, singular_values, svd
from refractor.linalg.sweep import cut_of


class Truncation(NamedTuple):
    """A matrix of lower rank and how far it is from the one it stands for.

    Args:
        matrix: the factored matrix of lower rank.
        error: Frobenius norm of the difference, `sqrt(sum of the squared dropped singular values)`, `[*leading]`.
        spectral_error: spectral norm of the difference, the largest dropped singular value, `[*leading]`.

    """

    matrix: Any  # of the kind that was asked; a NamedTuple cannot say so
    error: Tensor
    spectral_error: Tensor


def make_even(matrix: ChainT) -> ChainT:
    """Return the same matrix as `(U S^1/2) (S^1/2 Vᴴ)`: orthogonal columns and rows, each side with half of the scale.

    Only the factors beside the narrowest inner width change; `A` and `B` of the outcome are the two sides.
    Differentiable in what does not depend on the factorisation, with finite gradients for a matrix of any rank. (Both
    sides of a vanishing singular value are zero, so a gradient through them says nothing of what would raise the rank.)

    >>> from refractor.linalg import FactoredMatrix
    >>> even = FactoredMatrix(torch.eye(2) * 8, torch.eye(2) * 2).make_even()
    >>> even.A.abs(), even.AB
    (tensor([[4., 0.],
            [0., 4.]]), tensor([[16.,  0.],
            [ 0., 16.]]))

    """
    return _in_basis(matrix, matrix.rank_bound)[0]


def truncate(matrix: Chain, k: int) -> Truncation:
    """Return the nearest matrix of rank `k` (or less), and its distance.

    The sum of the k largest terms `S_i u_i v_iᴴ`, nearest in the Frobenius and the spectral norm (Eckart and Young
    1936). It stays factored: `[…, F_c T] [T⁺ F_c+1, …]` with inner width k. Differentiable where the k-th value is
    larger than the next; with a gradient the vectors are formed.

    Returns:
        Truncation `(matrix, error, spectral_error)`.

    Raises:
        ArgumentError: k is no integer from 0 to the number of singular values.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.eye(3), torch.tensor([5.0, 4.0, 3.0]).diag())
    >>> low, error, spectral_error = M.truncate(1)
    >>> low.mdim, error, spectral_error
    (1, tensor(5.), tensor(4.))

    """
    check_int("k", k, least=0, most=matrix.rank_bound)
    if k == matrix.rank_bound:
        low, values = _narrowed(matrix), singular_values(matrix)
    elif torch.is_grad_enabled() and matrix.requires_grad:
        low, values = _largest_terms(matrix, k)
    else:
        low, values = _in_basis(matrix, k)
    dropped = values[..., k:]
    spectral = dropped[..., 0] if dropped.shape[-1] else dropped.sum(-1)
    return Truncation(low, torch.linalg.vector_norm(dropped, dim=-1), spectral)


def round_rank(matrix: Chain, tol: float) -> Truncation:
    """Return the matrix of the lowest rank whose Frobenius distance is at most `tol` times the norm of each matrix.

    All matrices of a stack get one rank, the largest that any of them needs. For sums, whose inner widths add up.

    Args:
        matrix: the matrix that is asked.
        tol: relative Frobenius error, 0 or more. With 0 nothing but exact zeros goes.

    Returns:
        Truncation `(matrix, error, spectral_error)` with the error that was made.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.eye(2), torch.eye(2))
    >>> (M + M).round(1e-6).matrix.mdim
    2

    """
    check_float("tol", tol, least=0.0)
    with torch.no_grad():
        values = singular_values(matrix)
    tails = values.flip(-1).double().square().cumsum(-1).flip(-1).sqrt()  # tails[k] is the error of keeping k values
    needed = (tails > tol * tails[..., :1]).sum(-1)
    return truncate(matrix, int(needed.max()) if needed.numel() else 0)


def collapse_l(matrix: Chain) -> Inexact[Tensor, "*leading rank rdim"]:
    """Return `S Vᴴ`: the matrix without the orthonormal factor U on its left, `M = U @ collapse_l`.

    It has the norms of M, and those of `M @ X`. Gradients hold U constant: they are right for what depends on
    `Mᴴ M` alone.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.ones(4, 1), torch.ones(1, 2)).collapse_l().round()
    tensor([[2., 2.]])

    """

    def ask_and_pull(chain: Chain) -> tuple[Outcome, Pull]:
        U = decompose(chain).U
        rest = upcast(contracted(beside(adjoint(U), chain), "collapse_l").expanded())
        return (rest,), lambda grads: [beside(U, _held_in_full(grads[0], chain))]

    return known_gradient(matrix, lambda chain: ask_and_pull(chain)[0], ask_and_pull)[0]


def collapse_r(matrix: Chain) -> Inexact[Tensor, "*leading ldim rank"]:
    """Return `U S`: the matrix without the orthonormal factor Vᴴ on its right.

    V is held constant: the gradient of what depends on `M Mᴴ` alone is right.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.ones(2, 1), torch.ones(1, 4)).collapse_r().round()
    tensor([[2.],
            [2.]])

    """

    def ask_and_pull(chain: Chain) -> tuple[Outcome, Pull]:
        V = decompose(chain).V
        rest = upcast(contracted(beside(chain, V), "collapse_r").expanded())
        return (rest,), lambda grads: [beside(_held_in_full(grads[0], chain), adjoint(V))]

    return known_gradient(matrix, lambda chain: ask_and_pull(chain)[0], ask_and_pull)[0]


def _held_in_full(tensor: Tensor, chain: Chain) -> Chain:
    return Chain.of([Factor(tensor, full_axes(chain.leading))], chain.leading)


def _narrowed(matrix: ChainT) -> ChainT:
    """Return M itself, with an identity at an outer end that is narrower than every inner width."""
    cut = cut_of(matrix)
    if matrix.mdim == matrix.rank_bound:
        return matrix
    eye = identity_factor(matrix.rank_bound, matrix.factors[0])
    return matrix.like((*matrix.factors[:cut], eye, *matrix.factors[cut:]))


def _largest_terms(matrix: ChainT, k: int) -> tuple[ChainT, Tensor]:
    """Return the k largest terms as `U (S Vᴴ)` with formed vectors, through which gradients flow.

    What is kept depends on M: the projector on the k largest directions is no choice of basis.
    """
    U, S, Vh = svd(matrix)
    sides = (U[..., :k], S[..., :k, None].to(U.dtype) * Vh[..., :k].mT)
    axes = full_axes(matrix.leading)
    return matrix.of((Factor(side.to(matrix.dtype), axes) for side in sides), matrix.leading), S


def _in_basis(matrix: ChainT, k: int) -> tuple[ChainT, Tensor]:
    """Return M (or its k largest terms) with `L T` and `T⁺ R` as its sides, and all singular values."""
    cut = cut_of(matrix)
    with torch.no_grad():
        U, S, V = decompose(matrix)
        weights = _inverse_roots(S, k, matrix)
        # at an outer end the side of M that is not there is the identity: no factors
        right = Chain.of((*matrix.factors[cut:], *V.factors), matrix.leading)
        left = Chain.of((*adjoint(U).factors, *matrix.factors[:cut]), matrix.leading)
        T = _weighted(contracted(right, "make_even").expanded()[..., :k], weights[..., None, :], matrix)
        T_inverse = _weighted(contracted(left, "make_even").expanded()[..., :k, :], weights[..., :, None], matrix)
    factors = list(matrix.factors)
    before = [*factors[: cut - 1], multiply(factors[cut - 1], T)] if cut else [T]
    after = [multiply(T_inverse, factors[cut]), *factors[cut + 1 :]] if cut < len(factors) else [T_inverse]
    return matrix.like(factor.with_tensor(factor.tensor.to(matrix.dtype)) for factor in (*before, *after)), S


def _inverse_roots(S: Tensor, k: int, matrix: Chain) -> Tensor:
    """Return `S^-1/2` of the first k values, 0 where a value is not above rounding."""
    kept = S[..., :k].to(torch.float64 if S.device.type != "mps" else S.dtype)
    floor = max(matrix.ldim, matrix.rdim, 1) * torch.finfo(S.dtype).eps * S[..., :1] if k else S[..., :0]
    return torch.where(kept > floor, torch.where(kept > floor, kept, 1).rsqrt(), 0)


def _weighted(side: Tensor, weights: Tensor, matrix: Chain) -> Factor:
    wide = side.to(wide_dtype(side)) * weights
    return Factor(wide.to(side.dtype), full_axes(matrix.leading))
