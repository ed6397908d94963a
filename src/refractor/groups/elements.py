"""What the elements of a group are: permutations, matrices modulo n, or just names."""

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
