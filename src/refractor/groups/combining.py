"""Representations from representations: tensor product, dual, direct sum, restriction, induction."""

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.errors import ArgumentError
from refractor.groups.embedding import Embedding
from refractor.groups.group import Group
from refractor.groups.representation import Representation


def tensor_product(one: Representation, other: Representation) -> Representation:
    """Return ρ(x) ⊗ σ(x), the Kronecker products. Its character is the product of the characters.

    Raises:
        ArgumentError: they belong to different groups.

    >>> from refractor.groups import standard, symmetric
    >>> group = symmetric(3)
    >>> tensor_product(standard(group), standard(group))
    Representation('standard ⊗ standard' of S3, dim=4)

    """
    group = _common(one, other)
    products = torch.einsum("nij,nkl->nikjl", *_common_dtype(one.matrices, other.matrices))
    dim = one.dim * other.dim
    return Representation(group, f"{one.name} ⊗ {other.name}", products.reshape(group.order, dim, dim))


def dual(one: Representation) -> Representation:
    """Return ρ(x⁻¹)ᵀ; the same matrices where they are orthogonal.

    >>> from refractor.groups import study_standard, symmetric
    >>> dual(study_standard(symmetric(3))).matrices[1].tolist()
    [[1.0, 0.0], [1.0, -1.0]]

    """
    return Representation(one.group, f"{one.name}*", one.matrices[one.group.inverses].mT.contiguous())


def direct_sum(*parts: Representation) -> Representation:
    """Return the block-diagonal matrices of several representations.

    Raises:
        ArgumentError: none came, or they belong to different groups.

    >>> from refractor.groups import standard, symmetric, trivial
    >>> group = symmetric(3)
    >>> direct_sum(trivial(group), standard(group))
    Representation('trivial + standard' of S3, dim=3)

    """
    if not parts:
        raise ArgumentError("direct_sum needs at least one representation; none came.")
    for part in parts:
        _common(parts[0], part)
    blocks = _common_dtype(*(part.matrices for part in parts))
    dim = sum(part.dim for part in parts)
    matrices = blocks[0].new_zeros(parts[0].group.order, dim, dim)
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        matrices[:, start:stop, start:stop] = block
        start = stop
    return Representation(parts[0].group, " + ".join(part.name for part in parts), matrices)


def restriction(one: Representation, embedding: Embedding) -> Representation:
    """Return ρ(h) for the elements h of a subgroup only.

    Args:
        one: a representation of the larger group.
        embedding: the subgroup in it.

    Raises:
        ArgumentError: the representation is not one of the larger group.

    >>> from refractor.groups import cyclic, embed, real_irreps
    >>> group = cyclic(4)
    >>> restriction(real_irreps(group)["sign"].representation, embed(group, [0, 2])).matrices.flatten().tolist()
    [1.0, 1.0]

    """
    _check_of(one, embedding.group, "restriction")
    return Representation(
        embedding.subgroup, f"{one.name} on {embedding.subgroup.name}", one.matrices[embedding.images]
    )


def induction(one: Representation, embedding: Embedding, limit: float | None = None) -> Representation:
    """Return the representation that a representation of a subgroup induces.

    With representatives t_i of the cosets t_i H, block (i, j) of the matrix of x is ρ(h) where x t_j = t_i h, else 0.

    Args:
        one: a representation of the subgroup.
        embedding: the subgroup in the larger group.
        limit: bytes allowed; by default what is free.

    Raises:
        ArgumentError: the representation is not one of the subgroup.
        BudgetError: the matrices do not fit.

    >>> from refractor.groups import embed, symmetric, trivial
    >>> inside = embed(symmetric(3), [0, 1])
    >>> induction(trivial(inside.subgroup), inside).character.tolist()
    [3.0, 1.0, 1.0, 0.0, 0.0, 1.0]

    """
    _check_of(one, embedding.subgroup, "induction")
    group, index = embedding.group, embedding.index
    dim = index * one.dim
    what = f"induction to {group.name}, with {group.order} matrices [{dim}, {dim}]"
    check_fits(24 * group.order * dim * dim, what, "Induce from a larger subgroup.", limit=limit)
    starts, coset, inside = _left_cosets(embedding)
    matrices = one.matrices.new_zeros(group.order, index, one.dim, index, one.dim)
    every = torch.arange(group.order)
    for j, start in enumerate(starts.tolist()):
        moved = group.table[:, start]
        matrices[every, coset[moved], :, j, :] = one.matrices[inside[moved]]
    return Representation(group, f"{one.name} up to {group.name}", matrices.reshape(group.order, dim, dim))


def _left_cosets(embedding: Embedding) -> tuple[Int[Tensor, " coset"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Return representatives t_i, and i and h of every element t_i h."""
    group, h = embedding.group, torch.arange(embedding.subgroup.order)
    coset, inside = torch.full((group.order,), -1), torch.empty(group.order, dtype=torch.long)
    starts: list[int] = []
    for element in range(group.order):
        if coset[element] < 0:
            members = group.table[element, embedding.images]
            coset[members], inside[members] = len(starts), h
            starts.append(element)
    return torch.tensor(starts), coset, inside


def _common(one: Representation, other: Representation) -> Group:
    if one.group is not other.group:
        raise ArgumentError(
            f"{one.name!r} and {other.name!r} must be representations of one group object; {one.group!r} and "
            f"{other.group!r} came."
        )
    return one.group


def _check_of(one: Representation, group: Group, what: str) -> None:
    if one.group is not group:
        raise ArgumentError(
            f"{what} needs a representation of {group!r}, the group object of the embedding; {one!r} of another came."
        )


def _common_dtype(*matrices: Tensor) -> list[Tensor]:
    wide = any(each.dtype == torch.float64 for each in matrices)
    return [each.double() if wide else each for each in matrices]
