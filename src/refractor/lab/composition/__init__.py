"""Second wing of the lab: how a network composes the elements of a finite group.

`analyse_composition(model, task, split)` measures a network, `analyse_composition_logits(logits, group)` anybody's
logits, `analyse_composition_snapshots(...)` a run. The parts are plain functions.
"""

from refractor.lab.composition.analyse import analyse_composition, analyse_composition_logits
from refractor.lab.composition.analysis import CompositionAnalysis, RuleScores
from refractor.lab.composition.analytic import rank_one_network, relu_clock, rho_set_network
from refractor.lab.composition.certificate import Certificate, certify
from refractor.lab.composition.cosets import NeuronCosets, coset_concentration, neuron_cosets
from refractor.lab.composition.geometry import circularity, distance_irrelevance, gradient_symmetricity
from refractor.lab.composition.keys import IrrepSet, irrep_set, key_irreps_by_embedding, key_irreps_by_similarity
from refractor.lab.composition.low_rank import cut_embeddings
from refractor.lab.composition.neurons import NeuronIrreps, neuron_irreps
from refractor.lab.composition.problem import Problem, problem
from refractor.lab.composition.progress import (
    CompositionProgress,
    analyse_composition_snapshots,
    measure_composition_progress,
)
from refractor.lab.composition.rep_losses import RepLoss, RepLosses
from refractor.lab.composition.rho_sets import RhoNetwork, RhoSet, rho_network
from refractor.lab.composition.shares import HiddenShares, Shares, TwoSidedShares, matrix_shares
from refractor.lab.composition.trace_cube import TraceComparison, compare_traces, trace_cube
from refractor.lab.composition.view import CompositionView
from refractor.lab.composition.views import view_composition, view_logits

__all__ = [
    "Certificate",
    "CompositionAnalysis",
    "CompositionProgress",
    "CompositionView",
    "HiddenShares",
    "IrrepSet",
    "NeuronCosets",
    "NeuronIrreps",
    "Problem",
    "RepLoss",
    "RepLosses",
    "RhoNetwork",
    "RhoSet",
    "RuleScores",
    "Shares",
    "TraceComparison",
    "TwoSidedShares",
    "analyse_composition",
    "analyse_composition_logits",
    "analyse_composition_snapshots",
    "certify",
    "circularity",
    "compare_traces",
    "coset_concentration",
    "cut_embeddings",
    "distance_irrelevance",
    "gradient_symmetricity",
    "irrep_set",
    "key_irreps_by_embedding",
    "key_irreps_by_similarity",
    "matrix_shares",
    "measure_composition_progress",
    "neuron_cosets",
    "neuron_irreps",
    "problem",
    "rank_one_network",
    "relu_clock",
    "rho_network",
    "rho_set_network",
    "trace_cube",
    "view_composition",
    "view_logits",
]
