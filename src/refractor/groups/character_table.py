"""`character_table`: the characters of the complex irreps on the conjugacy classes, exactly."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Complex
from torch import Tensor

from refractor.base.errors import ArgumentError, OutOfRangeError
from refractor.groups.classes import conjugacy_classes
from refractor.groups.complex_irreps import ComplexIrreps, complex_irreps
from refractor.groups.cyclotomic import Cyclotomic
from refractor.groups.group import Group
from refractor.groups.real_irreps import real_irreps

ROUNDED = 1e-3  # multiplicities are integers, computed to about 1e-12: what is farther from one is no rounding error


@dataclass(frozen=True, eq=False)
class CharacterTable:
    """The values of the irreducible complex characters of a group.

    Args:
        group: the group.
        names: of the irreps, one a row.
        representatives: the least element of each class, one a column, in the order of `conjugacy_classes`.
        sizes: number of elements of each class.
        exact: the values as sums of roots of unity, by row and column.

    """

    group: Group
    names: tuple[str, ...]
    representatives: tuple[int, ...]
    sizes: tuple[int, ...]
    exact: tuple[tuple[Cyclotomic, ...], ...] = field(repr=False)

    @cached_property
    def values(self) -> Complex[Tensor, "irrep cls"]:
        """The values in floating point."""
        return torch.tensor([[complex(value) for value in row] for row in self.exact], dtype=torch.complex128)

    def value(self, name: str, element: int) -> Cyclotomic:
        """Return the value of a character at a representative.

        Raises:
            OutOfRangeError: the element is no representative.
            ArgumentError: there is no irrep of that name.

        """
        if name not in self.names:
            raise ArgumentError(f"the irreps of {self.group.name} are {', '.join(self.names)}; {name!r} came.")
        if element not in self.representatives:
            raise OutOfRangeError(f"the classes are given by the elements {self.representatives}; {element} came.")
        return self.exact[self.names.index(name)][self.representatives.index(element)]

    def __str__(self) -> str:
        """Return the table as text: sizes, representatives, one irrep a line."""
        labels = [self.group.elements.label(element) for element in self.representatives]
        rows = [["size", *map(str, self.sizes)], ["class", *labels]]
        rows += [[name, *map(str, row)] for name, row in zip(self.names, self.exact, strict=True)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(labels) + 1)]
        lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(lines)


def character_table(group: Group) -> CharacterTable:
    """Return the characters of all complex irreps on all conjugacy classes, with exact values.

    For an element g of order m, ρ(g) has the eigenvalues ζ^k, ζ = exp(2πi / m), with multiplicities
    m_k = (1/m) Σ_j χ(g^j) ζ^(-jk). These are integers that add up to d, so rounding them is exact, and
    χ(g) = Σ_k m_k ζ^k.

    Args:
        group: the group.

    Raises:
        ArgumentError: a multiplicity is no integer.

    >>> from refractor.groups import symmetric
    >>> print(character_table(symmetric(3)))
        size    1        3        2
       class  (2)    (1 2)  (0 1 2)
     trivial    1        1        1
        sign    1       -1        1
    standard    2        0       -1

    """
    irreps = complex_irreps(real_irreps(group))
    classes = conjugacy_classes(group)
    representatives = tuple(classes.representatives.tolist())
    by_class = [_values(group, irreps, element) for element in representatives]
    exact = tuple(tuple(column[row] for column in by_class) for row in range(len(irreps)))
    return CharacterTable(group, irreps.names, representatives, tuple(classes.sizes.tolist()), exact)


def _values(group: Group, irreps: ComplexIrreps, element: int) -> list[Cyclotomic]:
    """Return χ(g) for each irrep, exactly."""
    powers = [group.identity]
    while (following := int(group.table[powers[-1], element])) != group.identity:
        powers.append(following)
    order = len(powers)
    counts = torch.fft.fft(irreps.characters[:, powers], dim=1) / order
    whole = counts.real.round()
    gap = float((counts - whole).abs().max())
    dims = torch.tensor([irrep.dim for irrep in irreps], dtype=whole.dtype)
    if gap > ROUNDED or bool((whole < 0).any()) or bool((whole.sum(1) != dims).any()):
        raise ArgumentError(
            f"multiplicities of the eigenvalues of element {element} of {group.name} must be integers that add up to "
            f"the dimension; they differ from integers by {gap:.3g}."
        )
    return [Cyclotomic(order, tuple(int(count) for count in row)) for row in whole.tolist()]
