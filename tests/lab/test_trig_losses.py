"""Restricted and excluded loss against their definitions, and the laws of the projection behind them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab import row_scores
from refractor.lab.analytic import cosine_logits
from refractor.lab.controls import random_frequency_sets
from refractor.lab.mixer import frequency_mixer
from refractor.lab.operations import sum_index
from refractor.lab.pairs import pair_sets
from refractor.lab.projection import project
from refractor.lab.scores import Score, class_scores, excluded_scores, network_scores
from refractor.lab.sums import SumLogits, sum_logits
from refractor.lab.trig_losses import TrigLoss, trig_excluded_loss, trig_restricted_loss

LAW = 1e-10
laws = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32)
operations = st.sampled_from(["addition", "subtraction"])
SIGN = {"addition": 1, "subtraction": -1}

Case = tuple[int, list[int], torch.Tensor, torch.Generator]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    p = draw(st.integers(2, 14))
    frequencies = draw(st.lists(st.integers(1, p // 2), unique=True, min_size=1))
    generator = torch.Generator().manual_seed(draw(seeds))
    scale = draw(st.sampled_from([1e-3, 1.0, 30.0]))
    return p, sorted(frequencies), scale * torch.randn(p, p, p, dtype=torch.float64, generator=generator), generator


def close(score: Score | None, expected: tuple[float, float]) -> bool:
    assert score is not None
    loss, accuracy = expected
    return math.isclose(score.loss, loss, rel_tol=1e-9, abs_tol=LAW) and math.isclose(score.accuracy, accuracy)


def check_against_definition(
    measure: Callable[..., TrigLoss],
    brute_projection: Callable[..., torch.Tensor],
    brute_score: Callable[..., tuple[float, float]],
    case: Case,
    operation: str,
) -> None:
    p, frequencies, logits, generator = case
    labels = sum_index(p, operation)
    order = torch.randperm(p * p, generator=generator)
    train, test = order[: 1 + p], order[1 + p :]
    sums = sum_logits(logits, p, operation)
    result = measure(sums, frequencies, pairs=pair_sets(p, train), controls=3)
    subsets = {tuple(frequencies): result.scores, **{(k,): result.each[k] for k in frequencies}}
    subsets |= dict(zip(result.control.sets, result.control.scores, strict=True))
    for subset, scores in subsets.items():
        part = brute_projection(logits, subset, SIGN[operation])
        rest = part + logits.mean((0, 1)) if result.kind == "restricted" else logits - part
        assert close(scores.all, brute_score(rest, labels))
        assert close(scores.train, brute_score(rest, labels, train))
        if len(test):
            assert close(scores.test, brute_score(rest, labels, test))
        else:
            assert scores.test is None


@laws
@given(cases(), operations)
def test_restricted_loss_is_its_definition(
    brute_projection: Callable[..., torch.Tensor],
    brute_score: Callable[..., tuple[float, float]],
    case: Case,
    operation: str,
) -> None:
    check_against_definition(trig_restricted_loss, brute_projection, brute_score, case, operation)


@laws
@given(cases(), operations)
def test_excluded_loss_is_its_definition(
    brute_projection: Callable[..., torch.Tensor],
    brute_score: Callable[..., tuple[float, float]],
    case: Case,
    operation: str,
) -> None:
    check_against_definition(trig_excluded_loss, brute_projection, brute_score, case, operation)


def test_the_check_fails_on_a_projection_along_a_alone(
    brute_projection: Callable[..., torch.Tensor], brute_score: Callable[..., tuple[float, float]]
) -> None:
    logits = torch.randn(7, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def broken(sums: SumLogits, frequencies: list[int], **options: Any) -> TrigLoss:
        return trig_restricted_loss(sum_logits(sums.cube().transpose(0, 2), 7), frequencies, **options)

    with pytest.raises(AssertionError):
        check_against_definition(
            broken, brute_projection, brute_score, (7, [1, 3], logits, torch.Generator()), "addition"
        )


@laws
@given(cases())
def test_projection_is_idempotent_and_symmetric_in_the_sets(case: Case) -> None:
    p, frequencies, logits, _ = case
    means = sum_logits(logits, p).means
    once = project(means, [frequencies])[0]
    scale = float(means.abs().max())
    torch.testing.assert_close(project(once, [frequencies])[0], once, atol=LAW * scale, rtol=0)
    others = [k for k in range(1, p // 2 + 1) if k not in frequencies]
    both = project(means, [frequencies, others], keep_mean=False).sum(0) + means.mean(0)
    torch.testing.assert_close(both, means, atol=LAW * scale, rtol=0)


@laws
@given(cases(), st.integers(1, 5))
def test_projection_commutes_with_a_linear_map_of_the_outputs(case: Case, width: int) -> None:
    """P_K acts on (a, b), a map of neurons to logits on the last axis: W applied before or after is the same."""
    p, frequencies, logits, generator = case
    output_map = torch.randn(p, p, dtype=torch.float64, generator=generator)
    before = project(sum_logits(logits @ output_map, p).means, [frequencies])[0]
    after = project(sum_logits(logits, p).means, [frequencies])[0] @ output_map
    torch.testing.assert_close(before, after, atol=1e-8, rtol=0)


@laws
@given(cases())
def test_all_frequencies_and_the_mean_keep_every_function_of_the_sum(
    brute_score: Callable[..., tuple[float, float]], case: Case
) -> None:
    p, _, logits, _ = case
    every = range(1, p // 2 + 1)
    sums = sum_logits(logits, p)
    index = sum_index(p)
    class_means = torch.stack([logits[index == s].mean(0) for s in range(p)])
    assert close(trig_restricted_loss(sums, every).scores.all, brute_score(class_means[index], index))
    function_of_sum = class_means[index]
    assert close(trig_restricted_loss(function_of_sum, every, p=p).scores.all, brute_score(function_of_sum, index))


@laws
@given(cases(), st.integers(1, 30))
def test_relabelling_permutes_the_frequencies(case: Case, u: int) -> None:
    """(a, b, c) -> (u a, u b, u c) maps frequency k to u k, and changes no score."""
    p, frequencies, logits, _ = case
    u = next(v for v in range(u, u + p) if math.gcd(v, p) == 1)
    index = torch.arange(p) * u % p
    relabelled = logits[index][:, index][:, :, index]
    image = [min(u * k % p, -u * k % p) for k in frequencies]
    for measure in (trig_restricted_loss, trig_excluded_loss):
        plain = measure(logits, frequencies, p=p, controls=0).scores.all
        moved = measure(relabelled, image, p=p, controls=0).scores.all
        assert math.isclose(plain.loss, moved.loss, rel_tol=1e-8, abs_tol=1e-9)
        assert math.isclose(plain.accuracy, moved.accuracy)


@laws
@given(cases())
def test_a_constant_per_pair_changes_nothing(case: Case) -> None:
    """The softmax ignores what is added to all outputs of a pair, and so do both losses when it depends on the sum."""
    p, frequencies, logits, generator = case
    shift = torch.randn(p, dtype=torch.float64, generator=generator)[sum_index(p)][..., None]
    for measure in (trig_restricted_loss, trig_excluded_loss):
        plain = measure(logits, frequencies, p=p, controls=0).scores.all
        shifted = measure(logits + shift, frequencies, p=p, controls=0).scores.all
        assert math.isclose(plain.loss, shifted.loss, rel_tol=1e-8, abs_tol=1e-9)


def test_known_answers_of_a_pure_cosine() -> None:
    p = 23
    loss = trig_restricted_loss(cosine_logits(p, {3: 40.0, 5: 40.0, 9: 40.0}), [3, 5, 9], p=p)
    assert loss.scores.all.accuracy == 1
    assert loss.scores.all.loss < 1e-6
    assert set(loss.each) == {3, 5, 9}
    assert loss.chance_loss == pytest.approx(math.log(p))
    without = trig_excluded_loss(cosine_logits(p, {3: 40.0, 5: 40.0, 9: 40.0}), [3, 5, 9], p=p)
    assert without.scores.all.loss == pytest.approx(math.log(p), rel=1e-12)
    assert without.scores.all.accuracy == pytest.approx(1 / p, rel=1e-12)  # rounding is no answer
    others = trig_restricted_loss(cosine_logits(p, {3: 40.0, 5: 40.0, 9: 40.0}), [1, 2, 4], p=p)
    assert others.scores.all.accuracy == pytest.approx(1 / p, rel=1e-12)


def test_confidently_wrong_is_a_loss_above_ln_p() -> None:
    p = 23
    helpful = cosine_logits(p, {3: 40.0})
    misleading = torch.nn.functional.one_hot((sum_index(p) + 1) % p, p) * 30.0
    wrong = trig_excluded_loss(helpful + misleading.double(), [3], p=p)
    assert wrong.confidently_wrong
    assert wrong.scores.all.loss > wrong.chance_loss
    assert not trig_restricted_loss(helpful, [3], p=p).confidently_wrong


def test_on_train_pairs_where_they_are_known() -> None:
    train = torch.arange(5)
    result = trig_excluded_loss(torch.zeros(5, 5, 5), [1], p=5, pairs=pair_sets(5, train))
    assert result.scores.train is not None
    assert result.scores.train.pairs == 5
    assert result.scores.unseen is result.scores.test


@pytest.mark.parametrize("spread", [1.0, 100.0, 1e4, 1e6])
def test_the_product_of_exponentials_is_exact_at_every_scale(
    spread: float, brute_score: Callable[..., tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    p = 7
    generator = torch.Generator().manual_seed(3)
    logits = spread * torch.randn(p, p, p, dtype=torch.float64, generator=generator)
    sums, pairs = sum_logits(logits, p), pair_sets(p)
    taken = project(sums.means, [(1,), (2, 3)])
    fast = excluded_scores(taken, sums, pairs)
    monkeypatch.setattr(row_scores, "SAFE_RANGE", 0.0)  # every range is too wide now: the direct sum
    direct = excluded_scores(taken, sums, pairs)
    for part, a, b in zip(taken, fast, direct, strict=True):
        expected = brute_score(logits - part[sum_index(p)], sum_index(p))
        assert close(a.all, expected)
        assert close(b.all, expected)


def test_ties_share_the_credit() -> None:
    p = 5
    constant = sum_logits(torch.full((p, p, p), 3.0), p)
    assert network_scores(constant, pair_sets(p)).all.accuracy == pytest.approx(1 / p)
    assert network_scores(constant, pair_sets(p)).all.loss == pytest.approx(math.log(p))
    two = torch.zeros(p, p, p)
    two[..., :2] = 1.0  # outputs 0 and 1 share the lead: right half the time for a sum of 0 or 1
    assert network_scores(sum_logits(two, p), pair_sets(p)).all.accuracy == pytest.approx(0.5 * 2 / 5)
    rows = class_scores(sum_logits(two, p).means[None], sum_logits(two, p), pair_sets(p))
    assert rows[0].all.accuracy == pytest.approx(0.2)


# ---- controls -----------------------------------------------------------------------------------------------------


@laws
@given(st.integers(2, 40), st.data())
def test_random_sets_are_different_sets_of_the_same_size(p: int, data: st.DataObject) -> None:
    tested = tuple(sorted(data.draw(st.sets(st.integers(1, p // 2), min_size=1))))
    count = data.draw(st.integers(0, 30))
    sets = random_frequency_sets(p, tested, count)
    possible = math.comb(p // 2, len(tested)) - 1
    assert len(sets) == len(set(sets)) == min(count, possible)
    assert tested not in sets
    for chosen in sets:
        assert len(set(chosen)) == len(tested)
        assert list(chosen) == sorted(chosen)
        assert chosen[0] >= 1
        assert chosen[-1] <= p // 2


def test_the_set_under_test_is_never_its_own_control() -> None:
    for seed in range(20):  # 8 of the 9 other pairs of 5 frequencies
        sets = random_frequency_sets(11, (2, 4), 8, torch.Generator().manual_seed(seed))
        assert len(sets) == 8
        assert (2, 4) not in sets


def test_random_sets_follow_the_generator() -> None:
    draw = [random_frequency_sets(113, (1, 2, 3), 50, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]
    assert random_frequency_sets(113, (1, 2, 3)) == random_frequency_sets(113, (1, 2, 3))
    assert {56} <= {k for chosen in draw[0] for k in chosen}  # p // 2 takes part


def test_no_set_to_compare_with() -> None:
    assert random_frequency_sets(7, ()) == ()
    assert random_frequency_sets(7, (1, 2, 3)) == ()
    result = trig_restricted_loss(torch.zeros(7, 7, 7), [], p=7)
    assert result.control.median_loss() is None
    assert result.control.median_accuracy() is None
    assert result.scores.all.loss == pytest.approx(math.log(7))


def test_control_curves() -> None:
    result = trig_restricted_loss(cosine_logits(29, {4: 9.0}), [4], p=29, pairs=pair_sets(29, torch.arange(100)))
    assert len(result.control.losses()) == len(result.control.accuracies("train")) == 13
    assert result.control.median_loss("test") == pytest.approx(math.log(29), abs=1e-9)


# ---- the mixer ----------------------------------------------------------------------------------------------------


@laws
@given(cases())
def test_mixer_has_every_subset_with_its_restricted_score(case: Case) -> None:
    p, frequencies, logits, _ = case
    sums = sum_logits(logits, p)
    mixer = frequency_mixer(sums, frequencies)
    assert len(mixer.frequencies) == min(6, len(frequencies))
    assert sorted([*mixer.frequencies, *mixer.left_out]) == frequencies
    assert len(mixer.scores) == 2 ** len(mixer.frequencies)
    for subset, scores in mixer.scores.items():
        expected = trig_restricted_loss(sums, subset, controls=0).scores.all
        assert math.isclose(scores.all.loss, expected.loss, rel_tol=1e-9, abs_tol=LAW)
        assert scores.all.accuracy == expected.accuracy
        shown = class_scores(mixer.logits(subset)[None], sums, pair_sets(p))[0]
        assert math.isclose(shown.all.loss, expected.loss, rel_tol=1e-9, abs_tol=LAW)


def test_mixer_keeps_the_six_strongest() -> None:
    amplitudes = {k: float(k) for k in range(1, 9)}
    mixer = frequency_mixer(sum_logits(cosine_logits(19, amplitudes), 19), range(1, 9))
    assert mixer.frequencies == (3, 4, 5, 6, 7, 8)
    assert mixer.left_out == (1, 2)
    torch.testing.assert_close(mixer.coefficients.values, torch.arange(3.0, 9.0, dtype=torch.float64))
    assert mixer.score([4, 3]) == mixer.scores[3, 4]
    with pytest.raises(KeyError, match=r"no subset of the switchable frequencies is called \(1, 3\)"):
        mixer.score([1, 3])
    with pytest.raises(ArgumentError, match=r"subset must be among \(3, 4, 5, 6, 7, 8\); \(1,\) came"):
        mixer.logits([1])


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [trig_restricted_loss, trig_excluded_loss])
def test_bad_input_is_named(measure: Callable[..., TrigLoss]) -> None:
    logits = torch.zeros(5, 5, 5)
    with pytest.raises(ArgumentError, match="p is needed to read an array of logits"):
        measure(logits, [1])
    for wrong in (0, 3, -1, True):
        with pytest.raises(ArgumentError, match=r"frequencies must be integers from 1 to 2 \(p=5\)"):
            measure(logits, [wrong], p=5)
    with pytest.raises(ArgumentError, match="p=7 came with logits grouped for p=5"):
        measure(sum_logits(logits, 5), [1], p=7)
    with pytest.raises(ArgumentError, match="pairs are those of p=7, the logits those of p=5"):
        measure(logits, [1], p=5, pairs=pair_sets(7))
    with pytest.raises(ArgumentError, match="count must be an integer of at least 0; -1 came"):
        measure(logits, [1], p=5, controls=-1)
    with pytest.raises(ShapeError, match="logits must have shape"):
        measure(logits[0], [1], p=5)


def test_frequencies_may_come_in_any_order_and_twice() -> None:
    result = trig_restricted_loss(torch.zeros(7, 7, 7), [3, 1, 3], p=7)
    assert isinstance(result, TrigLoss)
    assert result.frequencies == (1, 3)
