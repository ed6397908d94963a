"""The Fourier transform on a group: inverse, Plancherel, convolution, projectors, energies; invariance under what is free."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numbering import random_place, renumbered
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError, UnknownNameError
from refractor.groups import (
    Group,
    Irrep,
    Irreps,
    convolve,
    cyclic,
    entry_basis,
    fourier_transform,
    group,
    inverse_transform,
    isotypic_projector,
    real_irreps,
    representation,
    symmetric,
    two_sided_energies,
)
from refractor.lab.fourier import fourier_basis, norms_by_frequency, to_fourier

LAW = 1e-10
NAMES = ("C1", "C7", "C12", "D4", "D7", "S4", "A5", "Q8", "F21", "SL(2,3)", "C2 x Q8")
GROUPS: dict[str, Group] = {name: group(name) for name in NAMES}
IRREPS: dict[str, Irreps] = {name: real_irreps(g) for name, g in GROUPS.items()}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(one: Tensor, other: Tensor) -> None:
    assert one.shape == other.shape
    assert float((one - other).abs().max()) < LAW * max(1.0, float(other.abs().max()))


@given(st.sampled_from(NAMES), st.integers(0, 1000))
def test_inverse_plancherel_and_convolution(name: str, seed: int) -> None:
    g, irreps = GROUPS[name], IRREPS[name]
    one, other = draw(g.order, 3, seed=seed), draw(g.order, 3, seed=seed + 1)
    hat, hat_other = fourier_transform(one, irreps), fourier_transform(other, irreps)
    close(inverse_transform(hat), one)
    close(hat.energies().sum(0), one.square().sum(0))
    product = convolve(one, other, g)
    close(inverse_transform(hat @ hat_other), product)
    for irrep in irreps:
        close(
            fourier_transform(product, irreps)[irrep.name],
            torch.einsum("ijw,jkw->ikw", hat[irrep.name], hat_other[irrep.name]),
        )


def test_convolution_is_its_definition() -> None:
    g = GROUPS["S4"]
    f, h = draw(24), draw(24, seed=1)
    wanted = torch.zeros(24, dtype=torch.float64)
    for x in range(24):
        for y in range(24):
            wanted[x] += f[y] * h[g.product(g.inverse(y), x)]
    close(convolve(f, h, g), wanted)
    assert float((convolve(h, f, g) - wanted).abs().max()) > 0.1  # it does not commute
    at_a, at_b = torch.zeros(24), torch.zeros(24)
    at_a[5] = at_b[9] = 1
    assert convolve(at_a, at_b, g).argmax() == g.product(5, 9)


@pytest.mark.parametrize("name", NAMES)
def test_projectors_and_energies_agree(name: str) -> None:
    g, irreps = GROUPS[name], IRREPS[name]
    basis = entry_basis(irreps)
    values = draw(g.order, 2)
    total = torch.zeros(g.order, g.order, dtype=torch.float64)
    energies = basis.energies(values)
    close(energies, fourier_transform(values, irreps).energies())
    for place, irrep in enumerate(irreps):
        projector = isotypic_projector(irrep)
        columns = basis.columns_of(irrep.name)
        close(projector, columns @ columns.T)
        close(projector @ projector, projector)
        assert abs(float(projector.trace()) - irrep.span_dim) < LAW * g.order
        close((projector @ values).square().sum(0), energies[place])
        total += projector
    close(total, torch.eye(g.order, dtype=torch.float64))


@pytest.mark.parametrize("name", ["F21", "S4", "Q8"])
def test_energies_do_not_depend_on_the_basis_of_the_irreps(name: str) -> None:
    g, irreps = GROUPS[name], IRREPS[name]
    members = []
    for place, irrep in enumerate(irreps):
        turn, _ = torch.linalg.qr(draw(irrep.dim, irrep.dim, seed=place))
        turned = representation(g, turn @ irrep.matrices @ turn.T, irrep.name)
        members.append(Irrep(turned, irrep.kind))
    other = entry_basis(Irreps(g, tuple(members)))
    close(other.columns.T @ other.columns, torch.eye(g.order, dtype=torch.float64))
    values = draw(g.order, 4)
    close(other.energies(values), entry_basis(irreps).energies(values))


@pytest.mark.parametrize("name", ["D7", "S4", "F21"])
def test_energies_do_not_depend_on_the_numbering(name: str) -> None:
    g = GROUPS[name]
    place = random_place(g.order, 1)
    other = real_irreps(renumbered(g, place))
    values = draw(g.order, 4)
    moved = torch.empty_like(values)
    moved[place] = values
    ours, theirs = entry_basis(IRREPS[name]).energies(values), entry_basis(other).energies(moved)
    if name == "F21":  # names of split irreps follow the numbering
        ours, theirs = ours.sort(0).values, theirs.sort(0).values
    close(theirs, ours)


def test_cyclic_energies_are_those_of_the_modular_basis() -> None:
    values = draw(12, 5)
    basis = fourier_basis(12)
    ours = entry_basis(IRREPS["C12"]).energies(values)
    close(ours.sum(1)[1:].sqrt(), norms_by_frequency(to_fourier(values, basis), basis))


@pytest.mark.parametrize("name", ["C7", "S4", "Q8", "F21"])
def test_two_sided_energies(name: str) -> None:
    g, irreps = GROUPS[name], IRREPS[name]
    n, basis = g.order, entry_basis(irreps)
    values = draw(n, n, 3)
    found = two_sided_energies(basis, values)
    for i, left in enumerate(irreps):
        for j, right in enumerate(irreps):
            part = torch.einsum("xh,yk,hkw->xyw", isotypic_projector(left), isotypic_projector(right), values)
            close(found[i, j], part.square().sum((0, 1)))
    close(found.sum((0, 1)), values.square().sum((0, 1)))
    some = list(irreps.names[::-2])
    places = [irreps.index(each) for each in some]
    close(two_sided_energies(basis, values, some), found[places][:, places])
    close(two_sided_energies(basis, values[..., 0]), found[..., 0])


def test_a_function_of_the_product_lies_on_the_diagonal() -> None:
    """Σ over entries of ρ(x y) = ρ(x) ρ(y): only blocks (r, r)."""
    g, irreps = GROUPS["S4"], IRREPS["S4"]
    found = two_sided_energies(entry_basis(irreps), draw(24)[g.table])
    assert float((found - found.diagonal().diag()).abs().max()) < LAW
    assert float(found.diagonal().min()) > 0.1


def test_many_functions_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    basis = entry_basis(IRREPS["S4"])
    values, pairs = draw(24, 7), draw(24, 24, 7)
    whole, whole_pairs = basis.energies(values), two_sided_energies(basis, pairs)
    conv = convolve(values, values, GROUPS["S4"])
    monkeypatch.setattr("refractor.groups.fourier.CHUNK_BYTES", 24 * 8 * 2)
    monkeypatch.setattr("refractor.groups.isotypic.CHUNK_BYTES", 24 * 24 * 8 * 3)
    monkeypatch.setattr("refractor.groups.transform.CHUNK_BYTES", 24 * 7 * 8 * 5)
    close(basis.energies(values), whole)
    close(two_sided_energies(basis, pairs), whole_pairs)
    close(convolve(values, values, GROUPS["S4"]), conv)


def test_precision_follows_the_values() -> None:
    basis, values = entry_basis(IRREPS["S4"]), draw(24, 24)
    for dtype in (torch.float32, torch.bfloat16):
        rounded = values.to(dtype)
        total = float(rounded.double().square().sum())
        found, pairs = basis.energies(rounded), two_sided_energies(basis, rounded)
        assert found.dtype == pairs.dtype == torch.float64
        assert float((found - basis.energies(rounded.double())).abs().max()) < 1e-5 * total
        assert float((pairs - two_sided_energies(basis, rounded.double())).abs().max()) < 1e-5 * total
    assert fourier_transform(values.half(), IRREPS["S4"])["sign"].dtype == torch.float32


def test_bad_input(untyped: None) -> None:
    g, irreps, basis = GROUPS["S4"], IRREPS["S4"], entry_basis(IRREPS["S4"])
    said = "values must be real, with first axis n=24, one for each element of S4; torch.float32 [23, 2] came."
    for call in (basis.energies, lambda v: fourier_transform(v, irreps), lambda v: convolve(v, v, g)):
        with pytest.raises(ShapeError) as error:
            call(torch.zeros(23, 2))
        assert str(error.value) == said
        with pytest.raises(ShapeError):
            call(torch.zeros(24, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"axes \[n=24, n=24, …\]"):
        two_sided_energies(basis, torch.zeros(24, 23))
    with pytest.raises(ShapeError, match="must have one shape"):
        convolve(torch.zeros(24), torch.zeros(24, 1), g)
    with pytest.raises(UnknownNameError, match="Nearest: 'standard'"):
        two_sided_energies(basis, torch.zeros(24, 24), ["standrd"])
    with pytest.raises(ArgumentError, match="the same irreps"):
        fourier_transform(torch.zeros(6), real_irreps(cyclic(6))).__matmul__(
            fourier_transform(torch.zeros(6), real_irreps(symmetric(3)))
        )
