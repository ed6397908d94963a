"""Groups by name."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from refractor.base.errors import ArgumentError, unknown_name
from refractor.groups.families import alternating, cyclic, dihedral, symmetric
from refractor.groups.group import CANONICAL, Group
from refractor.groups.integers import is_prime
from refractor.groups.matrix_families import affine, general_linear, heisenberg, special_linear
from refractor.groups.orderings import published_permutations
from refractor.groups.products import direct_product
from refractor.groups.quaternion import dicyclic, quaternion
from refractor.groups.semidirect import frobenius_of_order


def _prime(family: str, dim: int, p: int) -> int:
    """Return p if it is a prime: names of linear groups mean fields, and fields of other sizes are not there."""
    if p < 2 or not is_prime(p):
        function = {"SL": "special_linear", "GL": "general_linear", "AGL": "affine"}[family]
        raise ArgumentError(
            f"{family}({dim},{p}) is a group over the field of {p} elements, and {p} must be a prime here. "
            f"The matrices modulo {p}, no field, are {function}({dim}, {p})."
        )
    return p


FORMS: Mapping[str, Callable[..., Group]] = MappingProxyType(
    {
        "C113": cyclic,
        "D59": dihedral,
        "S5": symmetric,
        "A5": alternating,
        "Q8": quaternion,
        "Dic3": dicyclic,
        "F21": frobenius_of_order,
        "Heis(3)": heisenberg,
        "SL(2,7)": lambda dim, p: special_linear(dim, _prime("SL", dim, p)),
        "GL(2,3)": lambda dim, p: general_linear(dim, _prime("GL", dim, p)),
        "AGL(1,17)": lambda dim, p: affine(dim, _prime("AGL", dim, p)),
    }
)
"""One example of each form of a name, and what makes the group from the numbers in it."""

NUMBER = re.compile(r"[0-9]{1,9}")
PRODUCT = re.compile(r"\s*[x×]\s*")


def group(name: str, ordering: str = CANONICAL) -> Group:
    """Return a group by its name.

    C113 is cyclic, D59 dihedral with 2 x 59 elements, S5 symmetric, A5 alternating, Q8 quaternion, Dic3 dicyclic with
    4 x 3 elements, F21 the Frobenius group of that order, Heis(3) Heisenberg modulo 3, SL(2,7), GL(2,3) and AGL(1,17)
    special linear, general linear and affine over a prime field, "C2 x S3" a direct product of such groups.

    Args:
        name: the name.
        ordering: "canonical", or another order of the elements: "sympy-coset-rank", that of the published networks, is
            known for S4, S5, S6 and A5.

    Raises:
        UnknownNameError: no group or no order is called that; the nearest names are offered.
        ArgumentError: the numbers in the name are none that such a group can have.
        BudgetError: the table would be too large.

    >>> group("S5"), group("D59"), group("C2 x Q8")
    (Group('S5', order=120), Group('D59', order=118), Group('C2 x Q8', order=16))
    >>> group("S5", ordering="sympy-coset-rank").identity
    20

    """
    if not isinstance(name, str):
        raise ArgumentError(f'group needs a name such as "S5"; {name!r} ({type(name).__name__}) came.')
    parts = PRODUCT.split(name.strip())
    if len(parts) > 1 and not all(parts):
        raise unknown_name("group", name, FORMS, "A product has a group on both sides of each x.")
    if len(parts) > 1 and ordering == CANONICAL:
        return direct_product(*(_single(part, name) for part in parts))
    if ordering != CANONICAL:
        published_permutations(name.strip(), ordering)  # raises unless the order is known for this group
        return (symmetric if name.strip().startswith("S") else alternating)(int(name.strip()[1:]), ordering)
    return _single(parts[0], name)


def _single(part: str, whole: str) -> Group:
    """Return the group of one factor of a name."""
    plain = part.replace(" ", "")
    make = {NUMBER.sub("#", example): make for example, make in FORMS.items()}.get(NUMBER.sub("#", plain))
    if make is None:
        likely = [_with_numbers(example, NUMBER.findall(part)) for example in FORMS]
        hint = f"Forms: {', '.join(FORMS)}, and products such as C2 x S3."
        within = "" if part == whole.strip() else f"It is part of {whole!r}. "
        raise unknown_name("group", part, dict.fromkeys([*likely, *FORMS]), within + hint)
    return make(*(int(number) for number in NUMBER.findall(plain)))


def _with_numbers(example: str, numbers: list[str]) -> str:
    """Write the numbers that came into an example, if it takes as many."""
    if len(NUMBER.findall(example)) != len(numbers):
        return example
    rest = iter(numbers)
    return NUMBER.sub(lambda _: next(rest), example)
