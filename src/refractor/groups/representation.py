"""`Representation`: one real matrix for each element, checked to respect products."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.base.numerics import LAW_TOLERANCE
from refractor.groups.group import Group


@dataclass(frozen=True, eq=False)
class Representation:
    """Real matrices ρ(x) with ρ(x) ρ(y) = ρ(x · y); that is checked.

    ρ(e) = 1 and ρ(x) ρ(g) = ρ(x · g) for all elements x and generators g are checked. They prove it for all y, since
    every y is a product of generators.

    Args:
        group: the group.
        name: how it is called, e.g. "standard".
        matrices: ρ(x) for each element x, float64 or float32.

    Raises:
        ShapeError: there is not one square matrix of real numbers for each element.
        ArgumentError: some product is not respected; the message names it.

    """

    group: Group
    name: str
    matrices: Float[Tensor, "n dim dim"] = field(repr=False)

    def __post_init__(self) -> None:
        """Check shape and products."""
        n, shape = self.group.order, list(self.matrices.shape)
        if len(shape) != 3 or shape[0] != n or shape[1] != shape[2] or shape[1] == 0:
            raise ShapeError(
                f"a representation of {self.group.name} needs matrices [n={n}, dim, dim], dim at least 1; {shape} came."
            )
        if self.matrices.dtype not in (torch.float64, torch.float32):
            raise ShapeError(
                f"a representation needs matrices in float64 or float32; dtype {self.matrices.dtype} came."
            )
        check_homomorphism(self.group, self.name, self.matrices)

    def __repr__(self) -> str:
        """Return name, group and dimension."""
        return f"Representation({self.name!r} of {self.group.name}, dim={self.dim})"

    @property
    def dim(self) -> int:
        """The dimension."""
        return self.matrices.shape[1]

    @property
    def character(self) -> Float[Tensor, " n"]:
        """χ(x) = tr ρ(x)."""
        return self.matrices.diagonal(dim1=1, dim2=2).sum(-1)

    def renamed(self, name: str) -> "Representation":
        """Return the same matrices under another name."""
        return Representation(self.group, name, self.matrices)


def representation(
    group: Group, matrices: Tensor | Sequence[Sequence[Sequence[float]]], name: str = "given"
) -> Representation:
    """Return a representation from matrices that come from elsewhere; integers become float64.

    Args:
        group: the group.
        matrices: ρ(x) for each element x in the order of the group, [n, dim, dim].
        name: how it is called.

    Raises:
        ShapeError: there is not one square matrix of real numbers for each element.
        ArgumentError: ρ(x) ρ(y) is not ρ(x · y) for some x and y, which the message names.

    >>> from refractor.groups import cyclic
    >>> representation(cyclic(2), [[[1]], [[-1]]], "sign")
    Representation('sign' of C2, dim=1)
    >>> representation(cyclic(3), [[[1]], [[-1]], [[1]]])
    Traceback (most recent call last):
    refractor.base.errors.ArgumentError: 'given' is no representation of C3: ρ(x) ρ(y) is not ρ(x · y) for x = 1 …

    """
    try:
        values = torch.as_tensor(matrices)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"matrices must be numbers [n={group.order}, dim, dim]; {error}") from error
    if values.is_complex():
        raise ShapeError(
            "a representation here has real matrices; complex ones came. Write a + ib as [[a, -b], [b, a]]."
        )
    return Representation(group, name, values if values.is_floating_point() else values.double())


def check_homomorphism(group: Group, name: str, matrices: Float[Tensor, "n dim dim"]) -> None:
    """Raise unless ρ(e) = 1 and ρ(x) ρ(g) = ρ(x · g) for all elements x and all generators g.

    Args:
        group: the group.
        name: what the message calls the matrices.
        matrices: ρ(x) for each x. The error allowed is that of their dtype, times their largest entry squared.

    Raises:
        ArgumentError: it is not so; the message names x and y and the size of the error.

    """
    largest = float(matrices.abs().max())
    allowed = LAW_TOLERANCE[matrices.dtype] * max(1.0, largest) ** 2
    one = torch.eye(matrices.shape[1], dtype=matrices.dtype)
    error = float((matrices[group.identity] - one).abs().max())
    if not error <= allowed:  # so that NaN is caught
        raise ArgumentError(
            f"{name!r} is no representation of {group.name}: ρ(e) is not 1 for e = {_written(group, group.identity)}; "
            f"it differs by {error:.3g}."
        )
    for g in group.generators:
        errors = (matrices @ matrices[g] - matrices[group.table[:, g]]).abs().amax((1, 2))
        x = int((errors.nan_to_num(torch.inf)).argmax())
        if not float(errors[x]) <= allowed:
            y, product = _written(group, g), _written(group, int(group.table[x, g]))
            raise ArgumentError(
                f"{name!r} is no representation of {group.name}: ρ(x) ρ(y) is not ρ(x · y) for x = "
                f"{_written(group, x)} and y = {y}, x · y = {product}; they differ by {float(errors[x]):.3g}."
            )


def _written(group: Group, element: int) -> str:
    label = group.elements.label(element)
    return str(element) if label == str(element) else f"{element} ({label})"
