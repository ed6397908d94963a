"""Spectra of the embedding and of the neuron-to-logit map."""

from refractor.lab.analysis import Analysis
from refractor.lab.spectra import Spectrum
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Lines, Section, Series
from refractor.report.sections.words import number
from refractor.report.snippets import analysis_snippet


def spectra_section(analysis: Analysis, name: str) -> Section:
    """Draw the Fourier norms of W_E and of W_out W_U, and the singular values of W_E."""
    title = "Spectra of W_E and of the neuron-to-logit map"
    text = (
        "How much of a matrix lies at each frequency: the norm of its cosine and sine component, over tokens for "
        "W_E, over outputs for W_L = W_out W_U. Key frequencies of the logits are filled."
    )
    network = analysis.network
    if network is None:
        return Section("spectra", title, text, absent=("Only logits were given, so there are no weights to look at.",))
    panels: list[Bars | Lines] = [_spectrum("W_E over tokens", network.embedding, analysis)]
    absent = ()
    if network.neuron_logit_map is None:
        absent = ("This network has no MLP, so there is no neuron-to-logit map.",)
    else:
        panels.append(_spectrum("W_L = W_out W_U over outputs", network.neuron_logit_map, analysis))
    values = network.embedding_svd.values.values
    panels.append(
        Lines(
            "Singular values of W_E",
            f"{len(values)} singular values, from {number(float(values[0]))} down to {number(float(values[-1]))}.",
            Axis("rank", whole=True),
            Axis("singular value", low=0),
            [Series("singular value", numbers([float(i) for i in range(len(values))]), numbers(values))],
        )
    )
    figure = Figure(
        "spectra-norms",
        "Fourier norms by frequency",
        "A network that computes with few frequencies has few tall bars. The Gini coefficient puts this in one "
        f"number: 0 when all components are alike, near 1 when few hold everything. {_ginis(analysis)}",
        "Whether a tall bar is used: an embedding may hold frequencies that nothing reads. W_L leaves out norms "
        "between neurons and logits, and the path that goes past the neurons.",
        analysis_snippet(name, "spectra = analysis.network.embedding, analysis.network.neuron_logit_map"),
        tuple(panels),
    )
    return Section("spectra", title, text, (figure,), absent)


def _spectrum(title: str, spectrum: Spectrum, analysis: Analysis) -> Bars:
    norms = spectrum.frequencies.values
    top = norms.argsort(descending=True)[:3] + 1
    return Bars(
        title,
        f"Largest at the frequencies {', '.join(str(k) for k in top.tolist())}. Gini coefficient "
        f"{spectrum.gini:.3f}, noise {spectrum.noise_gini:.3f}.",
        Axis("frequency k"),
        Axis("norm", low=0),
        [str(k) for k in range(1, len(norms) + 1)],
        numbers(norms),
        [str(k) for k in analysis.frequencies],
    )


def _ginis(analysis: Analysis) -> str:
    network = analysis.network
    if network is None:
        return ""
    words = [f"W_E: {network.embedding.gini:.2f} (noise: {network.embedding.noise_gini:.2f})"]
    if network.neuron_logit_map is not None:
        spectrum = network.neuron_logit_map
        words.append(f"W_L: {spectrum.gini:.2f} (noise: {spectrum.noise_gini:.2f})")
    return "; ".join(words) + "."
