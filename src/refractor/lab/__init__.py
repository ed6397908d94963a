"""Learned algorithms, studied: how a network adds modulo p, and how it composes the elements of a group.

`analyse(logits, p=113)` or `analyse(logits, group="S5")` takes anybody's logits, `analyse_network(model, task, split)`
a network, `analyse_snapshots(...)` a run; `load_network(name_or_folder)` finds one. Each returns labelled arrays, a
table of measures and a verdict. The parts are plain functions on arrays; those of groups are in `lab.composition`.
"""

from refractor.lab.analysis import Analysis
from refractor.lab.analytic import GromovNetwork, cosine_logits, quadratic_network
from refractor.lab.conditions import Condition, Verdict
from refractor.lab.controls import Control, random_frequency_sets
from refractor.lab.directions import DirectionFit, direction_fits
from refractor.lab.embedding import SingularSpectrum, frequency_circle, singular_spectrum
from refractor.lab.entry import analyse, analyse_network, analyse_snapshots
from refractor.lab.fourier import (
    FourierBasis,
    fourier_basis,
    from_fourier,
    from_fourier_2d,
    norms_by_frequency,
    to_fourier,
    to_fourier_2d,
)
from refractor.lab.frequencies import (
    KeyFrequencies,
    RuleResult,
    key_frequencies_of_embedding,
    key_frequencies_of_logits,
    key_frequencies_of_map,
    key_frequencies_of_neurons,
)
from refractor.lab.labelled import Labelled
from refractor.lab.load import Source, load_network
from refractor.lab.logit_fit import LogitFit, cosine_fit_scores, fit_logits
from refractor.lab.mixer import FrequencyMixer, frequency_mixer
from refractor.lab.network import NetworkView, network_logits, view_network
from refractor.lab.network_measures import NetworkMeasures
from refractor.lab.neurons import NeuronCluster, NeuronFrequencies, neuron_frequencies
from refractor.lab.operations import discrete_log_cube, discrete_log_rows, operation_of, sum_index
from refractor.lab.pairs import PairSets, pair_sets
from refractor.lab.phases import Phase, phases
from refractor.lab.progress import (
    Progress,
    RunAnalysis,
    label_curves,
    measure_progress,
    phases_of,
    progress_values,
)
from refractor.lab.projection import project
from refractor.lab.published import PublishedRun, read_published_run
from refractor.lab.scores import Score, Scores, chance_loss
from refractor.lab.sparsity import gini
from refractor.lab.spectra import Residual, Spectrum, fourier_spectrum, spectrum_residual
from refractor.lab.sums import SumLogits, sum_logits
from refractor.lab.table import Measure, MeasureTable
from refractor.lab.trig_losses import TrigLoss, trig_excluded_loss, trig_restricted_loss
from refractor.lab.verdict import finding
from refractor.lab.weights import sum_of_squared_weights

__all__ = [
    "Analysis",
    "Condition",
    "Control",
    "DirectionFit",
    "FourierBasis",
    "FrequencyMixer",
    "GromovNetwork",
    "KeyFrequencies",
    "Labelled",
    "LogitFit",
    "Measure",
    "MeasureTable",
    "NetworkMeasures",
    "NetworkView",
    "NeuronCluster",
    "NeuronFrequencies",
    "PairSets",
    "Phase",
    "Progress",
    "PublishedRun",
    "Residual",
    "RuleResult",
    "RunAnalysis",
    "Score",
    "Scores",
    "SingularSpectrum",
    "Source",
    "Spectrum",
    "SumLogits",
    "TrigLoss",
    "Verdict",
    "analyse",
    "analyse_network",
    "analyse_snapshots",
    "chance_loss",
    "cosine_fit_scores",
    "cosine_logits",
    "direction_fits",
    "discrete_log_cube",
    "discrete_log_rows",
    "finding",
    "fit_logits",
    "fourier_basis",
    "fourier_spectrum",
    "frequency_circle",
    "frequency_mixer",
    "from_fourier",
    "from_fourier_2d",
    "gini",
    "key_frequencies_of_embedding",
    "key_frequencies_of_logits",
    "key_frequencies_of_map",
    "key_frequencies_of_neurons",
    "label_curves",
    "load_network",
    "measure_progress",
    "network_logits",
    "neuron_frequencies",
    "norms_by_frequency",
    "operation_of",
    "pair_sets",
    "phases",
    "phases_of",
    "progress_values",
    "project",
    "quadratic_network",
    "random_frequency_sets",
    "read_published_run",
    "singular_spectrum",
    "spectrum_residual",
    "sum_index",
    "sum_logits",
    "sum_of_squared_weights",
    "to_fourier",
    "to_fourier_2d",
    "trig_excluded_loss",
    "trig_restricted_loss",
    "view_network",
]
