"""Each check on irreps and representations, seen to fail on an object that is broken in that one way."""

from collections.abc import Callable

import pytest
import torch
from numbering import nameless

from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups import (
    Irrep,
    Irreps,
    Representation,
    complex_irreps,
    cyclic,
    dihedral,
    direct_sum,
    group,
    real_irreps,
    representation,
    study_standard,
    symmetric,
)
from refractor.groups.commutant import adapt_basis, imaginary_units
from refractor.groups.complex_irreps import ComplexIrrep, ComplexIrreps
from refractor.groups.irrep_checks import check_complete, check_dimension

S4 = symmetric(4)


def message(kind: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as error:
        call()
    return str(error.value)


def test_a_product_that_is_not_respected_is_named() -> None:
    matrices = real_irreps(S4)["standard"].matrices.clone()
    matrices[7] = -matrices[7]
    with pytest.raises(
        ArgumentError, match=r"'given' is no representation of S4: ρ\(x\) ρ\(y\) is not ρ\(x · y\)"
    ) as error:
        representation(S4, matrices)
    x, y = (int(part.split(" ")[0]) for part in str(error.value).split(" = ")[1:3])
    assert (matrices[x] @ matrices[y] - matrices[S4.product(x, y)]).abs().max() > 0.1
    assert f"{x} ({S4.labels[x]})" in str(error.value)


def test_the_identity_is_checked_too() -> None:
    said = message(ArgumentError, lambda: representation(S4, torch.zeros(24, 2, 2)))
    assert said == "'given' is no representation of S4: ρ(e) is not 1 for e = 0 ((3)); it differs by 1."


def test_not_a_number_is_caught() -> None:
    matrices = real_irreps(S4)["standard"].matrices.clone()
    matrices[5, 0, 0] = torch.nan
    assert "ρ(x) ρ(y) is not ρ(x · y)" in message(ArgumentError, lambda: representation(S4, matrices))


def test_precision_is_that_of_the_dtype() -> None:
    matrices = real_irreps(S4)["standard"].matrices
    assert representation(S4, matrices.float()).matrices.dtype == torch.float32
    message(ArgumentError, lambda: representation(S4, matrices.float().double()))  # rounded, but claims 1e-10


def test_shapes(untyped: None) -> None:
    said = message(ShapeError, lambda: representation(S4, torch.zeros(23, 2, 2)))
    assert said == "a representation of S4 needs matrices [n=24, dim, dim], dim at least 1; [23, 2, 2] came."
    message(ShapeError, lambda: representation(S4, torch.zeros(24, 2, 3)))
    message(ShapeError, lambda: representation(S4, torch.zeros(24, 0, 0)))
    message(ShapeError, lambda: Representation(S4, "x", torch.zeros(24, 2, 2, dtype=torch.float16)))
    assert "complex ones came" in message(
        ShapeError, lambda: representation(S4, torch.zeros(24, 1, 1, dtype=torch.complex64))
    )
    assert "must be numbers" in message(ShapeError, lambda: representation(cyclic(2), [[["a"]], [["b"]]]))  # pyright: ignore[reportArgumentType]
    assert "must be numbers" in message(ShapeError, lambda: representation(cyclic(2), [[[1.0]], [[1.0, 2.0]]]))


def test_orthogonality() -> None:
    said = message(ArgumentError, lambda: Irrep(study_standard(S4), "real"))
    assert said.startswith("'study_standard' of S4 must have orthogonal matrices: ρ(x) ρ(x)ᵀ differs from 1 by ")


def test_type_is_checked() -> None:
    plane = real_irreps(cyclic(5))["freq_1"].representation
    assert message(ArgumentError, lambda: Irrep(plane, "real")) == (
        "⟨χ, χ⟩ of 'freq_1' of C5 must be 1 for real type; it is 2. Its type differs."
    )
    assert message(ArgumentError, lambda: Irrep(plane, "strange")) == (
        "the type of 'freq_1' must be one of 'real', 'complex', 'quaternionic'; 'strange' came."
    )
    irreps = real_irreps(S4)
    parts = [irreps[name].representation for name in ("trivial", "sign", "standard")]
    assert message(ArgumentError, lambda: Irrep(direct_sum(*parts), "real")) == (
        "⟨χ, χ⟩ of 'trivial + sign + standard' of S4 must be 1 for real type; it is 3. It is reducible."
    )


def test_two_real_irreps_do_not_pass_as_one_of_complex_type() -> None:
    """⟨χ, χ⟩ = 2 as for complex type: the Frobenius-Schur indicator tells them apart."""
    irreps = real_irreps(S4)
    both = direct_sum(irreps["trivial"].representation, irreps["sign"].representation)
    assert message(ArgumentError, lambda: Irrep(both, "complex")) == (
        "the Frobenius-Schur indicator of 'trivial + sign' of S4 must be 0 for complex type; it is 2."
    )


def test_the_dimension_divides_the_order() -> None:
    check_dimension(S4, "x", "real", 3)
    check_dimension(S4, "x", "complex", 6)
    said = "the complex dimension of an irrep divides the order of the group; {} of 'x' does not divide 24."
    assert message(ArgumentError, lambda: check_dimension(S4, "x", "real", 5)) == said.format(5)
    assert message(ArgumentError, lambda: check_dimension(S4, "x", "quaternionic", 10)) == said.format(5)
    assert message(ArgumentError, lambda: check_dimension(S4, "x", "complex", 1)) == said.format(0.5)


def test_a_missing_irrep() -> None:
    irreps = real_irreps(S4)
    assert message(ArgumentError, lambda: Irreps(S4, irreps.members[:-1])) == (
        "Σ d² / ⟨χ, χ⟩ over all irreps of S4 must be 24; over trivial, sign, standard, standard_sign it is 20."
    )
    assert "none came" in message(ArgumentError, lambda: Irreps(S4, ()))


def test_an_irrep_twice() -> None:
    irreps = real_irreps(S4)
    twice = Irrep(irreps["standard"].representation.renamed("again"), "real")
    assert message(ArgumentError, lambda: Irreps(S4, (*irreps.members, twice))) == (
        "characters of different irreps of S4 are orthogonal; ⟨χ, χ'⟩ of 'standard' and 'again' is 1."
    )
    assert "'sign' came twice" in message(ArgumentError, lambda: Irreps(S4, (*irreps.members, irreps["sign"])))


def test_the_trivial_one_is_first() -> None:
    irreps = real_irreps(S4)
    said = message(ArgumentError, lambda: Irreps(S4, irreps.members[::-1]))
    assert said == "the first irrep of S4 must be the trivial one; 's4_2d' is not."


def test_irreps_of_another_group() -> None:
    other = real_irreps(symmetric(4))
    said = message(ArgumentError, lambda: Irreps(S4, other.members))
    assert said.startswith("'trivial' is an irrep of Group('S4', order=24), not of this")


def test_the_number_of_classes() -> None:
    irreps = real_irreps(S4)
    said = message(
        ArgumentError,
        lambda: check_complete(
            S4, irreps.names, [i.dim for i in irreps], [i.kind for i in irreps], irreps.characters, 6
        ),
    )
    assert said == "S4 has 6 conjugacy classes and so as many complex irreps; the real ones hold 5."


def test_complex_irreps_are_checked() -> None:
    g = group("F21")
    found = complex_irreps(real_irreps(g))
    irrep = found["6d_a"]
    broken = irrep.matrices.clone()
    broken[3] *= 1j
    message(ArgumentError, lambda: ComplexIrrep(g, "x", "complex", broken))
    message(ArgumentError, lambda: ComplexIrrep(g, "x", "complex", 2 * irrep.matrices))
    reducible = torch.zeros(21, 2, 2, dtype=torch.complex128)
    reducible[:, 0, 0] = reducible[:, 1, 1] = 1
    assert "⟨χ, χ⟩ is 4" in message(ArgumentError, lambda: ComplexIrrep(g, "x", "real", reducible))
    said = message(ArgumentError, lambda: ComplexIrreps(g, found.members[:-1]))
    assert said.startswith("these 4 complex irreps are not all those of F21: Σ d² = 12, not 21")
    message(ArgumentError, lambda: ComplexIrreps(g, (*found.members[:-1], found.members[-2])))


def test_what_commutes_must_be_there() -> None:
    standard = real_irreps(dihedral(4))["freq_1"].matrices
    assert message(ArgumentError, lambda: imaginary_units(standard, 2)) == (
        "nothing skew commutes with this representation: ⟨χ, χ⟩ is not 2."
    )


@pytest.mark.parametrize(("name", "count"), [("F21", 2), ("SL(2,5)", 4)])
def test_adapted_bases_show_the_commutant(name: str, count: int) -> None:
    found = real_irreps(nameless(group(name)))
    member = max((irrep for irrep in found if irrep.commutant_dim == count), key=lambda irrep: irrep.dim)
    n, dim = len(member.matrices), member.dim
    turn, _ = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    hidden = turn @ member.matrices @ turn.T
    columns = hidden[:, :, : dim // count].reshape(n, -1) * (dim / n) ** 0.5
    assert (columns.T @ columns - torch.eye(columns.shape[1])).abs().max() > 0.01  # a turned basis does not show it
    shown = adapt_basis(hidden, count)
    columns = shown[:, :, : dim // count].reshape(n, -1) * (dim / n) ** 0.5
    assert (columns.T @ columns - torch.eye(columns.shape[1])).abs().max() < 1e-10
    assert adapt_basis(shown, count) is shown
