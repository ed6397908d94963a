"""Irreps of cyclic and dihedral groups: signs, and turns of the plane."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.groups.family import CyclicFamily, DihedralFamily
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.representation import Representation


def cyclic_irreps(group: Group, family: CyclicFamily) -> Irreps:
    """Return the irreps of C_n: "trivial", then "freq_k" for k = 1, 2, … below n / 2, and "sign" for even n.

    freq_k turns the plane by 2πk x / n, x the exponent of the element; the sign (-1)^x is the last frequency, n / 2.

    Args:
        group: the group.
        family: the exponents of its elements.

    >>> from refractor.groups import cyclic, real_irreps
    >>> real_irreps(cyclic(6)).names
    ('trivial', 'freq_1', 'freq_2', 'sign')

    """
    x, n = family.exponents, group.order
    members = [Irrep(Representation(group, "trivial", _signs(torch.zeros_like(x))), "real")]
    members += [
        Irrep(Representation(group, f"freq_{k}", _turn(k * x % n, n)), "complex") for k in range(1, (n + 1) // 2)
    ]
    if n % 2 == 0:
        members.append(Irrep(Representation(group, "sign", _signs(x)), "real", (f"freq_{n // 2}",)))
    return Irreps(group, tuple(members))


def dihedral_irreps(group: Group, family: DihedralFamily) -> Irreps:
    """Return the irreps of D_n: signs, then "freq_k" for k = 1, 2, … below n / 2.

    The signs of ρ^r σ^s are "trivial", "sign" = (-1)^s and, for even n, "sign_r" = (-1)^r and "sign_rs" = (-1)^(r + s).
    freq_k turns the plane by 2πk r / n, after a reflection for s = 1: [[c, -s], [s, c]] and [[c, s], [s, -c]].

    Args:
        group: the group.
        family: r and s of its elements.

    >>> from refractor.groups import dihedral, real_irreps
    >>> real_irreps(dihedral(6)).names
    ('trivial', 'sign', 'sign_r', 'sign_rs', 'freq_1', 'freq_2')

    """
    r, s, n = family.turns, family.flips, group.order // 2
    signs = {"trivial": torch.zeros_like(r), "sign": s}
    if n % 2 == 0:
        signs |= {"sign_r": r, "sign_rs": r + s}
    members = [Irrep(Representation(group, name, _signs(power)), "real") for name, power in signs.items()]
    mirrored = torch.stack([torch.ones_like(s), 1 - 2 * s], 1).double()  # diagonals of 1 and of the reflection
    for k in range(1, (n + 1) // 2):
        matrices = _turn(k * r % n, n) * mirrored[:, None, :]
        members.append(Irrep(Representation(group, f"freq_{k}", matrices), "real"))
    return Irreps(group, tuple(members))


def _signs(power: Int[Tensor, " n"]) -> Float[Tensor, "n dim dim"]:
    return (1 - 2 * (power % 2)).double()[:, None, None]


def _turn(steps: Int[Tensor, " n"], n: int) -> Float[Tensor, "n dim dim"]:
    """Return the turn of the plane by each number of n-ths of a circle."""
    angle = steps.double() * (2 * math.pi / n)
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], 1), torch.stack([s, c], 1)], 1)
