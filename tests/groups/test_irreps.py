"""Real irreps: one contract for every group, names, closed forms against splitting, and what was published wrong."""

import math

import pytest
import torch
from numbering import nameless, random_place, renumbered

from refractor.base.errors import BudgetError, UnknownNameError
from refractor.groups import (
    Irreps,
    alternating,
    cyclic,
    dihedral,
    entry_basis,
    group,
    real_irreps,
    symmetric,
)
from refractor.groups.classes import conjugacy_classes
from refractor.groups.embedding import embed
from refractor.groups.real_irreps import split_irreps
from refractor.groups.splitting import split_regular
from refractor.groups.young import conjugate_partition, halves, partitions, tableaux, transposition_matrices
from refractor.lab.fourier import fourier_basis

LAW = 1e-10

GROUPS = (
    "C1", "C2", "C7", "C12", "D1", "D2", "D3", "D8", "D59", "S1", "S2", "S3", "S4", "S5", "A3", "A4", "A5", "A6", "Q8",
    "Dic3", "Dic5", "F21", "Heis(3)", "SL(2,3)", "SL(2,5)", "GL(2,3)", "AGL(1,17)", "C2 x Q8", "C3 x S3", "C2 x C2 x C2",
)  # fmt: skip


def laws(irreps: Irreps) -> None:
    """Everything that a full set of irreps satisfies, computed here anew, all elements times all elements."""
    g = irreps.group
    n, classes = g.order, conjugacy_classes(g)
    wanted = {"real": (1, 1), "complex": (2, 0), "quaternionic": (4, -2)}
    for irrep in irreps:
        rho, chi = irrep.matrices, irrep.character
        products = torch.einsum("xij,yjk->xyik", rho, rho) if n <= 60 else None
        if products is not None:
            assert (products - rho[g.table]).abs().max() < LAW
        assert (rho @ rho.mT - torch.eye(irrep.dim)).abs().max() < LAW
        norm, sign = wanted[irrep.kind]
        assert abs(float(chi.square().mean()) - norm) < LAW
        assert abs(float(chi[g.table.diagonal()].mean()) - sign) < LAW
        assert (chi - chi[classes.representatives[classes.index]]).abs().max() < LAW  # a class function
        assert n % (irrep.dim if irrep.kind == "real" else irrep.dim // 2) == 0
    assert sum(irrep.span_dim for irrep in irreps) == n
    gram = irreps.characters @ irreps.characters.T / n
    assert (gram - torch.diag(torch.tensor([float(irrep.commutant_dim) for irrep in irreps]))).abs().max() < LAW
    assert sum(1 + (irrep.kind == "complex") for irrep in irreps) == len(classes)
    assert irreps.names[0] == "trivial"
    basis = entry_basis(irreps)
    assert basis.columns.shape == (n, n)
    assert (basis.columns.T @ basis.columns - torch.eye(n)).abs().max() < LAW


@pytest.mark.parametrize("name", GROUPS)
def test_laws(name: str) -> None:
    laws(real_irreps(group(name)))


def test_laws_of_s6() -> None:
    irreps = real_irreps(symmetric(6))
    laws(irreps)
    assert sorted(irrep.dim for irrep in irreps) == [1, 1, 5, 5, 5, 5, 9, 9, 10, 10, 16]


def same_characters(one: torch.Tensor, other: torch.Tensor) -> None:
    """The same functions, in whatever order."""
    assert one.shape == other.shape
    gram = one @ other.T / one.shape[1]
    sizes = one.square().mean(1)
    matched = gram / sizes[:, None]
    assert ((matched - matched.round()).abs() < LAW).all()
    assert (matched.round().sum(0) == 1).all()
    assert (matched.round().sum(1) == 1).all()


def test_same_characters_can_fail() -> None:
    characters = real_irreps(symmetric(4)).characters
    with pytest.raises(AssertionError):
        same_characters(characters, characters[:, random_place(24, 0)])


@pytest.mark.parametrize("name", ["C12", "D2", "D7", "D8", "S4", "S5", "A4", "A5", "A6"])
def test_closed_forms_agree_with_splitting(name: str) -> None:
    g = group(name)
    same_characters(real_irreps(g).characters, split_irreps(g).characters)


@pytest.mark.parametrize("name", ["C12", "D2", "D7", "S4", "A5", "Q8", "F21", "SL(2,3)"])
@pytest.mark.parametrize("seed", [1, 2])
def test_renumbered_elements(name: str, seed: int) -> None:
    g = group(name)
    place = random_place(g.order, seed)
    other = real_irreps(renumbered(g, place))
    laws(other)
    same_characters(other.characters[:, place], real_irreps(g).characters)


@pytest.mark.parametrize("name", ["C12", "D7", "D8", "S4", "S5", "A5"])
def test_names_follow_the_elements_not_their_numbers(name: str) -> None:
    g = group(name)
    place = random_place(g.order, 3)
    ours, other = real_irreps(g), real_irreps(renumbered(g, place))
    assert other.names == ours.names
    assert (other.characters[:, place] - ours.characters).abs().max() < LAW


def test_published_order_has_the_same_irreps() -> None:
    ours, theirs = symmetric(5), symmetric(5, ordering="sympy-coset-rank")
    where = {label: index for index, label in enumerate(ours.labels)}
    place = [where[label] for label in theirs.labels]
    assert (real_irreps(theirs).characters - real_irreps(ours).characters[:, place]).abs().max() < LAW


def test_a_nameless_table_is_split() -> None:
    irreps = real_irreps(nameless(symmetric(4)))
    assert irreps.names == ("trivial", "1d_a", "2d_a", "3d_a", "3d_b")
    laws(irreps)


def test_a_nameless_cyclic_table_is_recognised() -> None:
    assert real_irreps(nameless(group("C3 x C4"))).names[-2:] == ("freq_5", "sign")


def test_the_draw_does_not_decide_names_or_order() -> None:
    g = group("F21")
    ours = split_irreps(g)
    for seed in (5, 6):
        found = [matrices.diagonal(dim1=1, dim2=2).sum(-1) for matrices in split_regular(g, seed)]
        same_characters(torch.stack(found), ours.characters)
    assert [(irrep.name, irrep.kind) for irrep in ours] == [
        ("trivial", "real"),
        ("2d_a", "complex"),
        ("6d_a", "complex"),
    ]


def test_names() -> None:
    assert real_irreps(cyclic(7)).names == ("trivial", "freq_1", "freq_2", "freq_3")
    assert real_irreps(cyclic(6)).names == ("trivial", "freq_1", "freq_2", "sign")
    assert real_irreps(cyclic(6)).index("freq_3") == 3
    assert real_irreps(dihedral(6)).names == ("trivial", "sign", "sign_r", "sign_rs", "freq_1", "freq_2")
    assert real_irreps(symmetric(3)).names == ("trivial", "sign", "standard")
    assert real_irreps(symmetric(3)).index("standard_sign") == 2
    s6 = real_irreps(symmetric(6))
    assert s6.names == (
        "trivial", "sign", "standard", "standard_sign", "s6_5d_a", "s6_5d_b", "(4,2)", "(2,2,1,1)", "(4,1,1)", "(3,1,1,1)",
        "(3,2,1)",
    )  # fmt: skip
    assert s6["(3,3)"] is s6["s6_5d_a"]
    assert s6["(2,2,2)"] is s6["s6_5d_b"]
    assert real_irreps(alternating(5)).names == ("trivial", "standard", "a5_5d_a", "a5_3d_a", "a5_3d_b")


def test_partitions_have_their_characters() -> None:
    """Values from the character tables in any textbook, on classes named by an element."""
    s5 = real_irreps(symmetric(5))
    at = {label: index for index, label in enumerate(s5.group.labels)}
    classes = ["(4)", "(4)(0 1)", "(4)(0 1)(2 3)", "(4)(0 1 2)", "(0 1 2)(3 4)", "(4)(0 1 2 3)", "(0 1 2 3 4)"]
    table = {
        "(5)": [1, 1, 1, 1, 1, 1, 1],
        "(1,1,1,1,1)": [1, -1, 1, 1, -1, -1, 1],
        "(4,1)": [4, 2, 0, 1, -1, 0, -1],
        "(2,1,1,1)": [4, -2, 0, 1, 1, 0, -1],
        "(3,2)": [5, 1, 1, -1, 1, -1, 0],
        "(2,2,1)": [5, -1, 1, -1, -1, 1, 0],
        "(3,1,1)": [6, 0, -2, 0, 0, 0, 1],
    }
    for name, values in table.items():
        found = s5[name].character[[at[label] for label in classes]]
        assert (found - torch.tensor(values, dtype=torch.float64)).abs().max() < LAW, name
    s6 = real_irreps(symmetric(6))
    swap = s6.group.labels.index("(5)(0 1)")
    known = {"s6_5d_a": 1.0, "s6_5d_b": -1.0, "(4,2)": 3.0, "(4,1,1)": 2.0, "(3,2,1)": 0.0}
    assert {name: round(float(s6[name].character[swap]), 9) for name in known} == known


def test_the_three_dimensional_irreps_of_a5_are_right() -> None:
    """Published with the axis coefficient (1 + √5) / 5: no homomorphism, ⟨χ, χ⟩ = 0.965. It is (1 + √5) / 4."""
    a5 = real_irreps(alternating(5, ordering="sympy-coset-rank"))
    labels = a5.group.labels
    five, half_turn = labels.index("(0 1 2 3 4)"), labels.index("(1 2)(3 4)")
    golden = (1 + math.sqrt(5)) / 2
    assert abs(float(a5["a5_3d_a"].character[five]) - golden) < LAW
    assert abs(float(a5["a5_3d_b"].character[five]) - (1 - golden)) < LAW
    assert abs(float(a5["a5_3d_a"].character[half_turn]) + 1) < LAW
    assert (torch.linalg.matrix_power(a5["a5_3d_a"].matrices[five], 5) - torch.eye(3)).abs().max() < LAW

    def rotation(coefficient: float) -> torch.Tensor:
        """By 2π/5 about the axis a (1/2, coefficient, 0) as given, by Rodrigues' formula (unit axes only)."""
        a = math.sqrt(8 / (5 + math.sqrt(5)))
        x, y = a / 2, a * coefficient
        cross = torch.tensor([[0, 0, y], [0, 0, -x], [-y, x, 0]], dtype=torch.float64)
        angle = 2 * math.pi / 5
        return torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross

    right, wrong = rotation((1 + math.sqrt(5)) / 4), rotation((1 + math.sqrt(5)) / 5)
    assert (torch.linalg.matrix_power(right, 5) - torch.eye(3)).abs().max() < LAW
    assert abs(float(right.trace()) - golden) < LAW
    assert (torch.linalg.matrix_power(wrong, 5) - torch.eye(3)).abs().max() > 0.1


def test_cyclic_entries_are_the_modular_fourier_basis() -> None:
    for p in (2, 5, 8, 113):
        basis = entry_basis(real_irreps(cyclic(p)))
        assert (basis.columns.T - fourier_basis(p).rows).abs().max() < LAW
        assert [part.stop - part.start for part in basis.slices] == [
            fourier_basis(p).frequencies.count(k) for k in range(p // 2 + 1)
        ]


def test_dihedral_matrices_are_as_written() -> None:
    irreps = real_irreps(dihedral(8))
    turn, mirror = irreps["freq_3"].matrices[1], irreps["freq_3"].matrices[8 + 1]
    c, s = math.cos(6 * math.pi / 8), math.sin(6 * math.pi / 8)
    assert (turn - torch.tensor([[c, -s], [s, c]])).abs().max() < 1e-6
    assert (mirror - torch.tensor([[c, s], [s, -c]])).abs().max() < 1e-6
    assert irreps["sign"].character[[1, 8]].tolist() == [1, -1]
    assert irreps["sign_r"].character[[1, 8]].tolist() == [-1, 1]
    assert irreps["sign_rs"].character[[1, 8]].tolist() == [-1, -1]


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as error:
        real_irreps(symmetric(5))["standart"]
    assert str(error.value) == "no irrep of S5 is called 'standart'. Nearest: 'standard', 'standard_sign'."
    with pytest.raises(UnknownNameError, match="Nearest: 'freq_1'"):
        entry_basis(real_irreps(cyclic(9))).columns_of("freq1")


def test_what_does_not_fit_is_refused_with_figures() -> None:
    with pytest.raises(BudgetError) as error:
        split_regular(group("Q8"), limit=1000)
    assert str(error.value) == (
        "split_regular(Q8), n = 8, with 4 matrices [8, 8] would hold 2.0 kB, but 1.0 kB may be used on cpu. Symmetric, "
        "alternating, cyclic and dihedral groups have closed forms: see `real_irreps`."
    )


def test_young_matrices_satisfy_the_relations_of_transpositions() -> None:
    for n in range(2, 7):
        for shape in partitions(n):
            s = transposition_matrices(shape)
            one = torch.eye(len(tableaux(shape)), dtype=torch.float64)
            for i in range(n - 1):
                assert (s[i] @ s[i] - one).abs().max() < LAW
                for j in range(i + 1, n - 1):
                    power = 3 if j == i + 1 else 2
                    assert (torch.linalg.matrix_power(s[i] @ s[j], power) - one).abs().max() < LAW
        assert sum(len(tableaux(shape)) ** 2 for shape in partitions(n)) == math.factorial(n)


def test_halves_are_kept_by_even_permutations_and_not_by_odd_ones() -> None:
    for shape in [(2, 2), (3, 1, 1), (3, 2, 1), (3, 3, 2)]:
        assert conjugate_partition(shape) == shape
        s = transposition_matrices(shape)
        for basis in halves(shape):
            assert (basis.T @ basis - torch.eye(basis.shape[1])).abs().max() < LAW
            inside = basis @ basis.T
            for image in s[1:]:
                even = s[0] @ image
                assert (inside @ even - even @ inside).abs().max() < LAW
            if len(halves(shape)) == 2:
                assert (inside @ s[0] - s[0] @ inside).abs().max() > 0.1


def test_a_permutation_group_that_is_alternating_inside_a_symmetric_one() -> None:
    s5 = symmetric(5)
    signs = real_irreps(s5)["sign"].character
    inside = embed(s5, [x for x in range(120) if signs[x] > 0])
    assert real_irreps(inside.subgroup).names == real_irreps(alternating(5)).names


def test_type_of_quaternion_groups() -> None:
    assert [irrep.kind for irrep in real_irreps(group("Q8"))] == ["real"] * 4 + ["quaternionic"]
    assert [(irrep.dim, irrep.span_dim) for irrep in real_irreps(group("Q8"))][-1] == (4, 4)
