"""The curves of a run that learns to compose elements of a group: restricted and excluded losses of its key irreps."""

from refractor.lab.load import Source
from refractor.report.curves import Curves, Series, curves_of, kept_measures

NAMES = {
    "rep_restricted_loss_with_mean.test": "restricted_loss.test",
    "rep_restricted_loss_with_mean.all": "restricted_loss.all",
    "rep_excluded_loss.train": "excluded_loss.train",
}
"""How the measures of groups are called where those of sums and of groups share a page's names."""


def curves_of_groups(source: Source) -> Curves:
    """Return the curves of the run a network belongs to; see `read_curves`."""
    run = source.our_run()
    kept = kept_measures(run)
    measured: Series = {NAMES[name]: kept[name] for name in NAMES if name in kept}
    said = run.provenance.get("irreps_of_measures")
    irreps = tuple(map(str, said)) if isinstance(said, list) else ()
    origin = "Restricted and excluded losses were recorded with the run."
    return curves_of(run, measured, irreps, origin)
