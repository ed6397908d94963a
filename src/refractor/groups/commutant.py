"""What commutes with an irreducible real representation: the reals, the complex numbers or the quaternions.

Of real type only multiples of 1 commute with all ρ(x); of complex type a + b J with Jᵀ = -J, J² = -1; of quaternionic
type a + b J + c K + d JK with K like J and KJ = -JK. In an orthonormal basis v, Jv (, Kv, JKv) that the commutant only
shuffles, the matrices show it:

    complex       [[A, -B], [B, A]]                                           A + iB is a complex irrep
    quaternionic  first quarter of the columns [A, B, C, D]                   [[A + iB, -C + iD], [C + iD, A - iB]]

and their first d / ⟨χ, χ⟩ columns are orthogonal functions on the group that span all entries.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError

SHOWN = 1e-9  # float64 matrices, spread along words of up to n letters


def adapt_basis(matrices: Float[Tensor, "n dim dim"], commutant_dim: int) -> Float[Tensor, "n dim dim"]:
    """Return an irreducible representation by orthogonal matrices in a basis that shows its complex structure.

    Args:
        matrices: orthogonal matrices of an irreducible representation.
        commutant_dim: ⟨χ, χ⟩, which is 1, 2 or 4; with 1 nothing is to be done.

    Returns:
        The matrices in the new basis; those that came if they show it already.

    Raises:
        ArgumentError: the type is another.

    >>> from refractor.groups import cyclic
    >>> from refractor.groups.splitting import split_regular
    >>> plane = max(split_regular(cyclic(3)), key=lambda matrices: matrices.shape[1])
    >>> adapted = adapt_basis(plane, 2)
    >>> bool((adapted[:, 0, 0] - adapted[:, 1, 1]).abs().max() < 1e-12)
    True

    """
    if commutant_dim == 1 or _shows(matrices, commutant_dim):
        return matrices
    units = imaginary_units(matrices, commutant_dim)
    basis = _shuffled_basis([torch.eye(matrices.shape[1], dtype=matrices.dtype), *units])
    return basis.T @ matrices @ basis


def conjugated(matrices: Float[Tensor, "n dim dim"]) -> Float[Tensor, "n dim dim"]:
    """Return [[A, B], [-B, A]] for [[A, -B], [B, A]]: the same real irrep, with the conjugate complex one shown."""
    signs = torch.ones(matrices.shape[1], dtype=matrices.dtype)
    signs[len(signs) // 2 :] = -1
    return signs[:, None] * matrices * signs


def _shows(matrices: Float[Tensor, "n dim dim"], commutant_dim: int) -> bool:
    """Whether the matrices commute with J, K as they act on v, Jv (, Kv, JKv)."""
    turn, one = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=matrices.dtype), torch.eye(2, dtype=matrices.dtype)
    flip = torch.diag(torch.tensor([1.0, -1.0], dtype=matrices.dtype))
    small = [turn] if commutant_dim == 2 else [torch.kron(one, turn), torch.kron(turn, flip)]  # J: v ↦ Jv; K: Jv ↦ -JKv
    inner = torch.eye(matrices.shape[1] // commutant_dim, dtype=matrices.dtype)
    units = [torch.kron(each, inner) for each in small]
    return all(bool((matrices @ unit - unit @ matrices).abs().max() < SHOWN) for unit in units)


def imaginary_units(matrices: Float[Tensor, "n dim dim"], commutant_dim: int) -> list[Float[Tensor, "dim dim"]]:
    """Return J (complex type) or J, K, JK (quaternionic type): orthogonal, skew, and commuting with all ρ(x).

    The mean of ρ(x) A ρ(x)ᵀ over the group commutes with it, and is skew where A is.

    Raises:
        ArgumentError: the mean vanishes, so the type is another.

    """
    dim = matrices.shape[1]
    generator = torch.Generator().manual_seed(dim)
    units: list[Tensor] = []
    while len(units) < (1 if commutant_dim == 2 else 2):
        draw = torch.randn(dim, dim, dtype=torch.float64, generator=generator)
        mean = (matrices @ (draw - draw.T) @ matrices.mT).mean(0)
        for unit in units:
            mean = mean - (mean * unit).sum() / dim * unit  # tr(JᵀJ) = dim
        size = float(mean.norm()) / math.sqrt(dim)
        if size < 1e-6:
            raise ArgumentError(f"nothing skew commutes with this representation: ⟨χ, χ⟩ is not {commutant_dim}.")
        units.append((mean - mean.T) / (2 * size))
    return units if commutant_dim == 2 else [*units, units[0] @ units[1]]


def _shuffled_basis(commutant: list[Float[Tensor, "dim dim"]]) -> Float[Tensor, "dim dim"]:
    """Return v_1 … v_m, Jv_1 … Jv_m, …: orthonormal, since what is orthogonal to an invariant space stays so."""
    dim = len(commutant[0])
    left = torch.eye(dim, dtype=commutant[0].dtype)  # projects on what is not spanned yet
    starts = []
    for _ in range(dim // len(commutant)):
        place = int((left.diagonal() > left.diagonal().max() - 1e-6).nonzero()[0])  # the first of the longest
        start = left[:, place] / left[:, place].norm()
        starts.append(start)
        spanned = torch.stack([unit @ start for unit in commutant])
        left = left - spanned.T @ spanned
    return torch.cat([unit @ torch.stack(starts, 1) for unit in commutant], 1)
