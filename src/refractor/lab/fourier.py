"""Real orthonormal Fourier bases of functions on Z/p, and transforms to and from them.

The rows are `1/sqrt(p)`, then `sqrt(2/p) cos(2 pi k x / p)` and `sqrt(2/p) sin(2 pi k x / p)` for k = 1 … p // 2. An
even p ends with the single row `cos(pi x) / sqrt(p)`: its sine is zero everywhere. Two orders of cosine and
sine are in use, so the order is always said: Nanda et al. (2023, "Progress measures for grokking") put
the cosine first, the notebooks that followed put the sine first.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.checks import check_int, check_member
from refractor.base.errors import ArgumentError, ShapeError

Order = Literal["cos_first", "sin_first"]
ORDERS = ("cos_first", "sin_first")

FFT_FROM = 512  # modulus from which the FFT beats the dense product: see benchmarks/lab_measures.py


@dataclass(frozen=True, eq=False)
class FourierBasis:
    """An orthonormal basis of the functions on Z/p: `rows @ rows.T = 1`.

    Args:
        p: the modulus.
        order: "cos_first" or "sin_first".
        rows: the basis functions, one a row.
        names: "constant", "cos 1", "sin 1", …
        frequencies: the frequency of each row, 0 for the constant.

    """

    p: int
    order: Order
    rows: Float[Tensor, "p p"] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    frequencies: tuple[int, ...] = field(repr=False)

    def rows_of(self, *frequencies: int) -> list[int]:
        """Return the indices of the rows of these frequencies (0: the constant), in the order of the basis.

        Raises:
            ArgumentError: a frequency is not in 0 … p // 2.

        """
        for k in frequencies:
            check_int("frequency", k, least=0, most=self.p // 2)
        return [row for row, k in enumerate(self.frequencies) if k in frequencies]


def fourier_basis(p: int, order: str = "cos_first") -> FourierBasis:
    """Return the orthonormal Fourier basis of functions on Z/p, in float64.

    Args:
        p: the modulus, at least 2; even and composite ones are fine.
        order: which of cosine and sine comes first within a frequency.

    Returns:
        A `FourierBasis`; `rows` is [p, p] (component, x). It is shared between calls: do not write into it.

    Raises:
        ArgumentError: p is below 2, or the order is unknown.

    >>> fourier_basis(4).names
    ('constant', 'cos 1', 'sin 1', 'cos 2')
    >>> fourier_basis(5, "sin_first").frequencies
    (0, 1, 1, 2, 2)

    """
    check_int("p", p, least=2)
    check_member("order", order, ORDERS)
    return _basis(p, "sin_first" if order == "sin_first" else "cos_first")


@lru_cache(maxsize=8)
def _basis(p: int, order: Order) -> FourierBasis:
    components: list[tuple[str, int]] = [("constant", 0)]
    for k in range(1, p // 2 + 1):
        pair = [("cos", k)] if 2 * k == p else [("cos", k), ("sin", k)]
        components += pair if order == "cos_first" else pair[::-1]
    x = torch.arange(p)
    rows = torch.stack([_row(kind, k, p, x) for kind, k in components])
    names = tuple(kind if kind == "constant" else f"{kind} {k}" for kind, k in components)
    return FourierBasis(p, order, rows, names, tuple(k for _, k in components))


def _row(kind: str, k: int, p: int, x: Tensor) -> Tensor:
    if kind == "constant":
        return torch.full((p,), p**-0.5, dtype=torch.float64)
    angle = (k * x % p).double() * (2 * math.pi / p)  # reduced in integers first: large k x loses no digits
    if 2 * k == p:
        return torch.cos(angle) * p**-0.5
    return (torch.cos(angle) if kind == "cos" else torch.sin(angle)) * (2 / p) ** 0.5


def to_fourier(x: Tensor, basis: FourierBasis, axis: int = 0) -> Float[Tensor, "..."]:
    """Return the coefficients of `x` along one axis: `sum_x basis.rows[component, x] * x[…, x, …]`.

    Args:
        x: real values; the axis must have length p. Half precision is computed in float32, else in its own dtype.
        basis: the basis, which fixes the order of the components.
        axis: the axis to transform; it holds components afterwards.

    Returns:
        A tensor of the same shape.

    Raises:
        ShapeError: the axis does not exist or does not have length p, or `x` is not real floating point.

    >>> basis = fourier_basis(4)
    >>> to_fourier(3 * basis.rows[1], basis).round(decimals=12).abs()
    tensor([0., 3., 0., 0.], dtype=torch.float64)

    """
    values = _checked(x, basis, axis)
    if basis.p >= FFT_FROM:
        return _fft(values.movedim(axis, -1), basis).movedim(-1, axis)
    return _apply(basis.rows, values, axis)


def from_fourier(coefficients: Tensor, basis: FourierBasis, axis: int = 0) -> Float[Tensor, "..."]:
    """Return the values whose coefficients along one axis are given: the inverse of `to_fourier`.

    Args:
        coefficients: real values; the axis must have length p.
        basis: the basis in whose order the components stand.
        axis: the axis to transform back.

    Returns:
        A tensor of the same shape.

    Raises:
        ShapeError: as `to_fourier`.

    """
    values = _checked(coefficients, basis, axis)
    if basis.p >= FFT_FROM:
        return _inverse_fft(values.movedim(axis, -1), basis).movedim(-1, axis)
    return _apply(basis.rows.T, values, axis)


def to_fourier_2d(x: Tensor, basis: FourierBasis, axes: tuple[int, int] = (0, 1)) -> Float[Tensor, "..."]:
    """Return the coefficients over two axes, e.g. of functions of (a, b): products of basis functions.

    Raises:
        ShapeError: as `to_fourier`.
        ArgumentError: the two axes are the same.

    >>> basis = fourier_basis(3)
    >>> to_fourier_2d(torch.ones(3, 3, dtype=torch.float64), basis)[0, 0].round()
    tensor(3., dtype=torch.float64)

    """
    _check_two(x, axes)
    return to_fourier(to_fourier(x, basis, axes[0]), basis, axes[1])


def from_fourier_2d(coefficients: Tensor, basis: FourierBasis, axes: tuple[int, int] = (0, 1)) -> Float[Tensor, "..."]:
    """Return the values whose coefficients over two axes are given: the inverse of `to_fourier_2d`.

    Raises:
        ShapeError: as `to_fourier`.
        ArgumentError: the two axes are the same.

    """
    _check_two(coefficients, axes)
    return from_fourier(from_fourier(coefficients, basis, axes[0]), basis, axes[1])


def norms_by_frequency(coefficients: Float[Tensor, "p ..."], basis: FourierBasis) -> Float[Tensor, " freq"]:
    """Return the norm of all coefficients of each frequency 1 … p // 2: `sqrt(|cos row|² + |sin row|²)`.

    Args:
        coefficients: components on the first axis, as `to_fourier(…, axis=0)` gives them.
        basis: the basis of that transform.

    Returns:
        One norm per frequency, in float64 on the CPU; frequency k stands at index k - 1.

    >>> norms_by_frequency(torch.tensor([9.0, 3.0, 4.0, 2.0]), fourier_basis(4))
    tensor([5., 2.], dtype=torch.float64)

    """
    energy = coefficients.detach().cpu().double().reshape(basis.p, -1).square().sum(1)
    by_frequency = torch.zeros(basis.p // 2 + 1, dtype=torch.float64)
    by_frequency.index_add_(0, torch.tensor(basis.frequencies), energy)
    return by_frequency[1:].sqrt()


def _checked(x: Tensor, basis: FourierBasis, axis: int) -> Tensor:
    if not x.is_floating_point():
        raise ShapeError(f"the values to transform must be real floating point; dtype {x.dtype} came.")
    if not -x.ndim <= axis < x.ndim or x.shape[axis] != basis.p:
        raise ShapeError(f"axis {axis} must exist and have length p={basis.p}; an array of {list(x.shape)} came.")
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _apply(matrix: Float[Tensor, "p p"], x: Tensor, axis: int) -> Tensor:
    """Return `sum_j matrix[i, j] x[…, j, …]` as one product; along the first axis nothing is copied."""
    matrix = matrix.to(x)
    if axis in (0, -x.ndim):
        return (matrix @ x.reshape(len(x), -1)).reshape(x.shape)
    return (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)


def _check_two(x: Tensor, axes: tuple[int, int]) -> None:
    if x.ndim < 2 or axes[0] % x.ndim == axes[1] % x.ndim:
        raise ArgumentError(
            f"axes must be two different axes of an array with at least 2; {axes} of {list(x.shape)} came."
        )


def _places(basis: FourierBasis) -> tuple[Tensor, Tensor]:
    """Return the rows of the cosines of k = 1 … p // 2, and of the sines of k = 1 … (p - 1) // 2."""
    cosines = [row for row, name in enumerate(basis.names) if name.startswith("cos")]
    sines = [row for row, name in enumerate(basis.names) if name.startswith("sin")]
    return torch.tensor(cosines), torch.tensor(sines, dtype=torch.long)


def _scales(p: int, dtype: torch.dtype) -> Tensor:
    scale = torch.full((p // 2,), (2 / p) ** 0.5, dtype=dtype)
    if p % 2 == 0:
        scale[-1] = p**-0.5
    return scale


def _fft(x: Tensor, basis: FourierBasis) -> Tensor:
    p = basis.p
    cosines, sines = _places(basis)
    spectrum = torch.fft.rfft(x, dim=-1)  # Σ x exp(-i w x) = (Σ x cos) - i (Σ x sin)
    scale = _scales(p, x.dtype).to(x.device)
    result = torch.empty_like(x)
    result[..., 0] = spectrum[..., 0].real * p**-0.5
    result[..., cosines] = spectrum[..., 1:].real * scale
    result[..., sines] = -spectrum[..., 1 : 1 + len(sines)].imag * scale[: len(sines)]
    return result


def _inverse_fft(coefficients: Tensor, basis: FourierBasis) -> Tensor:
    p = basis.p
    cosines, sines = _places(basis)
    scale = _scales(p, coefficients.dtype).to(coefficients.device)
    real = torch.cat([coefficients[..., :1] * p**0.5, coefficients[..., cosines] / scale], -1)
    imaginary = torch.zeros_like(real)
    imaginary[..., 1 : 1 + len(sines)] = -coefficients[..., sines] / scale[: len(sines)]
    return torch.fft.irfft(torch.complex(real, imaginary), n=p, dim=-1)
