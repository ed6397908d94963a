"""P_K: the part of logits that oscillates with the sum at chosen frequencies.

For each output c, P_K projects `L[:, :, c]`, a function of (a, b), on the unit directions proportional to
cos w_k s and sin w_k s, with w_k = 2 pi k / p and k in K. Since these depend on s alone, and each s has p pairs, P_K
first averages over the pairs of each s and then projects p numbers: `P_K L[a, b] = (Q_K M)[s]`, M[s] the class mean,
Q_K the projection in R^p. No p² x p product is needed.
"""

from collections.abc import Iterable, Sequence
from numbers import Integral

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.lab.fourier import fourier_basis, to_fourier
from refractor.lab.sums import SumLogits


def check_frequencies(frequencies: Iterable[int], p: int) -> tuple[int, ...]:
    """Return the frequencies sorted, each once.

    Raises:
        ArgumentError: one is no integer from 1 to p // 2.

    """
    given = list(frequencies)
    for k in given:
        if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= p // 2:
            raise ArgumentError(f"frequencies must be integers from 1 to {p // 2} (p={p}); {k!r} came.")
    return tuple(sorted({int(k) for k in given}))


def project(
    means: Float[Tensor, "p p"], sets: Sequence[Sequence[int]], *, keep_mean: bool = False
) -> Float[Tensor, "sets p p"]:
    """Return `Q_K M` for each set K of frequencies, over (s, c).

    Args:
        means: class means over (s, c).
        sets: sets of frequencies.
        keep_mean: add the mean over s, which is the mean over all pairs.

    Returns:
        The projected part for every set.

    >>> means = torch.randn(5, 5, dtype=torch.float64)
    >>> torch.allclose(project(means, [(1, 2)], keep_mean=True)[0], means)
    True

    """
    basis = fourier_basis(means.shape[0])
    coefficients = to_fourier(means, basis)
    frequencies = torch.tensor(basis.frequencies)
    kept = torch.stack([torch.isin(frequencies, torch.tensor(list(chosen), dtype=torch.long)) for chosen in sets])
    kept[:, 0] = keep_mean
    if len(sets) == 1:  # a few rows are cheaper than all p with zeros between
        rows = kept[0].nonzero().flatten()
        return (basis.rows[rows].T @ coefficients[rows])[None]
    return basis.rows.T @ (kept[..., None] * coefficients)


def project_each(sums: SumLogits, frequencies: Sequence[int]) -> Float[Tensor, "freq p p"]:
    """Return `P_k L` over (s, c) for every single frequency k."""
    return project(sums.means, [(k,) for k in frequencies]) if frequencies else sums.means.new_zeros(0, sums.p, sums.p)
