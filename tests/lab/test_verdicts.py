"""Every verdict: networks that add, and everything that only looks as if it did."""

import math

import pytest
import torch

from refractor.lab.analyse import analyse, analyse_network
from refractor.lab.analysis import Analysis
from refractor.lab.analytic import cosine_logits, quadratic_network
from refractor.lab.conditions import NOT_FOUND, p_value
from refractor.lab.operations import discrete_log_cube, sum_index
from refractor.lab.progress import analyse_snapshots
from refractor.lab.trig_losses import trig_excluded_loss, trig_restricted_loss
from refractor.lab.verdict import finding, name_set
from refractor.models.bundle import CONTROLS, bundled_folder, bundled_names
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularAddition, ModularArithmetic, ModularSubtraction
from refractor.tasks.splits import Split, split_rows
from refractor.training.run import open_run

P = 59
AMPLITUDES = {3: 20.0, 7: 20.0, 22: 20.0}


def right_answers(p: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(sum_index(p), p).double()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def failed(analysis: Analysis) -> set[str]:
    assert analysis.verdict.claim == "no algorithm found"
    assert not analysis.verdict.found
    return {condition.name for condition in analysis.verdict.failed}


def small_network(p: int, seed: int = 0) -> HookedTransformer:
    cfg = HookedTransformerConfig(
        n_layers=1, n_heads=2, d_model=32, d_head=16, d_mlp=64, d_vocab=p + 1, d_vocab_out=p, n_ctx=3, act_fn="relu",
        normalization_type=None, seed=seed,
    )  # fmt: skip
    return HookedTransformer(cfg)


def memorised(
    p: int, task: ModularArithmetic, split: Split, labels: torch.Tensor, steps: int = 250
) -> HookedTransformer:
    """Train without weight decay, for too short a time to do anything but store the training pairs."""
    model = small_network(p)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    tokens = task.tokens()[split.train]
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(tokens)[:, -1], labels[split.train])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


# ---- what adds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [59, 58, 113])
def test_cosines_are_found(p: int) -> None:
    analysis = analyse(cosine_logits(p, AMPLITUDES), p=p)
    verdict = analysis.verdict
    assert verdict.found
    assert verdict.claim == f"computes a + b mod {p} with the frequencies {{3, 7, 22}}"
    assert [condition.name for condition in verdict.conditions] == ["answers", "enough", "needed", "special"]
    assert "50 random sets of 3 frequencies, on all pairs" in verdict.control
    assert "clock" in verdict.undistinguished
    assert "pizza" in verdict.undistinguished
    assert verdict.notes == ()
    assert analysis.finding == (
        f"Keeping only frequencies {{3, 7, 22}} and the mean: accuracy 1.000, loss {analysis.restricted.scores.all.loss:.3g} "
        f"(random sets: accuracy {1 / p:.3f}, loss {math.log(p):.3g}). Removing them: accuracy {1 / p:.3f}, chance {1 / p:.3f}."
    )


def test_subtraction_is_found_as_such_and_not_as_addition() -> None:
    logits = cosine_logits(P, AMPLITUDES, "subtraction")
    assert analyse(logits, p=P, operation="subtraction").verdict.claim == (
        "computes a − b mod 59 with the frequencies {3, 7, 22}"
    )
    assert failed(analyse(logits, p=P)) >= {"answers", "enough"}


def test_multiplication_is_found_in_discrete_logarithms() -> None:
    p = 59
    cube = torch.zeros(p, p, p, dtype=torch.float64)
    powers = torch.tensor([pow(2, e, p) for e in range(p - 1)])  # 2 is a primitive root of 59
    cube[powers[:, None, None], powers[:, None], powers] = cosine_logits(p - 1, AMPLITUDES)
    assert analyse(discrete_log_cube(cube, p), p=p - 1).verdict.found
    assert failed(analyse(cube, p=p)) >= {"answers"}


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
def test_the_analytic_network_is_found_with_the_frequencies_put_in(operation: str) -> None:
    network = quadratic_network(P, 500, torch.Generator().manual_seed(0), [3, 7, 22])
    logits = network.logits()
    if operation == "subtraction":
        logits = logits[:, -torch.arange(P)]
    analysis = analyse(logits, p=P, operation=operation)
    assert analysis.verdict.found
    assert analysis.frequencies == (3, 7, 22)


def test_an_excluded_loss_above_ln_p_is_called_confidently_wrong() -> None:
    # the key frequencies outvote a wrong answer that stays when they are gone
    misleading = 8.0 * torch.nn.functional.one_hot((sum_index(P) + 5) % P, P).double()
    verdict = analyse(cosine_logits(P, AMPLITUDES) + misleading, p=P, frequencies=[3, 7, 22]).verdict
    assert verdict.found
    assert len(verdict.notes) == 1
    assert "confidently wrong" in verdict.notes[0]
    assert "is above ln p = 4.08" in verdict.notes[0]


# ---- what only looks like it --------------------------------------------------------------------------------------


def test_a_lookup_table_is_no_sparse_set() -> None:
    analysis = analyse(10 * right_answers(P), p=P)
    assert analysis.scores.all.accuracy == 1
    assert analysis.frequencies == tuple(range(1, P // 2 + 1))
    assert failed(analysis) == {"special"}
    assert "every frequency up to 29 is key, as in any table of right answers" in analysis.verdict.failed[0].sentence


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_a_noisy_lookup_table_is_no_sparse_set(level: float) -> None:
    assert "special" in failed(analyse(20 * right_answers(P) + level * noise(P, P, P), p=P))


def test_some_frequencies_of_a_lookup_table_are_not_special() -> None:
    """Half of them keep all answers (the control catches that), and removing them loses none (so does 'needed')."""
    given = analyse(1000 * right_answers(P), p=P, frequencies=range(1, 16))
    assert given.restricted.scores.all.accuracy == 1
    assert failed(given) >= {"special", "needed"}


def test_a_network_that_adds_by_every_frequency_is_no_sparse_set() -> None:
    network = quadratic_network(P, 2000, torch.Generator().manual_seed(0))
    assert failed(analyse(network.logits(), p=P)) == {"special"}


def test_constant_logits() -> None:
    analysis = analyse(torch.zeros(P, P, P), p=P)
    assert analysis.frequencies == ()
    assert failed(analysis) >= {"answers", "enough", "special"}
    assert "no frequency is key" in analysis.verdict.failed[-1].sentence
    assert "random sets: none exist" in analysis.finding
    assert analysis.scores.all.accuracy == pytest.approx(1 / P)


@pytest.mark.parametrize("seed", range(5))
def test_random_logits(seed: int) -> None:
    assert failed(analyse(noise(P, P, P, seed=seed), p=P)) >= {"answers", "enough"}


def test_stored_training_pairs() -> None:
    """Right with certainty on 30% of the pairs: the class means peak at the answer, the held-out pairs do not."""
    split = split_rows(P * P, 0.3, 0)
    logits = noise(P * P, P)
    logits[split.train] += 20 * right_answers(P).reshape(P * P, P)[split.train]
    known = analyse(logits, p=P, train=split.train, test=split.test)
    assert known.scores.train is not None
    assert known.scores.train.accuracy == 1
    assert known.restricted.scores.all.accuracy > 0.9  # averaging over a class finds the answer: no evidence by itself
    assert "answers" in failed(known)
    assert any("those that were stored included" in note for note in known.verdict.notes)
    assert "answers" in failed(analyse(logits, p=P))


def test_stored_random_labels() -> None:
    split = split_rows(P * P, 0.3, 0)
    labels = torch.randint(P, (P * P,), generator=torch.Generator().manual_seed(1))
    logits = noise(P * P, P)
    logits[split.train] += 20 * torch.nn.functional.one_hot(labels, P).double()[split.train]
    assert failed(analyse(logits, p=P, train=split.train)) >= {"answers", "enough"}


@pytest.mark.parametrize("p", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("kind", ["cosine", "table", "zero", "noise"])
def test_tiny_moduli_leave_no_room_for_a_control(p: int, kind: str) -> None:
    logits = {
        "cosine": cosine_logits(p, {1: 30.0}),
        "table": 30 * right_answers(p),
        "zero": torch.zeros(p, p, p),
        "noise": noise(p, p, p),
    }[kind]
    analysis = analyse(logits, p=p)
    assert "special" in failed(analysis)
    assert len(analysis.table()) > 10
    assert str(analysis.table())


def test_given_frequencies_that_are_the_wrong_ones() -> None:
    analysis = analyse(cosine_logits(P, AMPLITUDES), p=P, frequencies=[1, 2])
    assert analysis.keys.rule == "given"
    assert [result.keys.rule for result in analysis.rules] == ["given", "logits"]
    assert failed(analysis) >= {"enough", "needed", "special"}


# ---- networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("task", [ModularAddition(29), ModularSubtraction(30)])
def test_a_network_at_step_zero(task: ModularArithmetic, seed: int) -> None:
    analysis = analyse_network(small_network(task.p, seed), task, split_rows(task.n_rows, 0.3, seed))
    assert failed(analysis) >= {"answers", "enough"}
    assert failed(analyse(analysis.sums.cube(), p=task.p)) >= {"answers"}


@pytest.mark.parametrize("random_labels", [False, True])
def test_a_network_that_only_memorised(random_labels: bool) -> None:
    p = 23
    task, split = ModularAddition(p), split_rows(p * p, 0.3, 0)
    labels = torch.randint(p, (p * p,), generator=torch.Generator().manual_seed(2)) if random_labels else task.labels()
    model = memorised(p, task, split, labels)
    analysis = analyse_network(model, task, split)
    train = analysis.scores.train
    assert train is not None
    if not random_labels:
        assert train.accuracy == 1
    assert failed(analysis) >= {"answers"}
    run = analyse_snapshots([(0, small_network(p)), (250, model)], task, split)
    assert run.verdict.claim == NOT_FOUND
    assert [phase.end for phase in run.phases] == [None, None, None]


@pytest.mark.parametrize("name", [name for name in bundled_names() if name.startswith("modular-addition")])
def test_the_networks_that_come_with_the_package(name: str) -> None:
    """Every verdict, from logits alone and from the network, with every rule's frequencies."""
    split = open_run(bundled_folder(name)).split
    analysis = analyse_network(HookedTransformer.from_pretrained(name), ModularAddition(113), split)
    logits, train, test = analysis.sums.cube(), split.train, split.test
    others = [
        analyse(logits, p=113, train=train, test=test, frequencies=result.keys.frequencies) for result in analysis.rules
    ]
    claims = {one.verdict.claim for one in (analysis, analyse(logits, p=113), *others)}
    if name in CONTROLS:
        assert claims == {"no algorithm found"}
    else:
        assert analysis.verdict.found
        assert all(claim.startswith("computes a + b mod 113 with the frequencies {") for claim in claims)


# ---- the parts ----------------------------------------------------------------------------------------------------


def test_p_value_counts_ties_as_as_good() -> None:
    assert p_value(1.0, [2.0] * 19, low_is_good=True) == pytest.approx(0.05)
    assert p_value(1.0, [1.0] * 19, low_is_good=True) == 1
    assert p_value(1.0, [0.0] * 9 + [2.0], low_is_good=False) == pytest.approx(2 / 11)
    assert p_value(1.0, [], low_is_good=True) == 1


@pytest.mark.parametrize(("controls", "found"), [(50, True), (19, True), (18, False), (0, False)])
def test_at_least_nineteen_random_sets_are_needed(controls: int, found: bool) -> None:
    verdict = analyse(cosine_logits(P, AMPLITUDES), p=P, controls=controls).verdict
    assert verdict.found is found
    if not found:
        assert verdict.claim == NOT_FOUND
        assert f"only {controls} other sets of 3 frequencies are compared with" in verdict.failed[0].sentence


@pytest.mark.parametrize(("amplitude", "condition"), [(3.0, "enough"), (20.0, None)])
def test_logits_too_flat_to_answer_with_certainty_are_not_enough(amplitude: float, condition: str | None) -> None:
    analysis = analyse(cosine_logits(P, dict.fromkeys((3, 7, 22), amplitude)), p=P)
    assert analysis.scores.all.accuracy == 1
    assert {c.name for c in analysis.verdict.failed} == ({condition} if condition else set())


def test_a_second_mechanism_makes_the_frequencies_unneeded() -> None:
    logits = cosine_logits(P, AMPLITUDES) + 30 * right_answers(P)
    analysis = analyse(logits, p=P, frequencies=[3, 7, 22])
    assert "needed" in failed(analysis)


def test_long_sets_are_shortened() -> None:
    assert name_set((1, 2), 113) == "{1, 2}"
    assert name_set((), 113) == "{}"
    assert name_set(tuple(range(1, 12)), 113) == "{1, 2, 3, … 11} (11 of 56)"
    restricted = trig_restricted_loss(torch.zeros(113, 113, 113), range(1, 57), p=113)
    excluded = trig_excluded_loss(torch.zeros(113, 113, 113), range(1, 57), p=113)
    assert "frequencies {1 … 56} and the mean" in finding(restricted, excluded, 113)


def test_the_generator_decides_the_control() -> None:
    logits = cosine_logits(P, AMPLITUDES)
    sets = [
        analyse(logits, p=P, generator=torch.Generator().manual_seed(seed)).restricted.control.sets
        for seed in (1, 1, 2)
    ]
    assert sets[0] == sets[1] != sets[2]
    analysis = analyse(logits, p=P, generator=torch.Generator().manual_seed(1))
    assert analysis.restricted.control.sets == analysis.excluded.control.sets
