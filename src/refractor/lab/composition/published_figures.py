"""The figures that were published with a network of the 2023 study, and why some of them come out differently."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from refractor.base.errors import StoreError
from refractor.lab.published import PublishedRun

METRICS, KEYS = "summary_metrics.json", "key_reps.txt"

CHUNKED_ROWS = 15_000  # above so many rows the study's loss adds means of eight chunks
CHUNKS = 8

FAULTS: Mapping[str, str] = {
    "A": "the study's 3-dimensional irreps of A5 are no representations: their axis has (1 + √5)/5 where (1 + √5)/4 is "
    "meant",
    "B": "for cyclic groups the study's basis of an irrep has two more columns, which are rounding noise",
    "C": f"above {CHUNKED_ROWS} rows the study adds the mean losses of {CHUNKS} chunks and does not divide",
    "D": "the study looks for parameters called weight, of which a transformer has none",
    "E": "the study's restricted loss throws the mean activation away; the column with the mean keeps it",
}
"""Why published figures differ from those of this table, by letter. E is no fault of arithmetic but of design."""

HIDDEN = ("percent_hidden_explained", "percent_hidden_xy_explained")
HIDDEN_LOSSES = ("total_hidden_excluded_loss", "total_hidden_restricted_loss")


@dataclass(frozen=True, eq=False)
class PublishedFigures:
    """What was published with a network.

    Args:
        metrics: figures by the names of the study.
        irreps: the key irreps by its names, in the order of the irreps.

    """

    metrics: Mapping[str, float] = field(repr=False)
    irreps: tuple[str, ...]


def read_published_figures(folder: str | Path) -> PublishedFigures | None:
    """Read the figures of a run folder of the study; None where none are there.

    Raises:
        StoreError: the file is damaged.

    """
    path = Path(folder) / METRICS
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text())
        names = (Path(folder) / KEYS).read_text().split() if (Path(folder) / KEYS).is_file() else []
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as figures: {error}.") from error
    if not isinstance(found, dict):
        raise StoreError(f"{path} must hold a JSON object; {type(found).__name__} came.")
    numbers = {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    return PublishedFigures(numbers, tuple(names))


def fault_of(measure: str, run: PublishedRun, rows: Mapping[str, int]) -> str | None:
    """Return the letter of the fault that touches a published figure; None where it should be right.

    Args:
        measure: the figure, by its name in the study.
        run: the network.
        rows: how many pairs there are in "all", "train" and "test".

    """
    transformer = run.architecture == "transformer"
    if measure == "sum_of_squared_weights":
        return "D" if transformer else None
    if run.group == "alternating" and not measure.endswith("_acc") and measure not in ("train_loss", "test_loss"):
        return "A"
    if run.group == "cyclic" and measure in (*HIDDEN, *HIDDEN_LOSSES):
        return "B"
    where = {"test_loss": "test", "train_loss": "train", "total_hidden_excluded_loss": "train"}.get(measure, "all")
    is_loss = measure in ("train_loss", "test_loss", "all_loss", *HIDDEN_LOSSES)
    return "C" if transformer and is_loss and rows.get(where, 0) > CHUNKED_ROWS else None
