"""Irreducible real representations of any group, by splitting its regular representation.

For random a with a(x) = a(x⁻¹), M[h, k] = a(h⁻¹ k) is symmetric and commutes with left translation by the group. Each
of its eigenspaces is, with probability 1, one irreducible real representation; those with new characters are kept. In
an orthonormal basis B of an eigenspace, ρ(g) = Bᵀ L_g B with (L_g B)[h] = B[g⁻¹ h]: the matrices come out orthogonal.

B Bᵀ commutes with translation too, so (B Bᵀ)[h, k] = p(h⁻¹ k): the character χ(g) = n · (mean of p over the class of
g⁻¹) needs one row of it. About 9 n³ operations and 4 n² numbers.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.errors import ArgumentError
from refractor.groups.classes import ConjugacyClasses, conjugacy_classes
from refractor.groups.group import Group
from refractor.groups.kinds import KINDS, kind_of_character
from refractor.groups.spanning import Layer, spanning_layers, spread

GAP = 1e-7  # eigenvalues closer than this, relative to the largest, are not told apart
SEEDS = 8  # draws that are tried; eigenvalues that meet by chance have probability about n² GAP
SAME = 1e-6  # characters are sums of roots of unity; different ones differ by far more somewhere


def split_regular(group: Group, seed: int = 0, limit: float | None = None) -> list[Float[Tensor, "n dim dim"]]:
    """Return orthogonal matrices of every irreducible real representation, in no particular order.

    Args:
        group: the group.
        seed: of the random function.
        limit: bytes allowed; by default what is free.

    Raises:
        BudgetError: four matrices [n, n] in float64 do not fit; the message has the figures.
        ArgumentError: eigenvalues met by chance for every seed that was tried.

    >>> from refractor.groups import cyclic
    >>> sorted(matrices.shape[1] for matrices in split_regular(cyclic(5)))
    [1, 2, 2]

    """
    n = group.order
    hint = "Symmetric, alternating, cyclic and dihedral groups have closed forms: see `real_irreps`."
    check_fits(32 * n * n, f"split_regular({group.name}), n = {n}, with 4 matrices [{n}, {n}]", hint, limit=limit)
    quotient = group.table[group.inverses]  # [h, k] is h⁻¹ k
    classes = conjugacy_classes(group)
    for attempt in range(seed, seed + SEEDS):
        bases = _eigenspaces(group, quotient, classes, attempt)
        if bases is not None:
            layers = spanning_layers(group, group.generators)
            return [_matrices(group, layers, basis) for basis in bases]
    raise ArgumentError(f"the regular representation of {group.name} could not be split with {SEEDS} random functions.")


def _eigenspaces(
    group: Group, quotient: Int[Tensor, "n n"], classes: ConjugacyClasses, seed: int
) -> list[Float[Tensor, "n dim"]] | None:
    """Return one eigenspace for each irrep; None where two of them were not told apart."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(group.order, dtype=torch.float64, generator=generator)
    symmetric = draw + draw[group.inverses]
    values, vectors = torch.linalg.eigh(symmetric[quotient])
    cuts = (values.diff() > GAP * values.abs().max()).nonzero().flatten() + 1
    found, characters = [], []
    for basis in torch.tensor_split(vectors, cuts, dim=1):
        character = _character(basis, group, classes)
        if any(bool((character - other).abs().max() < SAME) for other in characters):
            continue
        characters.append(character)
        found.append(basis)
    kinds = [kind_of_character(group, character) for character in characters]
    if any(kind is None for kind in kinds):
        return None  # reducible: two eigenvalues met
    spans = sum(basis.shape[1] ** 2 // KINDS[kind] for basis, kind in zip(found, kinds, strict=True) if kind)
    return found if spans == group.order else None


def _character(basis: Float[Tensor, "n dim"], group: Group, classes: ConjugacyClasses) -> Float[Tensor, " n"]:
    row = basis @ basis[group.identity]  # p
    means = torch.zeros(len(classes), dtype=row.dtype).index_add_(0, classes.index, row) / classes.sizes
    return group.order * means[classes.index[group.inverses]]


def _matrices(group: Group, layers: Sequence[Layer], basis: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim dim"]:
    """Return Bᵀ L_g B for all g: from the generators, along words."""
    if not group.generators:
        return torch.ones(1, 1, 1, dtype=basis.dtype)
    return spread(group, layers, [basis.T @ basis[group.table[group.inverse(g)]] for g in group.generators])
