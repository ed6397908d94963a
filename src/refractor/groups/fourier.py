"""`EntryBasis`: functions on a group in the orthonormal basis of the matrix entries of its irreps."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.transform import checked_values

FLAT = 1e-9  # how far columns that should be orthonormal may be from it
CHUNK_BYTES = 64_000_000  # of coefficients held at a time


@dataclass(frozen=True, eq=False)
class EntryBasis:
    """An orthonormal basis of the functions on a group, made of the matrix entries of its irreps.

    By Schur's orthogonality the entries of different irreps are orthogonal, and an irrep of dimension d spans
    d² / ⟨χ, χ⟩ dimensions; the columns of all irreps together are n.

    Args:
        irreps: the irreps.
        columns: the basis, one function a column: `columns.T @ columns = 1`.
        slices: the columns of each irrep, in the order of the irreps.

    """

    irreps: Irreps
    columns: Float[Tensor, "n component"] = field(repr=False)
    slices: tuple[slice, ...] = field(repr=False)

    def columns_of(self, name: str) -> Float[Tensor, "n component"]:
        """Return the basis of one irrep.

        Raises:
            UnknownNameError: there is no irrep of that name.

        """
        return self.columns[:, self.slices[self.irreps.index(name)]]

    def energies(self, values: Float[Tensor, "n ..."]) -> Float[Tensor, "irrep ..."]:
        """Return `‖Q_rᵀ values‖²` along the first axis for each irrep r; over all irreps they add up to `‖values‖²`.

        Args:
            values: functions on the group; further axes are kept. They are projected in their own dtype (half
                precision in float32), a bounded number of columns at a time.

        Returns:
            [irrep, …] in float64; squares are added up in float64.

        Raises:
            ShapeError: the first axis does not have one entry for each element, or the values are not real.

        """
        flat = checked_values(values.detach(), self.irreps.group)
        columns = self.columns.to(flat)
        found = torch.empty(len(self.slices), flat.shape[1], dtype=torch.float64, device=flat.device)
        step = max(1, CHUNK_BYTES // (8 * len(columns)))
        for start in range(0, flat.shape[1], step):
            squares = (columns.T @ flat[:, start : start + step]).double().square()
            for place, part in enumerate(self.slices):
                found[place, start : start + step] = squares[part].sum(0)
        return found.reshape(len(self.slices), *values.shape[1:])


def entry_basis(irreps: Irreps) -> EntryBasis:
    """Return the orthonormal basis of functions on a group that the matrix entries of its irreps make.

    Of an irrep of real type, all entries times sqrt(d / n); of complex and quaternionic type, in the basis that
    `real_irreps` gives, those of the first half or quarter of the columns: the others repeat them. Matrices in another
    basis, orthogonal or not, are reduced by a singular value decomposition to the same number of columns. For cyclic
    groups that is 1/sqrt(n) and sqrt(2/n) cos, sqrt(2/n) sin.

    Args:
        irreps: all irreps of a group.

    Raises:
        ArgumentError: the matrix entries span too little.

    >>> from refractor.groups import cyclic, real_irreps
    >>> basis = entry_basis(real_irreps(cyclic(6)))
    >>> basis.slices[1], bool((basis.columns.T @ basis.columns - torch.eye(6)).abs().max() < 1e-12)
    (slice(1, 3, None), True)

    """
    parts, slices, place = [], [], 0
    for irrep in irreps:
        columns = _columns(irrep)
        parts.append(columns)
        slices.append(slice(place, place + columns.shape[1]))
        place += columns.shape[1]
    return EntryBasis(irreps, torch.cat(parts, 1), tuple(slices))


def _columns(irrep: Irrep) -> Float[Tensor, "n component"]:
    n, dim = len(irrep.matrices), irrep.dim
    chosen = irrep.matrices[:, :, : dim // irrep.commutant_dim].double()
    columns = chosen.reshape(n, -1) * (dim / n) ** 0.5
    gram = columns.T @ columns
    if bool((gram - torch.eye(len(gram), dtype=gram.dtype)).abs().max() < FLAT):
        return columns
    left, sizes, _ = torch.linalg.svd(irrep.matrices.double().reshape(n, -1), full_matrices=False)
    rank = int((sizes > 1e-8 * sizes[0]).sum())
    if rank != irrep.span_dim:
        raise ArgumentError(
            f"the entries of {irrep.name!r} must span d² / ⟨χ, χ⟩ = {irrep.span_dim} functions; they span {rank}."
        )
    return left[:, :rank]
