"""`Irreps`: all irreducible real representations of a group, by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError, unknown_name
from refractor.groups.classes import conjugacy_classes
from refractor.groups.group import Group
from refractor.groups.irrep_checks import check_complete, check_irrep
from refractor.groups.kinds import KINDS
from refractor.groups.representation import Representation


@dataclass(frozen=True, eq=False)
class Irrep:
    """One irreducible real representation, by orthogonal matrices.

    Args:
        representation: its matrices.
        kind: "real", "complex" or "quaternionic": what commutes with it.
        aliases: other names it goes by.

    Raises:
        ArgumentError: the matrices are not orthogonal, or not irreducible of that type: see `check_irrep`.

    """

    representation: Representation
    kind: str
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check orthogonality and type."""
        check_irrep(self.representation.group, self.name, self.kind, self.matrices, self.character)

    def __repr__(self) -> str:
        """Return name, dimension and type."""
        return f"Irrep({self.name!r}, dim={self.dim}, {self.kind})"

    @property
    def name(self) -> str:
        """How it is called."""
        return self.representation.name

    @property
    def dim(self) -> int:
        """The real dimension d."""
        return self.representation.dim

    @property
    def matrices(self) -> Float[Tensor, "n dim dim"]:
        """ρ(x) for each element x."""
        return self.representation.matrices

    @cached_property
    def character(self) -> Float[Tensor, " n"]:
        """χ(x) = tr ρ(x)."""
        return self.representation.character

    @property
    def commutant_dim(self) -> int:
        """⟨χ, χ⟩: 1, 2 or 4 for real, complex and quaternionic type."""
        return KINDS[self.kind]

    @property
    def span_dim(self) -> int:
        """Dimension d² / ⟨χ, χ⟩ of the functions that the matrix entries span. These add up to n over all irreps."""
        return self.dim * self.dim // self.commutant_dim


@dataclass(frozen=True, eq=False)
class Irreps:
    """All irreducible real representations of a group, the trivial one first.

    That they are all, and different, is checked: see `check_complete`.

    Args:
        group: the group.
        members: the irreps.

    Raises:
        ArgumentError: one is missing, comes twice, or belongs to another group.

    """

    group: Group
    members: tuple[Irrep, ...]

    def __post_init__(self) -> None:
        """Check that these are all irreps of the group."""
        for irrep in self.members:
            if irrep.representation.group is not self.group:
                raise ArgumentError(
                    f"{irrep.name!r} is an irrep of {irrep.representation.group!r}, not of this {self.group!r}."
                )
        if not self.members:
            raise ArgumentError(f"{self.group.name} has at least the trivial irrep; none came.")
        kinds = [irrep.kind for irrep in self.members]
        classes = len(conjugacy_classes(self.group))
        check_complete(self.group, self.names, [irrep.dim for irrep in self], kinds, self.characters, classes)

    def __len__(self) -> int:
        """Return the number of irreps."""
        return len(self.members)

    def __iter__(self) -> Iterator[Irrep]:
        """Go through the irreps."""
        return iter(self.members)

    def __repr__(self) -> str:
        """Return the names."""
        return f"Irreps({self.group.name}: {', '.join(self.names)})"

    def __getitem__(self, name: str) -> Irrep:
        """Return an irrep by its name or an alias.

        Raises:
            UnknownNameError: there is none of that name; the nearest are offered.

        """
        return self.members[self.index(name)]

    def index(self, name: str) -> int:
        """Return the place of an irrep by its name or an alias.

        Raises:
            UnknownNameError: there is none of that name; the nearest are offered.

        """
        if name not in self._places:
            raise unknown_name(f"irrep of {self.group.name}", name, self._places)
        return self._places[name]

    @cached_property
    def _places(self) -> dict[str, int]:
        places = {irrep.name: place for place, irrep in enumerate(self.members)}
        for place, irrep in enumerate(self.members):
            for alias in irrep.aliases:
                places.setdefault(alias, place)
        return places

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(irrep.name for irrep in self.members)

    @cached_property
    def characters(self) -> Float[Tensor, "irrep n"]:
        """χ_r(x) for each irrep and element."""
        return torch.stack([irrep.character for irrep in self.members])
