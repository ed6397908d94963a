"""The order in which the elements of a group stand along a side of a drawing, and what belongs together there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.groups import Group, Subgroup, conjugacy_classes, left_cosets, right_cosets
from refractor.report.figures import Band
from refractor.report.sections.heat import MOST_CELLS

MOST_BANDS = 40  # more names than these say nothing


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Elements in the order in which they are drawn, thinned out where there are more than a page has pixels for.

    Args:
        what: the order in words, e.g. "by conjugacy class".
        elements: the elements that are drawn.
        names: how each is written.
        bands: neighbours that belong together.
        stride: every how manyth element is drawn.

    """

    what: str
    elements: Int[Tensor, " n"] = field(repr=False)
    names: list[str] = field(repr=False)
    bands: list[Band] = field(repr=False)
    stride: int


def arranged(group: Group, blocks: Int[Tensor, " n"], labels: Sequence[str], what: str) -> Arrangement:
    """Put the elements of one block side by side, blocks and elements in increasing order.

    Args:
        group: the group.
        blocks: the number of each element's block.
        labels: the name of each block.
        what: the order in words.

    """
    order = blocks.argsort(stable=True)
    stride = -(-group.order // MOST_CELLS)
    drawn = order[::stride]
    bands: list[Band] = []
    numbers, sizes = blocks[drawn].unique_consecutive(return_counts=True)
    for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
        start = bands[-1].end if bands else 0
        bands.append(Band(start, start + int(size), labels[int(number)]))
    names = [group.labels[element] for element in drawn.tolist()]
    return Arrangement(what, drawn, names, bands if 1 < len(bands) <= MOST_BANDS else [], stride)


def by_class(group: Group) -> Arrangement:
    """Order the elements by conjugacy class; a class is named by its least element.

    Elements of an abelian group, where every class has one element, keep their order.
    """
    classes = conjugacy_classes(group)
    if group.is_abelian:
        return arranged(group, torch.zeros(group.order, dtype=torch.int64), [""], "in their own order")
    labels = [group.labels[element] for element in classes.representatives.tolist()]
    sizes = classes.sizes.tolist()
    names = [label if size == 1 else f"{label} ×{size}" for label, size in zip(labels, sizes, strict=True)]
    return arranged(group, classes.index, names, "by conjugacy class")


def by_coset(subgroup: Subgroup, *, left: bool, letters: str = "xH") -> Arrangement:
    """Order the elements by the left cosets x H, or the right cosets H x, of a subgroup H.

    Args:
        subgroup: H.
        left: which cosets.
        letters: what an element and the subgroup are called.

    """
    element, name = letters
    cosets = left_cosets(subgroup) if left else right_cosets(subgroup)
    side = f"{element} {name}" if left else f"{name} {element}"
    what = f"by {'left' if left else 'right'} cosets {side}, {name} of order {subgroup.order}"
    return arranged(subgroup.group, cosets, coset_names(subgroup, cosets, side), what)


def coset_names(subgroup: Subgroup, cosets: Int[Tensor, " n"], side: str) -> list[str]:
    """Name each coset by its least element, H itself by H.

    Args:
        subgroup: H.
        cosets: the number of each element's coset.
        side: how a coset is written, a small letter for the element and a capital for the subgroup: "x H" or "H x".

    """
    group = subgroup.group
    own = int(cosets[group.identity])
    letter = next(sign for sign in side if sign.islower())
    first = [int((cosets == number).nonzero()[0]) for number in range(subgroup.index)]
    names = [side.replace(letter, group.labels[element]) for element in first]
    names[own] = side.replace(letter, "").strip()
    return names
