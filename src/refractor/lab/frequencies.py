"""Key frequencies: four rules that pick them, each stated, each with the statistic it cuts.

The first three are those of Nanda et al. (2023). All of them look at every frequency from 1 to p // 2; the loop of the
original code stopped one short, so that p // 2 could never win.
"""

from dataclasses import dataclass

import torch

from refractor.lab.labelled import Labelled
from refractor.lab.logit_fit import LogitFit
from refractor.lab.neurons import NeuronFrequencies
from refractor.lab.spectra import Spectrum, by_frequency
from refractor.lab.trig_losses import TrigLoss

FAINT = 1e-12  # a cosine similarity below this is rounding: sqrt(p) sums of p² terms of relative error 1e-16
SHARE_OF_MAX = 0.25  # Nanda et al. (2023): a quarter of the largest norm of one matrix
SHARE_OF_PRODUCT = SHARE_OF_MAX**2  # a cosine in the logits is the product of its size in the neurons and in the map


@dataclass(frozen=True, eq=False)
class KeyFrequencies:
    """A set of frequencies and the rule that picked it.

    Args:
        rule: "logits", "embedding", "neuron_logit_map", "neurons" or "given".
        statement: the rule in words.
        frequencies: the set, increasing; it may be empty.
        statistic: the number that was cut, for each frequency.
        threshold: a frequency is key when its statistic is above this.

    """

    rule: str
    statement: str
    frequencies: tuple[int, ...]
    statistic: Labelled
    threshold: float


@dataclass(frozen=True)
class RuleResult:
    """A set of key frequencies, and how far it carries the network.

    Args:
        keys: the set, its rule and the statistic behind it.
        restricted: the restricted loss with it, and random sets of the same size.

    """

    keys: KeyFrequencies
    restricted: TrigLoss


def key_frequencies_of_logits(fit: LogitFit) -> KeyFrequencies:
    """Return the frequencies whose cosine similarity with the logits is above a sixteenth of the largest.

    The similarity of frequency k is that of the logits, less their mean over outputs, with cos w_k(s - c): positive
    where the right answer is favoured. A cosine gets into the logits by way of the neurons and of `W_out W_U`, and its
    size there is the product of both: a quarter of the largest in each, as the other rules cut, is a sixteenth here. It
    needs nothing but logits. Logits without any such part have no key frequency.
    """
    similarity = fit.similarity.values
    return _above(
        "logits",
        "cosine similarity of the centred logits with cos w_k(s − c) above a sixteenth of the largest",
        fit.similarity,
        max(SHARE_OF_PRODUCT * float(similarity.max()), FAINT),
    )


def key_frequencies_of_embedding(spectrum: Spectrum) -> KeyFrequencies:
    """Return the frequencies whose Fourier norm in the embedding is above a quarter of the largest (rule a).

    It can select too many: an embedding may hold frequencies that nothing reads.
    """
    return _above(
        "embedding",
        "Fourier norm of W_E over tokens above a quarter of the largest",
        spectrum.frequencies,
        SHARE_OF_MAX * float(spectrum.frequencies.values.max()),
    )


def key_frequencies_of_map(spectrum: Spectrum) -> KeyFrequencies:
    """Return the frequencies whose norm in `W_out W_U`, over outputs, is above a quarter of the largest (rule b)."""
    return _above(
        "neuron_logit_map",
        "Fourier norm of W_out W_U over outputs above a quarter of the largest",
        spectrum.frequencies,
        SHARE_OF_MAX * float(spectrum.frequencies.values.max()),
    )


def key_frequencies_of_neurons(neurons: NeuronFrequencies) -> KeyFrequencies:
    """Return the frequencies that are the best of at least one neuron which they explain above the cut (rule c)."""
    counts = torch.zeros(neurons.p // 2, dtype=torch.float64)
    for cluster in neurons.clusters:
        counts[cluster.frequency - 1] = len(cluster.neurons)
    return _above(
        "neurons",
        f"best frequency of at least one neuron, with more than {neurons.cut:g} of its variance",
        by_frequency(counts),
        0.0,
    )


def _above(rule: str, statement: str, statistic: Labelled, threshold: float) -> KeyFrequencies:
    chosen = (statistic.values > threshold).nonzero().flatten() + 1
    return KeyFrequencies(rule, statement, tuple(chosen.tolist()), statistic, threshold)
