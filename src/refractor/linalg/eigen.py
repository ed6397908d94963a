"""Eigenvalues: the chain is read round to its narrowest width, where the core has the same eigenvalues.

`eig(A B)` and `eig(B A)` differ by zeros only. So `W_E W_V W_O W_U` has the eigenvalues of `W_O (W_U W_E) W_V`, a
matrix of d_head rows, and `W_U W_E` is made once for all heads.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Complex
from torch import Tensor
from torch.autograd.function import once_differentiable

from refractor.base.budget import check_fits
from refractor.base.numerics import LAW_TOLERANCE
from refractor.linalg.chain import Chain, adjoint, part
from refractor.linalg.contract import wide_dtype
from refractor.linalg.evaluate import contracted, evaluate
from refractor.linalg.factor import Factor, expand_leading
from refractor.linalg.finite import check_finite
from refractor.linalg.plan import Node, arithmetic, choose, operands, product_orders, rotated
from refractor.linalg.trace import check_square

SEPARATED = 1e10  # condition of the eigenvectors beyond which their inverse says nothing
NUDGE = 1e-9  # relative size of the change that separates the eigenvectors of a defective core


class Eig(NamedTuple):
    """Eigenvalues and eigenvectors of the part of M that is not zero.

    Args:
        eigenvalues: by falling absolute value, `[*leading, rank]`.
        right: `M @ right = right * eigenvalues`, columns of length 1, `[*leading, ldim, rank]`.
        left: `left.mH @ M = eigenvalues * left.mH`, columns of length 1, `[*leading, ldim, rank]`.
        condition: `1 / |leftᴴ right|` of each pair, at least 1: a change of M by e (spectral norm) moves the
            eigenvalue by at most about `condition * e`.

    """

    eigenvalues: Tensor
    right: Tensor
    left: Tensor
    condition: Tensor


@dataclass(frozen=True, slots=True)
class Rotation:
    """The plan of a spectrum: read the chain round from factor `cut` and contract as `node` says."""

    cut: int
    node: Node


def eigenvalues(matrix: Chain) -> Complex[Tensor, "*leading rank"]:
    """Eigenvalues of each matrix, by falling absolute value, as many as the smallest width of the chain.

    The others are zero. The core at the narrowest width is contracted in the dtype of contractions and solved in
    float64 on the CPU (batched `torch.linalg.eig` has no kernel on CUDA and mps). Differentiable:
    `dl = yᴴ dM x / yᴴ x`; where eigenvalues coincide, right for functions that treat them alike.

    Returns:
        `[*leading, rank]`, complex64 for float32 and half precisions, complex128 for float64. Their order:
        falling absolute value; of a conjugate pair the one with positive imaginary part first.

    Raises:
        ShapeError: the matrices are not square.
        ArgumentError: a factor has NaN or infinite entries.

    >>> from refractor.linalg import FactoredMatrix
    >>> FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])).eigenvalues
    tensor([11.+0.j])

    """
    core, _ = core_of(matrix, "eigenvalues")
    values = _Eigenvalues.apply(core.tensor.cpu().to(_wide(core.tensor)))
    return expand_leading(_narrow(values, matrix), core.axes, trailing=1)


def eig(matrix: Chain) -> Eig:
    """Eigenvalues with right and left eigenvectors and the condition of each eigenvalue.

    With `M = L R` cut at the narrowest width and `R L v = l v`, `wᴴ R L = l wᴴ`: the vectors are `L v` and `Rᴴ w`.
    A matrix that is far from normal has eigenvalues that say little: look at `condition`. Vectors that belong to an
    eigenvalue 0 may not exist; they come out as NaN with an infinite condition.

    Returns:
        Eig `(eigenvalues, right, left, condition)`, complex.

    Raises:
        ShapeError: the matrices are not square.
        ArgumentError: a factor has NaN or infinite entries.
        BudgetError: the vectors do not fit.

    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]]))
    >>> found = M.eig()
    >>> torch.allclose(M @ found.right[:, 0].real, 11 * found.right[:, 0].real)
    True
    >>> found.condition
    tensor([1.0164])

    """
    core, cut = core_of(matrix, "eig")
    nbytes = 2 * 2 * matrix.compute_dtype.itemsize * matrix.rank_bound * matrix.ldim
    for size in matrix.leading:
        nbytes *= size
    check_fits(
        nbytes, "eig (right and left vectors)", "Ask for fewer leading entries, or for eigenvalues.", matrix.device
    )
    values, right = torch.linalg.eig(core.tensor.cpu().to(_wide(core.tensor)))
    order = _order(values)
    values, right = values.gather(-1, order), right.gather(-1, order[..., None, :].expand_as(right))
    left = torch.linalg.pinv(right).mH
    back = part(matrix, 0, cut) if cut else None
    forth = part(matrix, cut, len(matrix.factors)) if cut < len(matrix.factors) else None
    full_right = _unit(_applied(back, _unit(right), core, matrix))
    full_left = _unit(_applied(adjoint(forth) if forth else None, _unit(left), core, matrix))
    overlap = (full_left.conj() * full_right).sum(-2).abs()
    narrow = expand_leading(_narrow(values, matrix), core.axes, trailing=1)
    return Eig(narrow, full_right, full_left, 1 / overlap.nan_to_num(0.0))


def plan_rotation(chain: Chain, what: str) -> Rotation:
    """Return the cheapest way to a core at one of the narrowest widths."""
    held, cost = operands(chain), arithmetic(chain)
    cuts = [cut for cut, width in enumerate(chain.widths[:-1]) if width == chain.rank_bound]
    ways = {node: cut for cut in reversed(cuts) for node in product_orders(rotated(held, cut), cost)}
    node = choose(list(ways), what, chain)
    return Rotation(ways[node], node)


def core_of(chain: Chain, what: str) -> tuple[Factor, int]:
    """Return the core `R L` at one of the narrowest widths, and the cut `M = L R` that it belongs to.

    Raises:
        ShapeError: the matrices are not square.
        ArgumentError: a factor has NaN or infinite entries.

    """
    check_square(chain, what)
    plan = plan_rotation(chain, what)
    core = evaluate(plan.node, rotated(chain.factors, plan.cut))
    check_finite(core.tensor, chain, what)
    return core, plan.cut


def _wide(core: Tensor) -> torch.dtype:
    return wide_dtype(core.cpu() if core.device.type == "mps" else core)


def _narrow(values: Tensor, chain: Chain) -> Tensor:
    complex_dtype = torch.complex128 if chain.compute_dtype in (torch.float64, torch.complex128) else torch.complex64
    return values.to(complex_dtype).to(chain.device)


def _order(values: Tensor) -> Tensor:
    """Order by falling absolute value; equal ones (conjugate pairs) by falling imaginary part."""
    by_imaginary = values.imag.argsort(dim=-1, descending=True, stable=True)
    size = values.abs().gather(-1, by_imaginary)
    return by_imaginary.gather(-1, size.argsort(dim=-1, descending=True, stable=True))


def _applied(chain: Chain | None, vectors: Tensor, core: Factor, matrix: Chain) -> Tensor:
    """Return `chain @ vectors` with all leading axes, real chains times complex vectors included."""
    narrow = _narrow(vectors, matrix)
    if chain is None:
        return expand_leading(narrow, core.axes, trailing=2)
    if matrix.dtype.is_complex:
        return contracted(Chain.of((*chain.factors, core.with_tensor(narrow)), chain.leading), "eig").expanded()
    parts = [
        contracted(Chain.of((*chain.factors, core.with_tensor(half)), chain.leading), "eig").expanded()
        for half in (narrow.real, narrow.imag)
    ]
    return torch.complex(parts[0].to(matrix.compute_dtype), parts[1].to(matrix.compute_dtype))


def _unit(vectors: Tensor) -> Tensor:
    """Return the columns at length 1; those that are zero within rounding, beside the longest, become NaN."""
    length = torch.linalg.vector_norm(vectors, dim=-2, keepdim=True)
    if not length.numel():
        return vectors
    floor = LAW_TOLERANCE[length.dtype] * length.nan_to_num(0.0).amax(-1, keepdim=True)
    return vectors / torch.where(length > floor, length, torch.nan)


class _Eigenvalues(torch.autograd.Function):
    """Eigenvalues of small cores, with the gradient `X⁻ᴴ diag(g) Xᴴ` also where the eigenvectors X coincide."""

    @staticmethod
    def forward(ctx: Any, core: Tensor) -> Tensor:
        values = torch.linalg.eigvals(core)
        values = values.gather(-1, _order(values))
        ctx.save_for_backward(core)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (core,) = ctx.saved_tensors
        gradient = _spectral_gradient(core, grads[0])
        return gradient if core.is_complex() else gradient.real


def _spectral_gradient(core: Tensor, grad: Tensor) -> Tensor:
    values, vectors = torch.linalg.eig(core)
    order = _order(values)
    vectors = vectors.gather(-1, order[..., None, :].expand_as(vectors))
    bad = torch.linalg.cond(vectors) > SEPARATED
    if bool(bad.any()):  # a defective core: separate its eigenvectors by a change far below what is asked
        generator = torch.Generator().manual_seed(0)
        size = core.abs().amax((-2, -1), keepdim=True).clamp_min(torch.finfo(core.real.dtype).tiny)
        noise = torch.randn(core.shape, generator=generator, dtype=core.dtype)
        values, moved = torch.linalg.eig(core + NUDGE * size * noise)
        order = _order(values)
        moved = moved.gather(-1, order[..., None, :].expand_as(moved))
        vectors = torch.where(bad[..., None, None], moved, vectors)
    return torch.linalg.solve(vectors.mH, grad[..., :, None] * vectors.mH)
