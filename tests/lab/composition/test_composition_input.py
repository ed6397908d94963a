"""What comes in: every refusal names what was asked, what is needed, what came, and what to try."""

import math
import sys
from typing import Any

import composition_by_hand as by_hand
import numpy as np
import pytest
import torch

from refractor.base import budget
from refractor.base.errors import ArgumentError, BudgetError, ShapeError, UnknownNameError
from refractor.groups import group, real_irreps, relabelled
from refractor.lab import Analysis, analyse, analyse_network, analyse_snapshots, cosine_logits
from refractor.lab.composition import (
    CompositionAnalysis,
    CompositionProgress,
    analyse_composition,
    analyse_composition_logits,
    irrep_set,
    key_irreps_by_similarity,
    problem,
    view_composition,
)
from refractor.lab.composition import problem as problem_function
from refractor.lab.progress import RunAnalysis
from refractor.models.config import HookedTransformerConfig
from refractor.models.pair_networks import build_pair_network
from refractor.models.transformer import HookedTransformer
from refractor.tasks import GroupComposition, ModularAddition

S3 = group("S3")


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def transformer(**fields: Any) -> HookedTransformer:
    base = {
        "n_layers": 1, "n_heads": 1, "d_model": 4, "d_head": 4, "d_mlp": 5, "d_vocab": 7, "d_vocab_out": 6, "n_ctx": 3,
        "act_fn": "relu", "normalization_type": None, "seed": 0,
    }  # fmt: skip
    return HookedTransformer(HookedTransformerConfig(**{**base, **fields}))


# ---- one door for both wings --------------------------------------------------------------------------------------


def test_the_keyword_chooses_the_wing() -> None:
    logits = cosine_logits(7, {2: 20.0})
    assert isinstance(analyse(logits, p=7), Analysis)
    assert isinstance(analyse(logits, group="C7"), CompositionAnalysis)
    assert isinstance(analyse(logits, group=group("C7")), CompositionAnalysis)
    with pytest.raises(ArgumentError, match="give p .* or group .*, one of them; neither came"):
        analyse(logits)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ArgumentError, match="one of them; both came"):
        analyse(logits, p=7, group="C7")  # pyright: ignore[reportCallIssue]


def test_the_task_chooses_the_wing() -> None:
    adding = transformer(d_vocab=8, d_vocab_out=7)
    assert isinstance(analyse_network(adding, ModularAddition(7)), Analysis)
    assert isinstance(analyse_network(adding, GroupComposition("C7")), CompositionAnalysis)
    assert isinstance(analyse_snapshots([(0, adding)], ModularAddition(7)), RunAnalysis)
    assert isinstance(analyse_snapshots([(0, adding)], GroupComposition("C7")), CompositionProgress)
    small = build_pair_network({"architecture": "quadratic", "n": 7, "d_hidden": 4, "seed": 0})
    with pytest.raises(ArgumentError, match=r"a QuadraticNetwork came. .* GroupComposition\('C7'\)"):
        analyse_network(small, ModularAddition(7))  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert isinstance(analyse_network(small, GroupComposition("C7")), CompositionAnalysis)


def test_any_array_of_logits_will_do() -> None:
    cube = drawn(6, 6, 6)
    expected = analyse(cube, group=S3, controls=0).scores
    for logits in (cube.reshape(36, 6), cube.numpy(), cube.numpy().reshape(36, 6), cube.clone().requires_grad_()):
        assert analyse(logits, group=S3, controls=0).scores == expected
    single = analyse(cube.float(), group=S3, controls=0).scores
    assert single.all.loss == pytest.approx(expected.all.loss, rel=1e-6)


# ---- names --------------------------------------------------------------------------------------------------------


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no group is called 'SS3'"):
        analyse(drawn(6, 6, 6), group="SS3")
    with pytest.raises(UnknownNameError, match="no irrep of S3 is called 'standart'. Nearest: 'standard'"):
        analyse(drawn(6, 6, 6), group="S3", keys=["standart"])
    with pytest.raises(
        UnknownNameError, match="no measure is called 'rep_restricted_los.all'.*'rep_restricted_loss.all'"
    ):
        analyse(drawn(6, 6, 6), group="S3", controls=0).table()["rep_restricted_los.all"]


def test_aliases_are_names() -> None:
    partition = analyse(drawn(6, 6, 6), group="S3", keys=["(2,1)"], controls=0)
    assert partition.irreps == ("standard",)


@pytest.mark.parametrize("chosen", [[0], [3], [-1], [True], ["trivial"]])
def test_sets_have_irreps_that_are_not_trivial(chosen: list[Any]) -> None:
    with pytest.raises(
        ArgumentError, match=r"a set of irreps of S3 has names, or places from 1 to 2; .* came. The trivial"
    ):
        irrep_set(real_irreps(S3), chosen)


def test_sets_are_ordered_and_without_doubles() -> None:
    found = irrep_set(real_irreps(S3), ["standard", 1, "sign"])
    assert (found.places, found.names) == ((1, 2), ("sign", "standard"))
    assert repr(found) == "IrrepSet('given', {sign, standard})"


def test_thresholds_are_numbers_from_0() -> None:
    with pytest.raises(ArgumentError, match="threshold must be a finite number of at least 0; -0.1 came"):
        key_irreps_by_similarity(torch.zeros(3).double(), real_irreps(S3), -0.1)
    above = key_irreps_by_similarity(torch.tensor([0.9, 0.3, 0.2]).double(), real_irreps(S3), 0.25)
    assert above.names == ("sign",)


# ---- logits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 6), r"\[x=6, y=6, z=6\], or \[pairs=36, z=6\] with pairs in x-major order; \[6, 6\] came"),
        ((6, 6, 7), r"\[6, 6, 7\] came. The last axis has one output too many: drop the logit of '='"),
        ((36, 3, 6), r"That looks like logits at every position"),
        ((24, 24, 24), r"\[24, 24, 24\] came"),
    ],
)
def test_logits_of_another_shape(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        analyse(torch.zeros(shape), group="S3")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite(value: float) -> None:
    logits = drawn(6, 6, 6)
    logits[1, 2, 3] = value
    with pytest.raises(ArgumentError, match="logits must be finite"):
        analyse(logits, group="S3")
    model = by_hand.network("mlp", 6)
    with torch.no_grad():
        model.get_parameter("W_U")[0, 0] = value
    with pytest.raises(ArgumentError, match="logits must be finite"):
        analyse_composition(model, GroupComposition(S3))
    with pytest.raises(ShapeError, match="logits must be real floating point; a tensor of torch.int64 came"):
        analyse(torch.zeros(6, 6, 6, dtype=torch.long), group="S3")
    with pytest.raises(ShapeError, match="a numpy array of int64 came"):
        analyse(np.zeros((6, 6, 6), dtype=np.int64), group="S3")


def test_rows_of_a_split() -> None:
    with pytest.raises(ArgumentError, match="train must lie in 0 … 35"):
        analyse(drawn(6, 6, 6), group="S3", train=torch.tensor([36]))
    with pytest.raises(ArgumentError, match="row 3 is in both"):
        analyse(drawn(6, 6, 6), group="S3", train=torch.tensor([3]), test=torch.tensor([3]))


# ---- networks and tasks -------------------------------------------------------------------------------------------


def test_a_network_of_another_order() -> None:
    with pytest.raises(
        ArgumentError, match="S4 has 24 elements; the network is for 6. Give the group it was trained on"
    ):
        analyse_network(by_hand.network("mlp", 6), GroupComposition("S4"))
    for fields in ({"d_vocab": 6}, {"d_vocab_out": 7}, {"n_ctx": 2}):
        message = (
            r"S3 has 6 elements, so a transformer needs d_vocab=7 \(with '='\), d_vocab_out=6 and n_ctx of at least 3; "
        )
        with pytest.raises(ArgumentError, match=message):
            analyse_network(transformer(**fields), GroupComposition(S3))


@pytest.mark.parametrize("operation", ["conjugation", "commutator"])
def test_operations_with_uneven_classes(operation: str) -> None:
    """Some answers have more pairs than others: averages over pairs with one answer mean nothing then."""
    message = f"operation must be one of product, quotient; '{operation}' came. For others some answers have more pairs"
    with pytest.raises(ArgumentError, match=message):
        analyse_network(by_hand.network("mlp", 6), GroupComposition(S3, operation))
    with pytest.raises(ArgumentError, match=message):
        analyse(drawn(6, 6, 6), group=S3, operation=operation)
    with pytest.raises(ArgumentError, match=message):
        analyse_snapshots([(0, by_hand.network("mlp", 6))], GroupComposition(S3, operation))


def test_products_of_many_factors() -> None:
    with pytest.raises(
        ArgumentError, match="the measures are of products of two elements; composition x1 · x2 · x3 in S3 came"
    ):
        analyse_network(by_hand.network("mlp", 6), GroupComposition(S3, factors=3))


def test_a_problem_with_other_answers() -> None:
    message = r"the task is composition x · y in S3; a problem with other answers, Problem\(S3, quotient\), came"
    with pytest.raises(ArgumentError, match=message):
        analyse_composition(by_hand.network("mlp", 6), GroupComposition(S3), asked=problem(S3, "quotient"))


def test_irreps_of_another_group() -> None:
    other = relabelled(S3, [1, 0, 2, 3, 4, 5])
    with pytest.raises(ArgumentError, match="the irreps are those of S3 in another order, not of S3"):
        problem(S3, irreps=real_irreps(other))
    same = group("S3")
    assert problem(same, irreps=real_irreps(S3)).order == 6


def test_groups_with_too_many_subgroups_have_no_coset_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[problem_function.__module__]
    monkeypatch.setattr(module, "MOST_SUBGROUPS", 2)
    asked = problem(S3)
    assert asked.subgroups == ()
    analysis = analyse_composition(by_hand.network("mlp", 6), GroupComposition(S3), asked=asked, controls=0)
    assert analysis.weights is not None
    assert analysis.weights.cosets is None
    assert not [row for row in analysis.table() if "cosets" in row.name]


def test_logits_that_do_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_bytes", lambda *_: 1000)
    with pytest.raises(BudgetError, match="the analysis of logits over 6 elements"):
        analyse_composition_logits(drawn(6, 6, 6), S3)


# ---- what is shown ------------------------------------------------------------------------------------------------


def test_an_analysis_shows_itself() -> None:
    analysis = analyse(drawn(6, 6, 6), group=S3, controls=0)
    assert repr(analysis).startswith("CompositionAnalysis(S3, IrrepSet('similarity', {")
    assert "<table>" in analysis._repr_html_()
    assert str(analysis.problem) == "Problem(S3, product)"
    assert repr(analysis.losses.restricted.control) == "Control(0 sets, median loss None)"
    names = [row.name for row in analysis.table()]
    assert len(names) == len(set(names))
    assert all(row.meaning for row in analysis.table())


def test_a_view_leaves_the_network_alone() -> None:
    model = build_pair_network({"architecture": "mlp", "n": 6, "d_embed": 4, "d_hidden": 5, "seed": 0})
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    calls: list[int] = []
    model.add_hook("hidden", lambda value, hook: calls.append(1))
    view = view_composition(model, problem(S3))
    assert view.output_map is not None
    assert view.output_map.dtype == torch.float64
    assert calls == []
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
