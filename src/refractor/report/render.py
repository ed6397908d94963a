"""From what stands on a page to one HTML document."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from refractor.lab.conditions import Verdict
from refractor.report.figures import Section, Table

STYLES = ("page.css", "figures.css")
SCRIPTS = (
    "scale.js",
    "svg.js",
    "axes.js",
    "lines.js",
    "dots.js",
    "bars.js",
    "bands.js",
    "heat.js",
    "mixer.js",
    "page.js",
)


@dataclass(frozen=True)
class Content:
    """What stands on a page.

    Args:
        name: what the network is called.
        finding: the first line.
        about: a sentence on what was looked at.
        warnings: what a reader must know before anything else.
        verdict: claim, statistic, control, what remains undistinguished.
        sections: the parts of the page in their order.
        measures: every measure by name.

    """

    name: str
    finding: str
    about: str
    warnings: tuple[str, ...]
    verdict: Verdict
    sections: tuple[Section, ...]
    measures: Table


def render(content: Content) -> str:
    """Return a page as HTML. Nothing in it refers to another file or address."""
    return (
        environment()
        .get_template("page.html")
        .render(
            content=content,
            verdict=content.verdict,
            sections=content.sections,
            data={panel_id: panel for section in content.sections for panel_id, panel in _drawings(section).items()},
            styles=[asset(style) for style in STYLES],
            scripts=[asset(script) for script in SCRIPTS],
        )
    )


def _drawings(section: Section) -> dict[str, object]:
    """Return the data of every panel by its id in the page."""
    return {
        f"{figure.id}-{place}": panel.to_dict()
        for figure in section.figures
        for place, panel in enumerate(figure.panels)
    }


@cache
def environment() -> Environment:
    """Return what fills the templates; everything that is put into them is escaped."""
    made = Environment(
        loader=PackageLoader("refractor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    return made


def asset(name: str) -> Markup:
    """Return one of our own style sheets or scripts, which need no escaping."""
    return Markup(files("refractor.report").joinpath("assets", name).read_text(encoding="utf-8"))  # noqa: S704  our own
