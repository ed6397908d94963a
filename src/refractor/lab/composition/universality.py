"""The table of the study of universality: a row for each network, and means for each group and architecture."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from refractor.base.errors import ArgumentError
from refractor.lab.composition.analyse import analyse_composition
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.problem import Problem, problem
from refractor.lab.composition.progress import learned_irreps, similarities
from refractor.lab.composition.published_figures import PublishedFigures, fault_of, read_published_figures
from refractor.lab.load import Source
from refractor.lab.pairs import SETS

WITH_MEAN = "total_hidden_restricted_loss_with_mean"
MEASURES = (
    "test_loss",
    "total_hidden_excluded_loss",
    "total_hidden_restricted_loss",
    WITH_MEAN,
    "percent_logits_explained",
    "percent_x_embed_explained",
    "percent_y_embed_explained",
    "percent_unembed_explained",
    "percent_hidden_explained",
    "percent_hidden_xy_explained",
    "sum_of_squared_weights",
)
"""The columns, by the names of the study's files; all but the restricted loss with the mean are in them."""

ARCHITECTURES = {"HookedTransformer": "T", "OneLayerMLP": "MLP"}
"""How the study calls its networks; others go by their class."""

VISIBLE_LOSS, VISIBLE_SHARE = 1e-3, 5e-5
"""Differences that printed digits show: of losses and sums relative to them, of shares in themselves."""

MOST_SNAPSHOTS = 25


@dataclass(frozen=True, eq=False)
class StudyRow:
    """One network.

    Args:
        name: what it was asked for by.
        group: the group's name.
        architecture: "MLP", "T" for a transformer, or the class of another network of pairs.
        seed: of its weights; None where it is not known.
        irreps: the key irreps by the study's rule.
        order: "learning" where snapshots say when each was learned, else "similarity": the largest first.
        values: by the names of `MEASURES`; None where a measure is not defined.
        published: the figures published with the network, by the same names; None where there are none.
        reasons: for each measure whose published figure differs visibly, the letter of the fault (see `FAULTS`); ""
            where none is known.

    """

    name: str
    group: str
    architecture: str
    seed: int | None
    irreps: tuple[str, ...]
    order: str
    values: Mapping[str, float | None]
    published: PublishedFigures | None = field(default=None, repr=False)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def published_value(self, measure: str) -> float | None:
        """Return the published figure of a measure, None where there is none."""
        return None if self.published is None else self.published.metrics.get(measure)


@dataclass(frozen=True, eq=False)
class StudyMean:
    """The means over the networks of one group and architecture.

    Args:
        group: the group's name.
        architecture: the architecture.
        count: how many networks.
        values: mean of each measure; None where it is not defined for all of them.
        published: mean of the published figures; None where one of the networks has none.
        reasons: letters of the faults that touch the published mean.

    """

    group: str
    architecture: str
    count: int
    values: Mapping[str, float | None]
    published: Mapping[str, float | None]
    reasons: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class StudyTable:
    """The rows in the order in which the networks came, and the means, by group and architecture."""

    rows: tuple[StudyRow, ...]
    means: tuple[StudyMean, ...]


def study_table(sources: Iterable[Source]) -> StudyTable:
    """Measure networks, one after the other, and average.

    Args:
        sources: networks that `load_network` found.

    Raises:
        ArgumentError: there is none, or one does not compose elements of a group.

    """
    return study_table_of([study_row(source) for source in sources])


def study_table_of(rows: Sequence[StudyRow]) -> StudyTable:
    """Average networks that were measured, by group and architecture.

    Raises:
        ArgumentError: there is none.

    """
    if not rows:
        raise ArgumentError("a table needs at least one network; none came.")
    kinds = dict.fromkeys((row.group, row.architecture) for row in rows)
    means = (_mean([row for row in rows if (row.group, row.architecture) == kind]) for kind in kinds)
    return StudyTable(tuple(rows), tuple(means))


def study_row(source: Source) -> StudyRow:
    """Measure one network: the columns of the study's table, and the published figures beside them.

    Args:
        source: the network.

    Raises:
        ArgumentError: it does not compose elements of a group.
        StoreError: its published figures are damaged.

    """
    model, task = source.composition()
    asked = problem(task.group, task.operation)
    analysis = analyse_composition(model, task, source.split, asked=asked, controls=0)
    values = study_values(analysis)
    irreps, order = _ordered(source, analysis, asked)
    published = None if source.published is None else read_published_figures(source.name)
    seed = source.published.seed if source.published is not None else source.our_run().model_config.seed
    kind = ARCHITECTURES.get(type(model).__name__, type(model).__name__)
    row = StudyRow(source.name, task.group.name, kind, seed, irreps, order, values, published)
    return replace(row, reasons=_reasons(row, source, analysis))


def study_values(analysis: CompositionAnalysis) -> dict[str, float | None]:
    """Return the columns of the study's table for one network."""
    table = {row.name: row.value for row in analysis.table()}
    values: dict[str, float | None] = {}
    for name in MEASURES:
        value = table.get(name)
        values[name] = float(value) if isinstance(value, float | int) else None
    return values


def differs(measure: str, value: float, published: float) -> bool:
    """Whether a published figure differs from ours by more than printed digits hide."""
    if measure.startswith("percent"):
        return abs(value - published) > VISIBLE_SHARE
    return abs(value - published) > VISIBLE_LOSS * abs(value)


def _reasons(row: StudyRow, source: Source, analysis: CompositionAnalysis) -> dict[str, str]:
    if source.published is None or row.published is None:
        return {}
    counts = {name: analysis.pairs.count(name) for name in SETS}
    reasons = {}
    for name, value in row.values.items():
        other = row.published_value(name)
        if value is not None and other is not None and differs(name, value, other):
            reasons[name] = fault_of(name, source.published, counts) or ""
    return reasons


def _ordered(source: Source, analysis: CompositionAnalysis, asked: Problem) -> tuple[tuple[str, ...], str]:
    """Return the key irreps as they were learned, where snapshots tell, else by similarity."""
    keys = analysis.study.keys.names
    by_similarity = sorted(keys, key=lambda name: -analysis.similarity[name])
    if source.run is None or len(source.run.steps) < 2:
        return tuple(by_similarity), "similarity"
    steps = _some(source.run.steps)
    curves: dict[str, list[float]] = {}
    for step in steps:
        model, _ = replace(source, step=step).composition()
        for name, value in similarities(model, asked).items():
            curves.setdefault(f"similarity.{name}", []).append(value)
    learned = list(learned_irreps(steps, curves))
    first = [name for name in learned if name in keys]
    return (*first, *(name for name in by_similarity if name not in first)), "learning"


def _some(steps: tuple[int, ...]) -> tuple[int, ...]:
    """Return at most 25 steps, evenly spaced in their order."""
    count = min(len(steps), MOST_SNAPSHOTS)
    return tuple(dict.fromkeys(steps[round(i * (len(steps) - 1) / max(1, count - 1))] for i in range(count)))


def _mean(rows: list[StudyRow]) -> StudyMean:
    names = list(rows[0].values)
    values = {name: _average([row.values[name] for row in rows]) for name in names}
    published = {name: _average([row.published_value(name) for row in rows]) for name in names}
    reasons: dict[str, str] = {}
    for name in names:
        ours, theirs = values[name], published[name]
        if ours is not None and theirs is not None and differs(name, ours, theirs):
            reasons[name] = "".join(sorted({row.reasons.get(name, "") for row in rows}))
    return StudyMean(rows[0].group, rows[0].architecture, len(rows), values, published, reasons)


def _average(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
