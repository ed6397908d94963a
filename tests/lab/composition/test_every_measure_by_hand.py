"""Every measure of every kind of network against its definition, over all triples and pairs of small groups."""

import math

import composition_by_hand as by_hand
import pytest
import torch

from refractor.groups import Irreps, group, real_irreps
from refractor.lab.composition import CompositionAnalysis, analyse_composition, analyse_composition_logits, problem
from refractor.lab.composition import view as view_module
from refractor.lab.composition import views as views_module
from refractor.lab.composition.networks import LiveTransformer, StoredNetwork
from refractor.tasks import GroupComposition, Split

GROUPS = ("S3", "Q8", "C6", "D4", "A4", "C2 x S3", "F21", "S4")
"""Real, complex (C6, A4, F21) and quaternionic (Q8) irreps."""

KINDS = (*by_hand.NETWORKS, "transformer", "attention")
LAW = 1e-9  # losses are sums of up to 13,824 terms; they agree to 1e-12 where the logits are of size 1


def compare(analysis: CompositionAnalysis, expected: dict[str, float]) -> None:
    table = {row.name: row.value for row in analysis.table()}
    missing = [name for name in expected if name not in table]
    assert missing == []
    wrong = {
        name: (table[name], value)
        for name, value in expected.items()
        if not math.isclose(float(table[name]), value, rel_tol=LAW, abs_tol=1e-12)  # pyright: ignore[reportArgumentType]
    }
    assert wrong == {}


def expected_figures(
    found: by_hand.Run, irreps: Irreps, operation: str, analysis: CompositionAnalysis, split: Split | None
) -> dict[str, float]:
    right = by_hand.answers(irreps.group, operation)
    figures = by_hand.logit_figures(found.logits, found.read, irreps, right, analysis.keys.names, split)
    if found.hidden is None:  # then there is no output map to tell what the hidden layer says
        figures = {name: value for name, value in figures.items() if "hidden" not in name}
    similar = by_hand.similarities(found.logits, irreps, right)
    keys = [name for name, value in similar.items() if value > by_hand.THRESHOLD]
    return {**figures, **by_hand.weight_figures(found, irreps, right, keys)}


def check(
    name: str, kind: str, operation: str = "product", seed: int = 0, *, split: bool = True
) -> CompositionAnalysis:
    asked = problem(group(name), operation)
    model = by_hand.network(kind, asked.order, seed)
    parts = by_hand.split_of(asked.order) if split else None
    given = asked.irreps.names[1:3]
    analysis = analyse_composition(
        model, GroupComposition(asked.group, operation), parts, asked=asked, keys=given, controls=0
    )
    assert analysis.keys.names == given
    compare(analysis, expected_figures(by_hand.run(model, asked.order), asked.irreps, operation, analysis, parts))
    return analysis


@pytest.mark.parametrize("name", GROUPS)
def test_of_every_group(name: str) -> None:
    check(name, "biased")


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_network(kind: str) -> None:
    check("S3", kind)


@pytest.mark.parametrize("kind", ["biased", "transformer"])
@pytest.mark.parametrize("name", ["S3", "Q8"])
def test_of_quotients(name: str, kind: str) -> None:
    check(name, kind, "quotient", seed=1)


def test_without_a_split_the_excluded_losses_are_over_all_pairs() -> None:
    analysis = check("D4", "mlp", split=False)
    assert [row.name for row in analysis.table() if "train" in row.name] == []


@pytest.mark.parametrize("kind", ["biased", "two layers", "transformer"])
def test_a_few_pairs_at_a_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one class, and transformers that are too large to keep what they computed."""
    monkeypatch.setattr(view_module, "BLOCK_BYTES", 1)
    monkeypatch.setattr(views_module, "STORED_BYTES", 0)
    analysis = check("A4", kind)
    assert [len(block.classes) for block in analysis.view.blocks()] == [1] * 12
    if kind == "transformer":
        assert isinstance(analysis.view.network, LiveTransformer)


def test_small_transformers_run_once() -> None:
    assert isinstance(check("A4", "transformer").view.network, StoredNetwork)


@pytest.mark.parametrize("name", ["Q8", "C6", "S3"])
@pytest.mark.parametrize("operation", ["product", "quotient"])
def test_of_logits_alone(name: str, operation: str) -> None:
    irreps = real_irreps(group(name))
    n, right = irreps.group.order, by_hand.answers(irreps.group, operation)
    logits = 4 * torch.randn(n * n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    split = by_hand.split_of(n)
    analysis = analyse_composition_logits(
        logits, irreps.group, operation=operation, train=split.train, test=split.test, controls=0
    )
    figures = by_hand.logit_figures(logits, logits, irreps, right, analysis.keys.names, split)
    compare(analysis, {key: value for key, value in figures.items() if "hidden" not in key})
    assert analysis.weights is None


@pytest.mark.parametrize("name", ["S3", "Q8"])
def test_shared_highest_logits_count_as_guesses(name: str) -> None:
    """Integer logits: removing a one-dimensional irrep leaves many ties, which rounding must not decide."""
    irreps = real_irreps(group(name))
    n, right = irreps.group.order, by_hand.answers(irreps.group)
    logits = torch.randint(0, 2, (n * n, n), generator=torch.Generator().manual_seed(2)).double()
    analysis = analyse_composition_logits(logits, irreps.group, keys=irreps.names[1:2], controls=0)
    expected = by_hand.logit_figures(logits, logits, irreps, right, irreps.names[1:2], None)
    compare(analysis, {key: value for key, value in expected.items() if "hidden" not in key})
    constant = analyse_composition_logits(torch.ones(n, n, n), irreps.group, controls=0)
    assert constant.scores.all.accuracy == pytest.approx(1 / n)
    assert constant.scores.all.loss == pytest.approx(math.log(n))
    assert set(constant.similarity.values()) == {0.0}
