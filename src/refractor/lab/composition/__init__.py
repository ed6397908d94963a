"""Second wing of the lab: how a network composes the elements of a finite group."""

from refractor.lab.composition.analyse import analyse_composition, analyse_composition_logits
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.problem import Problem, problem

__all__ = ["CompositionAnalysis", "Problem", "analyse_composition", "analyse_composition_logits", "problem"]
