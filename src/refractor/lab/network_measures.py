"""What the weights and activations of a transformer add to its logits."""

from dataclasses import dataclass

from refractor.lab.directions import DirectionFit, direction_fits
from refractor.lab.embedding import SingularSpectrum, frequency_circle, singular_spectrum
from refractor.lab.frequencies import (
    KeyFrequencies,
    key_frequencies_of_embedding,
    key_frequencies_of_map,
    key_frequencies_of_neurons,
)
from refractor.lab.labelled import Labelled
from refractor.lab.network import NetworkView
from refractor.lab.neurons import NeuronFrequencies, neuron_frequencies
from refractor.lab.spectra import Residual, Spectrum, fourier_spectrum, spectrum_residual
from refractor.lab.weights import sum_of_squared_weights


@dataclass(frozen=True, eq=False)
class NetworkMeasures:
    """What weights and activations add to the logits.

    Args:
        embedding: Fourier norms of W_E over tokens.
        embedding_svd: singular values of W_E and the frequencies of its left singular vectors.
        circles: for each key frequency, the tokens in the plane of their cosine and sine direction.
        neuron_logit_map: Fourier norms of `W_out W_U` over outputs; None without MLPs.
        map_residual: what of it lies outside the key frequencies; None without MLPs.
        neurons: frequency of each neuron of the last layer, and clusters; None without MLPs.
        directions: how well the neurons along u_k, v_k are waves in the sum; empty without MLPs.
        attention: attention from "=" over (layer, head, key_pos, a, b).
        attention_frequencies: the best frequency of each head's attention to a, heads in (layer, head) order.
        sum_of_squared_weights: over all parameters.

    """

    embedding: Spectrum
    embedding_svd: SingularSpectrum
    circles: dict[int, Labelled]
    neuron_logit_map: Spectrum | None
    map_residual: Residual | None
    neurons: NeuronFrequencies | None
    directions: tuple[DirectionFit, ...]
    attention: Labelled
    attention_frequencies: NeuronFrequencies
    sum_of_squared_weights: float


def measure_view(
    view: NetworkView, frequencies: tuple[int, ...], operation: str
) -> tuple[NetworkMeasures, tuple[KeyFrequencies, ...]]:
    """Return the measures of weights and activations, and the key frequencies by the rules that apply."""
    embedding = fourier_spectrum(view.embedding)
    rules = [key_frequencies_of_embedding(embedding)]
    spectrum = neurons = residual = None
    directions = ()
    if view.neurons is not None and view.neuron_logit_map is not None:
        widths = (view.neuron_logit_map.shape[0], view.embedding.shape[1])
        spectrum = fourier_spectrum(view.neuron_logit_map.T, widths)
        residual = spectrum_residual(spectrum, frequencies)
        neurons = neuron_frequencies(view.neurons, view.p)
        directions = direction_fits(view.neurons, view.neuron_logit_map, frequencies, view.p, operation)
        rules += [key_frequencies_of_map(spectrum), key_frequencies_of_neurons(neurons)]
    to_a = view.attention.values[:, :, 0].flatten(0, 1).flatten(1)
    measures = NetworkMeasures(
        embedding=embedding,
        embedding_svd=singular_spectrum(view.embedding),
        circles={k: frequency_circle(view.embedding, k) for k in frequencies},
        neuron_logit_map=spectrum,
        map_residual=residual,
        neurons=neurons,
        directions=directions,
        attention=view.attention,
        attention_frequencies=neuron_frequencies(to_a.T, view.p),
        sum_of_squared_weights=sum_of_squared_weights(view.weights),
    )
    return measures, tuple(rules)
