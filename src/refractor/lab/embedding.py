"""The embedding of the numbers: its singular values, and where it puts the tokens of each frequency."""

from dataclasses import dataclass

import torch
from torch import Tensor

from refractor.base.checks import check_int
from refractor.lab.fourier import fourier_basis
from refractor.lab.labelled import Labelled
from refractor.lab.spectra import checked_matrix


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
    matrix = checked_matrix(matrix)
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
    matrix = checked_matrix(matrix)
    p = matrix.shape[0]
    check_int("k", k, least=1, most=p // 2)
    basis = fourier_basis(p)
    directions = basis.rows[basis.rows_of(k)] @ matrix
    lengths = directions.norm(dim=1, keepdim=True)
    points = matrix @ torch.where(lengths > 0, directions / lengths, directions).T
    if 2 * k == p:
        points = torch.cat([points, torch.zeros_like(points)], 1)
    return Labelled(points, ("token", "component"), {"component": (f"cos {k}", f"sin {k}")})
