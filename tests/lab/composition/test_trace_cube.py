"""Traces beside logits: as the notebook of 2022 printed them, with its centring by name, and as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from refractor.base.errors import ArgumentError, ShapeError, UnknownNameError
from refractor.groups import group, natural, real_irreps
from refractor.lab import load_network
from refractor.lab.composition import compare_traces, cut_embeddings, trace_cube
from refractor.models.pair_networks import OneLayerMLP

LAW = 1e-10


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["S3", "A4"])
def test_the_cube_is_the_trace_of_products(name: str) -> None:
    """tr(ρ(x) ρ(y) ρ(z⁻¹)) triple by triple; the natural representation counts fixed points of x y z⁻¹."""
    g = group(name)
    rho = natural(g)
    cube = trace_cube(rho)
    for x in range(g.order):
        for y in range(g.order):
            for z in range(g.order):
                product = rho.matrices[x] @ rho.matrices[y] @ rho.matrices[int(g.inverses[z])]
                assert float(cube[x, y, z]) == pytest.approx(float(product.trace()), abs=LAW)


@pytest.mark.parametrize("centring", ["outputs", "notebook"])
def test_comparisons_by_hand(centring: str) -> None:
    g = group("S3")
    rho, logits = natural(g), drawn(6, 6, 6)
    traces = trace_cube(rho)

    def centred(cube: torch.Tensor) -> torch.Tensor:
        if centring == "outputs":
            return torch.stack([torch.stack([row - row.mean() for row in plane]) for plane in cube])
        means = torch.tensor([[float(cube[y, z].mean()) for z in range(6)] for y in range(6)], dtype=torch.float64)
        return torch.stack([plane - means for plane in cube])  # the mean of (y, z) off (x, y, z), for every x

    own, ideal = centred(logits), centred(traces)
    cosines, softmaxes, along, whole = [], [], torch.zeros(6), torch.zeros(6)
    for x in range(6):
        for y in range(6):
            a, b = own[x, y], ideal[x, y]
            cosines.append(float(a @ b / (a.norm() * b.norm())))
            p, q = a.softmax(0), b.softmax(0)
            softmaxes.append(float(p @ q / (p.norm() * q.norm())))
            along = along + (b * (a @ b) / (b @ b)).square()
            whole = whole + a.square()
    found = compare_traces(logits, rho, centring)
    assert found.centring == centring
    assert found.cosine == pytest.approx(sum(cosines) / 36, abs=LAW)
    assert found.softmax_cosine == pytest.approx(sum(softmaxes) / 36, abs=LAW)
    assert found.explained == pytest.approx(float((along / whole).mean()), abs=LAW)


def test_outputs_are_centred_unless_asked_otherwise() -> None:
    rho = natural(group("S3"))
    traces = trace_cube(rho)
    exact = compare_traces(2 * traces + drawn(6, 6, 1), rho)
    assert exact.centring == "outputs"
    assert (exact.cosine, exact.explained) == (pytest.approx(1, abs=LAW), pytest.approx(1, abs=LAW))
    assert compare_traces(2 * traces + drawn(6, 6, 1), rho, "notebook").cosine < 0.999
    assert compare_traces(traces.reshape(36, 6), rho) == compare_traces(traces, rho)


@pytest.fixture(scope="module")
def notebook(published_folder: Callable[[str], Path]) -> OneLayerMLP:
    model, _ = load_network(published_folder("S4_notebook")).composition()
    assert isinstance(model, OneLayerMLP)
    return model


PAIRS = torch.cartesian_prod(torch.arange(24), torch.arange(24))


def loss(model: OneLayerMLP) -> float:
    answers = group("S4", "sympy-coset-rank").table.flatten()
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(model(PAIRS).double(), answers))


def test_what_the_notebook_printed(notebook: OneLayerMLP) -> None:
    """0.5828865, 0.9396134 and 0.3483386 come from a mean that lost its axis; with the mean over outputs the fit is closer."""
    with torch.no_grad():
        logits = notebook(PAIRS)
    rho = natural(group("S4", "sympy-coset-rank"))
    printed = compare_traces(logits, rho, "notebook")
    assert printed.cosine == pytest.approx(0.5828865, abs=1e-6)
    assert printed.softmax_cosine == pytest.approx(0.9396134, abs=1e-6)
    assert printed.explained == pytest.approx(0.3483386, abs=1e-6)
    right = compare_traces(logits, rho)
    assert right.cosine == pytest.approx(
        compare_traces(logits, real_irreps(rho.group)["standard"].representation).cosine
    )
    assert abs(right.cosine - printed.cosine) > 1e-3


def test_nine_singular_values_are_enough(notebook: OneLayerMLP) -> None:
    """Loss 1.8915e-4, with the nine largest singular values of both embeddings 1.8686e-4; with eight it is lost."""
    values = torch.linalg.svdvals(notebook.W_E_a.detach())
    assert [round(float(value), 4) for value in values[:4]] == [6.2584, 6.2100, 6.1579, 4.6228]
    assert [round(float(value), 4) for value in values[[8, 9]]] == [3.9995, 0.3696]
    assert loss(notebook) == pytest.approx(1.8915e-4, rel=2e-4)
    cut = cut_embeddings(notebook, 9)
    assert isinstance(cut, OneLayerMLP)
    assert loss(cut) == pytest.approx(1.8686e-4, rel=1e-4)
    fewer = cut_embeddings(notebook, 8)
    assert isinstance(fewer, OneLayerMLP)
    assert loss(fewer) > 1e-3


def test_what_cannot_be_compared() -> None:
    rho = natural(group("S3"))
    with pytest.raises(UnknownNameError, match="no centring is called 'output'. Nearest: 'outputs'"):
        compare_traces(drawn(6, 6, 6), rho, "output")
    with pytest.raises(ShapeError, match=r"logits must have shape \[x=6, y=6, z=6\].* \[6, 6, 7\] came"):
        compare_traces(drawn(6, 6, 7), rho)
    with pytest.raises(ArgumentError, match="5"):
        natural(group("C5"))
