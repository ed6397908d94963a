"""Spectra of the embedding and of the neuron-to-logit map, and one number for how sparse a spectrum is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, ShapeError
from refractor.lab.fourier import fourier_basis, norms_by_frequency, to_fourier
from refractor.lab.labelled import Labelled
from refractor.lab.projection import check_frequencies


def gini(values: Tensor) -> float:
    """Return the Gini coefficient of non-negative numbers: 0 when all are equal, near 1 when few hold everything.

    With x sorted upwards, `G = sum_i (2 i - n - 1) x_i / (n sum_i x_i)`, i = 1 … n; at most 1 - 1/n. All zeros give 0.
    As a measure of sparsity: Hurley and Rickard (2009).

    Args:
        values: the numbers, any shape.

    Raises:
        ArgumentError: there are none, or one is negative or not finite.

    >>> gini(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    0.75

    """
    x = values.detach().double().flatten().sort().values
    if len(x) == 0 or not bool(torch.isfinite(x).all()) or float(x[0]) < 0:
        raise ArgumentError("values must be finite numbers of at least 0, one or more of them.")
    total = float(x.sum())
    if total == 0:
        return 0.0
    n = len(x)
    rank = torch.arange(1, n + 1, dtype=torch.float64)
    return float(((2 * rank - n - 1) * x.cpu()).sum()) / (n * total)


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


def noise_gini(*widths: int) -> float:
    """Return the Gini coefficient that the component norms of Gaussian noise have.

    The norm of a Gaussian vector of width w has a relative spread of about `1 / sqrt(2 w)`; along a product of two
    random matrices the squares add up. Nearly normal numbers of relative spread v have `G = v / sqrt(pi)`.

    Args:
        widths: number of columns; for a product, the widths on the way.

    >>> round(noise_gini(128), 4)
    0.0353

    """
    return math.sqrt(sum(1 / (2 * width) for width in widths) / math.pi)


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
    matrix = _checked_matrix(matrix)
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


@dataclass(frozen=True, eq=False)
class SingularSpectrum:
    """Singular values of the embedding, and the frequencies of which its left singular vectors are made.

    Args:
        values: singular values, largest first.
        vectors: left singular vectors, functions of the token, [p, rank].
        amplitudes: `(2/p) |sum_x v_x exp(-2 pi i k x / p)|` of each left singular vector, over (rank, k = 0 … p // 2).

    """

    values: Labelled
    vectors: Labelled
    amplitudes: Labelled


def singular_spectrum(matrix: Tensor) -> SingularSpectrum:
    """Return the SVD of a matrix over Z/p and the Fourier amplitudes of its left singular vectors.

    Args:
        matrix: e.g. `W_E[:p]`.

    Raises:
        ShapeError: it is no matrix with at least 2 rows, or not real floating point.

    >>> singular_spectrum(torch.eye(6)).values
    Labelled[rank=6]

    """
    matrix = _checked_matrix(matrix)
    p = matrix.shape[0]
    left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
    amplitudes = torch.fft.rfft(left.T, dim=1).abs() * (2 / p)
    return SingularSpectrum(
        Labelled(values, ("rank",)), Labelled(left, ("token", "rank")), Labelled(amplitudes, ("rank", "freq"))
    )


def frequency_circle(matrix: Tensor, k: int) -> Labelled:
    """Return the tokens' embeddings along their own cosine and sine direction of frequency k: points in a plane.

    The directions are `d_cos = W^T cos_k` and `d_sin = W^T sin_k`, scaled to length 1. A network that embeds frequency
    k puts the tokens on an ellipse (a circle when both have the same length and are orthogonal), token x at angle
    2 pi k x / p. Any matrix gives some curve along these directions: read it beside the norm of frequency k. For
    k = p / 2 the second coordinate is 0.

    Returns:
        Coordinates over (token, component) with components "cos k" and "sin k".

    Raises:
        ArgumentError: k is not in 1 … p // 2.
        ShapeError: it is no matrix with at least 2 rows, or not real floating point.

    """
    matrix = _checked_matrix(matrix)
    p = matrix.shape[0]
    check_int("k", k, least=1, most=p // 2)
    basis = fourier_basis(p)
    directions = basis.rows[basis.rows_of(k)] @ matrix
    lengths = directions.norm(dim=1, keepdim=True)
    points = matrix @ torch.where(lengths > 0, directions / lengths, directions).T
    if 2 * k == p:
        points = torch.cat([points, torch.zeros_like(points)], 1)
    return Labelled(points, ("token", "component"), {"component": (f"cos {k}", f"sin {k}")})


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


def sum_of_squared_weights(weights: Mapping[str, Tensor]) -> float:
    """Return the sum of squares of all floating-point tensors, in float64: what weight decay pulls down.

    Args:
        weights: tensors by name, e.g. `dict(model.named_parameters())`. Leave buffers and copies out.

    >>> sum_of_squared_weights({"w": torch.tensor([3.0, 4.0])})
    25.0

    """
    return float(sum(float(w.detach().double().square().sum()) for w in weights.values() if w.is_floating_point()))


def by_frequency(values: Tensor) -> Labelled:
    """Label numbers that belong to the frequencies 1, 2, 3 and so on."""
    return Labelled(values, ("freq",), {"freq": tuple(range(1, len(values) + 1))})


def _checked_matrix(matrix: Tensor) -> Float[Tensor, "p width"]:
    if matrix.ndim != 2 or matrix.shape[0] < 2 or matrix.numel() == 0:
        raise ShapeError(f"the matrix must have shape [p, width] with p of at least 2; {list(matrix.shape)} came.")
    if not matrix.is_floating_point():
        raise ShapeError(f"the matrix must be real floating point; {matrix.dtype} came.")
    return matrix.detach().to("cpu", torch.float64)
