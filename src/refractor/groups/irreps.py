"""`Irreps`: all irreducible real representations of a group, by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import unknown_name
from refractor.groups.group import Group
from refractor.groups.kinds import KINDS
from refractor.groups.representation import Representation


@dataclass(frozen=True, eq=False)
class Irrep:
    """One irreducible real representation, by orthogonal matrices.

    Args:
        representation: its matrices.
        kind: "real", "complex" or "quaternionic": what commutes with it.
        aliases: other names it goes by.

    """

    representation: Representation
    kind: str
    aliases: tuple[str, ...] = ()

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

    @property
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

    Args:
        group: the group.
        members: the irreps.

    """

    group: Group
    members: tuple[Irrep, ...]

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
