"""Irreducible real representations of any group, by splitting its regular representation.

For random a with a(x) = a(x⁻¹), M[h, k] = a(h⁻¹ k) is symmetric and commutes with left translation by the group. Each
of its eigenspaces is, with probability 1, one irreducible real representation; those with new characters are kept. In
an orthonormal basis B of an eigenspace, ρ(g) = Bᵀ L_g B with (L_g B)[h] = B[g⁻¹ h]: the matrices come out orthogonal.
About 9 n³ operations and n² numbers.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.groups.group import Group

GAP = 1e-7  # eigenvalues closer than this, relative to the largest, belong to one eigenspace


def split_regular(group: Group, seed: int = 0) -> list[Float[Tensor, "n dim dim"]]:
    """Return orthogonal matrices of every irreducible real representation, in no particular order."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(group.order, dtype=torch.float64, generator=generator)
    symmetric = draw + draw[group.inverses]
    quotient = group.table[group.inverses]  # [h, k] is h⁻¹ k
    values, vectors = torch.linalg.eigh(symmetric[quotient])
    gaps = (values.diff() > GAP * values.abs().max()).nonzero().flatten() + 1
    found, characters = [], []
    for basis in torch.tensor_split(vectors, gaps, dim=1):
        character = _character(basis, quotient)
        if any(torch.allclose(character, other, atol=1e-6) for other in characters):
            continue
        characters.append(character)
        moved = basis[quotient]  # [g, h, dim] is B[g⁻¹ h]
        found.append(torch.einsum("hi,ghj->gij", basis, moved))
    return found


def _character(basis: Float[Tensor, "n dim"], quotient: Tensor) -> Float[Tensor, " n"]:
    return torch.einsum("hi,ghi->g", basis, basis[quotient])
