"""What measures must not depend on: bases of irreps, names of elements, the order of neurons, constants of logits."""

import copy
import math
from collections.abc import Callable, Mapping

import composition_by_hand as by_hand
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from refractor.groups import Group, Irreps, Representation, entry_basis, group, real_irreps, relabelled
from refractor.groups.irreps import Irrep
from refractor.lab.composition import (
    CompositionAnalysis,
    Problem,
    analyse_composition,
    analyse_composition_logits,
    gradient_symmetricity,
    matrix_shares,
    neuron_irreps,
    problem,
)
from refractor.models.pair_networks import PairNetwork
from refractor.models.transformer import HookedTransformer
from refractor.tasks import GroupComposition

LAW = 1e-9  # of losses and shares; they agree to some 1e-13 unless two logits are tied

few = settings(max_examples=4, phases=[Phase.explicit, Phase.generate])  # a failing case is small as it is
names = st.sampled_from(["S3", "C6", "Q8", "D4", "A4", "C2 x C4"])
kinds = st.sampled_from(["mlp", "biased", "two layers", "bilinear", "quadratic", "transformer"])
seeds = st.integers(0, 2**20)


def measures(analysis: CompositionAnalysis) -> dict[str, object]:
    """Every number and set of the table by name; sentences round numbers, and may differ in their last digit."""
    return {row.name: row.value for row in analysis.table() if not isinstance(row.value, str)}


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """The names whose values are not the same up to rounding, or that only one has."""

    def same(a: object, b: object) -> bool:
        if isinstance(a, float) and isinstance(b, float):
            return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=LAW, abs_tol=1e-11)
        return a == b

    return [name for name in {**one, **other} if not same(one.get(name), other.get(name))]


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def measured(
    model: HookedTransformer | PairNetwork, asked: Problem, keys: tuple[str, ...] | None = None
) -> CompositionAnalysis:
    split = by_hand.split_of(asked.order)
    return analyse_composition(model, GroupComposition(asked.group), split, asked=asked, keys=keys, controls=0)


def rebased(irreps: Irreps, seed: int) -> Irreps:
    """The same irreps in other orthonormal bases."""
    members = []
    for place, irrep in enumerate(irreps):
        turn = torch.linalg.qr(drawn(irrep.dim, irrep.dim, seed=seed + place)).Q
        matrices = Representation(irreps.group, irrep.name, turn @ irrep.matrices @ turn.mT)
        members.append(Irrep(matrices, irrep.kind, irrep.aliases))
    return Irreps(irreps.group, tuple(members))


def bent(irreps: Irreps, seed: int) -> Irreps:
    """The same irreps in bases that are not orthonormal, which no irrep is made of: its checks are gone around."""
    result = copy.copy(irreps)
    members = []
    for place, irrep in enumerate(irreps):
        change = torch.eye(irrep.dim) + 0.3 * drawn(irrep.dim, irrep.dim, seed=seed + place)
        other = copy.copy(irrep)
        matrices = change @ irrep.matrices @ torch.linalg.inv(change)
        object.__setattr__(other, "representation", Representation(irreps.group, irrep.name, matrices))
        members.append(other)
    object.__setattr__(result, "members", tuple(members))
    return result


@few
@given(names, kinds, seeds)
def test_bases_of_irreps(name: str, kind: str, seed: int) -> None:
    asked = problem(group(name))
    model = by_hand.network(kind, asked.order, seed)
    other = problem(asked.group, irreps=rebased(asked.irreps, seed))
    assert differences(measures(measured(model, asked)), measures(measured(model, other))) == []


@few
@given(names, seeds)
def test_bases_that_are_not_orthonormal(name: str, seed: int) -> None:
    """Shares are those of the span of the entries: 2023's integer matrices of Specht give the same as ours."""
    irreps = real_irreps(group(name))
    matrix = drawn(irreps.group.order, 5, seed=seed)
    skew = bent(irreps, seed)
    assert any(float((irrep.matrices @ irrep.matrices.mT - torch.eye(irrep.dim)).abs().max()) > 1e-3 for irrep in skew)
    for centred in (False, True):
        ours = matrix_shares(matrix, entry_basis(irreps), centred=centred)
        theirs = matrix_shares(matrix, entry_basis(skew), centred=centred)
        torch.testing.assert_close(ours.values, theirs.values, atol=1e-10, rtol=0)
        torch.testing.assert_close(ours.null, theirs.null, atol=0, rtol=0)


def renamed(model: HookedTransformer | PairNetwork, order: Tensor) -> HookedTransformer | PairNetwork:
    """The network that calls `order[i]` by the name i."""
    other = copy.deepcopy(model)
    rows = torch.cat([order, torch.tensor([len(order)])]) if isinstance(model, HookedTransformer) else order
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name in {"W_x", "W_y", "W_E", "U", "V", "embed.W_E"}:
                parameter.copy_(parameter[rows])
            if name in {"W_U", "b_U", "unembed.W_U", "unembed.b_U"} or (
                name == "W" and "V" in dict(other.named_parameters())
            ):
                parameter.copy_(parameter[..., order])
    return other


@few
@given(names, kinds, seeds)
def test_names_of_elements(name: str, kind: str, seed: int) -> None:
    asked = problem(group(name))
    n = asked.order
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    other_group = relabelled(asked.group, order)
    members = tuple(
        Irrep(Representation(other_group, irrep.name, irrep.matrices[order]), irrep.kind, irrep.aliases)
        for irrep in asked.irreps
    )
    other = problem(other_group, irreps=Irreps(other_group, members))
    model = by_hand.network(kind, n, seed)
    split = by_hand.split_of(n)
    back = torch.argsort(order)
    moved = [back[rows // n] * n + back[rows % n] for rows in (split.train, split.test)]
    one = analyse_composition(model, GroupComposition(asked.group), split, asked=asked, controls=0)
    two = analyse_composition(
        renamed(model, order), GroupComposition(other_group), type(split)(*moved), asked=other, controls=0
    )
    drawn_triples = ["gradient_symmetricity"] if kind == "transformer" else []  # by number: other elements here
    assert differences(measures(one), measures(two)) == drawn_triples
    if not torch.equal(other_group.table, asked.group.table):  # the network alone renamed is another network
        wrong = measures(measured(renamed(model, order), asked))
        assert "all_loss" in differences(measures(measured(model, asked)), wrong)


def test_names_of_elements_in_triples() -> None:
    asked, model = problem(group("S3")), by_hand.network("transformer", 6)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    other = problem(relabelled(asked.group, order))
    triples = torch.randint(6, (50, 3), generator=torch.Generator().manual_seed(2))
    moved = gradient_symmetricity(renamed(model, order), other, torch.argsort(order)[triples])
    assert moved == pytest.approx(gradient_symmetricity(model, asked, triples), abs=1e-12)


@few
@given(names, seeds)
def test_translations(name: str, seed: int) -> None:
    """N(g x, y)[g z] is asked the same as N(x, y)[z], since g x · y = g (x · y)."""
    asked = problem(group(name))
    model = by_hand.network("biased", asked.order, seed)
    rows = asked.group.table[seed % asked.order]
    moved = copy.deepcopy(model)
    with torch.no_grad():
        moved.get_parameter("W_x").copy_(model.get_parameter("W_x")[rows])
        for parameter in ("W_U", "b_U"):
            moved.get_parameter(parameter).copy_(model.get_parameter(parameter)[..., rows])
    one, two = (
        analyse_composition(each, GroupComposition(asked.group), asked=asked, controls=0) for each in (model, moved)
    )
    assert differences(measures(one), measures(two)) == []


AXES: Mapping[str, Mapping[str, int]] = {
    "biased": {"W": 1, "b_1": 0, "W_U": 0},
    "two layers": {"W_2": 1, "b_2": 0, "W_U": 0},
    "bilinear": {"W_x": 1, "W_y": 1, "W_U": 0},
    "quadratic": {"U": 1, "V": 1, "W": 0},
    "transformer": {"blocks.0.mlp.W_in": 1, "blocks.0.mlp.b_in": 0, "blocks.0.mlp.W_out": 0},
}
"""For each kind of network the axes of its parameters that are its last hidden layer."""


@pytest.mark.parametrize("kind", AXES)
def test_the_order_of_neurons(kind: str) -> None:
    asked = problem(group("A4"))
    model = by_hand.network(kind, 12, 3)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    other, half = copy.deepcopy(model), copy.deepcopy(model)
    with torch.no_grad():
        for place, (name, axis) in enumerate(AXES[kind].items()):
            parameter = model.get_parameter(name)
            other.get_parameter(name).copy_(parameter.index_select(axis, order))
            if place:
                half.get_parameter(name).copy_(parameter.index_select(axis, order))
    one, two = measured(model, asked), measured(other, asked)
    assert differences(measures(one), measures(two)) == []
    assert "all_loss" in differences(measures(one), measures(measured(half, asked)))
    assert one.weights is not None
    assert two.weights is not None
    assert one.weights.neurons is not None
    assert two.weights.neurons is not None
    for before, after in zip(one.weights.neurons, two.weights.neurons, strict=True):
        assert torch.equal(before.best.values[order], after.best.values)
        torch.testing.assert_close(before.purity.values[order], after.purity.values)


def on_logits(change: Callable[[Tensor], Tensor], g: Group, seed: int) -> list[str]:
    logits = 3 * drawn(g.order, g.order, g.order, seed=seed)
    split = by_hand.split_of(g.order)
    one, two = (
        measures(analyse_composition_logits(each, g, train=split.train, test=split.test, controls=0))
        for each in (logits, change(logits))
    )
    return differences(one, two)


@few
@given(names, seeds)
def test_a_constant_for_each_pair(name: str, seed: int) -> None:
    g = group(name)
    assert on_logits(lambda logits: logits + 5 * drawn(g.order, g.order, 1, seed=seed + 1), g, seed) == []


@few
@given(names, seeds)
def test_a_constant_for_each_answer_is_no_such_thing(name: str, seed: int) -> None:
    """It is a bias towards some answers: it changes every loss but that of the parts without mean."""
    g = group(name)
    changed = on_logits(lambda logits: logits + 5 * drawn(1, 1, g.order, seed=seed + 1), g, seed)
    assert {"all_loss", "rep_excluded_loss.all", "rep_restricted_loss_with_mean.all"} <= set(changed)
    assert not {name for name in changed if name.startswith("rep_restricted_loss.") and "trivial" not in name}


@few
@given(names, seeds)
def test_larger_logits(name: str, seed: int) -> None:
    """Similarities and accuracies do not know how large logits are; losses do."""
    changed = on_logits(lambda logits: 1.7 * logits, group(name), seed)
    assert {"all_loss", "train_loss", "test_loss", "rep_excluded_loss.all"} <= set(changed)
    assert not [one for one in changed if one.endswith(("_similarity", "_acc")) or "accuracy" in one]
    assert "percent_logits_explained" not in changed


def test_the_irreps_of_neurons_do_not_depend_on_bases() -> None:
    irreps = real_irreps(group("A4"))
    functions = drawn(12, 8, seed=0)
    one, two = (neuron_irreps(functions, entry_basis(each)) for each in (irreps, bent(irreps, 4)))
    torch.testing.assert_close(one.shares.values, two.shares.values, atol=1e-10, rtol=0)
