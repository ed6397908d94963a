"""Which wing of the lab a network belongs to: sums modulo p by their frequencies, or groups by their irreps."""

from refractor.lab.analyse import analyse_network
from refractor.lab.analysis import Analysis
from refractor.lab.composition.analyse import analyse_composition
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.load import Source
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularArithmetic


def adds_by_frequencies(source: Source) -> bool:
    """Whether a network is a transformer that calculates modulo p, the subject of the first wing."""
    return isinstance(source.task, ModularArithmetic) and isinstance(source.model, HookedTransformer)


def analyse_source(source: Source) -> Analysis | CompositionAnalysis:
    """Measure a network with the measures that are made for it.

    A transformer that calculates modulo p is measured by its frequencies; everything else by the irreps of its group,
    which for sums modulo p is C_p.

    Args:
        source: what `load_network` found.

    Returns:
        An `Analysis` or a `CompositionAnalysis`: both have `finding`, `verdict` and `table()`.

    Raises:
        ArgumentError: the task is of neither kind, or a logit is not finite.

    >>> from refractor.lab.load import load_network
    >>> analyse_source(load_network("modular-addition-113/step-0")).verdict.claim
    'no algorithm found'

    """
    if adds_by_frequencies(source):
        return analyse_network(*source.modular(), source.split)
    return analyse_composition(*source.composition(), source.split)
