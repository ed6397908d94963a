"""Orthogonal reduction: `T = Q R` with orthonormal columns Q, by Householder reflections, tall matrices in blocks.

Singular values of `T X` are those of `R X`. A matrix that all heads share is reduced once.
"""

import math

import torch
from torch import Tensor

from refractor.linalg.contract import upcast
from refractor.linalg.factor import Factor
from refractor.linalg.plan import QR_BLOCK, TALL, qr_block_rows

WELL_CONDITIONED = 100.0  # bound on the condition of R up to which T R^-1 is orthonormal to some units of rounding


def on_lapack(tensor: Tensor) -> Tensor:
    """Return `tensor` where decompositions exist: mps has none and lends the CPU."""
    return tensor.cpu() if tensor.device.type == "mps" else tensor


def triangle_of(factor: Factor) -> Factor:
    """Return R of the QR decomposition of a factor with more rows than columns; else the factor itself."""
    if factor.rows <= factor.cols:
        return factor
    return factor.with_tensor(triangle(upcast(factor.tensor)))


def triangle(tall: Tensor) -> Tensor:
    """Return R `[..., cols, cols]` of `[..., rows, cols]`, QR_BLOCK entries at a time: LAPACK copies what it is given.

    Of a stack some matrices at a time; of a tall matrix a block of rows, then its triangle with the next block.
    """
    rows, cols = tall.shape[-2:]
    height = max(1, qr_block_rows(rows, cols))
    source = on_lapack(tall).reshape(math.prod(tall.shape[:-2]), rows, cols)
    at_once = max(1, QR_BLOCK // max(1, min(rows, height) * cols))
    parts = []
    for some in source.split(at_once):
        upper, *others = some.split(height, dim=-2)
        upper = torch.linalg.qr(upper, mode="r").R
        for block in others:
            upper = torch.linalg.qr(torch.cat([upper, block], dim=-2), mode="r").R
        parts.append(upper)
    return torch.cat(parts).reshape(*tall.shape[:-2], *parts[0].shape[-2:]).to(tall.device)


def orthonormal(factor: Factor) -> tuple[Factor, Factor]:
    """Return (Q, R) of a factor with more rows than columns: `factor = Q R`, Q with orthonormal columns, R square.

    A large well-conditioned matrix takes Q = T R⁻¹, one product instead of as many reflections as columns; its
    columns are orthonormal to about condition × rounding, and the bound on the condition is checked.
    """
    tall = on_lapack(upcast(factor.tensor))
    rows, cols = tall.shape[-2:]
    if rows >= TALL * cols > 0:
        upper = triangle(tall)
        inverse = _inverse_if_well_conditioned(upper)
        if inverse is not None:
            return factor.with_tensor((tall @ inverse).to(factor.tensor.device)), factor.with_tensor(
                upper.to(factor.tensor.device)
            )
    basis, upper = torch.linalg.qr(tall)
    return factor.with_tensor(basis.to(factor.tensor.device)), factor.with_tensor(upper.to(factor.tensor.device))


def _inverse_if_well_conditioned(upper: Tensor) -> Tensor | None:
    """Return R⁻¹ if the product of the Frobenius norms of R and R⁻¹, divided by the width, stays below the bound."""
    wide = upper.to(torch.promote_types(upper.dtype, torch.float64))
    diagonal = wide.diagonal(dim1=-2, dim2=-1).abs()
    if not bool((diagonal.amin(-1) > 0).all()):
        return None
    eye = torch.eye(wide.shape[-1], dtype=wide.dtype, device=wide.device)
    inverse = torch.linalg.solve_triangular(wide, eye.expand_as(wide), upper=True)
    bound = torch.linalg.matrix_norm(wide) * torch.linalg.matrix_norm(inverse) / wide.shape[-1]
    return inverse.to(upper.dtype) if bool((bound <= WELL_CONDITIONED).all()) else None
