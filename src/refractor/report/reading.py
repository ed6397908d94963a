"""`read_curves`: the curves of whatever run a network belongs to."""

from refractor.lab.load import Source
from refractor.lab.wings import adds_by_frequencies
from refractor.report.curves import Curves
from refractor.report.curves_of_groups import curves_of_groups
from refractor.report.curves_of_sums import curves_of_sums


def read_curves(source: Source) -> Curves:
    """Return the curves of the run a network belongs to.

    Restricted and excluded losses are read where the run kept them (curves called `measure/…`). Otherwise they are
    computed from at most 25 of its snapshots, evenly chosen, with the key frequencies or irreps of the last one.

    Raises:
        StoreError: a snapshot is damaged.
        ArgumentError: the task is neither a sum nor a composition; or it is a network of the 2023 study, of which
            no curves are there.

    """
    return curves_of_sums(source) if adds_by_frequencies(source) else curves_of_groups(source)
