"""The bound from ρ-sets is sound, pair by pair; the published test is not; and what it cannot read it refuses."""

import composition_by_hand as by_hand
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups import group, real_irreps
from refractor.lab.composition import Certificate, CompositionView, certify, problem, rho_set_network, view_composition
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig

ASKED = problem(group("S4"))
STANDARD = real_irreps(ASKED.group)["standard"]


def written(seed: int = 1, scale: float = 1.0) -> OneLayerMLP:
    """A network of one ρ-set of S4: 4 vectors, 16 neurons."""
    fixing = ASKED.group.elements.arrays[:, 0] == 0  # pyright: ignore[reportAttributeAccessIssue]
    vector = torch.linalg.svd(STANDARD.matrices[fixing].mean(0)).U[:, 0]
    direction = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    model = rho_set_network(STANDARD, vector, direction)
    with torch.no_grad():
        model.W_U.mul_(scale)
    return model


def noisy(model: OneLayerMLP, size: float, seed: int, names: tuple[str, ...] = ("W_x", "W_y", "W_U")) -> OneLayerMLP:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in names:
            parameter = model.get_parameter(name)
            parameter += size * parameter.std() * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
    return model


def logits_of(view: CompositionView) -> Tensor:
    """The trained logits over (x, y, z)."""
    return view.read(view.hidden_table(slice(None)).flatten(0, 1)).unflatten(0, (24, 24))


def ideal_logits(found: Certificate) -> Tensor:
    network = found.network
    return (network.first[:, None] + network.second[None]).relu() @ network.output_map


def leads(logits: Tensor) -> Tensor:
    """By how much the right answer of each pair is ahead of the best other; negative where it is not."""
    own = logits.gather(2, ASKED.answers[..., None])[..., 0]
    others = logits.scatter(2, ASKED.answers[..., None], -torch.inf).amax(2)
    return own - others


def test_a_network_of_one_set_is_certified_whole() -> None:
    found = certify(view_composition(written(), ASKED))
    assert (found.certified, found.certified_by_columns, found.accuracy, found.ideal_accuracy) == (1, 1, 1, 1)
    assert float(found.errors.max()) < 1e-6 * found.margin
    assert not found.is_vacuous
    assert found.statement == (
        "The bound from ρ-sets proves 1 of the answers right; by computing every answer the accuracy is 1."
    )
    assert found.margin == pytest.approx(float(leads(ideal_logits(found)).min()), abs=1e-10)


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(st.floats(0.001, 0.3), st.integers(0, 2**20), st.sampled_from([("W_U",), ("W_x", "W_y"), ("W_x", "W_y", "W_U")]))
def test_the_bound_is_sound(size: float, seed: int, names: tuple[str, ...]) -> None:
    """Whatever the noise: differences of logits move by no more than the bound, and every certified pair is right."""
    view = view_composition(noisy(written(seed % 7), size, seed, names), ASKED)
    found = certify(view)
    trained, ideal = logits_of(view), ideal_logits(found)
    right = ASKED.answers[..., None]
    moved = (trained.gather(2, right) - trained) - (ideal.gather(2, right) - ideal)
    assert bool((moved.abs().amax(2) <= found.errors + 1e-9).all())
    certain = found.errors < found.margin * (1 - 1e-6)
    assert bool((leads(trained)[certain] > 0).all())
    assert float(certain.double().mean()) == pytest.approx(found.certified, abs=2 / 576)
    assert found.certified_by_columns <= found.certified <= found.accuracy
    for accuracy, logits in ((found.accuracy, trained), (found.ideal_accuracy, ideal)):
        by_definition = by_hand.score(logits.flatten(0, 1), ASKED.answers)[1]  # all neurons of some pairs may be off
        assert accuracy == pytest.approx(by_definition, abs=1e-12)


def test_noise_lets_a_part_be_certified() -> None:
    shares = [certify(view_composition(noisy(written(), size, 5), ASKED)).certified for size in (0.005, 0.03, 0.2)]
    assert shares[0] == 1
    assert 0 <= shares[2] < 1
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("size", [0.0, 0.05])
def test_ideal_logits_depend_on_one_element(size: float) -> None:
    """On x⁻¹ z y⁻¹ alone, so that all pairs have one margin, which is that of (e, e)."""
    found = certify(view_composition(noisy(written(), size, 3), ASKED))
    table, inverses = ASKED.group.table, ASKED.group.inverses
    every = torch.arange(24)
    index = table[table[inverses][:, :, None], inverses].permute(0, 2, 1)  # [x, y, z]: x⁻¹ z y⁻¹
    assert int(index[3, 5, 7]) == int(table[int(table[int(inverses[3]), 7]), int(inverses[5])])
    logits = ideal_logits(found)
    values = logits[ASKED.group.identity, ASKED.group.identity]  # f(e, e, v)
    torch.testing.assert_close(logits, values[index], atol=1e-9, rtol=0)
    assert len(every) == 24
    torch.testing.assert_close(
        leads(logits), torch.full((24, 24), found.margin, dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_the_published_test_certifies_a_wrong_answer() -> None:
    """One column of U goes down by less than the margin and another up: e < m, as it was published, but the answer is lost."""
    model = written()
    x, y = 3, 5
    ideal = certify(view_composition(model, ASKED))
    right = int(ASKED.answers[x, y])
    logits = ideal_logits(ideal)[x, y]
    rival = int(torch.where(torch.arange(24) == right, -torch.inf, logits).argmax())
    hidden = (model.folded()[0][x] + model.folded()[1][y]).relu().detach()
    with torch.no_grad():
        step = 0.75 * ideal.margin * hidden / hidden.square().sum()
        model.W_U[:, right] -= step
        model.W_U[:, rival] += step
    view = view_composition(model, ASKED)
    found = certify(view)
    assert float(leads(logits_of(view))[x, y]) < 0  # the answer is wrong
    output = model.W_U.detach() - model.W_U.detach().mean(1, keepdim=True)
    away = torch.linalg.vector_norm(output - found.network.output_map, dim=0).max()
    published = float(away) * float(hidden.norm())  # σ is as it was: only the read-out was changed
    assert published < found.margin
    assert 2 * published > found.margin
    assert float(found.errors[x, y]) > found.margin
    assert found.certified <= found.accuracy < 1


def test_output_biases_count() -> None:
    """A bias of half the margin on one wrong answer may not decide; one above the margin decides, and nothing is certified."""
    plain = written()
    margin = certify(view_composition(plain, ASKED)).margin
    cfg = PairNetworkConfig(architecture="mlp", n=24, d_embed=16, d_hidden=16, biases=True, dtype=torch.float64)
    for share, certified in ((0.2, 1.0), (1.5, 0.0)):
        model = OneLayerMLP(cfg)
        bias = torch.zeros(24, dtype=torch.float64)
        bias[4] = share * margin
        model.load_state_dict({**plain.state_dict(), "b_1": torch.zeros(16).double(), "b_U": bias})
        view = view_composition(model, ASKED)
        found = certify(view)
        assert found.certified == certified
        assert found.accuracy == pytest.approx(float((leads(logits_of(view)) > 0).double().mean()))
        assert (found.accuracy < 1) == (share > 1)


def test_networks_before_training_have_no_sets() -> None:
    found = certify(view_composition(by_hand.network("mlp", 24), ASKED))
    assert found.network.sets == ()
    assert found.network.unassigned == 9
    assert (found.certified, found.margin, found.is_vacuous) == (0, 0, True)


@pytest.mark.parametrize("kind", ["bilinear", "quadratic", "two layers", "transformer"])
def test_other_networks_are_refused(kind: str) -> None:
    with pytest.raises(
        ArgumentError, match=r"one-layer ReLU networks of pairs, ReLU\(A\[x\] \+ B\[y\]\) U; another came"
    ):
        certify(view_composition(by_hand.network(kind, 24), ASKED))


def test_other_operations_are_refused() -> None:
    quotients = problem(ASKED.group, "quotient")
    with pytest.raises(ArgumentError, match="ρ-sets are defined for products x · y; x · y⁻¹ came"):
        certify(view_composition(by_hand.network("mlp", 24), quotients))
