"""The Fourier transform on a group: functions as matrices, one for each irrep, in which convolution is a product.

With real irreps ρ of dimension d and c = ⟨χ, χ⟩:

    f̂(ρ) = Σ_x f(x) ρ(x)
    f(x) = Σ_ρ d / (n c) tr(ρ(x)ᵀ f̂(ρ))
    Σ_x f(x) g(x) = Σ_ρ d / (n c) tr(f̂(ρ)ᵀ ĝ(ρ))              (Plancherel)
    (f * g)(x) = Σ_y f(y) g(y⁻¹ x)  has  f̂(ρ) ĝ(ρ)

(Diaconis 1988, "Group representations in probability and statistics", for complex irreps, where c = 1.)
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.base.numerics import compute_dtype
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps

CHUNK_BYTES = 64_000_000  # of gathered values held at a time


@dataclass(frozen=True, eq=False)
class FourierCoefficients:
    """The Fourier transform of functions on a group.

    Args:
        irreps: the irreps.
        blocks: f̂(ρ) for each irrep, [dim, dim, …]; further axes are those of the functions.

    """

    irreps: Irreps
    blocks: tuple[Tensor, ...] = field(repr=False)

    def __getitem__(self, name: str) -> Float[Tensor, "dim dim ..."]:
        """Return f̂(ρ) of one irrep.

        Raises:
            UnknownNameError: there is no irrep of that name.

        """
        return self.blocks[self.irreps.index(name)]

    def __matmul__(self, other: "FourierCoefficients") -> "FourierCoefficients":
        """Return the coefficients of the convolution: f̂(ρ) ĝ(ρ), function by function."""
        if other.irreps is not self.irreps:
            raise ArgumentError(
                "coefficients to multiply must be with respect to the same irreps; transform both anew."
            )
        products = (
            torch.einsum("ij...,jk...->ik...", one, two) for one, two in zip(self.blocks, other.blocks, strict=True)
        )
        return FourierCoefficients(self.irreps, tuple(products))

    def energies(self) -> Float[Tensor, "irrep ..."]:
        """Return `d / (n c) ‖f̂(ρ)‖²` for each irrep; over all irreps they add up to `Σ_x f(x)²`."""
        return torch.stack(
            [_weight(irrep) * block.square().sum((0, 1)) for irrep, block in zip(self.irreps, self.blocks, strict=True)]
        )


def fourier_transform(values: Float[Tensor, "n ..."], irreps: Irreps) -> FourierCoefficients:
    """Return `f̂(ρ) = Σ_x f(x) ρ(x)` for each irrep.

    Args:
        values: functions on the group along the first axis. Half precision is computed in float32, else in its own.
        irreps: all irreps of the group.

    Raises:
        ShapeError: the first axis does not have one entry for each element, or the values are not real.

    >>> from refractor.groups import cyclic, real_irreps
    >>> coefficients = fourier_transform(torch.tensor([1.0, 0.0, 0.0, 0.0]), real_irreps(cyclic(4)))
    >>> coefficients["freq_1"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]

    """
    flat = checked_values(values, irreps.group)
    blocks = []
    for irrep in irreps:
        matrices = irrep.matrices.to(flat).reshape(len(flat), -1)
        blocks.append((matrices.T @ flat).reshape(irrep.dim, irrep.dim, *values.shape[1:]))
    return FourierCoefficients(irreps, tuple(blocks))


def inverse_transform(coefficients: FourierCoefficients) -> Float[Tensor, "n ..."]:
    """Return the functions with these coefficients: `f(x) = Σ_ρ d / (n c) tr(ρ(x)ᵀ f̂(ρ))`.

    >>> from refractor.groups import real_irreps, symmetric
    >>> values = torch.arange(6, dtype=torch.float64)
    >>> back = inverse_transform(fourier_transform(values, real_irreps(symmetric(3))))
    >>> bool((back - values).abs().max() < 1e-12)
    True

    """
    irreps, n = coefficients.irreps, coefficients.irreps.group.order
    first = coefficients.blocks[0]
    total = first.new_zeros(n, *first.shape[2:])
    for irrep, block in zip(irreps, coefficients.blocks, strict=True):
        matrices = irrep.matrices.to(block).reshape(n, -1)
        total += _weight(irrep) * (matrices @ block.reshape(irrep.dim**2, -1)).reshape(total.shape)
    return total


def convolve(one: Float[Tensor, "n ..."], other: Float[Tensor, "n ..."], group: Group) -> Float[Tensor, "n ..."]:
    """Return `(f * g)(x) = Σ_y f(y) g(y⁻¹ x)` by its definition, function by function.

    Args:
        one: f, functions on the group along the first axis.
        other: g, of the same shape.
        group: the group.

    Raises:
        ShapeError: the shapes differ or do not fit the group.

    >>> from refractor.groups import cyclic
    >>> convolve(torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 2.0, 3.0]), cyclic(3)).tolist()
    [3.0, 1.0, 2.0]

    """
    if one.shape != other.shape:
        raise ShapeError(f"functions to convolve must have one shape; {list(one.shape)} and {list(other.shape)} came.")
    f, g = checked_values(one, group), checked_values(other, group)
    total = torch.zeros_like(f)
    step = max(1, CHUNK_BYTES // (g.element_size() * max(1, g.numel())))
    for start in range(0, len(f), step):
        shifted = g[group.table[group.inverses[start : start + step]]]  # [y, x, …] is g(y⁻¹ x)
        total += torch.einsum("yw,yxw->xw", f[start : start + step], shifted)
    return total.reshape(one.shape)


def checked_values(values: Tensor, group: Group) -> Float[Tensor, "n width"]:
    """Return functions on a group with their further axes made one, in the dtype they are computed in.

    Raises:
        ShapeError: the first axis does not have one entry for each element, or the values are not real.

    """
    if values.ndim < 1 or len(values) != group.order or not values.is_floating_point():
        raise ShapeError(
            f"values must be real, with first axis n={group.order}, one for each element of {group.name}; "
            f"{values.dtype} {list(values.shape)} came."
        )
    width = values.numel() // group.order
    return values.to(compute_dtype(values.dtype)).reshape(group.order, width)


def _weight(irrep: Irrep) -> float:
    return irrep.dim / (len(irrep.matrices) * irrep.commutant_dim)
