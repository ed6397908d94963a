"""Constructions of representations: conventions, laws of characters, decompositions known from elsewhere."""

import pytest
import torch
from numbering import random_place, renumbered

from refractor.base.errors import ArgumentError, BudgetError, OutOfRangeError, ShapeError
from refractor.groups import (
    Embedding,
    Representation,
    cyclic,
    direct_sum,
    dual,
    embed,
    group,
    induction,
    multiplicities,
    natural,
    real_irreps,
    regular,
    representation,
    restriction,
    sign,
    standard,
    study_standard,
    symmetric,
    tensor_product,
    trivial,
)

LAW = 1e-10
S4 = symmetric(4)
IRREPS = real_irreps(S4)


def test_natural_matrices_have_their_ones_where_the_study_puts_them() -> None:
    matrices = natural(S4).matrices
    for x, array in enumerate(S4.elements.arrays.tolist()):  # pyright: ignore[reportAttributeAccessIssue]
        for k, goes_to in enumerate(array):
            assert matrices[x, k, goes_to] == 1
    assert matrices.sum() == 24 * 4


def test_sign_is_the_determinant_of_the_natural_matrices() -> None:
    assert (sign(S4).character - torch.linalg.det(natural(S4).matrices)).abs().max() < LAW


def test_both_bases_of_the_standard_representation() -> None:
    ours, study = standard(S4), study_standard(S4)
    assert (ours.character - study.character).abs().max() < LAW
    assert (ours.character - (natural(S4).character - 1)).abs().max() < LAW
    assert (ours.matrices @ ours.matrices.mT - torch.eye(3)).abs().max() < LAW
    assert (study.matrices @ study.matrices.mT - torch.eye(3)).abs().max() > 0.5
    basis = torch.eye(4, dtype=torch.float64)
    basis[range(3), range(1, 4)] = -1  # rows e_i - e_{i+1}, last e_4
    assert (study.matrices - (basis @ natural(S4).matrices @ basis.inverse())[:, :3, :3]).abs().max() < LAW
    assert (study.matrices == study.matrices.round()).all()


def test_constructions_follow_renumbering() -> None:
    place = random_place(24, 0)
    other = renumbered(S4, place)
    for make in (trivial, sign, natural, standard, study_standard):
        assert (make(other).matrices[place] - make(S4).matrices).abs().max() < LAW


def test_groups_without_permutations_have_no_natural_representation() -> None:
    for make in (natural, sign, standard, study_standard):
        with pytest.raises(ArgumentError, match="needs permutations as elements; those of C5 are names"):
            make(cyclic(5))
    with pytest.raises(ArgumentError, match="moves 1 points"):
        standard(symmetric(1))


def test_known_decompositions() -> None:
    def found(one: Representation) -> dict[str, int]:
        return {name: count for name, count in multiplicities(one, IRREPS).items() if count}

    assert found(natural(S4)) == {"trivial": 1, "standard": 1}
    assert found(tensor_product(standard(S4), sign(S4))) == {"standard_sign": 1}
    assert found(tensor_product(standard(S4), standard(S4))) == {
        "trivial": 1,
        "standard": 1,
        "standard_sign": 1,
        "s4_2d": 1,
    }
    assert found(regular(S4)) == {irrep.name: irrep.dim for irrep in IRREPS}
    assert found(direct_sum(natural(S4), sign(S4), sign(S4))) == {"trivial": 1, "standard": 1, "sign": 2}
    with pytest.raises(ArgumentError, match="of another group object came"):
        multiplicities(natural(symmetric(4)), IRREPS)


@pytest.mark.parametrize("name", ["C6", "Q8", "F21", "SL(2,3)", "C2 x S3"])
def test_the_regular_representation_holds_each_real_irrep_as_often_as_it_must(name: str) -> None:
    g = group(name)
    irreps = real_irreps(g)
    wanted = {irrep.name: irrep.dim // irrep.commutant_dim for irrep in irreps}
    assert multiplicities(regular(g), irreps) == wanted


def test_characters_of_combinations() -> None:
    g = group("F21")
    one, other = (irrep.representation for irrep in real_irreps(g).members[1:3])
    assert (tensor_product(one, other).character - one.character * other.character).abs().max() < LAW
    assert (direct_sum(one, other).character - one.character - other.character).abs().max() < LAW
    assert (dual(one).character - one.character[g.inverses]).abs().max() < LAW
    skewed = study_standard(S4)
    assert (dual(dual(skewed)).matrices - skewed.matrices).abs().max() < LAW
    assert (dual(skewed).matrices.mT @ skewed.matrices - torch.eye(3)).abs().max() < LAW  # x ↦ ρ(x)⁻¹ ρ(x)


def test_frobenius_reciprocity() -> None:
    """⟨Ind σ, ρ⟩ over G is ⟨σ, Res ρ⟩ over H."""
    for members in ([0, 1], [x for x in range(24) if S4.elements.arrays[x, 3] == 3]):  # pyright: ignore[reportAttributeAccessIssue]
        inside = embed(S4, members)
        small = real_irreps(inside.subgroup)
        for irrep in small:
            induced = induction(irrep.representation, inside)
            assert induced.dim == inside.index * irrep.dim
            for large in IRREPS:
                over_g = float((induced.character * large.character).mean())
                over_h = float((irrep.character * restriction(large.representation, inside).character).mean())
                assert abs(over_g - over_h) < LAW


def test_inducing_from_the_trivial_subgroup_gives_the_regular_representation() -> None:
    inside = embed(S4, [S4.identity])
    assert (induction(trivial(inside.subgroup), inside).character - regular(S4).character).abs().max() < LAW


def test_embeddings_are_checked() -> None:
    with pytest.raises(ArgumentError) as error:
        embed(cyclic(6), [0, 1])
    assert str(error.value) == "these 2 elements of C6 are no subgroup: 1 · 1 = 2 is not among them."
    with pytest.raises(ArgumentError, match="different elements"):
        embed(cyclic(6), [0, 0])
    with pytest.raises(ArgumentError, match="at least one"):
        embed(cyclic(6), [])
    with pytest.raises(OutOfRangeError):
        embed(cyclic(6), [0, 6])
    c2, c4 = cyclic(2), cyclic(4)
    assert Embedding(c2, c4, torch.tensor([0, 2])).index == 2
    with pytest.raises(ArgumentError, match="do not respect the product of x = 1 and y = 1"):
        Embedding(c2, c4, torch.tensor([0, 1]))
    with pytest.raises(ArgumentError, match="some repeat"):
        Embedding(c2, c4, torch.tensor([0, 0]))
    with pytest.raises(ShapeError):
        Embedding(c2, c4, torch.tensor([0]))


def test_parts_of_other_groups_are_refused() -> None:
    other = trivial(symmetric(3))
    with pytest.raises(ArgumentError, match="representations of one group object"):
        tensor_product(trivial(S4), other)
    with pytest.raises(ArgumentError, match="none came"):
        direct_sum()
    inside = embed(S4, [0, 1])
    with pytest.raises(ArgumentError, match="restriction needs a representation of"):
        restriction(other, inside)
    with pytest.raises(ArgumentError, match="induction needs a representation of"):
        induction(other, inside)


def test_large_matrices_are_refused_with_figures() -> None:
    with pytest.raises(
        BudgetError, match=r"regular\(S4\), n = 24, with 3 arrays \[24, 24, 24\] would hold 331.8 kB, but 1.0 kB"
    ):
        regular(S4, limit=1000)
    inside = embed(S4, [0, 1])
    with pytest.raises(BudgetError, match=r"induction to S4, with 24 matrices \[12, 12\]"):
        induction(trivial(inside.subgroup), inside, limit=1000)


def test_integers_and_mixed_precision() -> None:
    ints = representation(cyclic(2), torch.tensor([[[1]], [[-1]]]), "sign")
    assert ints.matrices.dtype == torch.float64
    single = representation(ints.group, ints.matrices.float(), "single")
    assert tensor_product(ints, single).matrices.dtype == torch.float64
    assert direct_sum(single, single).matrices.dtype == torch.float32
