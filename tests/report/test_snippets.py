"""The lines beside the figures: short, run by themselves without a network connection, and true to what is drawn."""

import math
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import Page, decoded, page_of, run_snippet

from refractor.report.snippets import MOST_LINES

FIVE_DIGITS = 5.1e-5  # 1.00005 becomes 1.0000 or 1.0001; and float32 on the way


@pytest.fixture(scope="module")
def small_page(small_run: Path) -> Page:
    return page_of(small_run)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        self.close()
        raise AssertionError("a snippet asked for a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_every_snippet_is_short_and_runs(small_page: Page) -> None:
    for snippet in small_page.snippets:
        assert len(snippet.splitlines()) <= MOST_LINES
        assert len(run_snippet(snippet)) > 3


def test_a_snippet_that_does_not_run_is_noticed(small_page: Page) -> None:
    with pytest.raises(AttributeError):
        run_snippet(small_page.snippets[0].replace("analysis.network.circles", "analysis.network.squares"))


def test_a_snippet_that_asks_for_a_connection_is_noticed(offline: None) -> None:
    with pytest.raises(AssertionError, match="network connection"):
        run_snippet("import socket\nsocket.create_connection(('127.0.0.1', 9))")


def test_snippets_give_the_data_that_is_drawn(small_page: Page, offline: None) -> None:
    check_data(small_page, p=11, heads=2)


def test_snippets_of_the_bundled_network_give_the_data_that_is_drawn(bundled_path: Path, offline: None) -> None:
    check_data(Page(bundled_path.read_text(encoding="utf-8")), p=113, heads=4)


def test_data_that_is_not_the_snippets_is_noticed(small_page: Page) -> None:
    norm = str(small_page.data["spectra-norms-0"]["values"][0])
    assert norm in small_page.source
    with pytest.raises(AssertionError):
        check_data(Page(small_page.source.replace(norm, str(1.001 * float(norm)))), p=11, heads=2)


def check_data(page: Page, p: int, heads: int) -> None:
    """Hold every number that is drawn against what the snippets, each in a namespace of its own, leave behind."""
    names: dict[str, Any] = {}
    for snippet in page.snippets:
        names |= run_snippet(snippet)
    data = page.data
    check_circles(data, names, p)
    for place, spectrum in enumerate(names["spectra"]):
        same(data[f"spectra-norms-{place}"]["values"], spectrum.frequencies.values)
    for head in range(heads):
        same_map(data[f"attention-heads-{head}"], names["attention"].values[0, head, 0])
    check_neurons(data, names, p)
    check_logits(data, names, p)
    check_curves(data, names)
    for place, chosen in enumerate(names["sets"].values()):
        assert data[f"rules-statistics-{place}"]["strong"] == [str(k) for k in chosen]


def same(drawn: list[float], truth: Any) -> None:
    torch.testing.assert_close(
        torch.tensor(drawn).double(), torch.as_tensor(truth).double(), rtol=FIVE_DIGITS, atol=1e-12
    )


def same_map(panel: dict[str, Any], truth: torch.Tensor) -> None:
    heat = panel["data"]
    assert (decoded(heat) - truth).abs().max() <= heat["scale"] / 2 * (1 + 1e-6)


def check_circles(data: dict[str, Any], names: dict[str, Any], p: int) -> None:
    panels = [panel for name, panel in data.items() if name.startswith("circles-tokens")]
    assert panels
    for panel in panels:
        k = int(panel["title"].removeprefix("k = "))
        series = panel["series"][0]
        order = [int(label) for label in series["labels"]]
        assert order == sorted(range(p), key=lambda x: k * x % p)
        same(series["x"], names["circles"][k].values[order, 0])
        same(series["y"], names["circles"][k].values[order, 1])


def check_neurons(data: dict[str, Any], names: dict[str, Any], p: int) -> None:
    truth, drawn = names["neurons"], data["neurons-frequencies-0"]["series"]
    labels = [label for series in drawn for label in series["labels"]]
    shares = dict(zip(labels, [y for series in drawn for y in series["y"]], strict=True))
    frequencies = dict(zip(labels, [x for series in drawn for x in series["x"]], strict=True))
    alive = [i for i, k in enumerate(truth.frequency.values.tolist()) if k]
    assert set(labels) == {f"neuron {i}" for i in alive}
    same([shares[f"neuron {i}"] for i in alive], truth.share.values[alive])
    same([frequencies[f"neuron {i}"] for i in alive], truth.frequency.values[alive])
    maps = [panel for name, panel in data.items() if name.startswith("neurons-pairs")]
    assert maps
    for panel in maps:
        index = int(panel["title"].split()[1].rstrip(":"))
        same_map(panel, names["activations"][:, index].reshape(p, p))


def check_logits(data: dict[str, Any], names: dict[str, Any], p: int) -> None:
    profile = data["logits-cosines-0"]
    distances = [int(d) % p for d in profile["series"][0]["x"]]
    assert sorted(distances) == list(range(p))
    same(profile["series"][0]["y"], names["profile"].values[distances])
    same(profile["series"][1]["y"], names["fitted"][distances])
    mixer = data["logits-mixer-0"]
    same(mixer["coefficients"], names["alpha"].values)
    assert len(mixer["rows"]) == 2 ** len(mixer["frequencies"])
    for mask, (accuracy, loss) in enumerate(mixer["rows"]):
        subset = tuple(k for bit, k in enumerate(mixer["frequencies"]) if mask >> bit & 1)
        same([accuracy, loss], [names["scores"][subset].all.accuracy, names["scores"][subset].all.loss])


def check_curves(data: dict[str, Any], names: dict[str, Any]) -> None:
    drawn = [line for name, panel in data.items() if name.startswith("training-curves") for line in panel["series"]]
    assert {line["role"] for line in drawn} == set(names["series"])
    for line in drawn:
        whole = names["series"][line["role"]]
        values = dict(zip(whole.steps, whole.values, strict=True))
        assert [line["x"][0], line["x"][-1]] == [whole.steps[0], whole.steps[-1]]
        assert len(line["x"]) == min(len(whole.steps), 400)
        same(line["y"], [values[int(step)] for step in line["x"]])
        assert all(math.isfinite(y) for y in line["y"])
