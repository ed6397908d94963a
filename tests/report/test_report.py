"""Reports: what stands on the page, that everything on it is escaped, and that odd networks get a page too."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import ODD, Page, decoded, drawn_numbers, run_snippet, trained

from refractor.base.errors import ArgumentError, CheckpointError, RefractorError, StoreError
from refractor.lab import analyse_network, load_network
from refractor.models.bundle import bundled_folder, bundled_names
from refractor.report import build_report, read_curves, write_report
from refractor.report.encode import LEVELS, plain, quantise
from refractor.report.modular import build_sections
from refractor.report.sections.mixer import kept_operands
from refractor.report.snippets import MOST_LINES
from refractor.tasks import ModularAddition, ModularMultiplication

SECTIONS = ["circles", "spectra", "attention", "neurons", "logits", "training", "rules", "provenance"]


FIVE_DIGITS = 5.1e-5  # 1.00005 becomes 1.0000 or 1.0001; and float32 on the way


def page_of(source: str | Path) -> Page:
    found = load_network(source)
    analysis = analyse_network(*found.modular(), found.split)
    return Page(build_report(found, analysis, read_curves(found)))


@pytest.fixture(scope="module")
def small_page(small_run: Path) -> Page:
    return page_of(small_run)


# The page as a whole


def test_the_first_line_is_the_finding(small_run: Path, small_page: Page) -> None:
    source = load_network(small_run)
    finding = analyse_network(*source.modular(), source.split).finding
    written = [text for tag, text in small_page.texts if tag not in {"title", "style", "script"}]
    assert written[0] == finding
    assert small_page.of("h1") == [finding]


def test_the_sections_come_in_their_order(small_page: Page) -> None:
    found = [attributes["id"] for tag, attributes in small_page.elements if tag == "section"]
    assert found == ["verdict", *SECTIONS, "measures"]
    assert sorted(set(small_page.ids)) == sorted(small_page.ids), "an id stands twice"


def test_every_link_within_the_page_leads_somewhere(small_page: Page) -> None:
    links = [attributes["href"] or "" for tag, attributes in small_page.elements if tag == "a"]
    assert links
    for link in links:
        assert link.startswith("#")
        assert link[1:] in small_page.ids


def test_the_verdict_says_everything(small_run: Path, small_page: Page) -> None:
    source = load_network(small_run)
    verdict = analyse_network(*source.modular(), source.split).verdict
    for sentence in (verdict.claim, verdict.statistic, verdict.control, verdict.undistinguished, *verdict.notes):
        assert sentence in small_page.words
    for condition in verdict.conditions:
        assert condition.sentence in small_page.words
        assert f"{condition.name}: {'holds' if condition.passed else 'fails'}." in small_page.words


def test_every_figure_says_what_to_see_and_what_it_does_not_show(small_page: Page) -> None:
    figures = sum(tag == "figure" for tag, _ in small_page.elements)
    assert figures >= 8
    assert small_page.of("b").count("What to see.") == figures
    assert small_page.of("b").count("What it does not show.") == figures
    assert len(small_page.snippets) == figures


def test_the_page_refers_to_nothing_outside_itself(small_page: Page) -> None:
    for tag, attributes in small_page.elements:
        assert tag not in {"link", "img", "iframe", "object", "base"}
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes), "no script within an attribute"
    policy = [a["content"] for tag, a in small_page.elements if tag == "meta" and "http-equiv" in a]
    assert policy
    assert policy[0] is not None
    assert policy[0].startswith("default-src 'none'")
    outside = small_page.source.replace("http://www.w3.org/2000/svg", "")  # a name of a language, not an address
    assert "http" not in outside.replace("http-equiv", "")


def test_every_panel_has_data_and_a_place(small_page: Page) -> None:
    places = [a["id"] for _, a in small_page.elements if a.get("class") == "drawing"]
    assert sorted(filter(None, places)) == sorted(small_page.data)
    for panel in small_page.data.values():
        assert panel["title"]
        assert panel["summary"]


# Snippets


def test_every_snippet_is_short_and_runs(small_page: Page) -> None:
    for snippet in small_page.snippets:
        assert len(snippet.splitlines()) <= MOST_LINES
        assert len(run_snippet(snippet)) > 3


def test_a_snippet_that_does_not_run_is_noticed(small_page: Page) -> None:
    with pytest.raises(AttributeError):
        run_snippet(small_page.snippets[0].replace("analysis.network.circles", "analysis.network.squares"))


def test_snippets_give_the_data_that_is_drawn(small_page: Page) -> None:
    names: dict[str, Any] = {}
    for snippet in small_page.snippets:
        names |= run_snippet(snippet)
    data = small_page.data

    def same(drawn: list[float], truth: Any) -> None:
        torch.testing.assert_close(
            torch.tensor(drawn).double(), torch.as_tensor(truth).double(), rtol=FIVE_DIGITS, atol=1e-12
        )

    for place, (k, circle) in enumerate(names["circles"].items()):
        series = data[f"circles-tokens-{place}"]["series"][0]
        order = [int(label) for label in series["labels"]]
        assert order == sorted(range(11), key=lambda x: k * x % 11)
        same(series["x"], circle.values[order, 0])
        same(series["y"], circle.values[order, 1])
    for place, spectrum in enumerate(names["spectra"]):
        same(data[f"spectra-norms-{place}"]["values"], spectrum.frequencies.values)
    for head in range(2):
        heat = data[f"attention-heads-{head}"]["data"]
        assert (decoded(heat) - names["attention"].values[0, head, 0]).abs().max() <= heat["scale"] / 2 * (1 + 1e-6)
    drawn = data["neurons-frequencies-0"]["series"]
    labels = [label for series in drawn for label in series["labels"]]
    shares = dict(zip(labels, [y for series in drawn for y in series["y"]], strict=True))
    truth = names["neurons"]
    alive = [i for i, k in enumerate(truth.frequency.values.tolist()) if k]
    same([shares[f"neuron {i}"] for i in alive], truth.share.values[alive])
    index = int(data["neurons-pairs-0"]["title"].split()[1].rstrip(":"))
    heat = data["neurons-pairs-0"]["data"]
    assert (decoded(heat).flatten() - names["activations"][:, index]).abs().max() <= heat["scale"] / 2 * (1 + 1e-6)
    profile = data["logits-cosines-0"]
    distances = [int(d) % 11 for d in profile["series"][0]["x"]]
    same(profile["series"][0]["y"], names["profile"].values[distances])
    same(profile["series"][1]["y"], names["fitted"][distances])
    mixer = data["logits-mixer-0"]
    same(mixer["coefficients"], names["alpha"].values)
    for mask, (accuracy, loss) in enumerate(mixer["rows"]):
        subset = tuple(k for bit, k in enumerate(mixer["frequencies"]) if mask >> bit & 1)
        same([accuracy, loss], [names["scores"][subset].all.accuracy, names["scores"][subset].all.loss])
    for series in data["training-curves-0"]["series"]:
        same(series["x"], names["series"][series["role"]].steps)
        same(series["y"], names["series"][series["role"]].values)
    for place, chosen in enumerate(names["sets"].values()):
        assert data[f"rules-statistics-{place}"]["strong"] == [str(k) for k in chosen]


# The mixer


def test_the_mixer_carries_the_network_s_logits(small_run: Path, small_page: Page) -> None:
    source = load_network(small_run)
    mixer = small_page.data["logits-mixer-0"]
    with torch.no_grad():
        truth = source.model.double()(source.task.tokens())[:, -1].reshape(11, 11, 11)
    centred = truth - truth.mean(-1, keepdim=True)
    error = (decoded(mixer["logits"]) - centred[:, mixer["bs"]]).abs().max()
    assert float(error) <= mixer["logits"]["scale"] / 2 * (1 + 1e-6)
    assert f"± {plain(float(mixer['logits']['scale']) / 2):.4g}" in small_page.words


@given(p=st.integers(2, 2000))
@settings(max_examples=50)
def test_the_mixer_stays_small_for_any_modulus(p: int) -> None:
    bs = kept_operands(p)
    assert bs[0] == 0
    assert sorted(set(bs)) == bs
    assert bs[-1] < p
    assert len(bs) == p or len(bs) * p * p <= 2_000_000 or len(bs) == 1


# Curves


def test_recorded_measures_are_read_and_others_computed(small_run: Path) -> None:
    source = load_network(small_run)
    computed = read_curves(source)
    steps = torch.tensor([0, 10, 20, 30])
    kept = {
        "measure_step": steps,
        "measure/restricted_loss.test": torch.tensor([3.0, 2.0, math.nan, 1.0]),
        "measure/excluded_loss.train": torch.tensor([8.0, 1.0, 4.0, 9.0]),
        "measure/gini.W_E": torch.zeros(4),
    }
    recorded = read_curves(replace(source, run=replace(source.our_run(), curves=source.our_run().curves | kept)))
    assert recorded.series["restricted_loss.test"].steps == (0, 10, 30), "what is not finite is left out"
    assert recorded.series["excluded_loss.train"].values == (8.0, 1.0, 4.0, 9.0)
    assert "gini.W_E" not in recorded.series
    assert recorded.phases is not None
    assert recorded.phases[0].end == 10
    assert "recorded" in recorded.origin
    assert recorded.keys == computed.keys
    said = replace(
        source.our_run(), curves=source.our_run().curves | kept, provenance={"frequencies_of_measures": [2, 5]}
    )
    assert read_curves(replace(source, run=said)).keys == (2, 5)
    assert "computed from 7 of its 7 snapshots" in computed.origin
    analysis = analyse_network(*source.modular(), source.split)
    assert analysis.restricted.scores.test is not None
    last = computed.series["restricted_loss.test"].values[-1]
    assert last == pytest.approx(analysis.restricted.scores.test.loss, rel=1e-5)  # float32 against float64
    assert computed.keys == analysis.frequencies


# Bytes


@given(
    values=st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=40),
    centred=st.booleans(),
)
def test_a_quantised_number_is_off_by_half_a_step_at_most(values: list[float], centred: bool) -> None:
    truth = torch.tensor(values, dtype=torch.float64)
    quantised = quantise(truth, centred=centred)
    rounding = 1e-12 * float(truth.abs().max())
    assert float((decoded(quantised) - truth).abs().max()) <= quantised.precision * (1 + 1e-9) + rounding
    assert quantised.precision <= float(truth.abs().max()) / LEVELS + rounding


def test_numbers_that_are_none_are_left_out() -> None:
    assert plain(math.inf) is None
    assert plain(math.nan) is None
    assert plain(None) is None


# Odd networks


def test_odd_networks_get_a_page_without_gaps(odd_run: Path) -> None:
    page = page_of(odd_run)
    assert [a["id"] for tag, a in page.elements if tag == "section"] == ["verdict", *SECTIONS, "measures"]
    for identifier, panel in page.data.items():
        for numbers in drawn_numbers(panel):
            assert numbers, f"{identifier} is empty"
            assert any(number is not None for number in numbers), f"{identifier} shows nothing"
    assert "nan" not in page.words.lower().split()
    assert "inf" not in page.words.lower().split()
    for snippet in page.snippets:
        assert len(snippet.splitlines()) <= MOST_LINES
        run_snippet(snippet)


def test_a_section_without_a_figure_says_why(odd_run: Path) -> None:
    source = load_network(odd_run)
    analysis = analyse_network(*source.modular(), source.split)
    for section in build_sections(source, analysis, read_curves(source)):
        assert section.figures or section.absent or section.id == "provenance"
        assert all(figure.panels for figure in section.figures)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("attention only", "This network has no MLP, so there are no neurons."),
        ("attention only", "Rules b and c need neurons; this network has no MLP."),
        ("no test pairs", "Missing: loss, test, every pair is trained on."),
        ("zeros", "No frequency is key, so there is no circle to draw."),
        ("zeros", "All neurons are dead: none changes with (a, b)."),
        ("no curves", "Missing: loss, train, the run did not keep it."),
        (
            "permuted answers",
            "This network was trained on permuted answers, a control. It is judged by the right ones.",
        ),
        ("untrained", "Verdict: no algorithm found"),
    ],
)
def test_what_is_absent_is_said(kind: str, sentence: str, tmp_path: Path) -> None:
    assert sentence in page_of(ODD[kind](tmp_path / "run")).words


# Escaping


def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>&\"'"
    folder = tmp_path / "a 'quoted' <b>&amp; name"
    trained(folder, ModularAddition(5), model_name=evil)
    plain_page = page_of(trained(tmp_path / "plain", ModularAddition(5)))
    found = load_network(folder)
    run = replace(found.our_run(), provenance={"<b>key</b>": evil, "nested": {evil: [evil, 1]}})
    analysis = analyse_network(*found.modular(), found.split)
    page = Page(build_report(replace(found, run=run), analysis, read_curves(found)))
    assert [tag for tag, _ in page.elements].count("script") == [tag for tag, _ in plain_page.elements].count("script")
    assert not any(tag in {"img", "b>key<"} for tag, _ in page.elements)
    assert evil in page.words
    assert "<b>key</b>" in page.words
    for snippet in page.snippets:
        run_snippet(snippet)  # a folder's name with quotes is still a Python string


def test_the_check_for_escaping_can_fail() -> None:
    page = Page("<html><body><p>name</p><script>alert(1)</script></body></html>")
    assert [tag for tag, _ in page.elements].count("script") == 1


# Files


def test_the_page_is_written_whole_into_a_new_folder(small_run: Path, tmp_path: Path, small_page: Page) -> None:
    out = tmp_path / "new" / "page.html"
    assert write_report(small_run, out) == out
    assert out.read_text(encoding="utf-8") == small_page.source
    assert list(out.parent.iterdir()) == [out]


def test_the_same_network_gives_the_same_page(small_run: Path, small_page: Page) -> None:
    assert page_of(small_run).source == small_page.source


def test_a_page_that_cannot_be_written_leaves_nothing(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="could not be written"):
        write_report(small_run, tmp_path / "file" / "page.html")
    (tmp_path / "page.html").mkdir()
    with pytest.raises(StoreError, match="could not be written"):
        write_report(small_run, tmp_path / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "page.html"]


def test_unknown_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a bundled network nor a folder.*modular-addition-113"):
        load_network("modular-adition-113")
    with pytest.raises(CheckpointError, match="folder without run.json"):
        load_network(tmp_path)


def test_a_damaged_run_is_refused(small_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder)
    last = sorted((folder / "snapshots").glob("*.safetensors"))[-1]
    last.write_bytes(last.read_bytes()[:-8])
    with pytest.raises(RefractorError):
        write_report(folder, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_task_that_is_no_sum_is_refused(tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", ModularMultiplication(5))
    with pytest.raises(ArgumentError, match="multiplication"):
        write_report(folder, tmp_path / "page.html")


# The bundled network


def bundled_or_skip(name: str) -> str:
    if not bundled_folder(name).exists():
        pytest.skip(f"{name} is not in this checkout")
    return name


def test_the_bundled_network_has_every_section(tmp_path: Path) -> None:
    name = bundled_or_skip("modular-addition-113")
    out = write_report(name, tmp_path / "page.html")
    page = Page(out.read_text(encoding="utf-8"))
    assert out.stat().st_size <= 6_000_000
    assert "Verdict: computes a + b mod 113" in page.words
    assert "not reached" not in page.words
    drawn = {series["role"] for series in page.data["training-curves-0"]["series"]}
    assert drawn >= {"loss.train", "loss.test", "restricted_loss.test", "excluded_loss.train", "sum_of_squared_weights"}
    assert {mark["label"] for mark in page.data["training-curves-0"]["marks"]} == {
        "memorisation ends",
        "circuit formation ends",
        "clean-up ends",
        "ln p",
    }


@pytest.mark.parametrize("name", [name for name in bundled_names() if name.startswith("modular-addition-113/")])
def test_the_bundled_controls_have_no_algorithm(name: str) -> None:
    assert "Verdict: no algorithm found" in page_of(bundled_or_skip(name)).words
