"""Isotypic parts of functions on a group, and of functions of two elements, without a choice of basis or with one."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.base.numerics import compute_dtype
from refractor.groups.fourier import EntryBasis
from refractor.groups.irreps import Irrep

CHUNK_BYTES = 64_000_000  # of coefficients held at a time


def isotypic_projector(irrep: Irrep) -> Float[Tensor, "n n"]:
    """Return the projector on the functions that the matrix entries of an irrep span: `d / (n ⟨χ, χ⟩) χ(h⁻¹ k)`.

    Args:
        irrep: the irrep, in any basis: only its character is used.

    >>> from refractor.groups import cyclic, real_irreps
    >>> isotypic_projector(real_irreps(cyclic(2))["sign"]).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]

    """
    group = irrep.representation.group
    weight = irrep.dim / (group.order * irrep.commutant_dim)
    return weight * irrep.character[group.table[group.inverses]]


def two_sided_energies(
    basis: EntryBasis, values: Float[Tensor, "x y ..."], names: Sequence[str] | None = None
) -> Float[Tensor, "irrep irrep ..."]:
    """Return how much of functions of (x, y) lies in each product of irreps: `‖(Q_iᵀ ⊗ Q_jᵀ) values‖²`.

    Over all pairs of irreps that adds up to `‖values‖²`. The first axis is projected, then the second, a bounded number
    of functions at a time.

    Args:
        basis: the basis of functions on the group.
        values: functions of two elements along the first two axes, [n, n, …]. They are projected in their own dtype
            (half precision in float32).
        names: the irreps that are wanted; by default all.

    Returns:
        [irrep, irrep, …] in float64, in the order of `names`.

    Raises:
        ShapeError: the first two axes do not have one entry for each element, or the values are not real.
        UnknownNameError: there is no irrep of a name.

    >>> from refractor.groups import cyclic, entry_basis, real_irreps
    >>> signs = torch.tensor([1.0, -1.0])
    >>> two_sided_energies(entry_basis(real_irreps(cyclic(2))), signs[:, None] * signs).round().tolist()
    [[0.0, 0.0], [0.0, 4.0]]

    """
    n, shape = len(basis.columns), list(values.shape)
    if len(shape) < 2 or shape[0] != n or shape[1] != n or not values.is_floating_point():
        raise ShapeError(
            f"values must be real with axes [n={n}, n={n}, …], one row and one column for each element of "
            f"{basis.irreps.group.name}; {values.dtype} {shape} came."
        )
    places = range(len(basis.slices)) if names is None else [basis.irreps.index(name) for name in names]
    flat = values.detach().reshape(n, n, -1)
    dtype = compute_dtype(values.dtype)
    columns = torch.cat([basis.columns[:, basis.slices[place]] for place in places], 1).to(flat.device, dtype)
    sizes = [basis.slices[place].stop - basis.slices[place].start for place in places]
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    belongs = (owner == torch.arange(len(sizes))[:, None]).to(flat.device, torch.float64)  # [irrep, component]
    found = torch.empty(len(sizes), len(sizes), flat.shape[2], dtype=torch.float64, device=flat.device)
    step = max(1, CHUNK_BYTES // (8 * n * n))
    for start in range(0, flat.shape[2], step):
        part = flat[:, :, start : start + step].to(dtype)
        over_left = (columns.T @ part.flatten(1)).unflatten(1, part.shape[1:])  # [component of x, y, one]
        squares = (columns.T @ over_left).double().square_()  # [component of x, component of y, one]
        by_left = (belongs @ squares.flatten(1)).unflatten(1, squares.shape[1:])
        found[:, :, start : start + step] = belongs @ by_left
    return found.reshape(len(sizes), len(sizes), *shape[2:])
