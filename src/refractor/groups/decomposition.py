"""How often each irrep comes in a representation."""

from refractor.base.errors import ArgumentError
from refractor.groups.irreps import Irreps
from refractor.groups.kinds import WHOLE
from refractor.groups.representation import Representation


def multiplicities(one: Representation, irreps: Irreps) -> dict[str, int]:
    """Return how often each real irrep is contained: `⟨χ, χ_r⟩ / ⟨χ_r, χ_r⟩`, with `⟨f, g⟩ = (1/n) Σ_x f(x) g(x)`.

    Args:
        one: a representation, in any basis.
        irreps: all irreps of its group.

    Returns:
        The multiplicity by name, zeros included.

    Raises:
        ArgumentError: the representation belongs to another group.

    >>> from refractor.groups import natural, real_irreps, symmetric
    >>> group = symmetric(3)
    >>> multiplicities(natural(group), real_irreps(group))
    {'trivial': 1, 'sign': 0, 'standard': 1}

    """
    group = irreps.group
    if one.group is not group:
        raise ArgumentError(f"the irreps are those of {group!r}; {one!r} of another group object came.")
    character = one.character.double()
    found = {}
    for irrep in irreps:
        value = float(irrep.character @ character) / (group.order * irrep.commutant_dim)
        if abs(value - round(value)) > max(WHOLE, WHOLE * abs(value)):
            raise ArgumentError(f"{irrep.name!r} comes {value:.6g} times in {one!r}, which is no integer.")
        found[irrep.name] = round(value)
    return found
