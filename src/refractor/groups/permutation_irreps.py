"""Irreps of symmetric and alternating groups, from Young's orthogonal form."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.groups.family import AlternatingFamily, SymmetricFamily
from refractor.groups.group import Group
from refractor.groups.irreps import Irrep, Irreps
from refractor.groups.letters import letter_names
from refractor.groups.representation import Representation
from refractor.groups.spanning import spanning_layers, spread
from refractor.groups.young import (
    Partition,
    conjugate_partition,
    halves,
    partitions,
    tableaux,
    transposition_matrices,
    write_partition,
)

STUDY_NAMES: Mapping[Partition, str] = MappingProxyType(
    {
        (2, 2): "s4_2d",
        (2, 2, 1): "s5_5d_a",
        (3, 2): "s5_5d_b",
        (3, 1, 1): "s5_6d",
        (3, 3): "s6_5d_a",
        (2, 2, 2): "s6_5d_b",
    }
)
"""What Chughtai, Chan and Nanda (2023) call irreps of S4, S5 and S6, in their order."""


def symmetric_irreps(group: Group, family: SymmetricFamily) -> Irreps:
    """Return the irreps of S_n in Young's orthogonal form, whatever the order of the elements.

    They are "trivial", "sign", "standard", "standard_sign", then the others by dimension, those that the study of 2023
    names before those called by their partition, larger partitions first. Every partition is an alias.

    Args:
        group: the group.
        family: the permutations.

    >>> from refractor.groups import real_irreps, symmetric
    >>> real_irreps(symmetric(5)).names
    ('trivial', 'sign', 'standard', 'standard_sign', 's5_5d_a', 's5_5d_b', 's5_6d')
    >>> real_irreps(symmetric(6))["(4,2)"]
    Irrep('(4,2)', dim=9, real)

    """
    n = family.arrays.shape[1]
    letters = _find(family.arrays, [_swap(n, i) for i in range(n - 1)])
    layers = spanning_layers(group, letters)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    members = []
    for shape, (name, *aliases) in symmetric_names(n).items():
        matrices = spread(group, layers, transposition_matrices(shape)) if letters else one
        members.append(Irrep(Representation(group, name, matrices), "real", tuple(aliases)))
    return Irreps(group, tuple(members))


def symmetric_names(n: int) -> dict[Partition, tuple[str, ...]]:
    """Return name and aliases of the irreps of S_n by shape, in their order.

    >>> symmetric_names(3)
    {(3,): ('trivial', '(3)'), (1, 1, 1): ('sign', '(1,1,1)'), (2, 1): ('standard', 'standard_sign', '(2,1)')}

    """
    names: dict[Partition, list[str]] = {(n,): ["trivial"]}
    if n > 1:
        names[(1,) * n] = ["sign"]
    if n > 2:
        names.setdefault((n - 1, 1), []).append("standard")
        names.setdefault((2,) + (1,) * (n - 2), []).append("standard_sign")
    known = list(STUDY_NAMES)
    rest = [shape for shape in partitions(n) if shape not in names]
    rest.sort(key=lambda shape: (len(tableaux(shape)), known.index(shape) if shape in known else len(known)))
    for shape in rest:
        names[shape] = [STUDY_NAMES[shape]] if shape in known else []
    return {shape: (*given, write_partition(shape)) for shape, given in names.items()}


def alternating_irreps(group: Group, family: AlternatingFamily) -> Irreps:
    """Return the irreps of A_n: those of S_n restricted, self-conjugate shapes split by what commutes with them.

    They are "trivial", "standard", then "a5_5d_a", … by dimension, unsplit shapes before split ones. Of two halves of a
    shape the one with the larger character at the cycles of the lengths of its diagonal hooks comes first: for A5 that
    is (1 + √5) / 2 at (0 1 2 3 4). Aliases are the partitions, with "+" and "-" for halves.

    Args:
        group: the group.
        family: the permutations.

    >>> from refractor.groups import alternating, real_irreps
    >>> real_irreps(alternating(5)).names
    ('trivial', 'standard', 'a5_5d_a', 'a5_3d_a', 'a5_3d_b')

    """
    n = family.arrays.shape[1]
    first = _swap(n, 0)
    pairs = [[_swap(n, i)[k] for k in first] for i in range(1, n - 1)]  # (0 1)(i i+1), which generate A_n
    layers = spanning_layers(group, _find(family.arrays, pairs))
    whole: list[_Part] = []
    split: list[_Part] = []
    for shape in partitions(n):
        other = conjugate_partition(shape)
        if shape < other:
            continue  # the restriction of the other is the same
        swaps = transposition_matrices(shape)
        images = [swaps[0] @ swap for swap in swaps[1:]]
        if shape > other:
            whole.append((spread(group, layers, images), "real", (write_partition(shape), write_partition(other))))
            continue
        found = [spread(group, layers, [basis.T @ image @ basis for image in images]) for basis in halves(shape)]
        split += _ordered_halves(family, shape, found)
    parts = [*whole[:2], *sorted(whole[2:], key=_dim), *sorted(split, key=_dim)]
    names = ["trivial", "standard", *letter_names([_dim(part) for part in parts[2:]], f"a{n}_")]
    members = (
        Irrep(Representation(group, name, matrices), kind, aliases)
        for name, (matrices, kind, aliases) in zip(names, parts, strict=True)
    )
    return Irreps(group, tuple(members))


_Part = tuple[Tensor, str, tuple[str, ...]]
"""Matrices, type and aliases."""


def _dim(part: _Part) -> int:
    return part[0].shape[1]


def _ordered_halves(family: AlternatingFamily, shape: Partition, found: list[Tensor]) -> list[_Part]:
    """Return the halves of a self-conjugate shape with their aliases, the larger character at its hooks first."""
    word = write_partition(shape)
    if len(found) == 1:
        return [(found[0], "complex", (word,))]
    hooks = [shape[i] + shape[i] - 2 * i - 1 for i in range(len(shape)) if shape[i] > i]
    cycles, start = [], 0
    for length in hooks:
        cycles += [*range(start + 1, start + length), start]
        start += length
    at = _find(family.arrays, [cycles])[0]
    found = sorted(found, key=lambda matrices: -float(matrices[at].trace()))
    return [(matrices, "real", (word + mark,)) for matrices, mark in zip(found, "+-", strict=True)]


def _swap(n: int, i: int) -> list[int]:
    """Return the array form of (i i+1)."""
    return [*range(i), i + 1, i, *range(i + 2, n)]


def _find(arrays: Int[Tensor, "n degree"], wanted: Sequence[Sequence[int]]) -> list[int]:
    """Return the index of each permutation."""
    return [int((arrays == torch.tensor(array)).all(1).nonzero()[0]) for array in wanted]
