"""`complex_irreps`: the irreducible unitary representations, from the real ones.

An irrep of real type stays irreducible over C. One of complex type is a complex irrep of half the dimension and its
conjugate; one of quaternionic type is twice one complex irrep of half the dimension.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Complex
from torch import Tensor

from refractor.base.errors import ArgumentError, unknown_name
from refractor.groups.commutant import adapt_basis
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.kinds import WHOLE

UNITARY = 1e-9  # as for the real irreps they come from


@dataclass(frozen=True, eq=False)
class ComplexIrrep:
    """One irreducible complex representation, by unitary matrices; that it is one is checked.

    ρ(x) ρ(g) = ρ(x · g) for all x and generators g, ρ(x) ρ(x)* = 1, and ⟨χ, χ⟩ = 1, which proves irreducibility.

    Args:
        group: the group.
        name: that of the real irrep it comes from, with "_conj" for the second of two.
        kind: the type of that real irrep.
        matrices: ρ(x) for each element x.

    Raises:
        ArgumentError: a check failed.

    """

    group: Group
    name: str
    kind: str
    matrices: Complex[Tensor, "n dim dim"] = field(repr=False)

    def __post_init__(self) -> None:
        """Check products, unitarity and irreducibility."""
        one = torch.eye(self.dim, dtype=self.matrices.dtype)
        gap = [
            (self.matrices @ self.matrices.mH - one).abs().max(),
            (self.matrices[self.group.identity] - one).abs().max(),
        ]
        gap += [
            (self.matrices @ self.matrices[g] - self.matrices[self.group.table[:, g]]).abs().max()
            for g in self.group.generators
        ]
        norm = float(self.character.abs().square().mean())
        if not float(torch.stack(gap).max()) <= UNITARY or abs(norm - 1) > WHOLE:
            raise ArgumentError(
                f"{self.name!r} is no irreducible unitary representation of {self.group.name}: products, ρ ρ* = 1 and "
                f"ρ(e) = 1 hold to {float(torch.stack(gap).max()):.3g}, and ⟨χ, χ⟩ is {norm:.6g}."
            )

    @property
    def dim(self) -> int:
        """The complex dimension."""
        return self.matrices.shape[1]

    @cached_property
    def character(self) -> Complex[Tensor, " n"]:
        """χ(x) = tr ρ(x)."""
        return self.matrices.diagonal(dim1=1, dim2=2).sum(-1)


@dataclass(frozen=True, eq=False)
class ComplexIrreps:
    """All irreducible complex representations of a group, the trivial one first.

    Args:
        group: the group.
        members: the irreps, as many as conjugacy classes. That Σ d² = n and that they are different is checked.

    Raises:
        ArgumentError: a check failed.

    """

    group: Group
    members: tuple[ComplexIrrep, ...] = field(repr=False)

    def __post_init__(self) -> None:
        """Check that these are all, and different."""
        gram = self.characters @ self.characters.mH / self.group.order
        gap = float((gram - torch.eye(len(gram), dtype=gram.dtype)).abs().max())
        squares = sum(irrep.dim**2 for irrep in self.members)
        if gap > WHOLE or squares != self.group.order:
            raise ArgumentError(
                f"these {len(self)} complex irreps are not all those of {self.group.name}: Σ d² = {squares}, not "
                f"{self.group.order}, or characters are orthonormal only to {gap:.3g}."
            )

    def __len__(self) -> int:
        """Return the number of irreps."""
        return len(self.members)

    def __iter__(self) -> Iterator[ComplexIrrep]:
        """Go through the irreps."""
        return iter(self.members)

    def __getitem__(self, name: str) -> ComplexIrrep:
        """Return an irrep by its name.

        Raises:
            UnknownNameError: there is none of that name; the nearest are offered.

        """
        for irrep in self.members:
            if irrep.name == name:
                return irrep
        raise unknown_name(f"complex irrep of {self.group.name}", name, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(irrep.name for irrep in self.members)

    @cached_property
    def characters(self) -> Complex[Tensor, "irrep n"]:
        """χ_r(x) for each irrep and element."""
        return torch.stack([irrep.character for irrep in self.members])


def complex_irreps(irreps: Irreps) -> ComplexIrreps:
    """Return all irreducible unitary representations of a group, in the order and by the names of its real ones.

    Names that say a dimension say that of the real irrep, which is twice the complex one but for real type.

    Args:
        irreps: all real irreps.

    >>> from refractor.groups import cyclic, quaternion, real_irreps
    >>> complex_irreps(real_irreps(cyclic(5))).names
    ('trivial', 'freq_1', 'freq_1_conj', 'freq_2', 'freq_2_conj')
    >>> [irrep.dim for irrep in complex_irreps(real_irreps(quaternion(8)))]
    [1, 1, 1, 1, 2]

    """
    members = []
    for irrep in irreps:
        matrices = _complex_matrices(irrep)
        members.append(ComplexIrrep(irreps.group, irrep.name, irrep.kind, matrices))
        if irrep.kind == "complex":
            members.append(ComplexIrrep(irreps.group, f"{irrep.name}_conj", irrep.kind, matrices.conj().resolve_conj()))
    return ComplexIrreps(irreps.group, tuple(members))


def _complex_matrices(irrep: Irrep) -> Complex[Tensor, "n dim dim"]:
    """Read the complex matrices off the first columns of a basis that shows them; see `commutant`."""
    matrices = adapt_basis(irrep.matrices, irrep.commutant_dim)
    if irrep.kind == "real":
        return matrices.to(torch.complex128)
    blocks = matrices[:, :, : irrep.dim // irrep.commutant_dim].chunk(irrep.commutant_dim, 1)
    if irrep.kind == "complex":
        return torch.complex(*blocks)
    one, two = torch.complex(blocks[0], blocks[1]), torch.complex(blocks[2], blocks[3])  # A + iB, C + iD
    left = torch.cat([one, two], 1)
    right = torch.cat([-two.conj(), one.conj()], 1)
    return torch.cat([left, right], 2).resolve_conj()
