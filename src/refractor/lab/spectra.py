"""Fourier spectra of matrices whose rows stand for the elements of Z/p: the embedding, the neuron-to-logit map."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ShapeError
from refractor.lab.fourier import fourier_basis, norms_by_frequency, to_fourier
from refractor.lab.labelled import Labelled
from refractor.lab.projection import check_frequencies
from refractor.lab.sparsity import gini, noise_gini


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A matrix whose rows stand for the elements of Z/p, seen in the Fourier basis over that axis.

    Args:
        p: the modulus.
        components: norm of each Fourier component (cosine first); their squares add up to the matrix's energy.
        frequencies: norm of each frequency, cosine and sine together.
        gini: Gini coefficient of the component norms.
        noise_gini: what it would be for Gaussian noise of the same widths: see `noise_gini`.

    """

    p: int
    components: Labelled
    frequencies: Labelled
    gini: float
    noise_gini: float


def fourier_spectrum(matrix: Tensor, widths: tuple[int, ...] = ()) -> Spectrum:
    """Return the Fourier norms of a matrix over its first axis, e.g. `W_E[:p]`, or the transpose of `W_out W_U`.

    Args:
        matrix: over (element of Z/p, width).
        widths: for a product, the widths on the way; used for `noise_gini` alone. The number of columns when left out.

    Raises:
        ShapeError: it is no matrix with at least 2 rows, or not real floating point.

    >>> fourier_spectrum(torch.cos(2 * torch.pi * torch.arange(8.0) / 8)[:, None]).frequencies.values.argmax() + 1
    tensor(1)

    """
    matrix = checked_matrix(matrix)
    p = matrix.shape[0]
    basis = fourier_basis(p)
    coefficients = to_fourier(matrix, basis)
    norms = coefficients.norm(dim=1)
    return Spectrum(
        p,
        Labelled(norms, ("component",), {"component": basis.names}),
        by_frequency(norms_by_frequency(coefficients, basis)),
        gini(norms),
        noise_gini(*(widths or matrix.shape[1:])),
    )


@dataclass(frozen=True)
class Residual:
    """What of the neuron-to-logit map lies outside the key frequencies.

    Args:
        norm: Frobenius norm of the rest, as a share of the whole.
        energy: the square of that.
        even: the energy that a map with equal components would leave outside.

    """

    norm: float
    energy: float
    even: float


def spectrum_residual(spectrum: Spectrum, frequencies: tuple[int, ...]) -> Residual:
    """Return how much of a matrix lies outside some frequencies; the constant counts as outside.

    Raises:
        ArgumentError: a frequency is out of range.

    >>> round(spectrum_residual(fourier_spectrum(torch.eye(5)), (1, 2)).energy, 12)  # one component of five
    0.2

    """
    chosen = check_frequencies(frequencies, spectrum.p)
    energy = spectrum.components.values.square()
    total = float(energy.sum())
    outside = torch.ones_like(energy, dtype=torch.bool)
    outside[fourier_basis(spectrum.p).rows_of(*chosen)] = False
    share = float(energy[outside].sum()) / total if total > 0 else 0.0
    return Residual(math.sqrt(share), share, float(outside.double().mean()))


def by_frequency(values: Tensor) -> Labelled:
    """Label numbers that belong to the frequencies 1, 2, 3 and so on."""
    return Labelled(values, ("freq",), {"freq": tuple(range(1, len(values) + 1))})


def checked_matrix(matrix: Tensor) -> Float[Tensor, "p width"]:
    """Return a matrix over Z/p in float64 on the CPU.

    Raises:
        ShapeError: it is no matrix with at least 2 rows, or not real floating point.

    """
    if matrix.ndim != 2 or matrix.shape[0] < 2 or matrix.numel() == 0:
        raise ShapeError(f"the matrix must have shape [p, width] with p of at least 2; {list(matrix.shape)} came.")
    if not matrix.is_floating_point():
        raise ShapeError(f"the matrix must be real floating point; {matrix.dtype} came.")
    return matrix.detach().cpu().double()
