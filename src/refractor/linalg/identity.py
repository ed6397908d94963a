"""`I + M` for a factored square M, as a residual stream adds a layer's output to its input."""

from typing import Generic, NamedTuple, overload

import torch
from jaxtyping import Complex, Inexact
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.linalg.chain import Chain, ChainT, joined, transposed
from refractor.linalg.contract import upcast, wide_dtype
from refractor.linalg.eigen import core_of, eigenvalues
from refractor.linalg.entries import formed
from refractor.linalg.factor import Factor, expand_leading
from refractor.linalg.sums import added
from refractor.linalg.svd import real_dtype
from refractor.linalg.trace import check_square, trace
from refractor.linalg.vector import times_vector


class LogDet(NamedTuple):
    """`det = sign * exp(logabsdet)`, each `[*leading]`."""

    sign: Tensor
    logabsdet: Tensor


class IdentityPlus(Generic[ChainT]):
    """`I + M`, never formed: products, determinant and inverse through a core as small as M's narrowest width.

    `W_E @ (I + M) @ W_U` is a factored matrix again, and `(I + M) @ (I + N)` is `I + (M + N + M N)`.

    Args:
        matrix: M, a stack of square factored matrices.

    Raises:
        ShapeError: M is not square.

    >>> import torch
    >>> from refractor.linalg import FactoredMatrix
    >>> M = FactoredMatrix(torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0, 1.0]]))
    >>> M.identity_plus().dense()
    tensor([[2., 1.],
            [0., 1.]])

    """

    __array_ufunc__ = None  # numpy arrays leave `array @ (I + M)` to us
    __slots__ = ("_matrix",)
    _matrix: ChainT

    def __init__(self, matrix: ChainT) -> None:
        check_square(matrix, "identity_plus")
        object.__setattr__(self, "_matrix", matrix)

    def __setattr__(self, name: str, value: object) -> None:
        raise ArgumentError(f"I + M never changes; make a new one instead of setting {name!r}.")

    def __repr__(self) -> str:
        return f"I + {self.matrix!r}"

    @property
    def matrix(self) -> ChainT:
        """M."""
        return self._matrix

    def __array__(self, *args: object, **kwargs: object) -> object:
        """Refuse to become an array in silence.

        Raises:
            ArgumentError: always.

        """
        raise ArgumentError(f"I + M of shape {list(self.shape)} is not formed in silence; use (I + M).dense().numpy().")

    @property
    def shape(self) -> torch.Size:
        """`[*leading, n, n]`."""
        return self.matrix.shape

    @property
    def T(self) -> "IdentityPlus[ChainT]":
        """The transpose, `I + Mᵀ`."""
        return IdentityPlus(transposed(self.matrix))

    def dense(self, limit: float | None = None) -> Inexact[Tensor, "*leading ldim rdim"]:
        """Return the matrix itself; refuses what does not fit, as `FactoredMatrix.dense`."""
        product = formed(self.matrix, "dense", limit)
        if product.requires_grad or not product.is_contiguous() or len(self.matrix.factors) == 1:
            return torch.diagonal_scatter(product, product.diagonal(dim1=-2, dim2=-1) + 1, dim1=-2, dim2=-1)
        product.diagonal(dim1=-2, dim2=-1).add_(1)  # it was made here: nothing else holds it
        return product

    def trace(self) -> Inexact[Tensor, "*leading"]:
        """Return `n + tr M`."""
        return self.matrix.ldim + trace(self.matrix)

    @property
    def eigenvalues(self) -> Complex[Tensor, "*leading rank"]:
        """`1 + l` for the eigenvalues l of M's core; all the others are 1."""
        return 1 + eigenvalues(self.matrix)

    def slogdet(self) -> LogDet:
        """Sign and logarithm of the determinant: `det(I + L R) = det(I + R L)`, a small core. Differentiable."""
        core, _ = core_of(self.matrix, "slogdet")
        sign, size = torch.linalg.slogdet(_plus_identity(core).cpu())
        sign, size = (expand_leading(each.to(self.matrix.device), core.axes, trailing=0) for each in (sign, size))
        return LogDet(sign.to(self.matrix.compute_dtype), size.to(real_dtype(self.matrix)))

    def inverse(self) -> "IdentityPlus[ChainT]":
        """Return `(I + L R)⁻¹ = I - L (I + R L)⁻¹ R` (Woodbury), factored. Differentiable.

        Raises:
            ArgumentError: the matrix is singular.

        """
        core, cut = core_of(self.matrix, "inverse")
        inverse, failed = torch.linalg.inv_ex(_plus_identity(core).cpu())
        if bool(failed.any()):
            raise ArgumentError(
                f"I + M is singular for {int((failed > 0).sum())} of the matrices of {list(self.shape)}."
            )
        middle = core.with_tensor(-inverse.to(self.matrix.device, self.matrix.dtype))
        factors = (*self.matrix.factors[:cut], middle, *self.matrix.factors[cut:])
        return IdentityPlus(self.matrix.like(factors))

    def solve(self, right: Inexact[Tensor, "..."]) -> Inexact[Tensor, "..."]:
        """Return x with `(I + M) x = right`, for a vector `[n]` or columns `[..., n, k]`; the matrix is not formed."""
        inverse = self.inverse()
        if right.ndim == 1:
            return right + times_vector(inverse.matrix, right)
        return formed(inverse @ Chain(right), "solve")

    @overload
    def __matmul__(self, other: "IdentityPlus") -> "IdentityPlus[ChainT]": ...
    @overload
    def __matmul__(self, other: Chain) -> ChainT: ...
    @overload
    def __matmul__(self, other: Tensor) -> "ChainT | Tensor": ...
    def __matmul__(self, other: object) -> "ChainT | IdentityPlus[ChainT] | Tensor":
        if isinstance(other, IdentityPlus):
            both = joined(self.matrix, other.matrix)
            return IdentityPlus(added(added(self.matrix, other.matrix), both))
        if isinstance(other, Tensor) and other.ndim == 1:
            return other + times_vector(self.matrix, other)
        chain = self._chain(other)
        return added(self.matrix.of(chain.factors, chain.leading), joined(self.matrix, chain))

    def __rmatmul__(self, other: Chain | Tensor) -> "ChainT | Tensor":
        if isinstance(other, Tensor) and other.ndim == 1:
            return other + times_vector(transposed(self.matrix), other)
        chain = self._chain(other)
        return added(self.matrix.of(chain.factors, chain.leading), self._left(chain))

    def _left(self, left: Chain) -> ChainT:
        product = joined(left, self.matrix)
        return self.matrix.of(product.factors, product.leading)

    def _chain(self, other: object) -> Chain:
        if isinstance(other, Chain):
            return other
        if isinstance(other, Tensor):
            return Chain(other)
        raise ArgumentError(f"I + M is multiplied with tensors and factored matrices; {type(other).__name__} came.")


def _plus_identity(core: Factor) -> Tensor:
    wide = upcast(core.tensor)
    wide = wide.to(wide_dtype(wide))
    return wide + torch.eye(core.rows, dtype=wide.dtype, device=wide.device)
