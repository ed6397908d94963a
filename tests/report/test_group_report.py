"""Reports on networks that compose elements of groups: what stands on the page, and that odd networks get one too."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from group_pages import ODD_GROUPS, composed
from pages import Page, decoded, drawn_numbers, run_snippet

from refractor.base.errors import ArgumentError, RefractorError
from refractor.groups import conjugacy_classes, group, left_cosets, right_cosets, subgroup
from refractor.lab import load_network
from refractor.lab.composition import CompositionAnalysis
from refractor.lab.wings import analyse_source
from refractor.models.bundle import bundled_folder, bundled_names
from refractor.report import build_report, read_curves, write_report
from refractor.report.composition import build_sections
from refractor.report.sections.composition.arrangement import by_class, by_coset
from refractor.report.sections.composition.words import short_names
from refractor.report.snippets import MOST_LINES
from refractor.tasks import GroupComposition

SHARED = Path(__file__).parents[3] / "shared" / "data" / "group_runs"
SECTIONS = [
    "table",
    "irreps",
    "weights",
    "hidden",
    "neurons",
    "circuits",
    "training",
    "rules",
    "provenance",
]
FIVE_DIGITS = 5.1e-5


def analysis_of(source: str | Path) -> CompositionAnalysis:
    found = analyse_source(load_network(source))
    assert isinstance(found, CompositionAnalysis)
    return found


def page_of(source: str | Path) -> Page:
    found = load_network(source)
    return Page(build_report(found, analyse_source(found), None if found.run is None else read_curves(found)))


@pytest.fixture(scope="module")
def s3_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return composed(tmp_path_factory.mktemp("s3") / "run", GroupComposition("S3"), steps=60)


@pytest.fixture(scope="module")
def s3_page(s3_run: Path) -> Page:
    return page_of(s3_run)


def published(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"the published run {name} is not at {SHARED}")
    return SHARED / name


def bundled_or_skip(name: str) -> str:
    if not bundled_folder(name).exists():
        pytest.skip(f"{name} is not in this checkout")
    return name


# The page as a whole


def test_finding_verdict_and_sections_come_in_their_order(s3_run: Path, s3_page: Page) -> None:
    analysis = analysis_of(s3_run)
    assert s3_page.of("h1") == [analysis.finding]
    assert [a["id"] for tag, a in s3_page.elements if tag == "section"] == ["verdict", *SECTIONS, "measures"]
    assert sorted(set(s3_page.ids)) == sorted(s3_page.ids), "an id stands twice"
    verdict = analysis.verdict
    for sentence in (verdict.claim, verdict.statistic, verdict.control, verdict.undistinguished, *verdict.notes):
        assert sentence in s3_page.words
    assert "x · y in S3, one answer for each of 6² pairs (x, y)" in s3_page.words
    for row in analysis.table():
        assert row.name in s3_page.words


def test_every_figure_says_what_to_see_and_what_it_does_not_show(s3_page: Page) -> None:
    figures = sum(tag == "figure" for tag, _ in s3_page.elements)
    assert figures >= 9
    assert s3_page.of("b").count("What to see.") == figures
    assert s3_page.of("b").count("What it does not show.") == figures
    assert len(s3_page.snippets) == figures
    outside = s3_page.source.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in outside.replace("http-equiv", "")


def test_the_same_network_gives_the_same_page(s3_run: Path, s3_page: Page) -> None:
    assert page_of(s3_run).source == s3_page.source


def test_snippets_give_the_data_that_is_drawn(s3_page: Page) -> None:
    names: dict[str, Any] = {}
    for snippet in s3_page.snippets:
        assert len(snippet.splitlines()) <= MOST_LINES
        names |= run_snippet(snippet)
    data = s3_page.data

    def same(drawn: list[float], truth: Any) -> None:
        torch.testing.assert_close(
            torch.tensor(drawn).double(), torch.as_tensor(truth).double(), rtol=FIVE_DIGITS, atol=1e-12
        )

    analysis = names["analysis"]
    order = by_class(analysis.problem.group).elements
    classes = conjugacy_classes(group("S3"))
    drawn = decoded(data["table-answers-0"]["data"]).round().long()
    assert torch.equal(drawn, classes.index[names["answers"][order][:, order]])
    assert data["table-answers-0"]["rows"] == [group("S3").labels[i] for i in order.tolist()]
    same(data["irreps-logits-0"]["values"], names["similarity"][1:])
    blocks = data["hidden-blocks-0"]["data"]
    assert (decoded(blocks) - names["shares"].values).abs().max() <= blocks["scale"] / 2 * (1 + 1e-6)
    embedding = analysis.weights.embeddings.first
    same(data["irreps-shares-0"]["values"], embedding.values)
    same(data["irreps-shares-0"]["beside"], embedding.null)
    counts = [names["by_x"].counts.get(name, 0) for name in analysis.problem.irreps.names[1:]]
    assert data["neurons-irreps-0"]["values"] == counts
    same(data["rules-single-1"]["values"], [names["removed"][r].unseen.loss for r in analysis.problem.irreps.names[1:]])
    for series in data["training-curves-0"]["series"]:
        same(series["x"], names["series"][series["role"]].steps)
        same(series["y"], names["series"][series["role"]].values)


def test_neurons_are_drawn_as_they_are_sorted() -> None:
    name = bundled_or_skip("composition-S4")
    analysis = analysis_of(name)
    cosets = analysis.weights.cosets if analysis.weights else None
    assert cosets is not None
    panels = [panel for place, panel in page_of(name).data.items() if place.startswith("neurons-pairs")]
    assert any("right cosets" in panel["note"] for panel in panels)
    for panel in panels:
        neuron = int(panel["title"].split()[1].rstrip(":"))
        h, k = int(cosets.first[neuron]), int(cosets.second[neuron])
        order = by_class(analysis.problem.group)
        rows, columns = order.elements, order.elements
        if min(h, k) >= 0:
            rows = right_cosets(cosets.subgroups[h]).argsort(stable=True)
            columns = left_cosets(cosets.subgroups[k]).argsort(stable=True)
        table = analysis.view.hidden_table(slice(neuron, neuron + 1))[..., 0]
        error = (decoded(panel["data"]) - table[rows][:, columns]).abs().max()
        assert float(error) <= panel["data"]["scale"] / 2 * (1 + 1e-6)


# The order of the elements


def test_elements_of_one_class_or_coset_stand_together() -> None:
    s4 = group("S4")
    order = by_class(s4)
    sizes = conjugacy_classes(s4).sizes.tolist()
    assert [band.end - band.start for band in order.bands] == sizes
    assert order.bands[1].label == "(2 3) ×6"
    assert sorted(order.elements.tolist()) == list(range(24))
    half = subgroup(s4, [3, 7])
    left = by_coset(half, left=True)
    assert [(band.start, band.end, band.label) for band in left.bands] == [(0, 12, "H"), (12, 24, "(2 3) H")]
    assert by_coset(half, left=False, letters="yK").bands[1].label == "K (2 3)"
    assert by_class(group("C7")).bands == []
    assert by_class(group("C7")).elements.tolist() == list(range(7))


def test_large_groups_are_thinned_out() -> None:
    order = by_class(group("C600"))
    assert order.elements.tolist() == list(range(0, 600, 3))
    assert len(order.names) == 200


# Odd networks

NONE_FOUND = "Verdict: no algorithm found"
SAID = {
    "attention only": (
        "This network has no MLP, so there are no neurons.",
        "This network has no MLP, so there is no hidden layer.",
    ),
    "memorised": (NONE_FOUND,),
    "modulo 5": ("C5 has no subgroup between the trivial one and itself", "x · y in C5"),
    "no curves": ("Missing: loss, train, the run did not keep it.",),
    "no test pairs": ("Missing: loss, test, every pair is trained on.",),
    "permuted answers": (
        NONE_FOUND,
        "This network was trained on permuted answers, a control. It is judged by the right ones.",
    ),
    "transformer": ("No certificate from ρ-sets:",),
    "untrained": (NONE_FOUND,),
    "zeros": (NONE_FOUND, "All neurons are dead: none changes with x."),
}


QUICK = {"attention only", "C5, bilinear", "D4, quotient", "modulo 5", "no curves", "permuted answers", "zeros"}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in sorted(ODD_GROUPS)]
)
def test_odd_networks_get_a_page_without_gaps(kind: str, tmp_path: Path) -> None:
    folder = ODD_GROUPS[kind](tmp_path / "run")
    source = load_network(folder)
    analysis = analysis_of(folder)
    curves = read_curves(source)
    for section in build_sections(source, analysis, curves):
        assert section.figures or section.absent or section.tables
        assert all(figure.panels for figure in section.figures)
    page = Page(build_report(source, analysis, curves))
    for identifier, panel in page.data.items():
        for numbers in drawn_numbers(panel):
            assert numbers, f"{identifier} is empty"
            assert any(number is not None for number in numbers), f"{identifier} shows nothing"
        if panel["kind"] == "heat":
            rows, columns = panel["data"]["shape"]
            assert len(panel["rows"]) == rows
            assert len(panel["columns"]) == columns
            for bands, length in ((panel["row_bands"], rows), (panel["column_bands"], columns)):
                assert not bands or (bands[0]["start"] == 0 and bands[-1]["end"] == length)
    words = page.words.lower().split()
    assert "nan" not in words
    assert "inf" not in words
    for snippet in page.snippets:
        run_snippet(snippet)
    for sentence in SAID.get(kind, ()):
        assert sentence in page.words


def test_tasks_without_measures_are_refused(tmp_path: Path) -> None:
    folder = composed(tmp_path / "run", GroupComposition("S3", "commutator"))
    with pytest.raises(ArgumentError, match="commutator"):
        write_report(folder, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>&\"'"
    folder = composed(tmp_path / "a 'quoted' <b>&amp; name", GroupComposition("S3"), model_name=evil)
    plain = page_of(composed(tmp_path / "plain", GroupComposition("S3")))
    found = load_network(folder)
    found = replace(found, run=replace(found.our_run(), provenance={"<b>key</b>": evil}))
    page = Page(build_report(found, analysis_of(folder), read_curves(found)))
    assert [tag for tag, _ in page.elements].count("script") == [tag for tag, _ in plain.elements].count("script")
    assert not any(tag == "img" for tag, _ in page.elements)
    assert evil in page.words
    for snippet in page.snippets:
        run_snippet(snippet)


def test_frequencies_are_numbers_on_an_axis(tmp_path: Path) -> None:
    analysis = analysis_of(composed(tmp_path / "run", GroupComposition("D5")))
    assert short_names(analysis) == ["trivial", "sign", "1", "2"]


# Curves


def test_curves_of_a_run_are_read_or_computed(s3_run: Path) -> None:
    source = load_network(s3_run)
    computed = read_curves(source)
    analysis = analysis_of(s3_run)
    assert computed.keys == analysis.keys.names
    assert computed.keys
    assert "computed from 10 of its 10 snapshots" in computed.origin
    steps = torch.tensor([0, 60])
    kept = {
        "measure_step": steps,
        "measure/restricted_loss.test": torch.tensor([3.0, 1.0]),
        "measure/similarity.sign": torch.tensor([0.0, 0.5]),
    }
    run = replace(source.our_run(), curves=source.our_run().curves | kept, provenance={"irreps_of_measures": ["sign"]})
    recorded = read_curves(replace(source, run=run))
    assert recorded.keys == ("sign",)
    assert recorded.series["restricted_loss.test"].values == (3.0, 1.0)
    assert recorded.similarity["sign"].values == (0.0, 0.5)
    assert recorded.learned == {"sign": 60}
    assert "recorded" in recorded.origin


# Networks that were published, and bundled ones


def test_a_published_network_has_a_small_page_and_says_what_it_lacks(tmp_path: Path) -> None:
    out = write_report(published("S5_MLP_seed2"), tmp_path / "page.html")
    page = Page(out.read_text(encoding="utf-8"))
    assert out.stat().st_size < 3_000_000
    assert "Verdict: computes x · y in S5 with the irreps {sign, standard}" in page.words
    assert "No curve can be drawn" in page.words
    assert "of order 24" in page.source
    cosets = page.data["circuits-cosets-0"]
    assert dict(zip(cosets["labels"], cosets["values"], strict=True)) == {"60": 7, "24": 108, "12": 11, "none": 2}


@pytest.mark.slow
def test_the_page_of_a_large_group_stays_small(tmp_path: Path) -> None:
    out = write_report(published("S6_MLP_seed1"), tmp_path / "page.html")
    assert out.stat().st_size < 4_000_000


@pytest.mark.parametrize("name", [name for name in bundled_names() if name.startswith("composition-") and "/" in name])
def test_bundled_controls_have_no_algorithm(name: str) -> None:
    assert "Verdict: no algorithm found" in page_of(bundled_or_skip(name)).words


def test_a_published_folder_without_weights_is_named(tmp_path: Path) -> None:
    folder = published("A5_MLP_seed1")
    shutil.copy(folder / "cfg.json", tmp_path / "cfg.json")
    with pytest.raises(RefractorError, match=r"has cfg.json but no model.pt"):
        write_report(tmp_path, tmp_path / "page.html")
    assert json.loads((tmp_path / "cfg.json").read_text())["group"] == "AlternatingGroup"
