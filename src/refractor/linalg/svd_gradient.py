"""The gradient of a function of singular values and vectors, as a factored matrix."""

import torch
from torch import Tensor

from refractor.base.numerics import LAW_TOLERANCE
from refractor.linalg.chain import Chain
from refractor.linalg.factor import Factor
from refractor.linalg.leading import Axis


def svd_gradient(chain: Chain, U: Tensor, S: Tensor, V: Tensor, grads: tuple[Tensor, ...]) -> list[Chain]:
    """Return the gradient with respect to M from those of U, S and V.

    `G = U K Vᴴ + (1 - U Uᴴ) gU S⁻¹ Vᴴ + U S⁻¹ gVᴴ (1 - V Vᴴ)`, where K has gS on its diagonal and, off it, the
    antisymmetric parts of `Uᴴ gU` and `Vᴴ gV` over `S_j² - S_i²`. Terms whose denominator vanishes belong to what is
    not determined (a turn within a cluster, vectors of a vanishing value) and are left out.
    """
    gU, gS, gV = grads
    scale = S[..., :1].clamp_min(torch.finfo(S.dtype).tiny)
    tol = LAW_TOLERANCE[S.dtype]
    gaps = S[..., None, :] ** 2 - S[..., :, None] ** 2
    apart = (S[..., None, :] - S[..., :, None]).abs() > tol * scale[..., None]
    E = torch.where(apart, 1 / torch.where(apart, gaps, 1), 0).to(U.dtype)
    alive = tol * scale < S
    inverse = torch.where(alive, 1 / torch.where(alive, S, 1), 0).to(U.dtype)
    left, right = U.mH @ gU, V.mH @ gV
    diagonal = torch.diag_embed(gS.to(U.dtype))
    if U.is_complex():  # the phase of each pair is not determined; what is left is the imaginary part of the diagonal
        diagonal = diagonal + torch.diag_embed(1j * left.diagonal(dim1=-2, dim2=-1).imag * inverse)
    values = S.to(U.dtype)
    K = E * (left - left.mH) * values[..., None, :] + values[..., :, None] * (E * (right - right.mH)) + diagonal
    X = (gU - U @ left) * inverse[..., None, :]
    Y = (gV - V @ right) * inverse[..., None, :]
    axes = tuple(Axis(size, size) for size in chain.leading)
    first = Factor(torch.cat([U @ K + X, U], dim=-1), axes)
    second = Factor(torch.cat([V, Y], dim=-1).mH, axes)
    return [Chain.of((first, second), chain.leading)]
