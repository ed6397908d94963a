"""Representations that are known beforehand: trivial, sign, natural, standard, regular."""

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.budget import check_fits
from refractor.base.errors import ArgumentError
from refractor.groups.cycles import signature
from refractor.groups.elements import Permutations
from refractor.groups.group import Group
from refractor.groups.representation import Representation


def trivial(group: Group) -> Representation:
    """Return ρ(x) = 1.

    >>> from refractor.groups import cyclic
    >>> trivial(cyclic(2)).matrices.flatten().tolist()
    [1.0, 1.0]

    """
    return Representation(group, "trivial", torch.ones(group.order, 1, 1, dtype=torch.float64))


def sign(group: Group) -> Representation:
    """Return the signature of permutations.

    Raises:
        ArgumentError: the elements are no permutations.

    >>> from refractor.groups import symmetric
    >>> sign(symmetric(3)).matrices.flatten().tolist()
    [1.0, -1.0, -1.0, 1.0, 1.0, -1.0]

    """
    arrays = _arrays(group, "sign")
    signs = torch.tensor([signature(array) for array in arrays.tolist()], dtype=torch.float64)
    return Representation(group, "sign", signs[:, None, None])


def natural(group: Group) -> Representation:
    """Return the permutation matrices N(g)[k, g(k)] = 1. Where x is applied first in x · y, N(x) N(y) = N(x · y).

    Raises:
        ArgumentError: the elements are no permutations.

    >>> from refractor.groups import symmetric
    >>> natural(symmetric(2)).matrices[1].tolist()
    [[0.0, 1.0], [1.0, 0.0]]

    """
    arrays = _arrays(group, "natural")
    return Representation(group, "natural", torch.nn.functional.one_hot(arrays, arrays.shape[1]).double())


def standard(group: Group) -> Representation:
    """Return the natural representation on vectors with sum 0, by orthogonal matrices.

    The basis is e_1 + … + e_k - k e_{k + 1}, normalised (Helmert), for k = 1, 2, …

    Raises:
        ArgumentError: the elements are no permutations of at least 2 points.

    >>> from refractor.groups import symmetric
    >>> standard(symmetric(3)).dim
    2

    """
    degree = _at_least_two(group)
    basis = torch.ones(degree - 1, degree, dtype=torch.float64).tril()
    basis[range(degree - 1), range(1, degree)] = -torch.arange(1, degree, dtype=torch.float64)
    basis = basis / basis.norm(dim=1, keepdim=True)
    return Representation(group, "standard", basis @ natural(group).matrices @ basis.T)


def study_standard(group: Group) -> Representation:
    """Return the standard representation in the basis of Chughtai, Chan and Nanda (2023), by integer matrices.

    B N(g) B⁻¹ without its last row and column, B with rows e_i - e_{i + 1} and last e_n. It is not orthogonal.

    Raises:
        ArgumentError: the elements are no permutations of at least 2 points.

    >>> from refractor.groups import symmetric
    >>> study_standard(symmetric(3)).matrices[1].tolist()
    [[1.0, 1.0], [0.0, -1.0]]

    """
    degree = _at_least_two(group)
    basis = torch.eye(degree, dtype=torch.float64) - torch.ones(degree, degree, dtype=torch.float64).triu(1).tril(1)
    inverse = torch.ones(degree, degree, dtype=torch.float64).triu()
    matrices = basis @ natural(group).matrices @ inverse
    return Representation(group, "study_standard", matrices[:, :-1, :-1].contiguous())


def regular(group: Group, limit: float | None = None) -> Representation:
    """Return left translation of functions on the group: L(g) e_h = e_{gh}.

    Args:
        group: the group.
        limit: bytes allowed; by default what is free.

    Raises:
        BudgetError: n³ numbers do not fit.

    >>> from refractor.groups import cyclic
    >>> regular(cyclic(2)).matrices[1].tolist()
    [[0.0, 1.0], [1.0, 0.0]]

    """
    n = group.order
    hint = "Its decomposition is known: each irrep comes d / ⟨χ, χ⟩ times."
    check_fits(24 * n**3, f"regular({group.name}), n = {n}, with 3 arrays [{n}, {n}, {n}]", hint, limit=limit)
    matrices = torch.nn.functional.one_hot(group.table, n).double().mT  # one_hot[g, h, k] = 1 for k = gh
    return Representation(group, "regular", matrices.contiguous())


def _arrays(group: Group, what: str) -> Int[Tensor, "n degree"]:
    if not isinstance(group.elements, Permutations):
        raise ArgumentError(
            f"{what}({group.name}) needs permutations as elements; those of {group.name} are "
            f"{type(group.elements).__name__.lower()}. All irreps of any group: real_irreps(group)."
        )
    return group.elements.arrays


def _at_least_two(group: Group) -> int:
    degree = _arrays(group, "standard").shape[1]
    if degree < 2:
        raise ArgumentError(
            f"the standard representation has dimension degree - 1; {group.name} moves {degree} points."
        )
    return degree
