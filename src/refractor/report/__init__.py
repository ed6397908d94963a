"""Pages to look at: which algorithm a network learned, in one file that needs no network connection."""

from refractor.report.curves import Curve, Curves, read_curves
from refractor.report.page import build_report, write_report
from refractor.report.source import Source, open_source

__all__ = ["Curve", "Curves", "Source", "build_report", "open_source", "read_curves", "write_report"]
