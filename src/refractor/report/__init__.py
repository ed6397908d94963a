"""Pages to look at: which algorithm a network learned, in one file that needs no network connection."""

from refractor.report.curves import Curve, Curves, read_curves
from refractor.report.page import build_report, write_report

__all__ = ["Curve", "Curves", "build_report", "read_curves", "write_report"]
