"""`Analysis`: everything that was measured about one network, with its table, its verdict and its finding."""

import html
from dataclasses import dataclass

from refractor.lab.conditions import Verdict
from refractor.lab.frequencies import KeyFrequencies, RuleResult
from refractor.lab.logit_fit import LogitFit
from refractor.lab.mixer import FrequencyMixer
from refractor.lab.network import NetworkView
from refractor.lab.network_measures import NetworkMeasures
from refractor.lab.pairs import PairSets
from refractor.lab.rows import fit_rows, network_rows, rule_rows, score_rows, trig_rows, verdict_rows
from refractor.lab.scores import Scores
from refractor.lab.sums import SumLogits
from refractor.lab.table import MeasureTable
from refractor.lab.trig_losses import TrigLoss
from refractor.lab.verdict import finding, name_set


@dataclass(frozen=True, eq=False)
class Analysis:
    """All measures of one network.

    Args:
        p: the modulus.
        operation: "addition" or "subtraction".
        sums: the logits, grouped by sum (p³ doubles; `sums.cube()` gives them back over (a, b, c)).
        pairs: all, train and test pairs.
        scores: loss and accuracy of the network itself.
        keys: the frequency set that everything below is about, and the rule that picked it.
        rules: every rule that could be applied, with its own set and restricted loss; the first is that of `keys`.
        restricted: restricted loss, control included.
        excluded: excluded loss, control included.
        fit: the logits as a sum of cosines.
        cosine_fit: score of the pure cosines of the key frequencies.
        mixer: every subset of the key frequencies with its score.
        verdict: claim, statistic, control, what remains undistinguished.
        network: what weights and activations add; None when only logits were given.
        view: the activations behind it (large: neurons over all pairs); None when only logits were given.

    """

    p: int
    operation: str
    sums: SumLogits
    pairs: PairSets
    scores: Scores
    keys: KeyFrequencies
    rules: tuple[RuleResult, ...]
    restricted: TrigLoss
    excluded: TrigLoss
    fit: LogitFit
    cosine_fit: Scores
    mixer: FrequencyMixer
    verdict: Verdict
    network: NetworkMeasures | None = None
    view: NetworkView | None = None

    def __repr__(self) -> str:
        """Return the modulus, the frequencies and the claim, not the arrays."""
        return f"Analysis(p={self.p}, {name_set(self.frequencies, self.p)}, {self.verdict.claim!r})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.finding)}</p><p>{html.escape(self.verdict.claim)}</p>{self.table()._repr_html_()}"

    @property
    def frequencies(self) -> tuple[int, ...]:
        """The key frequencies."""
        return self.keys.frequencies

    @property
    def chance_loss(self) -> float:
        """Ln p."""
        return self.restricted.chance_loss

    @property
    def finding(self) -> str:
        """The finding and its control, in one line."""
        return finding(self.restricted, self.excluded, self.p)

    def table(self) -> MeasureTable:
        """Return every measure by name, with its value, control, unit and meaning."""
        rows = [*verdict_rows(self.verdict), *score_rows(self.scores, self.p), *rule_rows(self.rules)]
        rows += [*trig_rows(self.restricted), *trig_rows(self.excluded)]
        rows += fit_rows(self.fit, self.cosine_fit, self.frequencies)
        if self.network is not None:
            rows += network_rows(self.network)
        return MeasureTable(tuple(rows))
