"""Complex irreps against spgrep, which splits the regular representation by its own code (Shinohara 2023)."""

import numpy as np
import pytest
import torch
from spgrep.rep.enumerate import enumerate_unitary_irreps_from_regular_representation

from refractor.groups import complex_irreps, group, real_irreps, regular

GROUPS = (
    "C7", "C12", "D2", "D5", "D8", "S3", "S4", "A4", "A5", "Q8", "Dic3", "Dic5", "F21", "Heis(3)", "SL(2,3)", "GL(2,3)",
    "AGL(1,5)", "C2 x Q8", "C3 x S3", "C2 x C2 x C2",
)  # fmt: skip


def same_characters(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Each of ours is one of theirs: the matrix of inner products is a permutation."""
    assert ours.shape == theirs.shape
    gram = ours @ theirs.mH / ours.shape[1]
    assert (gram - gram.real.round()).abs().max() < 1e-8
    assert (gram.real.round().sum(0) == 1).all()
    assert (gram.real.round().sum(1) == 1).all()


@pytest.mark.parametrize("name", [*GROUPS, pytest.param("S5", marks=pytest.mark.slow)])
def test_characters_are_those_of_spgrep(name: str) -> None:
    g = group(name)
    theirs = enumerate_unitary_irreps_from_regular_representation(regular(g).matrices.numpy())
    traces = torch.tensor(np.stack([np.trace(matrices, axis1=1, axis2=2) for matrices in theirs]))
    ours = complex_irreps(real_irreps(g))
    assert sorted(irrep.dim for irrep in ours) == sorted(matrices.shape[1] for matrices in theirs)
    same_characters(ours.characters, traces)


def test_the_comparison_can_fail() -> None:
    ours = complex_irreps(real_irreps(group("F21"))).characters
    same_characters(ours, ours.flip(0))
    with pytest.raises(AssertionError):
        same_characters(ours, ours.roll(1, 1))
