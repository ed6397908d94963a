"""Arrays in, Plotly figure out, with the parameters that notebooks use. Nothing here knows a model."""

from refractor.plots.attention import attention
from refractor.plots.histogram import histogram
from refractor.plots.imshow import imshow
from refractor.plots.layout import TEMPLATE
from refractor.plots.line import line
from refractor.plots.scatter import scatter

__all__ = ["TEMPLATE", "attention", "histogram", "imshow", "line", "scatter"]
