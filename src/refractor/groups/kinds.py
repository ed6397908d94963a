"""The three types of irreducible real representations, and how a character tells its own (Frobenius and Schur 1906).

type          commutant   ⟨χ, χ⟩   (1/n) Σ_x χ(x²)
real          R           1        1
complex       C           2        0
quaternionic  H           4        -2
"""

from collections.abc import Mapping
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from refractor.groups.group import Group

KINDS: Mapping[str, int] = MappingProxyType({"real": 1, "complex": 2, "quaternionic": 4})
"""Dimension of the commutant of an irreducible real representation, ⟨χ, χ⟩, by its type."""

INDICATORS: Mapping[str, int] = MappingProxyType({"real": 1, "complex": 0, "quaternionic": -2})
"""(1/n) Σ_x χ(x²) of the real character χ, by its type."""

WHOLE = 1e-6  # how far an average of characters may be from the integer that it is


def indicator(group: Group, character: Float[Tensor, " n"]) -> float:
    """Return the Frobenius-Schur indicator (1/n) Σ_x χ(x²).

    >>> import torch
    >>> from refractor.groups import cyclic
    >>> indicator(cyclic(4), torch.ones(4))
    1.0

    """
    squares = group.table.diagonal()
    return float(character[squares].double().mean())


def kind_of_character(group: Group, character: Float[Tensor, " n"]) -> str | None:
    """Return the type of an irreducible real representation from its character; None if it is reducible.

    >>> import torch
    >>> from refractor.groups import cyclic
    >>> kind_of_character(cyclic(4), torch.tensor([2.0, 0.0, -2.0, 0.0]))
    'complex'
    >>> kind_of_character(cyclic(4), torch.tensor([2.0, 0.0, 2.0, 0.0])) is None
    True

    """
    norm, sign = float(character.double().square().mean()), indicator(group, character)
    for kind, commutant_dim in KINDS.items():
        if abs(norm - commutant_dim) < WHOLE and abs(sign - INDICATORS[kind]) < WHOLE:
            return kind
    return None
