"""Cosine fits of logits, spectra of matrices, Gini coefficients: against dense least squares and definitions."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ShapeError, UnknownNameError
from refractor.lab.analytic import cosine_logits, quadratic_network
from refractor.lab.directions import direction_fits
from refractor.lab.embedding import frequency_circle, singular_spectrum
from refractor.lab.fourier import fourier_basis
from refractor.lab.labelled import Labelled
from refractor.lab.logit_fit import cosine_fit_scores, fit_logits
from refractor.lab.operations import sum_index
from refractor.lab.pairs import pair_sets
from refractor.lab.sparsity import gini, noise_gini
from refractor.lab.spectra import fourier_spectrum, spectrum_residual
from refractor.lab.sums import sum_logits
from refractor.lab.weights import sum_of_squared_weights

LAW = 1e-10
laws = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32)


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@laws
@given(st.integers(2, 14), seeds, st.sampled_from(["addition", "subtraction"]))
def test_fit_is_dense_least_squares(p: int, seed: int, operation: str) -> None:
    logits = random(p, p, p, seed=seed)
    fit = fit_logits(sum_logits(logits, p, operation))
    centred = (logits - logits.mean(2, keepdim=True)).flatten()
    distance = sum_index(p, operation)[..., None] - torch.arange(p)
    table = torch.stack([torch.cos(2 * math.pi * k * distance.double() / p).flatten() for k in range(1, p // 2 + 1)], 1)
    solution = torch.linalg.lstsq(table, centred[:, None]).solution[:, 0]
    torch.testing.assert_close(fit.coefficients.values, solution, atol=LAW, rtol=0)
    explained = 1 - (centred - table @ solution).square().sum() / centred.square().sum()
    assert math.isclose(fit.explained_by(tuple(range(1, p // 2 + 1))), explained, abs_tol=LAW)
    away = (-distance) % p
    profile = [float(centred.reshape(p, p, p)[away == d].mean()) for d in range(p)]
    torch.testing.assert_close(fit.profile.values, torch.tensor(profile, dtype=torch.float64), atol=LAW, rtol=0)
    for k in range(1, p // 2 + 1):
        wave = table[:, k - 1]
        assert math.isclose(fit.similarity.values[k - 1], wave @ centred / wave.norm() / centred.norm(), abs_tol=LAW)


@laws
@given(st.integers(3, 16), st.data())
def test_fit_returns_the_amplitudes_put_in(p: int, data: st.DataObject) -> None:
    amplitudes = data.draw(
        st.dictionaries(st.integers(1, p // 2), st.floats(-9, 9).filter(lambda x: abs(x) > 0.1), min_size=1)
    )
    fit = fit_logits(sum_logits(cosine_logits(p, amplitudes), p))
    for k in range(1, p // 2 + 1):
        assert math.isclose(fit.coefficients.values[k - 1], amplitudes.get(k, 0.0), abs_tol=1e-9)
    assert math.isclose(fit.explained_by(tuple(amplitudes)), 1.0, abs_tol=LAW)
    curve = cosine_logits(p, amplitudes)[0, 0]
    torch.testing.assert_close(fit.curve(tuple(amplitudes)), curve, atol=1e-9, rtol=0)
    torch.testing.assert_close(fit.profile.values, curve, atol=1e-9, rtol=0)


def test_a_table_of_right_answers_has_every_frequency_alike() -> None:
    p = 11
    fit = fit_logits(sum_logits(torch.nn.functional.one_hot(sum_index(p), p).double(), p))
    torch.testing.assert_close(fit.explained.values, torch.full((5,), 2 / (p - 1), dtype=torch.float64))


@pytest.mark.parametrize("level", [0.0, 7.3])
def test_constant_logits_have_no_cosines(level: float) -> None:
    fit = fit_logits(sum_logits(torch.full((9, 9, 9), level), 9))
    assert fit.coefficients.values.abs().max() == fit.explained.values.max() == 0


@laws
@given(st.integers(2, 10), seeds)
def test_cosine_fit_loss_is_that_of_the_fitted_cosines(
    brute_score: Callable[..., tuple[float, float]], p: int, seed: int
) -> None:
    sums = sum_logits(random(p, p, p, seed=seed), p)
    fit = fit_logits(sums)
    chosen = tuple(range(1, 1 + max(1, p // 4)))
    logits = cosine_logits(p, {k: float(fit.coefficients.values[k - 1]) for k in chosen})
    score = cosine_fit_scores(fit, chosen, sums, pair_sets(p)).all
    assert math.isclose(score.loss, brute_score(logits, sum_index(p))[0], abs_tol=LAW)


# ---- Gini, spectra ------------------------------------------------------------------------------------------------


@laws
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30).filter(lambda x: sum(x) > 1e-3))
def test_gini_is_the_mean_difference(values: list[float]) -> None:
    x = np.array(values)
    mean_difference = np.abs(x[:, None] - x[None]).mean() / (2 * x.mean())
    assert math.isclose(gini(torch.tensor(values, dtype=torch.float64)), mean_difference, abs_tol=1e-9)


@laws
@given(st.lists(st.floats(0.01, 100), min_size=1), st.floats(0.1, 10))
def test_gini_knows_no_scale_and_lies_between_equal_and_one_holder(values: list[float], factor: float) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    assert math.isclose(gini(x), gini(factor * x), abs_tol=LAW)
    assert -LAW <= gini(x) <= 1 - 1 / len(values) + LAW


def test_gini_at_its_ends() -> None:
    assert gini(torch.ones(7)) == pytest.approx(0, abs=1e-12)
    assert gini(torch.tensor([0.0, 0, 0, 0, 5])) == pytest.approx(0.8)
    assert gini(torch.zeros(3)) == 0
    for wrong in (torch.tensor([]), torch.tensor([-1.0, 2.0]), torch.tensor([math.nan])):
        with pytest.raises(ArgumentError, match="finite numbers of at least 0"):
            gini(wrong)


def test_noise_gini_is_that_of_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(1001, 64, generator=generator)
    two = torch.randn(1001, 64, generator=generator) @ torch.randn(64, 256, generator=generator)
    assert fourier_spectrum(one).noise_gini == noise_gini(64)
    assert fourier_spectrum(one).gini == pytest.approx(noise_gini(64), rel=0.1)
    assert fourier_spectrum(two).gini == pytest.approx(noise_gini(64, 256), rel=0.15)


@laws
@given(st.integers(2, 30), seeds)
def test_spectrum_holds_the_whole_energy(p: int, seed: int) -> None:
    matrix = random(p, 4, seed=seed)
    spectrum = fourier_spectrum(matrix)
    assert spectrum.components.along("component") == fourier_basis(p).names
    assert spectrum.frequencies.along("freq") == tuple(range(1, p // 2 + 1))
    assert math.isclose(spectrum.components.values.square().sum(), matrix.square().sum(), rel_tol=LAW)
    constant = float(spectrum.components.values[0] ** 2)
    assert math.isclose(spectrum.frequencies.values.square().sum() + constant, matrix.square().sum(), rel_tol=LAW)
    every = tuple(range(1, p // 2 + 1))
    assert math.isclose(spectrum_residual(spectrum, every).energy, constant / float(matrix.square().sum()), abs_tol=LAW)
    nothing = spectrum_residual(spectrum, ())
    assert (nothing.energy, nothing.norm, nothing.even) == (pytest.approx(1), pytest.approx(1), 1)
    some = spectrum_residual(spectrum, (p // 2,))
    assert some.norm == pytest.approx(some.energy**0.5)
    assert some.even == pytest.approx(1 - len(fourier_basis(p).rows_of(p // 2)) / p)


@laws
@given(st.integers(2, 20), seeds)
def test_singular_spectrum_is_the_svd(p: int, seed: int) -> None:
    matrix = random(p, 6, seed=seed)
    spectrum = singular_spectrum(matrix)
    torch.testing.assert_close(spectrum.values.values, torch.linalg.svdvals(matrix))
    left = spectrum.vectors.values
    torch.testing.assert_close(left.T @ left, torch.eye(left.shape[1], dtype=torch.float64), atol=LAW, rtol=0)
    torch.testing.assert_close((left.T @ matrix).norm(dim=1), spectrum.values.values, atol=LAW, rtol=0)
    assert spectrum.amplitudes.values.shape == (min(p, 6), p // 2 + 1)


def test_singular_vectors_of_one_frequency_show_it() -> None:
    p, k = 31, 5
    basis = fourier_basis(p)
    spectrum = singular_spectrum(basis.rows[basis.rows_of(k)].T @ random(2, 8, seed=0))
    assert (spectrum.amplitudes.values[:2].argmax(1) == k).all()
    assert float(spectrum.amplitudes.values[0].max()) == pytest.approx((2 / p) * (p / 2) ** 0.5)


@pytest.mark.parametrize("p", [6, 7])
def test_tokens_of_one_frequency_lie_on_a_circle_in_order(p: int) -> None:
    angle = 2 * math.pi * 2 * torch.arange(p, dtype=torch.float64) / p
    plane = torch.linalg.qr(random(5, 2, seed=1)).Q
    points = frequency_circle(3 * torch.stack([angle.cos(), angle.sin()], 1) @ plane.T + 4.0, 2)
    assert points.along("component") == ("cos 2", "sin 2")
    centred = points.values - points.values.mean(0)
    torch.testing.assert_close(centred.norm(dim=1), torch.full((p,), 3.0, dtype=torch.float64))
    turned = torch.atan2(centred[:, 1], centred[:, 0])
    torch.testing.assert_close(turned.cos(), angle.cos())
    torch.testing.assert_close(turned.sin(), angle.sin())


def test_the_last_frequency_of_an_even_modulus_is_a_line() -> None:
    points = frequency_circle(random(6, 4, seed=0), 3)
    assert points.values.shape == (6, 2)
    assert float(points.values[:, 1].abs().max()) == 0
    assert float(points.values[:, 0].abs().max()) > 0
    assert float(frequency_circle(torch.zeros(6, 4), 1).values.abs().max()) == 0


def test_sum_of_squared_weights_adds_tensors_in_double() -> None:
    weights = {
        "a": torch.full((3, 3), 2.0, dtype=torch.float16),
        "b": torch.ones(2),
        "mask": torch.ones(9, dtype=torch.bool),
    }
    assert sum_of_squared_weights(weights) == 38
    assert sum_of_squared_weights({}) == 0


def test_bad_matrices_are_named() -> None:
    for call in (fourier_spectrum, singular_spectrum, lambda matrix: frequency_circle(matrix, 1)):
        for wrong in (torch.zeros(3), torch.zeros(1, 3), torch.zeros(3, 0)):
            with pytest.raises(ShapeError, match=r"shape \[p, width\] with p of at least 2"):
                call(wrong)
        with pytest.raises(ShapeError, match=r"real floating point; torch\.int64 came"):
            call(torch.zeros(3, 3, dtype=torch.long))
    with pytest.raises(ArgumentError, match="k must be an integer from 1 to 3; 4 came"):
        frequency_circle(torch.zeros(7, 2), 4)
    with pytest.raises(ArgumentError, match="frequencies must be integers from 1 to 3"):
        spectrum_residual(fourier_spectrum(torch.zeros(7, 2)), (4,))


# ---- directions of the map ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [11, 12])
@pytest.mark.parametrize("operation", ["addition", "subtraction"])
def test_directions_of_neurons_that_are_waves_in_the_sum(p: int, operation: str) -> None:
    """Neurons that are exactly the waves, read by a map of the same waves, are explained wholly; noise is not."""
    basis, index = fourier_basis(p), sum_index(p, operation).flatten()
    chosen = (2, p // 2)
    waves = basis.rows[basis.rows_of(*chosen)]
    mixing = random(len(waves), 20, seed=0)
    neurons = waves[:, index].T @ mixing
    output_map = torch.linalg.pinv(mixing) @ waves
    fits = direction_fits(neurons, output_map, chosen, p, operation)
    assert [fit.frequency for fit in fits] == [2, p // 2]
    assert fits[1].sine is None if p % 2 == 0 else fits[1].sine == pytest.approx(1)
    assert all(fit.cosine == pytest.approx(1) for fit in fits)
    assert fits[0].sine == pytest.approx(1)
    noisy = direction_fits(random(p * p, 20, seed=1), output_map, chosen, p, operation)
    assert all(fit.cosine < 0.2 for fit in noisy)


def test_directions_share_is_that_of_a_regression() -> None:
    p, k = 7, 3
    neurons, output_map = random(p * p, 5, seed=2), random(5, p, seed=3)
    fit = direction_fits(neurons, output_map, (k,), p)[0]
    x = torch.arange(p, dtype=torch.float64)
    target = (neurons @ (output_map @ torch.sin(2 * math.pi * k * x / p))).numpy()
    wave = torch.sin(2 * math.pi * k * sum_index(p).flatten().double() / p).numpy()
    assert fit.sine == pytest.approx(np.corrcoef(target, wave)[0, 1] ** 2)


def test_directions_of_dead_neurons_and_bad_shapes() -> None:
    fit = direction_fits(torch.zeros(25, 4), torch.zeros(4, 5), (1,), 5)[0]
    assert (fit.cosine, fit.sine) == (0, 0)
    assert direction_fits(torch.zeros(25, 4), torch.zeros(4, 5), (), 5) == ()
    with pytest.raises(ShapeError, match=r"activations must have shape \[pairs=25, neuron\]; \[24, 4\] came"):
        direction_fits(torch.zeros(24, 4), torch.zeros(4, 5), (1,), 5)
    with pytest.raises(ShapeError, match=r"neuron_logit_map must have shape \[neuron=4, c=5\]; \[5, 4\] came"):
        direction_fits(torch.zeros(25, 4), torch.zeros(5, 4), (1,), 5)


# ---- labelled arrays ----------------------------------------------------------------------------------------------


def test_labelled_arrays_check_their_words() -> None:
    array = Labelled(torch.zeros(2, 3), ("freq", "c"), {"freq": (4, 7)})
    assert repr(array) == "Labelled[freq=2, c=3]"
    assert array.along("freq") == (4, 7)
    assert array.along("c") == (0, 1, 2)
    with pytest.raises(UnknownNameError, match="no axis of this array is called 'step'"):
        array.along("step")
    with pytest.raises(UnknownNameError, match="no axis is called 'frequncy'"):
        Labelled(torch.zeros(2), ("frequncy",))
    with pytest.raises(ShapeError, match="name 1 axes"):
        Labelled(torch.zeros(2, 3), ("freq",))
    with pytest.raises(ShapeError, match="axis 'freq' has 2 entries; 1 labels came"):
        Labelled(torch.zeros(2), ("freq",), {"freq": (1,)})
    with pytest.raises(UnknownNameError, match="no labelled axis is called 'c'"):
        Labelled(torch.zeros(2), ("freq",), {"c": (1, 2)})


# ---- Gromov's network ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "width"), [(23, 500), (97, 500)])
def test_quadratic_network_answers_everything(p: int, width: int) -> None:
    logits = quadratic_network(p, width, torch.Generator().manual_seed(0)).logits()
    assert bool((logits.argmax(-1) == sum_index(p)).all())


def test_quadratic_network_is_its_formula() -> None:
    p = 7
    network = quadratic_network(p, 3, torch.Generator().manual_seed(1), [2])
    assert set(network.frequencies.tolist()) == {2}
    a, b, c = 3, 5, 4
    hidden = (network.first[a] + network.second[b]) ** 2
    assert float(network.logits()[a, b, c]) == pytest.approx(float(hidden @ network.output[:, c]))
    run = network.network()(torch.tensor([[a, b]]))
    torch.testing.assert_close(run[0], network.logits()[a, b])
    for weights in (network.first, network.second, network.output.T):
        torch.testing.assert_close(weights.square().sum(0), torch.full((3,), p / 2, dtype=torch.float64))
    with pytest.raises(ArgumentError, match="frequencies must have at least one"):
        quadratic_network(p, 3, torch.Generator(), [])
    with pytest.raises(ArgumentError, match="width must be an integer of at least 1"):
        quadratic_network(p, 0, torch.Generator())
