"""The page in a real browser: everything is drawn, nothing complains, nothing is asked of a network, the mixer mixes."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from refractor.report import write_report
from refractor.tasks import GroupComposition, ModularAddition

playwright = pytest.importorskip("playwright.sync_api", reason="the playwright package is not installed")
pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

from group_pages import ODD_GROUPS, composed  # noqa: E402  after the skips
from pages import trained  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

WIDTHS = (1280, 375)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about a small network that has learned its pairs."""
    folder = tmp_path_factory.mktemp("browser")
    return write_report(trained(folder / "run", ModularAddition(11), steps=200), folder / "page.html")


@pytest.fixture(scope="session")
def group_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about a small network of a group."""
    folder = tmp_path_factory.mktemp("browser-group")
    return write_report(composed(folder / "run", GroupComposition("S4"), steps=200), folder / "page.html")


@dataclass
class Visit:
    """An open page, with all that it said and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def visit(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Visit:
    """Open a file."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    seen = Visit(page)
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.readyState === 'complete'")
    return seen


def check_quiet(seen: Visit, path: Path) -> None:
    """No error, no warning, and no request but for the file itself."""
    assert seen.complaints == []
    assert seen.requests == [path.as_uri()]


def check_drawn(page: Page) -> None:
    """Every place for a drawing holds one, of some size, in which something is drawn, and no number went wrong."""
    places = page.locator(".drawing[id]")
    assert places.count() > 0
    for place in places.all():
        drawing = place.locator("svg[role=img], canvas")
        assert drawing.count() >= 1, f"{place.get_attribute('id')} is empty"
        box = drawing.first.bounding_box()
        assert box is not None, f"{place.get_attribute('id')} is hidden"
        assert box["width"] >= 150, f"{place.get_attribute('id')} is too narrow"
        assert box["height"] >= 100, f"{place.get_attribute('id')} is too low"
        markup = place.inner_html()
        for wrong in ("NaN", "Infinity", "undefined", "null"):
            assert wrong not in markup, f"{place.get_attribute('id')} says {wrong}"
        assert place.locator(".line[d^=M], .dot, .bar, canvas").count(), f"{place.get_attribute('id')} shows nothing"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_section_is_seen_and_drawn(browser: Browser, small_page: Path, width: int, scheme: str) -> None:
    seen = visit(browser, small_page, width, scheme)
    sections = seen.page.locator("main > section")
    assert sections.count() == 10
    for section in sections.all():
        section.scroll_into_view_if_needed()
        expect(section.locator("h2")).to_be_visible()
        box = section.bounding_box()
        assert box is not None
        assert box["height"] > 60
    check_drawn(seen.page)
    check_quiet(seen, small_page)
    seen.page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(browser: Browser, small_page: Path, width: int) -> None:
    seen = visit(browser, small_page, width)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    seen.page.close()


def test_odd_networks_are_drawn_too(browser: Browser, odd_run: Path, tmp_path: Path) -> None:
    path = write_report(odd_run, tmp_path / "page.html")
    seen = visit(browser, path)
    check_drawn(seen.page)
    check_quiet(seen, path)
    seen.page.close()


# Pages about groups


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_about_a_group_is_drawn_within_its_width(
    browser: Browser, group_page: Path, width: int, scheme: str
) -> None:
    seen = visit(browser, group_page, width, scheme)
    assert seen.page.locator("main > section").count() == 11
    check_drawn(seen.page)
    check_quiet(seen, group_page)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    seen.page.close()


@pytest.mark.parametrize("kind", ["attention only", "C2", "modulo 5", "transformer", "zeros"])
def test_odd_networks_of_groups_are_drawn_too(browser: Browser, kind: str, tmp_path: Path) -> None:
    path = write_report(ODD_GROUPS[kind](tmp_path / "run"), tmp_path / "page.html")
    seen = visit(browser, path)
    check_drawn(seen.page)
    check_quiet(seen, path)
    seen.page.close()


def test_pointing_at_a_map_reads_elements_and_kinds(browser: Browser, group_page: Path) -> None:
    seen = visit(browser, group_page)
    drawing = seen.page.locator("#table-answers-0")
    drawing.locator("canvas").hover(position={"x": 1, "y": 1})
    assert "x (3), y (3): class of (3)" in drawing.locator(".readout").inner_text()
    names = drawing.locator(".framed svg text").all_text_contents()
    assert "(2 3) ×6" in names
    assert drawing.locator(".framed svg .cut").count() == 8
    seen.page.close()


def test_names_of_bands_do_not_overlap(browser: Browser, tmp_path: Path) -> None:
    path = write_report(composed(tmp_path / "run", GroupComposition("C61"), steps=0), tmp_path / "page.html")
    seen = visit(browser, path, 375)
    names = seen.page.locator("#hidden-blocks-0 .framed svg text:not([transform])").all()
    boxes = [box for name in names if (box := name.bounding_box()) is not None]
    assert 10 < len(boxes) < 31, "there are 31 irreps, and no room for so many names"
    for upper, lower in pairwise(sorted(boxes, key=lambda box: box["y"])):
        assert lower["y"] >= upper["y"] + 9
    seen.page.close()


def test_bars_have_a_tick_for_what_chance_gives(browser: Browser, group_page: Path) -> None:
    seen = visit(browser, group_page)
    drawing = seen.page.locator("#irreps-shares-0")
    assert drawing.locator("svg[role=img] .beside").count() == 5
    assert "share of its dimensions" in drawing.locator(".legend").inner_text()
    seen.page.close()


def test_the_checks_see_a_broken_page(browser: Browser, small_page: Path, tmp_path: Path) -> None:
    text = small_page.read_text(encoding="utf-8")
    path = tmp_path / "broken.html"
    path.write_text(
        text.replace('"kind":"heat"', '"kind":"heap"').replace("default-src 'none'; ", ""), encoding="utf-8"
    )
    seen = visit(browser, path)
    assert any("is not a function" in complaint for complaint in seen.complaints)
    with pytest.raises(AssertionError):
        check_drawn(seen.page)
    with pytest.raises(AssertionError):
        check_quiet(seen, path)
    seen.page.close()
    path.write_text(text.replace("</body>", "<img src='missing.png'></body>"), encoding="utf-8")
    seen = visit(browser, path)
    assert seen.complaints, "the page's own policy forbids what lies outside"
    seen.page.close()


# The mixer


def curve(page: Page, name: str) -> str | None:
    return page.locator(f"#logits-mixer-0 path.line.{name}").first.get_attribute("d")


def test_switching_a_frequency_changes_drawing_and_numbers(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    page, numbers = seen.page, seen.page.locator("#logits-mixer-0 .score")
    boxes = page.locator("#logits-mixer-0 input[type=checkbox]")
    assert boxes.count() >= 1
    own, before, said = curve(page, "s0"), curve(page, "s1"), numbers.inner_text()
    boxes.first.focus()
    page.keyboard.press("Space")
    assert curve(page, "s1") != before
    assert curve(page, "s0") == own, "the network's own logits do not depend on what is on"
    assert numbers.inner_text() != said
    page.keyboard.press("Space")
    assert curve(page, "s1") == before
    assert numbers.inner_text() == said
    check_quiet(seen, small_page)
    page.close()


def test_with_everything_off_the_sum_is_flat_and_the_score_that_of_the_mean(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    page = seen.page
    for box in page.locator("#logits-mixer-0 input[type=checkbox]").all():
        box.uncheck()
    heights = {float(step.split(" ")[1]) for step in (curve(page, "s1") or "").replace("L", "M").split("M")[1:]}
    assert len(heights) == 1
    assert "Keeping no frequency and the mean" in page.locator("#logits-mixer-0 .score").inner_text()
    page.close()


def test_the_operands_are_picked_by_keyboard(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    page = seen.page
    slider, own = page.get_by_label("a ="), curve(page, "s0")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "a = 3"
    assert curve(page, "s0") != own
    b = page.locator("#mixer-b").evaluate("element => element.nextSibling ?? element.value")
    assert f"right answer {3 + int(b)}" in page.locator("#logits-mixer-0").inner_text()
    page.close()


def test_the_sum_is_the_one_the_lab_fits(browser: Browser, small_page: Path) -> None:
    import torch

    from refractor.lab import analyse_network, load_network

    source = load_network(small_page.parent / "run")
    analysis = analyse_network(*source.modular(), source.split)
    seen = visit(browser, small_page)
    panel = "JSON.parse(document.getElementById('data').textContent)['logits-mixer-0']"
    on = "on: panel.frequencies.map(() => true)"
    drawn = seen.page.evaluate(
        f"(() => {{ const panel = {panel}; return Refractor.waves(panel, {{ a: 4, b: 9, {on} }}) }})()"
    )
    assert drawn["answer"] == 2
    distance = (torch.arange(11) - 2) % 11
    truth = analysis.fit.curve(analysis.mixer.frequencies)[distance]
    torch.testing.assert_close(torch.tensor(drawn["sum"], dtype=torch.float64), truth, rtol=1e-3, atol=1e-3)
    seen.page.close()


# Reading and copying


def test_every_control_has_a_name(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    for control in seen.page.locator("input, button, svg[role=img], canvas, [tabindex]").all():
        named = control.evaluate(
            "e => (e.labels && e.labels.length && e.labels[0].textContent.trim()) || e.getAttribute('aria-label') || e.textContent.trim()"
        )
        assert named, control.evaluate("e => e.outerHTML.slice(0, 200)")
    seen.page.close()


def test_snippets_open_and_copy(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    snippet = seen.page.locator("details.snippet").first
    snippet.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    expect(snippet.locator("code")).to_be_visible()
    snippet.locator("button").click()
    expect(snippet.locator("button")).to_have_text("Copied")
    assert seen.page.evaluate("getSelection().toString()") == snippet.locator("code").inner_text()
    check_quiet(seen, small_page)
    seen.page.close()


def test_pointing_reads_values(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    for identifier, words in (("attention-heads-0", "a 5, b 5: "), ("training-curves-0", "loss, train ")):
        drawing = seen.page.locator(f"#{identifier}").locator("svg[role=img], canvas").first
        drawing.hover()
        assert words in seen.page.locator(f"#{identifier} .readout").inner_text()
    seen.page.close()


def test_a_change_of_colours_redraws_the_maps(browser: Browser, small_page: Path) -> None:
    seen = visit(browser, small_page)
    seen.page.emulate_media(color_scheme="dark")
    seen.page.wait_for_timeout(100)
    check_drawn(seen.page)
    check_quiet(seen, small_page)
    seen.page.close()
