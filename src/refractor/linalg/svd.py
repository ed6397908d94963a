"""Singular value decomposition of a chain: both sides reduced to a small core, whose SVD is taken in float64."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Inexact, Int
from torch import Tensor

from refractor.base.checks import check_float
from refractor.base.numerics import LAW_TOLERANCE
from refractor.linalg.chain import Chain, ChainT, adjoint
from refractor.linalg.contract import multiply, wide_dtype
from refractor.linalg.evaluate import contracted
from refractor.linalg.factor import Factor, expand_leading
from refractor.linalg.finite import check_finite
from refractor.linalg.gradient import Outcome, Pull, known_gradient
from refractor.linalg.leading import Axis, full_axes
from refractor.linalg.qr import on_lapack
from refractor.linalg.svd_gradient import svd_gradient
from refractor.linalg.sweep import Swept, carried, plan_halves, right_factors, swept

GOLDEN = 0.6180339887498949


class SVD(NamedTuple):
    """`M = U @ S.diag() @ Vh.T` with formed vectors; as in the API that notebooks know, `Vh` is `[..., rdim, rank]`."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class FactoredSVD(NamedTuple):
    """`M = U @ S.diag() @ V.mH` with singular vectors that are chains themselves, so that none of them is formed.

    Args:
        U: left vectors, `[*leading, ldim, rank]`.
        S: singular values, falling, `[*leading, rank]`.
        V: right vectors, `[*leading, rdim, rank]`.

    """

    U: Any  # a chain of the kind that was asked; a NamedTuple cannot say so
    S: Tensor
    V: Any


def singular_values(matrix: Chain) -> Float[Tensor, "*leading rank"]:
    """Singular values of each matrix, falling; as many as the smallest width of the chain.

    Both sides of the narrowest width are reduced by QR (what heads share, once), and the singular values of the
    core `R_L R_Rᴴ` are taken in float64. Differentiable: `dS_i = Re u_iᴴ dM v_i`, right for every function that
    treats coinciding values alike, and finite at zero.

    Returns:
        `[*leading, rank]`, real, in the dtype of contractions.

    Raises:
        ArgumentError: a factor has NaN or infinite entries.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[3.0], [4.0]]), torch.tensor([[2.0, 0.0]])).S
    tensor([10.])

    """

    def ask(chain: Chain) -> Outcome:
        left, right = carried(chain, plan_halves(chain, "S"))
        core = _core(left, right)
        check_finite(core.tensor, chain, "S")
        values = torch.linalg.svdvals(on_lapack(core.tensor)).to(core.tensor.device)
        return (expand_leading(values, core.axes, trailing=1).to(real_dtype(chain)),)

    def ask_and_pull(chain: Chain) -> tuple[Outcome, Pull]:
        found = decompose(chain)

        def pull(grads: Outcome) -> list[Chain]:
            return [_outer(found.U, grads[0], found.V)]

        return (found.S,), pull

    return known_gradient(matrix, ask, ask_and_pull)[0]


def factored_svd(matrix: Chain) -> FactoredSVD:
    """Singular value decomposition whose vectors are left factored: `M = U @ S.diag() @ V.mH`.

    `U` and `V` are chains, e.g. `W_E R⁻¹` (shared) times a small matrix for each head: their entries can be asked
    like those of any factored matrix, and a 50257-row basis per head is never held. The sign (phase) of each pair
    makes `sum_i w_i U[i]` positive, with the fixed weights `w_i = 1/2 + frac((i + 1) (sqrt 5 - 1) / 2)`, so that it
    does not depend on how M was factored. Where singular values coincide only the subspace is determined: see
    `singular_clusters`. Not differentiable; `S` and `svd()` are.

    Returns:
        FactoredSVD `(U, S, V)`.

    Raises:
        ArgumentError: a factor has NaN or infinite entries.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.eye(3)[:, :2], torch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    >>> U, S, V = M.factored_svd()
    >>> (U @ S.diag() @ V.T).AB
    tensor([[0., 2.],
            [1., 0.],
            [0., 0.]])

    """
    with torch.no_grad():
        found = decompose(matrix)
        return FactoredSVD(_two_factors(matrix, found.U), found.S, _two_factors(matrix, found.V))


def svd(matrix: Chain) -> SVD:
    """Singular value decomposition: `M = U @ S.diag() @ Vh.mT`, formed.

    `Vh` is the transpose of the usual thing, `[*leading, rdim, rank]`; for complex matrices it is `conj(V)`, so that
    the formula holds to the letter. Signs as in `factored_svd`. The number of singular values is the smallest width
    of the chain. Differentiable in functions that do not depend on what is not determined (signs, and the basis of a
    subspace whose singular values coincide or vanish): projectors on clusters, the isometry `U Vhᵀ`, symmetric
    functions of S. For the matrix itself where values coincide, ask `collapse_l`, `collapse_r` or `truncate`.

    Returns:
        SVD `(U [*leading, ldim, rank], S [*leading, rank], Vh [*leading, rdim, rank])` in the dtype of contractions.

    Raises:
        ArgumentError: a factor has NaN or infinite entries.
        BudgetError: U and Vh do not fit; ask for `S` or `factored_svd()`.

    >>> from refractor.linalg import FactoredMatrix
    >>> U, S, Vh = FactoredMatrix(torch.randn(5, 2), torch.randn(2, 4)).svd()
    >>> U.shape, S.shape, Vh.shape
    (torch.Size([5, 2]), torch.Size([2]), torch.Size([4, 2]))

    """

    def formed(chain: Chain) -> tuple[Tensor, Tensor, Tensor]:
        found = decompose(chain)
        U = contracted(found.U, "svd (U); S and factored_svd() need little;").expanded()
        V = contracted(found.V, "svd (V); S and factored_svd() need little;").expanded()
        return U, found.S, V

    def ask_and_pull(chain: Chain) -> tuple[Outcome, Pull]:
        U, S, V = formed(chain)
        return (U, S, V), lambda grads: svd_gradient(chain, U, S, V, grads)

    U, S, V = known_gradient(matrix, formed, ask_and_pull)
    return SVD(U, S, V.conj().resolve_conj())


def left_vectors(matrix: Chain) -> Inexact[Tensor, "*leading ldim rank"]:
    """Left singular vectors as columns, see `svd`."""
    return svd(matrix).U


def right_vectors(matrix: Chain) -> Inexact[Tensor, "*leading rdim rank"]:
    """Right singular vectors as columns: `M = U @ S.diag() @ V.mH`, see `svd`."""
    return svd(matrix).Vh.conj().resolve_conj()


def right_vectors_transposed(matrix: Chain) -> Inexact[Tensor, "*leading rdim rank"]:
    """`Vh` as notebooks know it: `M = U @ S.diag() @ Vh.mT`, the transpose of the usual thing, see `svd`."""
    return svd(matrix).Vh


def singular_clusters(matrix: Chain, tol: float | None = None) -> Int[Tensor, "*leading rank"]:
    """Number the groups of singular values that are equal within tolerance, from 0 for the largest.

    Two neighbours belong together if they differ by at most `tol` times the largest value. Within a cluster only the
    subspace that the vectors span is determined, not the vectors.

    Args:
        matrix: the matrix that is asked.
        tol: relative tolerance; by default the one within which laws hold in this dtype (1e-5 for float32).

    Returns:
        `[*leading, rank]`, integers that rise along the last axis.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.eye(3), torch.tensor([3.0, 3.0, 1.0]).diag()).singular_clusters()
    tensor([0, 0, 1])

    """
    if tol is not None:
        check_float("tol", tol, least=0.0)
    with torch.no_grad():
        values = singular_values(matrix)
        return clusters(values, LAW_TOLERANCE[real_dtype(matrix)] if tol is None else tol)


def clusters(values: Tensor, tol: float) -> Tensor:
    """Number the groups of neighbours in falling `values` that differ by at most `tol` times the largest."""
    if values.shape[-1] == 0:
        return torch.zeros_like(values, dtype=torch.long)
    gaps = values[..., :-1] - values[..., 1:] > tol * values[..., :1]
    return torch.cat([torch.zeros_like(values[..., :1], dtype=torch.long), gaps.long().cumsum(-1)], dim=-1)


def decompose(chain: Chain) -> FactoredSVD:
    """Return the decomposition with U and V as chains of one factor or more."""
    halves = plan_halves(chain, "svd")
    left = swept(halves.left, chain.factors) if halves.left else None
    right = swept(halves.right, right_factors(chain, halves.cut)) if halves.right else None
    core = _core(left.rest if left else None, right.rest if right else None)
    check_finite(core.tensor, chain, "svd")
    U, S, Vh = torch.linalg.svd(on_lapack(core.tensor), full_matrices=False)
    back = core.tensor.device
    dtype = chain.compute_dtype
    U_chain = _basis(left, core.with_tensor(U.to(back, dtype)), chain.leading)
    V_chain = _basis(right, core.with_tensor(Vh.mH.to(back, dtype)), chain.leading)
    phase = _phase(U_chain)
    values = expand_leading(S.to(back), core.axes, trailing=1).to(real_dtype(chain))
    return FactoredSVD(_turned(U_chain, phase), values, _turned(V_chain, phase))


def _core(left: Factor | None, right: Factor | None) -> Factor:
    """Return `R_L R_Rᴴ` in float64; a side that is missing is an identity."""
    wide = [each.with_tensor(each.tensor.to(wide_dtype(each.tensor))) for each in (left, right) if each is not None]
    if right is not None:
        wide[-1] = wide[-1].with_tensor(wide[-1].tensor.mH)
    return wide[0] if len(wide) == 1 else multiply(wide[0], wide[1])


def _basis(side: Swept | None, inner: Factor, leading: Sequence[int]) -> Chain:
    """Return `Q1 Q2 … inner` as a chain; the innermost basis absorbs `inner` where that makes nothing larger."""
    bases = side.bases if side else ()
    if bases:
        absorbed = multiply(bases[-1], inner) if bases[-1].axes == inner.axes else None
        if absorbed is not None:
            return Chain.of((*bases[:-1], absorbed), leading)
    return Chain.of((*bases, inner), leading)


def _phase(U: Chain) -> Factor:
    """Return the sign (phase) of `w U` for the fixed weights w, as a factor of diagonals `[*stored, rank]`."""
    weights = 0.5 + ((torch.arange(1, U.ldim + 1, dtype=torch.float64) * GOLDEN) % 1)
    row = weights.to(U.device, U.dtype)[(None,) * (len(U.leading) + 1)]
    probe = Factor(row, tuple(Axis(axis.size, 1) for axis in U.factors[0].axes))
    seen = contracted(Chain.of((probe, *U.factors), U.leading), "svd")
    magnitude = seen.tensor.abs()
    sign = torch.where(magnitude > 0, seen.tensor / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny), 1)
    return seen.with_tensor(sign.conj().resolve_conj())


def _turned(basis: Chain, phase: Factor) -> Chain:
    """Multiply the columns of the last factor with the phases."""
    last = basis.factors[-1]
    return Chain.of((*basis.factors[:-1], last.with_tensor(last.tensor * phase.tensor)), basis.leading)


def _two_factors(matrix: ChainT, basis: Chain) -> ChainT:
    """Return `basis` as a chain of the kind of `matrix`, with an identity where it has one factor only."""
    factors = basis.factors
    if len(factors) == 1:
        eye = torch.eye(basis.rdim, dtype=basis.dtype, device=basis.device)[(None,) * len(basis.leading)]
        factors = (*factors, Factor(eye, tuple(Axis(axis.size, 1) for axis in factors[0].axes)))
    return matrix.of(factors, basis.leading)


def _outer(U: Chain, weights: Tensor, V: Chain) -> Chain:
    """Return `U diag(weights) Vᴴ` as a chain."""
    scale = torch.diag_embed(weights.to(U.dtype))
    middle = Factor(scale, full_axes(U.leading))
    return Chain.of((*U.factors, middle, *adjoint(V).factors), U.leading)


def real_dtype(chain: Chain) -> torch.dtype:
    """Return the dtype of real outcomes: that of contractions, or of its real part."""
    return torch.empty((), dtype=chain.compute_dtype).real.dtype
