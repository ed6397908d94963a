"""`CompositionAnalysis`: everything that was measured about a network that composes group elements."""

import html
from dataclasses import dataclass, field

from refractor.lab.composition.keys import IrrepSet
from refractor.lab.composition.means import ClassMeans
from refractor.lab.composition.parts import CharacterFit
from refractor.lab.composition.problem import Problem
from refractor.lab.composition.rep_losses import RepLosses
from refractor.lab.composition.rows import analysis_rows
from refractor.lab.composition.study_losses import StudyLosses
from refractor.lab.composition.verdict import finding
from refractor.lab.composition.view import CompositionView
from refractor.lab.composition.weights import WeightMeasures
from refractor.lab.conditions import Verdict
from refractor.lab.pairs import PairSets
from refractor.lab.scores import Scores
from refractor.lab.table import MeasureTable


@dataclass(frozen=True, eq=False)
class RuleScores:
    """A rule for key irreps, with the loss of only its set and the mean."""

    keys: IrrepSet
    restricted: Scores


@dataclass(frozen=True, eq=False)
class CompositionAnalysis:
    """All measures of one network.

    Args:
        problem: group, irreps and right answers.
        pairs: all, train and test pairs.
        view: the network, pair by pair.
        means: its class means.
        fit: the logits along the characters of all irreps.
        keys: the irreps that everything below is about, and the rule that picked them.
        rules: every rule that could be applied, with its own set and restricted loss; the first is that of `keys`.
        losses: restricted and excluded losses, with their controls.
        study: the losses as the study of 2023 defines them.
        weights: what weights and neurons add; None when only logits were given.
        verdict: claim, statistic, control, what remains undistinguished.

    """

    problem: Problem
    pairs: PairSets
    view: CompositionView = field(repr=False)
    means: ClassMeans = field(repr=False)
    fit: CharacterFit
    keys: IrrepSet
    rules: tuple[RuleScores, ...]
    losses: RepLosses
    study: StudyLosses
    weights: WeightMeasures | None
    verdict: Verdict

    def __repr__(self) -> str:
        """Return the group, the irreps and the claim, not the arrays."""
        return f"CompositionAnalysis({self.problem.group.name}, {self.keys!r}, {self.verdict.claim!r})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.finding)}</p><p>{html.escape(self.verdict.claim)}</p>{self.table()._repr_html_()}"

    @property
    def irreps(self) -> tuple[str, ...]:
        """The names of the key irreps."""
        return self.keys.names

    @property
    def scores(self) -> Scores:
        """Loss and accuracy of the network itself."""
        return self.losses.network

    @property
    def similarity(self) -> dict[str, float]:
        """The similarity of the logits with the character of each irrep, by name."""
        return dict(zip(self.problem.irreps.names, self.fit.similarity.tolist(), strict=True))

    @property
    def finding(self) -> str:
        """The finding and its control, in one line."""
        return finding(self.losses, self.problem)

    def table(self) -> MeasureTable:
        """Return every measure by name, with its value, control, unit and meaning."""
        return MeasureTable(tuple(analysis_rows(self)))
