"""Pages about networks in memory: the same figures as of a run, no curves, and words for what is not known."""

from pathlib import Path

import pytest
from pages import Page, page_of, run_snippet

from refractor.base.errors import ArgumentError
from refractor.lab import read_published_run
from refractor.report import LiveNetwork, open_source, write_report
from refractor.tasks import ModularAddition

SHARED = Path(__file__).parents[2].parent / "shared"
PUBLISHED = SHARED / "data" / "group_runs" / "C113_T_seed1"


def test_a_network_in_memory_is_drawn_as_it_would_be_from_its_run(small_run: Path) -> None:
    run = open_source(small_run)
    live = LiveNetwork(run.model, run.task, run.split, "mine")
    from_run, from_memory = page_of(small_run), page_of(live)
    assert from_memory.of("h1") == from_run.of("h1")
    curves = {"training-curves-0", "training-curves-1"}
    assert curves <= set(from_run.data)
    assert from_memory.data == {name: panel for name, panel in from_run.data.items() if name not in curves}
    assert "mine, given in memory: a + b mod 11" in from_memory.words


def test_what_is_not_known_of_a_network_in_memory_is_said(small_run: Path) -> None:
    run = open_source(small_run)
    page = page_of(LiveNetwork(run.model, run.task))
    assert "A network in memory has no curves." in page.words
    assert "Nothing is known about where it comes from and how it was trained." in page.words
    assert "train pairs" not in page.of("td"), "no split was given"
    assert "train pairs" in page_of(LiveNetwork(run.model, run.task, run.split)).of("td")


@pytest.mark.parametrize("with_split", [True, False])
def test_its_snippets_run_on_what_the_page_was_made_of(small_run: Path, with_split: bool) -> None:
    run = open_source(small_run)
    given = {"model": run.model, "task": run.task} | ({"split": run.split} if with_split else {})
    page = page_of(LiveNetwork(**given))
    finding = page.of("h1")[0]
    assert len(page.snippets) >= 8
    for snippet in page.snippets:
        assert len(snippet.splitlines()) <= 5
        space = run_snippet(snippet, **given)
        assert space["analysis"].finding == finding
    with pytest.raises(NameError):
        run_snippet(page.snippets[0])


def test_its_name_is_escaped(small_run: Path) -> None:
    run = open_source(small_run)
    evil = "</title><script>alert(1)</script>"
    page = page_of(LiveNetwork(run.model, run.task, run.split, evil))
    ordinary = page_of(LiveNetwork(run.model, run.task, run.split, "mine"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in ordinary.elements]
    assert any(evil in text for text in page.of("p"))


@pytest.mark.usefixtures("untyped")
def test_a_bare_model_is_told_what_to_do(small_run: Path, tmp_path: Path) -> None:
    model = open_source(small_run).model
    with pytest.raises(ArgumentError, match=r"source must be a name or a path; HookedTransformer came.*LiveNetwork\("):
        write_report(model, tmp_path / "page.html")  # pyright: ignore[reportArgumentType]  that is the mistake


def test_a_network_that_does_not_fit_its_task_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError):
        write_report(LiveNetwork(open_source(small_run).model, ModularAddition(13)), tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_a_published_network_names_its_published_frequencies(tmp_path: Path) -> None:
    if not PUBLISHED.exists():
        pytest.skip(f"{PUBLISHED} is not there: published networks are not part of the project")
    run = read_published_run(PUBLISHED)
    live = LiveNetwork(run.transformer(), ModularAddition(run.parameter), run.split(run.parameter), run.name)
    page = Page(write_report(live, tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.of("h1")[0].startswith(
        "Keeping only frequencies {16, 30, 56} and the mean: accuracy 1.000, loss 5.57e-08"
    )
    assert "Verdict: computes a + b mod 113 with the frequencies {16, 30, 56}" in page.words
    assert "These cosines explain 96.85% of the variance" in page.words
    assert "495 of 512 neurons are above the cut of 0.85" in page.words
