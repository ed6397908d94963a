"""Words that the sections about groups share."""

from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.verdict import name_irreps

FREQUENCY = "freq_"


def key_set(analysis: CompositionAnalysis) -> str:
    """Write the key irreps; none as "no irrep"."""
    return set_of(analysis.keys.names, analysis)


def set_of(names: tuple[str, ...], analysis: CompositionAnalysis) -> str:
    """Write a set of irreps; an empty one as "no irrep"."""
    return name_irreps(names, len(analysis.problem.irreps) - 1) if names else "no irrep"


def short_names(analysis: CompositionAnalysis) -> list[str]:
    """Return the names of all irreps, those of frequencies as numbers alone where all but a few are frequencies."""
    return [name.removeprefix(FREQUENCY) for name in analysis.problem.irreps.names]


def irrep_axis(analysis: CompositionAnalysis) -> str:
    """Return the title of an axis of irreps, which says what a number stands for."""
    numbered = any(name.startswith(FREQUENCY) for name in analysis.problem.irreps.names)
    return "irrep; a number is its frequency" if numbered else "irrep"
