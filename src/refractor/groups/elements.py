"""What the elements of a group are: permutations, matrices modulo n, tuples, or just names."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from refractor.groups.cycles import write_cycles


class Elements(ABC):
    """The elements behind the indices 0 … n - 1 of a group."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of elements."""

    @abstractmethod
    def label(self, index: int) -> str:
        """Return how an element is written."""

    @abstractmethod
    def take(self, places: Int[Tensor, " at"]) -> "Elements":
        """Return the elements at these places, in that order."""


@dataclass(frozen=True, eq=False)
class Permutations(Elements):
    """Elements that are permutations of 0 … degree - 1.

    Args:
        arrays: array forms, one in a row: `arrays[i, k]` is where element i takes the point k.

    >>> import torch
    >>> Permutations(torch.tensor([[0, 1, 2], [1, 2, 0]])).label(1)
    '(0 1 2)'

    """

    arrays: Int[Tensor, "n degree"]

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self.arrays)

    @property
    def degree(self) -> int:
        """The number of points."""
        return self.arrays.shape[1]

    def label(self, index: int) -> str:
        """Return the cycle notation of an element."""
        return write_cycles(self.arrays[index].tolist())

    def take(self, places: Int[Tensor, " at"]) -> "Permutations":
        """Return the elements at these places, in that order."""
        return Permutations(self.arrays[places])


@dataclass(frozen=True, eq=False)
class Matrices(Elements):
    """Elements that are square matrices of residues.

    Args:
        values: the matrices.
        modulus: entries are taken modulo this.

    """

    values: Int[Tensor, "n dim dim"]
    modulus: int

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self.values)

    def label(self, index: int) -> str:
        """Return the rows of a matrix."""
        rows = ("[" + " ".join(str(entry) for entry in row) + "]" for row in self.values[index].tolist())
        return "[" + " ".join(rows) + "]"

    def take(self, places: Int[Tensor, " at"]) -> "Matrices":
        """Return the elements at these places, in that order."""
        return Matrices(self.values[places], self.modulus)


@dataclass(frozen=True, eq=False)
class Tuples(Elements):
    """Elements that are tuples of elements of other groups, as in a product.

    Args:
        parts: the elements of each factor.
        places: `places[i, j]` is which element of factor j stands in element i.

    """

    parts: tuple[Elements, ...]
    places: Int[Tensor, "n factor"]

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self.places)

    def label(self, index: int) -> str:
        """Return the tuple, each part as its factor writes it."""
        places = self.places[index].tolist()
        return "(" + ", ".join(part.label(place) for part, place in zip(self.parts, places, strict=True)) + ")"

    def take(self, places: Int[Tensor, " at"]) -> "Tuples":
        """Return the elements at these places, in that order."""
        return Tuples(self.parts, self.places[places])


@dataclass(frozen=True)
class Names(Elements):
    """Elements that have a name and no further structure.

    Args:
        names: one for each element.

    """

    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self.names)

    def label(self, index: int) -> str:
        """Return the name of an element."""
        return self.names[index]

    def take(self, places: Int[Tensor, " at"]) -> "Names":
        """Return the elements at these places, in that order."""
        return Names(tuple(self.names[place] for place in places.tolist()))
