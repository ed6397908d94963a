"""`Representation`: one real matrix for each element."""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.groups.group import Group


@dataclass(frozen=True, eq=False)
class Representation:
    """Real matrices ρ(x) with ρ(x) ρ(y) = ρ(x · y).

    Args:
        group: the group.
        name: how it is called, e.g. "standard".
        matrices: ρ(x) for each element x, float64.

    """

    group: Group
    name: str
    matrices: Float[Tensor, "n dim dim"] = field(repr=False)

    def __post_init__(self) -> None:
        """Check the shape.

        Raises:
            ShapeError: there is not one square matrix for each element.

        """
        n, shape = self.group.order, list(self.matrices.shape)
        if len(shape) != 3 or shape[0] != n or shape[1] != shape[2]:
            raise ShapeError(f"a representation of {self.group.name} needs matrices [n={n}, dim, dim]; {shape} came.")

    @property
    def dim(self) -> int:
        """The dimension."""
        return self.matrices.shape[1]

    @property
    def character(self) -> Float[Tensor, " n"]:
        """χ(x) = tr ρ(x)."""
        return self.matrices.diagonal(dim1=1, dim2=2).sum(-1)
