"""What a full set of irreducible real representations satisfies; each check names what failed."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.group import Group
from refractor.groups.kinds import INDICATORS, KINDS, WHOLE, indicator

ORTHOGONAL = 1e-9  # float64 matrices spread along words of up to n letters


def check_irrep(
    group: Group, name: str, kind: str, matrices: Float[Tensor, "n dim dim"], character: Float[Tensor, " n"]
) -> None:
    """Raise unless orthogonal matrices are irreducible of the type that is said.

    ρ(x) ρ(x)ᵀ = 1; ⟨χ, χ⟩ is 1, 2 or 4 and (1/n) Σ χ(x²) is 1, 0 or -2 by type, which prove irreducibility; the
    dimension of the complex irreps inside, d or d / 2, divides n.

    Raises:
        ArgumentError: it is not so.

    """
    if kind not in KINDS:
        raise ArgumentError(f"the type of {name!r} must be one of {', '.join(map(repr, KINDS))}; {kind!r} came.")
    dim = matrices.shape[1]
    errors = (matrices @ matrices.mT - torch.eye(dim, dtype=matrices.dtype)).abs().amax((1, 2))
    worst = int(errors.nan_to_num(torch.inf).argmax())
    if not float(errors[worst]) <= ORTHOGONAL:
        raise ArgumentError(
            f"{name!r} of {group.name} must have orthogonal matrices: ρ(x) ρ(x)ᵀ differs from 1 by "
            f"{float(errors[worst]):.3g} at x = {worst}."
        )
    norm, sign = float(character.square().mean()), indicator(group, character)
    if abs(norm - KINDS[kind]) > WHOLE:
        hint = "It is reducible." if min(abs(norm - value) for value in KINDS.values()) > WHOLE else "Its type differs."
        raise ArgumentError(
            f"⟨χ, χ⟩ of {name!r} of {group.name} must be {KINDS[kind]} for {kind} type; it is {norm:.6g}. {hint}"
        )
    if abs(sign - INDICATORS[kind]) > WHOLE:
        raise ArgumentError(
            f"the Frobenius-Schur indicator of {name!r} of {group.name} must be {INDICATORS[kind]} for {kind} type; it "
            f"is {sign:.6g}."
        )
    check_dimension(group, name, kind, dim)


def check_dimension(group: Group, name: str, kind: str, dim: int) -> None:
    """Raise unless the dimension of the complex irreps inside, d or d / 2, divides the order of the group.

    Raises:
        ArgumentError: it does not.

    """
    inside = dim if kind == "real" else dim / 2
    if inside != int(inside) or group.order % inside:
        raise ArgumentError(
            f"the complex dimension of an irrep divides the order of the group; {inside:g} of {name!r} does not divide "
            f"{group.order}."
        )


def check_complete(
    group: Group,
    names: Sequence[str],
    dims: Sequence[int],
    kinds: Sequence[str],
    characters: Float[Tensor, "irrep n"],
    classes: int,
) -> None:
    """Raise unless irreps are different, and all that the group has.

    Characters of different irreps are orthogonal; Σ d² / ⟨χ, χ⟩ = n; the complex irreps, of which one of complex type
    holds two, are as many as the conjugacy classes; the first is trivial; names are different.

    Args:
        group: the group.
        names: of the irreps.
        dims: their dimensions.
        kinds: their types.
        characters: their characters.
        classes: number of conjugacy classes.

    Raises:
        ArgumentError: it is not so.

    """
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ArgumentError(f"irreps of {group.name} need different names; {twice!r} came twice.")
    products = characters @ characters.T / group.order
    off = (products - products.diagonal().diag()).abs()
    i, j = divmod(int(off.argmax()), len(names))
    if float(off[i, j]) > WHOLE:
        raise ArgumentError(
            f"characters of different irreps of {group.name} are orthogonal; ⟨χ, χ'⟩ of {names[i]!r} and {names[j]!r} "
            f"is {float(products[i, j]):.6g}."
        )
    spans = sum(dim * dim // KINDS[kind] for dim, kind in zip(dims, kinds, strict=True))
    if spans != group.order:
        raise ArgumentError(
            f"Σ d² / ⟨χ, χ⟩ over all irreps of {group.name} must be {group.order}; over {', '.join(names[:12])} it is "
            f"{spans}."
        )
    count = sum(2 if kind == "complex" else 1 for kind in kinds)
    if count != classes:
        raise ArgumentError(
            f"{group.name} has {classes} conjugacy classes and so as many complex irreps; the real ones hold {count}."
        )
    if float((characters[0] - 1).abs().max()) > WHOLE:
        raise ArgumentError(f"the first irrep of {group.name} must be the trivial one; {names[0]!r} is not.")
