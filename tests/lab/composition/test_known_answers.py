"""Networks that were written down give back exactly what was put in."""

from collections.abc import Sequence

import pytest
import torch

from refractor.base.errors import ArgumentError, OutOfRangeError, ShapeError, UnknownNameError
from refractor.groups import group, real_irreps
from refractor.lab import analyse, cosine_logits
from refractor.lab.composition import (
    CompositionAnalysis,
    analyse_composition,
    problem,
    rank_one_network,
    relu_clock,
    rho_network,
    rho_set_network,
    view_composition,
)
from refractor.models.pair_networks import PairNetwork
from refractor.tasks import GroupComposition

SCALE = 10.0  # of the read-out: losses are small, but not 0, which every large logit would give to any set that answers


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def measured(model: PairNetwork, name: str) -> CompositionAnalysis:
    asked = problem(group(name))
    return analyse_composition(model, GroupComposition(asked.group), asked=asked)


@pytest.mark.parametrize(
    ("name", "chosen", "width"),
    [
        ("S3", ["standard"], 400),
        ("S4", ["standard"], 1000),
        ("S4", ["s4_2d", "standard_sign"], 1600),
        ("A5", ["a5_3d_a"], 1500),
        ("Q8", ["4d_a"], 1000),
        ("D7", ["freq_2"], 2000),
    ],
)
def test_rank_one_networks(name: str, chosen: Sequence[str], width: int) -> None:
    """Irreps of real and of quaternionic type, alone and together, of 4 to 16 units for each number that is multiplied."""
    irreps = real_irreps(group(name))
    model = rank_one_network(irreps, chosen, width, drawn())
    with torch.no_grad():
        model.W.mul_(SCALE / width)
    analysis = measured(model, name)
    wanted = tuple(one for one in irreps.names if one in chosen)
    assert [rule.keys.names for rule in analysis.rules] == [wanted, wanted]
    assert analysis.verdict.claim == f"computes x · y in {name} with the irreps {{{', '.join(wanted)}}}"
    assert analysis.scores.all.accuracy > 0.99
    weights = analysis.weights
    assert weights is not None
    assert weights.neurons is not None
    assert weights.two_sided is not None
    for side in weights.neurons:
        assert side.counts == {one: width // len(chosen) for one in wanted}
        assert float(side.purity.values.min()) == pytest.approx(1, abs=1e-10)
    for shares in (weights.embeddings.first, weights.embeddings.second, weights.embeddings.unembedding):
        assert shares is not None
        assert shares.of(analysis.keys.places) == pytest.approx(1, abs=1e-10)
    assert float(weights.two_sided.values.sum()) == pytest.approx(1, abs=1e-10)
    others = [one for one in irreps.names[1:] if one not in chosen]
    assert all(abs(analysis.similarity[one]) < 1e-10 for one in others)


def test_a_rank_one_network_adds_up_to_the_character() -> None:
    """The mean of 2 U V W over a, b, c is 2 χ(x y z⁻¹): thousands of units come near it."""
    irreps = real_irreps(group("S3"))
    model = rank_one_network(irreps, ["standard"], 4_000, drawn())
    products = torch.einsum("xi,yi,iz->xyz", model.U, model.V, model.W).detach() / 4_000
    g = irreps.group
    traces = irreps["standard"].character[g.table[g.table][:, :, g.inverses]]
    assert float((products - traces).abs().max()) < 0.5
    cosine = torch.nn.functional.cosine_similarity(products.flatten(), traces.flatten(), dim=0)
    assert float(cosine) > 0.98


@pytest.mark.parametrize("name", ["S4", "S5"])
def test_rho_set_networks(name: str) -> None:
    """The vectors that a point's stabiliser fixes, 4 or 5 of them; what is read off is what was written down."""
    g = group(name)
    irrep = real_irreps(g)["standard"]
    fixing = g.elements.arrays[:, 0] == 0  # pyright: ignore[reportAttributeAccessIssue]
    vector = torch.linalg.svd(irrep.matrices[fixing].mean(0)).U[:, 0]
    direction = torch.randn(irrep.dim, dtype=torch.float64, generator=drawn(1))
    model = rho_set_network(irrep, vector, direction)
    points = irrep.dim + 1
    assert model.cfg.d_hidden == points**2
    with torch.no_grad():
        model.W_U.mul_(200)
    analysis = measured(model, name)
    assert analysis.irreps == ("standard",)
    assert analysis.verdict.claim == f"computes x · y in {name} with the irreps {{standard}}"
    found = rho_network(analysis.view)
    (one,) = found.sets
    assert (one.size, len(one.neurons), len(one.missing)) == (points, points**2, 0)
    assert (found.unassigned, found.missing) == (0, 0)
    images = irrep.matrices @ (vector / vector.norm())
    nearest = torch.cdist(one.vectors, images).amin(1)
    nearest_opposite = torch.cdist(-one.vectors, images).amin(1)
    assert min(float(nearest.max()), float(nearest_opposite.max())) < 1e-7  # the signs of b, a, c are free in pairs
    along = torch.nn.functional.cosine_similarity(one.direction, direction, dim=0)
    assert abs(float(along)) == pytest.approx(1, abs=1e-10)
    assert one.strength == pytest.approx(200 * float(direction.norm()), rel=1e-10)
    for ours, written in zip((found.first, found.second, found.output_map), (*model.folded(), model.W_U), strict=True):
        torch.testing.assert_close(ours, written.detach(), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize(("p", "frequencies"), [(13, (1, 4)), (59, (3, 11, 20)), (11, (2, 3))])
def test_relu_clocks(p: int, frequencies: tuple[int, ...]) -> None:
    analysis = measured(relu_clock(p, frequencies, scale=30.0), f"C{p}")
    wanted = tuple(f"freq_{k}" for k in frequencies)
    assert [rule.keys.names for rule in analysis.rules] == [wanted, wanted]
    assert analysis.verdict.claim == f"computes x · y in C{p} with the irreps {{{', '.join(wanted)}}}"
    assert analysis.weights is not None
    assert analysis.weights.neurons is not None
    assert analysis.weights.neurons[0].counts == dict.fromkeys(wanted, 8)


def test_an_even_modulus_has_pairs_that_a_clock_cannot_answer() -> None:
    """Where x - y = p / 2 what x and y add cancels at every odd frequency; even ones only tell the sum modulo p / 2."""
    analysis = measured(relu_clock(12, (1, 2, 5), scale=30.0), "C12")
    logits = analysis.view.read(analysis.view.hidden_table(slice(None)).reshape(144, -1)).reshape(12, 12, 12)
    for x in range(12):
        y = (x + 6) % 12
        tied = logits[x, y, [(x + y) % 12, (x + y + 6) % 12]]
        assert float(tied[0] - tied[1]) == pytest.approx(0, abs=1e-9)
    assert analysis.scores.all.accuracy <= 1 - 6 / 144
    assert analysis.verdict.claim == "no algorithm found"


def test_cosines_as_logits() -> None:
    """Amplitudes 3 : 4 give the similarities 0.6 and 0.8, in either wing."""
    logits = cosine_logits(59, {7: 30.0, 11: 40.0})
    analysis = analyse(logits, group="C59")
    assert analysis.irreps == ("freq_7", "freq_11")
    assert analysis.similarity["freq_7"] == pytest.approx(0.6, abs=1e-10)
    assert analysis.similarity["freq_11"] == pytest.approx(0.8, abs=1e-10)
    assert analysis.fit.explained == pytest.approx(1, abs=1e-10)
    assert analysis.verdict.claim == "computes x · y in C59 with the irreps {freq_7, freq_11}"
    assert analyse(logits, p=59).frequencies == (7, 11)
    differences = analyse(cosine_logits(59, {7: 30.0, 11: 40.0}, "subtraction"), group="C59", operation="quotient")
    assert differences.verdict.claim == "computes x · y⁻¹ in C59 with the irreps {freq_7, freq_11}"


def test_characters_as_logits() -> None:
    irreps = real_irreps(group("S5"))
    g = irreps.group
    index = g.table[g.table][:, :, g.inverses]
    logits = (3 * irreps["standard"].character + 2 * irreps["s5_6d"].character)[index]
    analysis = analyse(logits, group=g, irreps=irreps)
    assert analysis.irreps == ("standard", "s5_6d")
    assert analysis.similarity["standard"] == pytest.approx(3 / 13**0.5, abs=1e-10)
    assert analysis.similarity["s5_6d"] == pytest.approx(2 / 13**0.5, abs=1e-10)
    torch.testing.assert_close(
        analysis.fit.weight[[2, irreps.index("s5_6d")]], torch.tensor([3.0, 2.0], dtype=torch.float64)
    )


def test_what_cannot_be_written_down() -> None:
    irreps = real_irreps(group("S4"))
    with pytest.raises(
        UnknownNameError, match="no irrep of S4 is called 'standart'. Nearest: 'standard', 'standard_sign'"
    ):
        rank_one_network(irreps, ["standart"], 4, drawn())
    with pytest.raises(ArgumentError, match="names must have at least one irrep; none came"):
        rank_one_network(irreps, [], 4, drawn())
    with pytest.raises(ArgumentError, match="width must be an integer of at least 1; 0 came"):
        rank_one_network(irreps, ["sign"], 0, drawn())
    with pytest.raises(ArgumentError, match="vector must not be 0"):
        rho_set_network(irreps["standard"], torch.zeros(3).double(), torch.ones(3).double())
    with pytest.raises(ArgumentError, match="frequencies must have at least one; they are empty"):
        relu_clock(7, [])
    with pytest.raises((ArgumentError, OutOfRangeError), match="frequenc.* 4 came"):
        relu_clock(7, [4])
    with pytest.raises(ArgumentError, match="phases must be an integer of at least 5; 4 came"):
        relu_clock(7, [1], phases=4)
    with pytest.raises(ArgumentError, match="scale must be a finite number above 0; 0.0 came"):
        relu_clock(7, [1], scale=0.0)


def test_vectors_of_another_dimension_are_refused() -> None:
    irrep = real_irreps(group("S4"))["standard"]
    with pytest.raises(ShapeError, match=r"vector must have the dimension of standard, \[3\]; \[2\] came"):
        rho_set_network(irrep, torch.ones(2).double(), torch.ones(2).double())


def test_a_view_of_a_written_network_is_the_network() -> None:
    model = relu_clock(7, [1, 2])
    view = view_composition(model, problem(group("C7")))
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    hidden = view.hidden_table(slice(None)).reshape(49, -1)
    torch.testing.assert_close(view.read(hidden), model(pairs).detach(), atol=1e-10, rtol=0)
