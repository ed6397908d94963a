"""Gradient symmetricity, distance irrelevance and circularity by their definitions: one triple, one pair, one wave at a time."""

import math
import statistics

import composition_by_hand as by_hand
import pytest
import torch

from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups import entry_basis, group, real_irreps
from refractor.lab.composition import circularity, distance_irrelevance, gradient_symmetricity, problem
from refractor.lab.composition import geometry as geometry_module
from refractor.models.pair_networks import OneLayerMLP, PairNetwork
from refractor.models.transformer import HookedTransformer

LAW = 1e-10


def cosine_of_one_triple(model: HookedTransformer | PairNetwork, n: int, x: int, y: int, z: int) -> float:
    """The cosine of the gradients of one logit at the rows of the embedding that x and y have, x and y being different."""
    tokens = torch.tensor([[x, y, n]])
    logit = model(tokens)[0, -1, z] if isinstance(model, HookedTransformer) else model(tokens)[0, z]
    if isinstance(model, HookedTransformer):
        tables = [model.embed.W_E] * 2
    else:
        named = dict(model.named_parameters())
        tables = [named[name if name in named else "W_E"] for name in ("W_x", "W_y")]
    first, second = torch.autograd.grad(logit, tables)
    return float(torch.nn.functional.cosine_similarity(first[x], second[y], dim=0))


@pytest.mark.parametrize("kind", ["shared", "mlp", "two layers", "transformer", "attention"])
def test_gradient_symmetricity_is_a_mean_of_cosines(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry_module, "ROWS", 7)  # several passes
    asked = problem(group("S3"))
    model = by_hand.network(kind, 6)
    triples = torch.tensor([[x, y, z] for x in range(6) for y in range(6) for z in (0, 4) if x != y])
    expected = [cosine_of_one_triple(model, 6, *triple) for triple in triples.tolist()]
    assert gradient_symmetricity(model, asked, triples) == pytest.approx(sum(expected) / len(expected), abs=LAW)


def test_a_gradient_of_zero_counts_as_zero() -> None:
    model = by_hand.network("shared", 6)
    with torch.no_grad():
        model.get_parameter("W_U").zero_()
    assert gradient_symmetricity(model, problem(group("S3")), count=20) == 0


def test_triples_are_drawn_alike_each_time() -> None:
    asked, model = problem(group("S3")), by_hand.network("shared", 6)
    drawn = [gradient_symmetricity(model, asked, count=40) for _ in range(2)]
    assert drawn[0] == drawn[1]
    other = gradient_symmetricity(model, asked, count=40, generator=torch.Generator().manual_seed(9))
    assert other != drawn[0]


def test_a_network_symmetric_in_x_and_y_has_symmetric_gradients() -> None:
    """With equal halves of W, ∂L/∂E_x = ∂L/∂E_y; with opposite halves they are opposite."""
    asked, model = problem(group("S3")), by_hand.network("shared", 6)
    assert isinstance(model, OneLayerMLP)
    half = model.W[:7].detach()
    for sign in (1.0, -1.0):
        with torch.no_grad():
            model.W.copy_(torch.cat([half, sign * half]))
        alive = gradient_symmetricity(model, asked, torch.tensor([[1, 2, 0], [3, 1, 5], [2, 2, 2]]))
        assert alive == pytest.approx(sign, abs=LAW)


def test_gradients_of_other_networks_are_refused() -> None:
    asked = problem(group("S3"))
    with pytest.raises(ArgumentError, match="in transformers and MLPs of pairs; a BilinearNet came"):
        gradient_symmetricity(by_hand.network("bilinear", 6), asked)
    with pytest.raises(ArgumentError, match="count must be an integer of at least 1; 0 came"):
        gradient_symmetricity(by_hand.network("shared", 6), asked, count=0)
    with pytest.raises(ShapeError, match=r"triples must have shape \[rows, x, y, z=3\]"):
        gradient_symmetricity(by_hand.network("shared", 6), asked, torch.zeros(4, 2, dtype=torch.long))


@pytest.mark.parametrize("operation", ["product", "quotient"])
@pytest.mark.parametrize("name", ["S3", "C7", "Q8"])
def test_distance_irrelevance_is_a_ratio_of_spreads(name: str, operation: str) -> None:
    asked = problem(group(name), operation)
    n = asked.order
    right = torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    by_distance: dict[int, list[float]] = {}
    for x in range(n):
        for y in range(n):
            distance = asked.group.product(x, int(asked.group.inverses[y]))
            by_distance.setdefault(distance, []).append(float(right[x, y]))
    spreads = [statistics.pstdev(values) for values in by_distance.values()]
    expected = statistics.fmean(spreads) / statistics.pstdev(right.flatten().tolist())
    assert distance_irrelevance(right, asked) == pytest.approx(expected, abs=LAW)


def test_distance_irrelevance_of_what_is_known() -> None:
    asked = problem(group("S4"))
    distances = asked.group.table[:, asked.group.inverses].double()
    assert distance_irrelevance(distances.square(), asked) == pytest.approx(0, abs=LAW)
    by_answer = asked.group.table.double()  # every distance has every... its own mix of answers
    assert 0.5 < distance_irrelevance(by_answer, asked) <= 1
    assert math.isnan(distance_irrelevance(torch.ones(24, 24, dtype=torch.float64), asked))


def test_of_an_odd_cyclic_group_it_is_the_published_measure() -> None:
    """M[s, d] = correct logit at a + b = s, a - b = d; the mean over d of the spread over s, over the spread of all."""
    p = 7
    right = torch.randn(p, p, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    table = torch.empty(p, p, dtype=torch.float64)
    for a in range(p):
        for b in range(p):
            table[(a + b) % p, (a - b) % p] = right[a, b]
    expected = float(table.std(0, correction=0).mean() / table.std(correction=0))
    assert distance_irrelevance(right, problem(group("C7"))) == pytest.approx(expected, abs=LAW)


@pytest.mark.parametrize("name", ["S3", "C6", "Q8"])
def test_circularity_is_the_largest_share_of_the_leading_components(name: str) -> None:
    irreps = real_irreps(group(name))
    embedding = torch.randn(irreps.group.order, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    centred = embedding - embedding.mean(0)
    vectors = torch.linalg.eigh(centred @ centred.T).eigenvectors.flip(1)
    parts = [by_hand.projector(by_hand.entries(irrep)) for irrep in list(irreps)[1:]]
    shares = [max(float((part @ vector).square().sum()) for part in parts) for vector in vectors.T]
    for count in (1, 4):
        expected = sum(shares[:count]) / count
        assert circularity(embedding, entry_basis(irreps), count) == pytest.approx(expected, abs=LAW)


@pytest.mark.parametrize("p", [7, 8])
def test_circularity_of_cyclic_groups_is_the_published_measure(p: int) -> None:
    """max_k min(1, (2 / p) |Σ v_t e^{2πikt/p}|²); for an even p the last frequency has one wave, of weight 1 / p."""
    embedding = torch.randn(p, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    vectors = torch.linalg.svd(embedding - embedding.mean(0)).U[:, :4]
    power = torch.fft.fft(vectors, dim=0).abs().square()[1 : p // 2 + 1] * 2 / p
    if p % 2 == 0:
        power[-1] /= 2
    assert circularity(embedding, entry_basis(real_irreps(group(f"C{p}")))) == pytest.approx(
        float(power.amax(0).mean()), abs=LAW
    )


def test_too_many_components_are_refused() -> None:
    basis = entry_basis(real_irreps(group("S3")))
    with pytest.raises(ArgumentError, match="components must be an integer from 1 to 3; 4 came"):
        circularity(torch.ones(6, 3, dtype=torch.float64), basis)
