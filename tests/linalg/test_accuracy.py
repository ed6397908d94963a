"""How many digits are right, against dense references in float64, and that float64 keeps small singular values."""

import chains
import pytest
import torch
from torch import Tensor

from refractor.linalg import FactoredMatrix

# relative to the largest value
SINGULAR = {torch.float32: 5e-6, torch.float64: 1e-12}
EIGEN = {torch.float32: 1e-5, torch.float64: 1e-12}


def circuit(dtype: torch.dtype, seed: int) -> tuple[FactoredMatrix, Tensor]:
    """A full OV circuit with a vocabulary of 3000, ten heads of width 32 in a stream of 256, and its dense product."""
    parts = (
        chains.draw(3000, 256, dtype=dtype, seed=seed),
        chains.draw(10, 256, 32, dtype=dtype, seed=seed),
        chains.draw(10, 32, 256, dtype=dtype, seed=seed),
        chains.draw(256, 3000, dtype=dtype, seed=seed),
    )
    core = parts[2].double() @ (parts[3].double() @ parts[0].double()) @ parts[1].double()
    return FactoredMatrix(*parts), core


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1])
def test_singular_values(dtype: torch.dtype, seed: int) -> None:
    matrix, _ = circuit(dtype, seed)
    dense = torch.stack(
        [
            torch.linalg.svdvals(
                torch.linalg.qr(matrix.factors[0].tensor[0].double()).R
                @ matrix.factors[1].tensor[head].double()
                @ matrix.factors[2].tensor[head].double()
                @ torch.linalg.qr(matrix.factors[3].tensor[0].double().mT).R.mT
            )[:32]
            for head in range(10)
        ]
    )
    assert ((matrix.S.double() - dense).abs() / dense[:, :1]).max() <= SINGULAR[dtype]
    U, S, Vh = matrix[:2].svd()
    assert ((S.double() - dense[:2]).abs() / dense[:2, :1]).max() <= SINGULAR[dtype]
    product = matrix[:2].to(torch.float64).dense()
    error = torch.linalg.matrix_norm(U.double() @ S.double().diag_embed() @ Vh.mT.double() - product)
    assert (error / torch.linalg.matrix_norm(product)).max() <= SINGULAR[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1])
def test_eigenvalues(dtype: torch.dtype, seed: int) -> None:
    matrix, core = circuit(dtype, seed)
    ours, dense = matrix.eigenvalues.to(torch.complex128), torch.linalg.eigvals(core)
    apart = (ours[..., :, None] - dense[..., None, :]).abs()
    worst = torch.maximum(apart.amin(-1).amax(-1), apart.amin(-2).amax(-1))
    assert (worst / dense.abs().amax(-1)).max() <= EIGEN[dtype]


def test_small_singular_values_to_eight_decades_in_float64() -> None:
    left, right = torch.linalg.qr(chains.draw(300, 12))[0], torch.linalg.qr(chains.draw(200, 12))[0]
    values = torch.logspace(0, -8, 12, dtype=torch.float64)
    turn = torch.linalg.qr(chains.draw(12, 12))[0]
    matrix = FactoredMatrix(left * values, turn, turn.mT @ right.mT)  # graded on one side
    spread = FactoredMatrix(left * values.sqrt(), values.sqrt()[:, None] * right.mT)  # half on each
    for each in (matrix, spread, matrix.T):
        assert ((each.S - values).abs() / values).max() <= 1e-6
        found = each.svd()
        assert ((found.S - values).abs() / values).max() <= 1e-6
    squares = (matrix.T @ matrix).S  # a Gram matrix, where a factor of 1e-16 is below rounding
    assert (squares[:6].sqrt() - values[:6]).abs().max() <= 1e-10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions_are_contracted_in_float32(dtype: torch.dtype) -> None:
    A, B = chains.draw(40, 600, dtype=dtype), chains.draw(600, 40, dtype=dtype)
    matrix, exact = FactoredMatrix(A, B), A.double() @ B.double()
    assert matrix.S.dtype == torch.float32
    assert matrix.eigenvalues.dtype == torch.complex64
    dense = torch.linalg.svdvals(exact)
    assert ((matrix.S.double() - dense).abs() / dense[0]).max() <= 5e-6
    assert (matrix.diagonal().double() - exact.diagonal()).abs().max() <= 1e-5 * exact.abs().max()
    assert matrix.dense().dtype == dtype


def test_values_far_from_one_neither_overflow_nor_vanish() -> None:
    for scale in (1e-25, 1e25):  # squares would leave float32
        A, B = chains.draw(9, 3, dtype=torch.float32) * scale, chains.draw(3, 9, dtype=torch.float32)
        matrix, exact = FactoredMatrix(A, B), A.double() @ B.double()
        torch.testing.assert_close(matrix.norm().double(), torch.linalg.matrix_norm(exact), rtol=1e-5, atol=0.0)
        torch.testing.assert_close(matrix.S.double(), torch.linalg.svdvals(exact)[:3], rtol=1e-4, atol=0.0)
        torch.testing.assert_close(matrix.row_norms().double(), exact.norm(dim=-1), rtol=1e-4, atol=0.0)


def test_a_norm_does_not_lose_what_the_factors_nearly_cancel() -> None:
    """Rows of the first factor nearly annihilate the second: squares would be below the rounding of their terms."""
    second = chains.draw(6, 2, dtype=torch.float32)
    away = torch.eye(6) - second @ torch.linalg.pinv(second)
    factors = (chains.draw(9, 6, dtype=torch.float32) @ away + 1e-5 * torch.ones(9, 6), second, torch.eye(2))
    exact = factors[0].double() @ factors[1].double() @ factors[2].double()
    for matrix in (FactoredMatrix(*factors), FactoredMatrix(*factors).T):
        torch.testing.assert_close(matrix.norm().double(), torch.linalg.matrix_norm(exact), rtol=5e-2, atol=0.0)
        torch.testing.assert_close(matrix.norm(), torch.linalg.vector_norm(matrix.S), rtol=1e-5, atol=0.0)
