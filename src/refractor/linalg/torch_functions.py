"""Functions of PyTorch that are given a factored matrix: the few whose meaning is plain answer, others say what to do.

Forming the product in silence is what a factored matrix exists to avoid.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from refractor.base.errors import ArgumentError
from refractor.linalg.chain import Chain
from refractor.linalg.eigen import eigenvalues
from refractor.linalg.norms import norm
from refractor.linalg.svd import SVD, singular_values, svd
from refractor.linalg.trace import trace


def _svd(matrix: Chain, full_matrices: bool = True, **options: object) -> SVD:
    if full_matrices:
        raise ArgumentError(
            f"torch.linalg.svd of a factored matrix of shape {list(matrix.shape)} needs full_matrices=False: the full "
            f"U and V would be {matrix.ldim} × {matrix.ldim} and {matrix.rdim} × {matrix.rdim}."
        )
    _no_options("torch.linalg.svd", options)
    found = svd(matrix)
    return SVD(found.U, found.S, found.Vh.mT)  # PyTorch's Vh, [..., rank, rdim]


def _matrix_norm(matrix: Chain, ord: object = "fro", **options: object) -> torch.Tensor:  # noqa: A002 - PyTorch's name
    _no_options("torch.linalg.matrix_norm", options)
    kinds = {"fro": "fro", None: "fro", "nuc": "nuclear", 2: "spectral"}
    if ord not in kinds:
        raise ArgumentError(f"norms of a factored matrix are 'fro', 'nuc' and 2; ord={ord!r} came.")
    return norm(matrix, kinds[ord])  # type: ignore[arg-type]


def _norm(matrix: Chain, ord: object = None, **options: object) -> torch.Tensor:  # noqa: A002 - PyTorch's name
    if matrix.leading:
        raise ArgumentError(
            f"torch.linalg.norm takes a stack of shape {list(matrix.shape)} for one long vector; for the norm of each "
            f"matrix use M.norm() or torch.linalg.matrix_norm(M)."
        )
    return _matrix_norm(matrix, ord, **options)


def _matrix_rank(
    matrix: Chain,
    tol: float | None = None,
    hermitian: bool = False,
    *,
    atol: float | None = None,
    rtol: float | None = None,
) -> torch.Tensor:
    """Count as PyTorch does: `tol` and `atol` are absolute, `rtol` is relative to the largest value."""
    values = singular_values(matrix).detach()
    absolute = tol if atol is None else atol
    if rtol is None:
        rtol = max(matrix.ldim, matrix.rdim) * torch.finfo(values.dtype).eps if absolute is None else 0.0
    return (values > (rtol * values[..., :1]).clamp_min(absolute or 0.0)).sum(-1)


def _no_options(name: str, options: Mapping[str, object]) -> None:
    if options:
        raise ArgumentError(f"{name} of a factored matrix takes no {', '.join(options)}.")


def _matmul(left: Any, right: Any) -> object:
    return left @ right if isinstance(left, Chain) else right.__rmatmul__(left)


def _mul(left: Any, right: Any) -> object:
    if isinstance(left, Chain) and isinstance(right, Chain):
        raise ArgumentError("two factored matrices are not multiplied entry by entry; for the matrix product use @.")
    return left * right if isinstance(left, Chain) else right * left


def _svdvals(matrix: Chain, **options: object) -> torch.Tensor:
    _no_options("torch.linalg.svdvals", options)
    return singular_values(matrix)


ANSWERS: Mapping[Any, Callable[..., object]] = {
    torch.linalg.svd: _svd,
    torch.linalg.svdvals: _svdvals,
    torch.linalg.eigvals: eigenvalues,
    torch.linalg.matrix_norm: _matrix_norm,
    torch.linalg.norm: _norm,
    torch.linalg.matrix_rank: _matrix_rank,
    torch.trace: trace,
    torch.matmul: _matmul,
    torch.Tensor.matmul: _matmul,
    torch.Tensor.__matmul__: _matmul,
    torch.Tensor.__rmatmul__: lambda right, left: _matmul(left, right),
    torch.mul: _mul,
    torch.Tensor.mul: _mul,
    torch.Tensor.__mul__: _mul,
    torch.Tensor.__rmul__: _mul,
}
"""Functions of PyTorch that a factored matrix answers."""

ALIASES: Mapping[Any, str] = {torch.mm: "torch.mm"}  # PyTorch finds the same function under torch.spmm first


def answer(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> object:
    """Answer a function of PyTorch that was called with a factored matrix.

    Raises:
        ArgumentError: the function has no plain meaning for a factored matrix, or would need the product.

    """
    known = ANSWERS.get(function)
    name = ALIASES.get(function) or torch.overrides.resolve_name(function) or str(function)
    if known is not None:
        try:
            inspect.signature(known).bind(*args, **(kwargs or {}))
        except TypeError as error:
            raise ArgumentError(f"{name} of a factored matrix cannot be asked so: {error}.") from error
        return known(*args, **(kwargs or {}))
    raise ArgumentError(
        f"{name} would need the product of a factored matrix, which is not formed in silence. Ask the matrix itself "
        "(eigenvalues, svd(), S, norm(), trace(), diagonal(), topk(k), …), or form it with M.dense() where it is small."
    )
