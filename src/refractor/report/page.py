"""`write_report`: a network in, one self-contained HTML file out."""

from pathlib import Path

from refractor.lab.analysis import Analysis
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.load import Source, load_network
from refractor.lab.wings import analyse_source
from refractor.report import composition, modular
from refractor.report.curves import Curves
from refractor.report.files import write_text
from refractor.report.reading import read_curves


def write_report(source: str | Path, out: str | Path) -> Path:
    """Analyse a network and write what was found as one page, which needs no network connection.

    Args:
        source: a bundled name, also with a step (`modular-addition-113@500`); or the path of a run folder, of ours or
            of the 2023 study of group operations.
        out: the file to write; its folder is made if it is not there.
            A file that is there is replaced, at once or not at all.

    Returns:
        The path of the page.

    Raises:
        CheckpointError: there is no such name and no such folder.
        StoreError: a file of the run is damaged, or the page could not be written.
        ArgumentError: the task is neither a sum nor a composition, the snapshot does not exist, or a logit is not
            finite.

    """
    found = load_network(source)
    analysis = analyse_source(found)
    curves = None if found.run is None else read_curves(found)
    return write_text(Path(out), build_report(found, analysis, curves))


def build_report(source: Source, analysis: Analysis | CompositionAnalysis, curves: Curves | None) -> str:
    """Return the page as HTML.

    Args:
        source: the network, with the run that it belongs to.
        analysis: what was measured about it.
        curves: of the run; None where none was kept.

    Returns:
        One HTML document. Nothing in it refers to another file or address.

    """
    if isinstance(analysis, Analysis):
        return modular.build_report(source, analysis, curves)
    return composition.build_report(source, analysis, curves)
