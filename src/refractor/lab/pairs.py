"""Which pairs a measure is taken over: all, those trained on, those held out."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError

SETS = ("all", "train", "test")


@dataclass(frozen=True, eq=False)
class PairSets:
    """The pairs of a table of p² questions, by use. The row of the pair (a, b) is `a * p + b`.

    Args:
        p: the modulus.
        members: for each set by name ("all", and "train" and "test" where a split is known), which rows belong to it.
            A split that trains on everything has no "test".

    """

    p: int
    members: dict[str, Bool[Tensor, " pairs"]] = field(repr=False)

    def count(self, name: str) -> int:
        """Return the number of pairs in a set, 0 if it is not known."""
        return int(self.members[name].sum()) if name in self.members else 0

    @property
    def unseen(self) -> str:
        """The set that shows what was learned rather than stored: "test" where there is one, else "all"."""
        return "test" if "test" in self.members else "all"


def pair_sets(p: int, train: Tensor | None = None, test: Tensor | None = None) -> PairSets:
    """Check the rows of a split.

    Args:
        p: the modulus.
        train: rows of the pairs trained on; None where no split is known.
        test: rows held out; None means all the others. It may be empty.

    Returns:
        The sets; "test" is missing where no pair is held out.

    Raises:
        ShapeError: rows are no 1-d integers.
        ArgumentError: a row is out of range or comes twice, train is empty, or train and test overlap; or test is given
            without train.

    >>> pair_sets(2, train=torch.tensor([0, 3])).count("test")
    2

    """
    members = {"all": torch.ones(p * p, dtype=torch.bool)}
    if train is None:
        if test is not None:
            raise ArgumentError("test rows came without train rows; give both, or neither.")
        return PairSets(p, members)
    members["train"] = _mask("train", train, p)
    if not members["train"].any():
        raise ArgumentError("train must have at least one row; it is empty.")
    held_out = ~members["train"] if test is None else _mask("test", test, p)
    both = members["train"] & held_out
    if both.any():
        raise ArgumentError(f"train and test must not overlap; row {int(both.nonzero()[0])} is in both.")
    if held_out.any():
        members["test"] = held_out
    return PairSets(p, members)


def _mask(name: str, rows: Tensor, p: int) -> Bool[Tensor, " pairs"]:
    if rows.ndim != 1 or rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool:
        raise ShapeError(f"{name} must be row numbers, integers [n]; {rows.dtype} of {list(rows.shape)} came.")
    rows = rows.detach().cpu().long()
    wrong = rows[(rows < 0) | (rows >= p * p)]
    if len(wrong):
        raise ArgumentError(f"{name} must lie in 0 … {p * p - 1} (p={p}); {int(wrong[0])} came.")
    mask = torch.zeros(p * p, dtype=torch.bool)
    mask[rows] = True
    if int(mask.sum()) != len(rows):
        raise ArgumentError(f"{name} has {len(rows)} rows but only {int(mask.sum())} different ones.")
    return mask
