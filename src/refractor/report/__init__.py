"""Pages to look at: which algorithm a network learned, in one file that needs no network connection."""

from refractor.report.curves import Curve, Curves
from refractor.report.page import build_report, write_report
from refractor.report.reading import read_curves

__all__ = ["Curve", "Curves", "build_report", "read_curves", "write_report"]
