"""The gradient of a function of singular values and vectors, as a factored matrix."""

import torch
from torch import Tensor

from refractor.base.numerics import LAW_TOLERANCE
from refractor.linalg.chain import Chain
from refractor.linalg.factor import Factor
from refractor.linalg.leading import full_axes


def svd_gradient(chain: Chain, U: Tensor, S: Tensor, V: Tensor, grads: tuple[Tensor, ...]) -> list[Chain]:
    """Return the gradient with respect to M from those of U, S and V.

    `G = U K Vᴴ + (1 - U Uᴴ) gU S⁻¹ Vᴴ + U S⁻¹ gVᴴ (1 - V Vᴴ)`, where, with the antisymmetric parts `A = Uᴴ gU - gUᴴ U`
    and `B = Vᴴ gV - gVᴴ V`, `K_ij = ((A + B)_ij / (S_j - S_i) + (A - B)_ij / (S_j + S_i)) / 2`, and gS is added on the
    diagonal. Terms whose denominator vanishes belong to what is not determined (a common turn of U and V within a
    cluster, vectors of a vanishing value) and are left out.
    """
    gU, gS, gV = grads
    scale = S[..., :1].clamp_min(torch.finfo(S.dtype).tiny)
    tol = LAW_TOLERANCE[S.dtype]
    share = S / scale  # squares and inverses of small values would leave the range of float32
    minus = share[..., None, :] - share[..., :, None]
    plus = share[..., None, :] + share[..., :, None]
    by_minus = torch.where(minus.abs() > tol, 1 / torch.where(minus.abs() > tol, minus, 1), 0).to(U.dtype)
    by_plus = torch.where(plus > tol, 1 / torch.where(plus > tol, plus, 1), 0).to(U.dtype)
    alive = tol * scale < S
    inverse = torch.where(alive, 1 / torch.where(alive, S, 1), 0).to(U.dtype)
    left, right = U.mH @ gU, V.mH @ gV
    A, B = left - left.mH, right - right.mH
    K = (by_minus * (A + B) + by_plus * (A - B)) / (2 * scale[..., None].to(U.dtype)) + torch.diag_embed(gS.to(U.dtype))
    X = (gU - U @ left) * inverse[..., None, :]
    Y = (gV - V @ right) * inverse[..., None, :]
    axes = full_axes(chain.leading)
    first = Factor(torch.cat([U @ K + X, U], dim=-1), axes)
    second = Factor(torch.cat([V, Y], dim=-1).mH, axes)
    return [Chain.of((first, second), chain.leading)]
