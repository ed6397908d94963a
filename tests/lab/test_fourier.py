"""Laws of the Fourier bases, for every kind of modulus and both orders."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab import fourier
from refractor.lab.fourier import (
    fourier_basis,
    from_fourier,
    from_fourier_2d,
    norms_by_frequency,
    to_fourier,
    to_fourier_2d,
)

LAW = 1e-10
laws = settings(deadline=None, max_examples=40)
moduli = st.integers(2, 60)
orders = st.sampled_from(["cos_first", "sin_first"])
seeds = st.integers(0, 2**32)


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def written_out(p: int, order: str) -> torch.Tensor:
    """The basis from its definition, number by number."""
    rows = [[1 / math.sqrt(p)] * p]
    for k in range(1, p // 2 + 1):
        cosine = [math.cos(2 * math.pi * k * x / p) * math.sqrt((1 if 2 * k == p else 2) / p) for x in range(p)]
        sine = [math.sin(2 * math.pi * k * x / p) * math.sqrt(2 / p) for x in range(p)]
        if 2 * k == p:
            rows.append(cosine)
        else:
            rows += [cosine, sine] if order == "cos_first" else [sine, cosine]
    return torch.tensor(rows, dtype=torch.float64)


@laws
@given(moduli, orders)
def test_basis_is_the_definition_and_orthonormal(p: int, order: str) -> None:
    basis = fourier_basis(p, order)
    torch.testing.assert_close(basis.rows, written_out(p, order), atol=LAW, rtol=0)
    torch.testing.assert_close(basis.rows @ basis.rows.T, torch.eye(p, dtype=torch.float64), atol=LAW, rtol=0)


@laws
@given(moduli, orders)
def test_names_and_frequencies_say_what_the_rows_are(p: int, order: str) -> None:
    basis = fourier_basis(p, order)
    assert len(basis.names) == len(set(basis.names)) == len(basis.frequencies) == p
    for row, name, k in zip(basis.rows, basis.names, basis.frequencies, strict=True):
        amplitude = torch.fft.fft(row).abs()
        assert int(amplitude[: p // 2 + 1].argmax()) == k
        if name.startswith("sin"):
            assert abs(row[0]) < LAW  # odd
            assert 2 * k != p
        else:
            assert row[0] > 0  # even, largest at 0


def test_the_two_orders_differ_only_in_order() -> None:
    cosine_first, sine_first = fourier_basis(7, "cos_first"), fourier_basis(7, "sin_first")
    assert cosine_first.names[:3] == ("constant", "cos 1", "sin 1")
    assert sine_first.names[:3] == ("constant", "sin 1", "cos 1")
    place = [cosine_first.names.index(name) for name in sine_first.names]
    assert torch.equal(cosine_first.rows[place], sine_first.rows)
    assert fourier_basis(6, "sin_first").names[-1] == "cos 3"


@laws
@given(moduli, orders, seeds, st.integers(0, 2))
def test_parseval_and_inverse_along_any_axis(p: int, order: str, seed: int, axis: int) -> None:
    basis = fourier_basis(p, order)
    shape = [3, 2, 2]
    shape[axis] = p
    x = random(*shape, seed=seed)
    coefficients = to_fourier(x, basis, axis)
    assert math.isclose(coefficients.norm(), x.norm(), rel_tol=LAW)
    torch.testing.assert_close(from_fourier(coefficients, basis, axis), x, atol=LAW, rtol=0)
    torch.testing.assert_close(to_fourier(x, basis, axis - 3), coefficients)
    dense = (basis.rows @ x.movedim(axis, -2)).movedim(-2, axis)
    torch.testing.assert_close(coefficients, dense, atol=LAW, rtol=0)


@laws
@given(st.integers(2, 25), orders, seeds)
def test_two_dimensions_are_products_of_one(p: int, order: str, seed: int) -> None:
    basis = fourier_basis(p, order)
    x = random(p, 3, p, seed=seed)
    coefficients = to_fourier_2d(x, basis, (0, 2))
    dense = torch.einsum("ia,jb,acb->icj", basis.rows, basis.rows, x)
    torch.testing.assert_close(coefficients, dense, atol=LAW, rtol=0)
    torch.testing.assert_close(from_fourier_2d(coefficients, basis, (0, 2)), x, atol=LAW, rtol=0)


@pytest.mark.parametrize("p", [2, 3, 8, 59, 60])
@pytest.mark.parametrize("order", ["cos_first", "sin_first"])
def test_fft_path_is_the_dense_one(p: int, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    basis = fourier_basis(p, order)
    x = random(4, p, seed=p)
    dense = to_fourier(x, basis, 1)
    monkeypatch.setattr(fourier, "FFT_FROM", 2)
    fast = to_fourier(x, basis, 1)
    torch.testing.assert_close(fast, dense, atol=LAW, rtol=0)
    torch.testing.assert_close(from_fourier(fast, basis, 1), x, atol=LAW, rtol=0)


def test_a_large_modulus_goes_through_the_fft_and_is_exact() -> None:
    p = fourier.FFT_FROM + 1
    basis = fourier_basis(p)
    x = random(p, seed=1)
    torch.testing.assert_close(to_fourier(x, basis), basis.rows @ x, atol=LAW, rtol=0)


@laws
@given(moduli, seeds)
def test_norms_by_frequency_hold_all_but_the_mean(p: int, seed: int) -> None:
    x = random(p, 4, seed=seed)
    basis = fourier_basis(p)
    norms = norms_by_frequency(to_fourier(x, basis), basis)
    assert norms.shape == (p // 2,)
    assert math.isclose(norms.square().sum(), (x - x.mean(0)).square().sum(), rel_tol=LAW)


@laws
@given(moduli, seeds, st.integers(1, 1000))
def test_norms_follow_a_relabelling_of_the_elements(p: int, seed: int, u: int) -> None:
    u = next(v for v in range(u, u + p) if math.gcd(v, p) == 1)
    x = random(p, seed=seed)
    basis = fourier_basis(p)
    norms = norms_by_frequency(to_fourier(x, basis), basis)
    relabelled = norms_by_frequency(to_fourier(x[torch.arange(p) * u % p], basis), basis)
    for k in range(1, p // 2 + 1):  # x(u t) has at frequency u k what x(t) has at k
        image = min(u * k % p, -u * k % p)
        assert math.isclose(relabelled[image - 1], norms[k - 1], rel_tol=1e-8, abs_tol=LAW)


def test_float32_stays_float32_and_half_is_widened() -> None:
    basis = fourier_basis(5)
    assert to_fourier(torch.ones(5), basis).dtype == torch.float32
    assert to_fourier(torch.ones(5, dtype=torch.float16), basis).dtype == torch.float32


@pytest.mark.parametrize("p", [1, 0, -3, True])
def test_modulus_must_be_an_integer_of_at_least_two(p: int) -> None:
    with pytest.raises(ArgumentError, match="p must be an integer of at least 2"):
        fourier_basis(p)


def test_bad_input_is_named() -> None:
    basis = fourier_basis(5)
    with pytest.raises(ArgumentError, match="order must be one of 'cos_first', 'sin_first'; 'cosine' came"):
        fourier_basis(5, "cosine")
    with pytest.raises(ShapeError, match=r"axis 1 must exist and have length p=5; an array of \[5, 4\] came"):
        to_fourier(torch.zeros(5, 4), basis, axis=1)
    with pytest.raises(ShapeError, match="axis 3 must exist"):
        to_fourier(torch.zeros(5, 5), basis, axis=3)
    with pytest.raises(ShapeError, match=r"real floating point; dtype torch\.int64"):
        to_fourier(torch.zeros(5, dtype=torch.long), basis)
    with pytest.raises(ArgumentError, match=r"two different axes .*\(0, -2\)"):
        to_fourier_2d(torch.zeros(5, 5), basis, (0, -2))
    with pytest.raises(ArgumentError, match="frequency must be an integer from 0 to 2; 3 came"):
        basis.rows_of(3)


@laws
@given(moduli, orders)
def test_rows_of_finds_every_row_once(p: int, order: str) -> None:
    basis = fourier_basis(p, order)
    assert basis.rows_of(*range(p // 2 + 1)) == list(range(p))
    assert [basis.frequencies[row] for row in basis.rows_of(p // 2)] == [p // 2] * (1 if p % 2 == 0 else 2)
