"""Which frequency a neuron computes with, and the four rules that pick key frequencies, against networks whose answer is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab.analytic import cosine_logits, quadratic_network
from refractor.lab.frequencies import (
    key_frequencies_of_embedding,
    key_frequencies_of_logits,
    key_frequencies_of_map,
    key_frequencies_of_neurons,
)
from refractor.lab.logit_fit import fit_logits
from refractor.lab.neurons import neuron_frequencies
from refractor.lab.operations import sum_index
from refractor.lab.spectra import fourier_spectrum
from refractor.lab.sums import sum_logits

LAW = 1e-10
laws = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32)


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def block_shares(neuron: torch.Tensor, p: int) -> list[float]:
    """Share of the centred variance on products of {1, cos, sin}(a) and {1, cos, sin}(b), by least squares."""
    x = torch.arange(p, dtype=torch.float64)
    centred = (neuron - neuron.mean()).flatten()
    shares = []
    for k in range(1, p // 2 + 1):
        one = [torch.ones(p, dtype=torch.float64), torch.cos(2 * math.pi * k * x / p)]
        if 2 * k != p:
            one.append(torch.sin(2 * math.pi * k * x / p))
        block = torch.stack([torch.outer(f, g).flatten() for f in one for g in one], 1)
        fitted = block @ torch.linalg.lstsq(block, centred[:, None]).solution[:, 0]
        shares.append(float(fitted.square().sum() / centred.square().sum()))
    return shares


@laws
@given(st.integers(2, 12), seeds)
def test_shares_are_least_squares_on_each_block(p: int, seed: int) -> None:
    neurons = random(3, p, p, seed=seed) + 2.0
    result = neuron_frequencies(neurons.reshape(3, -1).T, p)
    for i in range(3):
        expected = block_shares(neurons[i], p)
        torch.testing.assert_close(
            result.shares.values[i], torch.tensor(expected, dtype=torch.float64), atol=LAW, rtol=0
        )
        assert int(result.frequency.values[i]) == 1 + expected.index(max(expected))
        assert math.isclose(result.share.values[i], max(expected), abs_tol=LAW)
    assert float(result.shares.values.sum(1).max()) <= 1 + LAW


@pytest.mark.parametrize("p", [9, 10, 113])
def test_every_frequency_can_win_the_last_one_included(p: int) -> None:
    x = torch.arange(p, dtype=torch.float64)
    waves = [torch.cos(2 * math.pi * k * (x[:, None] + x) / p + 0.3).flatten() for k in range(1, p // 2 + 1)]
    result = neuron_frequencies(torch.stack(waves, 1), p)
    assert result.frequency.values.tolist() == list(range(1, p // 2 + 1))
    torch.testing.assert_close(result.share.values, torch.ones(p // 2, dtype=torch.float64))
    assert [cluster.frequency for cluster in result.clusters] == list(range(1, p // 2 + 1))
    assert key_frequencies_of_neurons(result).frequencies == tuple(range(1, p // 2 + 1))


def test_clusters_gather_neurons_above_the_cut_with_their_pooled_variance() -> None:
    p = 11
    x = torch.arange(p, dtype=torch.float64)
    wave = [torch.cos(2 * math.pi * k * x / p)[:, None].expand(p, p).flatten() for k in range(p)]
    neurons = torch.stack([wave[2], 3 * wave[2] + wave[4], wave[2] + wave[3], wave[5], torch.ones(p * p)], 1)
    result = neuron_frequencies(neurons, p)
    torch.testing.assert_close(result.share.values, torch.tensor([1, 0.9, 0.5, 1, 0], dtype=torch.float64))
    assert [(cluster.frequency, cluster.neurons) for cluster in result.clusters] == [(2, (0, 1)), (5, (3,))]
    assert result.clusters[0].explained_variance == pytest.approx((1 + 9) / (1 + 10))
    assert result.above_cut == 3
    assert int(result.frequency.values[4]) == 0  # dead: constant over all pairs
    assert neuron_frequencies(neurons, p, cut=0.95).above_cut == 2
    assert neuron_frequencies(neurons, p, cut=1.0).clusters == ()


def test_a_network_without_single_frequency_neurons_has_no_key_frequency_by_neurons() -> None:
    result = neuron_frequencies(random(121, 30, seed=0).relu(), 11)
    assert result.clusters == ()
    assert key_frequencies_of_neurons(result).frequencies == ()


@laws
@given(seeds, st.sets(st.integers(1, 29), min_size=2, max_size=4), st.sampled_from([59, 58]))
def test_every_rule_returns_the_frequencies_of_the_analytic_network(seed: int, chosen: set[int], p: int) -> None:
    """Gromov's network: units, embedding and output have exactly the frequencies put in; its logits mostly so."""
    network = quadratic_network(p, 600, torch.Generator().manual_seed(seed), chosen)
    expected = tuple(sorted(chosen))
    fit = fit_logits(sum_logits(network.logits(), p))
    assert key_frequencies_of_logits(fit).frequencies == expected
    assert key_frequencies_of_embedding(fourier_spectrum(network.first)).frequencies == expected
    assert key_frequencies_of_map(fourier_spectrum(network.output.T)).frequencies == expected
    # (u + v)² has 2 w_k in it as well: a share of 1/5 of the variance, more where phases agree; cut below that
    neurons = neuron_frequencies(network.hidden(), p, cut=0.5)
    assert float((neurons.frequency.values == network.frequencies).double().mean()) > 0.9


def test_rules_state_themselves() -> None:
    p = 23
    fit = fit_logits(sum_logits(cosine_logits(p, {3: 4.0, 5: 0.26, 7: 0.24, 11: -3.0}), p))
    keys = key_frequencies_of_logits(fit)
    assert keys.rule == "logits"
    assert keys.frequencies == (3, 5)  # 7 is below a sixteenth of the largest, 11 speaks against the right answer
    assert keys.threshold == pytest.approx(float(fit.similarity.values[2]) / 16)
    assert "sixteenth of the largest" in keys.statement
    assert keys.statistic.along("freq") == tuple(range(1, 12))
    spectrum = fourier_spectrum(torch.diag(torch.arange(1.0, 24.0)))
    assert key_frequencies_of_embedding(spectrum).rule == "embedding"
    assert key_frequencies_of_map(spectrum).rule == "neuron_logit_map"


@pytest.mark.parametrize(
    "logits", [torch.zeros(9, 9, 9), torch.randn(9).expand(9, 9, 9), -20.0 * torch.eye(9)[sum_index(9)]]
)
def test_logits_without_a_right_answer_have_no_key_frequency(logits: torch.Tensor) -> None:
    assert key_frequencies_of_logits(fit_logits(sum_logits(logits, 9))).frequencies == ()


@pytest.mark.parametrize("p", [10, 11])
def test_a_table_of_right_answers_has_them_all(p: int) -> None:
    logits = 10 * torch.nn.functional.one_hot(sum_index(p), p).double()
    assert key_frequencies_of_logits(fit_logits(sum_logits(logits, p))).frequencies == tuple(range(1, p // 2 + 1))


def test_bad_activations_are_named() -> None:
    with pytest.raises(ShapeError, match=r"activations must have shape \[pairs=25, neuron\]; \[5, 5\] came"):
        neuron_frequencies(torch.zeros(5, 5), 5)
    with pytest.raises(ShapeError, match=r"real floating point; torch\.int64"):
        neuron_frequencies(torch.zeros(25, 5, dtype=torch.long), 5)
    with pytest.raises(ArgumentError, match="activations must be finite"):
        neuron_frequencies(torch.full((25, 2), math.nan), 5)
    with pytest.raises(ArgumentError, match=r"cut must be a share from 0 to 1; 1\.5 came"):
        neuron_frequencies(torch.zeros(25, 2), 5, cut=1.5)
    with pytest.raises(ArgumentError, match="p must be an integer of at least 2; 1 came"):
        neuron_frequencies(torch.zeros(1, 2), 1)
