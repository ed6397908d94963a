"""`FactoredMatrix`: a product of matrices that is never formed, and the questions it answers."""

import html
import math
from collections.abc import Iterator
from typing import overload

import numpy as np
import torch
from jaxtyping import Inexact
from torch import Tensor

from refractor.base.budget import format_bytes
from refractor.base.errors import ArgumentError, OutOfRangeError, ShapeError
from refractor.linalg import eigen as _eigen
from refractor.linalg import entries as _entries
from refractor.linalg import low_rank as _low_rank
from refractor.linalg import norms as _norms
from refractor.linalg import search as _search
from refractor.linalg import similarity as _similarity
from refractor.linalg import statistics as _statistics
from refractor.linalg import svd as _svd
from refractor.linalg import trace as _trace
from refractor.linalg.chain import Chain, adjoint, as_chain, check_given, joined, part, transposed
from refractor.linalg.evaluate import contracted
from refractor.linalg.explain import explain
from refractor.linalg.factor import Grouped
from refractor.linalg.identity import IdentityPlus
from refractor.linalg.indexing import indexed, unsqueezed
from refractor.linalg.scaling import scaled, times
from refractor.linalg.sums import added
from refractor.linalg.torch_functions import answer
from refractor.linalg.vector import check_vector, times_vector


class FactoredMatrix(Chain):
    """`M = A @ B @ …`, a matrix (or a stack of matrices) that exists as its factors only.

    `@` appends factors and computes nothing. Each question is planned for itself, so that what is narrow stays narrow
    and what a stack shares is done once; `explain(question)` prints the plan. Numbers come out in the dtype of
    contractions (float32 for float16 and bfloat16); small cores are solved in float64. A factored matrix never changes,
    and nothing is remembered between questions.

    Args:
        A: `[..., ldim, width]`, or a `Grouped` tensor.
        B: `[..., width, ...]`; leading axes broadcast as in PyTorch and are not repeated.
        *more: further factors.

    Raises:
        ShapeError: inner widths or leading axes do not fit, a factor is no matrix, or dtypes differ.
        ArgumentError: devices differ, or something is no tensor.

    >>> A, B = torch.randn(12, 768, 64), torch.randn(12, 64, 768)
    >>> M = FactoredMatrix(A, B)
    >>> M
    FactoredMatrix: Shape(torch.Size([12, 768, 768])), Hidden Dim(64)
    >>> M.eigenvalues.shape, (M @ torch.randn(768, 1000)).shape
    (torch.Size([12, 64]), torch.Size([12, 768, 1000]))

    """

    __slots__ = ()
    __array_ufunc__ = None  # numpy arrays leave `array @ M` to us

    def __init__(self, A: Tensor | Grouped, B: Tensor | Grouped, *more: Tensor | Grouped) -> None:
        super().__init__(A, B, *more)

    # spectra
    eigenvalues = property(_eigen.eigenvalues)
    eig = _eigen.eig
    svd = _svd.svd
    factored_svd = _svd.factored_svd
    S = property(_svd.singular_values)
    U = property(_svd.left_vectors)
    V = property(_svd.right_vectors)
    Vh = property(_svd.right_vectors_transposed)
    singular_clusters = _svd.singular_clusters
    trace = _trace.trace

    # two matrices
    inner = _similarity.inner
    cosine_similarity = _similarity.cosine_similarity

    # size
    norm = _norms.norm
    stable_rank = _norms.stable_rank
    participation_ratio = _norms.participation_ratio
    effective_rank = _norms.effective_rank
    rank = _norms.numerical_rank

    # other factorisations
    make_even = _low_rank.make_even
    truncate = _low_rank.truncate
    round = _low_rank.round_rank
    collapse_l = _low_rank.collapse_l
    collapse_r = _low_rank.collapse_r

    # entries
    diagonal = _entries.diagonal
    entries = _entries.entries
    block = _entries.block
    get_corner = _entries.get_corner
    row_norms = _statistics.row_norms
    col_norms = _statistics.col_norms
    sum = _statistics.total
    mean = _statistics.mean
    var = _statistics.variance
    topk = _search.topk
    argmax = _search.argmax
    max = _search.maximum
    min = _search.minimum
    rank_of = _search.rank_of
    diagonal_argmax_share = _search.diagonal_argmax_share

    explain = explain
    unsqueeze = unsqueezed
    __getitem__ = indexed

    # the product and its two sides
    def dense(self, limit: float | None = None) -> Inexact[Tensor, "*leading ldim rdim"]:
        """Return the product itself, in the dtype of the factors.

        Args:
            limit: bytes that may be held; by default 90% of what is free, `math.inf` for no limit.

        Raises:
            BudgetError: it does not fit; the message says what would and what to ask instead.

        """
        return _entries.formed(self, "dense", limit)

    @property
    def AB(self) -> Inexact[Tensor, "*leading ldim rdim"]:
        """The product itself, see `dense`."""
        return _entries.formed(self, "AB")

    @property
    def A(self) -> Inexact[Tensor, "*leading ldim mdim"]:
        """Left side of the narrowest inner width (leftmost of equals): one factor as it is, or several contracted."""
        return contracted(part(self, 0, self.waist), "A").expanded().to(self.dtype)

    @property
    def B(self) -> Inexact[Tensor, "*leading mdim rdim"]:
        """Right side of the narrowest inner width (leftmost of equals): one factor as it is, or several contracted."""
        return contracted(part(self, self.waist, len(self.factors)), "B").expanded().to(self.dtype)

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """`(A, B)`."""
        return self.A, self.B

    @property
    def BA(self) -> Inexact[Tensor, "*leading mdim mdim"]:
        """The product of the two sides the other way round, `B @ A`, with the eigenvalues of M but for zeros.

        Raises:
            ShapeError: the matrices are not square.

        """
        _trace.check_square(self, "BA")
        ring = joined(part(self, self.waist, len(self.factors)), part(self, 0, self.waist))
        return contracted(ring, "BA").expanded().to(self.dtype)

    # the same matrix, seen differently
    @property
    def T(self) -> "FactoredMatrix":
        """The transpose of each matrix; no memory is copied."""
        return transposed(self)

    @property
    def mT(self) -> "FactoredMatrix":
        """The transpose of each matrix, as `T`."""
        return self.T

    @property
    def mH(self) -> "FactoredMatrix":
        """The conjugate transpose of each matrix; no memory is copied."""
        return adjoint(self)

    def conj(self) -> "FactoredMatrix":
        """Return the complex conjugate; no memory is copied."""
        return self.like(factor.with_tensor(factor.tensor.conj()) for factor in self.factors)

    def to(self, *args: object, **kwargs: object) -> "FactoredMatrix":
        """Return the matrix with every factor moved or cast, with the arguments of `torch.Tensor.to`."""
        moved = self.like(factor.with_tensor(factor.tensor.to(*args, **kwargs)) for factor in self.factors)  # type: ignore[call-overload]
        check_given([factor.tensor for factor in moved.factors])
        return moved

    def detach(self) -> "FactoredMatrix":
        """Return the matrix with every factor detached from its gradient."""
        return self.like(factor.with_tensor(factor.tensor.detach()) for factor in self.factors)

    def identity_plus(self) -> "IdentityPlus[FactoredMatrix]":
        """Return `I + M`, see `IdentityPlus`.

        Raises:
            ShapeError: the matrices are not square.

        """
        return IdentityPlus(self)

    # arithmetic
    @overload
    def __matmul__(self, other: Chain) -> "FactoredMatrix": ...
    @overload
    def __matmul__(self, other: Tensor) -> "FactoredMatrix | Tensor": ...
    def __matmul__(self, other: object) -> "FactoredMatrix | Tensor":
        if isinstance(other, Chain):
            return joined(self, other)
        if isinstance(other, Tensor) and other.ndim < 2:
            return times_vector(self, other)
        return joined(self, Chain(_factor(other)))

    def __rmatmul__(self, other: object) -> "FactoredMatrix | Tensor":
        if isinstance(other, Tensor) and other.ndim < 2:
            check_vector(other, self.ldim, self)
            return times_vector(self.T, other)
        product = joined(Chain(_factor(other)), self)
        return self.of(product.factors, product.leading, product.note or self.note)

    def __mul__(self, number: complex | np.number | Tensor) -> "FactoredMatrix":
        number = number.item() if isinstance(number, np.number) else number
        if isinstance(number, Tensor) and number.numel() != 1:
            if number.ndim >= 2 and number.shape[-2:] == (1, 1):
                return scaled(self, number[..., 0, 0])
            raise ShapeError(
                f"* takes a number, or one number per matrix as a tensor [..., 1, 1]; shape {list(number.shape)} came "
                f"for {list(self.shape)}. For matrix products use @."
            )
        if not isinstance(number, Tensor | int | float | complex):
            return NotImplemented
        return times(self, number.reshape(()) if isinstance(number, Tensor) else number)

    __rmul__ = __mul__

    def __truediv__(self, number: complex | np.number | Tensor) -> "FactoredMatrix":
        number = number.item() if isinstance(number, np.number) else number
        if not isinstance(number, Tensor | int | float | complex):
            return NotImplemented
        if not isinstance(number, Tensor) and number == 0:
            raise ArgumentError(f"a factored matrix of shape {list(self.shape)} cannot be divided by 0.")
        return self * (1 / number)

    def __neg__(self) -> "FactoredMatrix":
        return self * -1

    def __add__(self, other: object) -> "FactoredMatrix":
        return added(self, as_chain(other, "+"))

    def __sub__(self, other: object) -> "FactoredMatrix":
        return added(self, times(as_chain(other, "-"), -1))

    # as a container
    def size(self, dim: int | None = None) -> torch.Size | int:
        """Return the shape, or one entry of it."""
        if dim is not None and not -self.ndim <= dim < self.ndim:
            raise OutOfRangeError(
                f"size({dim}) of shape {list(self.shape)}: dim must be {-self.ndim} … {self.ndim - 1}."
            )
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator["FactoredMatrix"]:
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        described = f"FactoredMatrix: Shape({self.shape}), Hidden Dim({self.mdim})"
        return f"{described}, Note({self.note})" if self.note else described

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>F{place + 1}</td><td>{html.escape(str([axis.stored for axis in factor.axes]))}</td>"
            f"<td>{factor.rows} × {factor.cols}</td><td>{format_bytes(factor.nbytes)}</td></tr>"
            for place, factor in enumerate(self.factors)
        )
        dense = format_bytes(math.prod(self.shape) * self.dtype.itemsize)
        return (
            f"<div><b>FactoredMatrix</b> {html.escape(str(list(self.shape)))}, hidden dim {self.mdim}, "
            f"{html.escape(str(self.dtype).removeprefix('torch.'))} on {html.escape(str(self.device))}: "
            f"{format_bytes(self.nbytes)} in factors, {dense} if it were formed"
            "<table><tr><th>factor</th><th>leading axes stored</th><th>matrix</th><th>bytes</th></tr>"
            f"{rows}</table>{html.escape(self.note)}</div>"
        )

    @classmethod
    def __torch_function__(cls, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        """Answer functions of PyTorch whose meaning is plain; see `torch_functions`."""
        return answer(func, args, kwargs)

    def __array__(self, *args: object, **kwargs: object) -> object:
        """Refuse to become an array in silence.

        Raises:
            ArgumentError: always.

        """
        raise ArgumentError(
            f"a factored matrix of shape {list(self.shape)} is not formed in silence; use M.dense().numpy() where "
            "it is small."
        )


def _factor(other: object) -> Tensor | Grouped:
    if isinstance(other, Tensor | Grouped):
        return other
    raise ArgumentError(
        f"a factored matrix is multiplied with tensors and factored matrices; {type(other).__name__} came. Convert it "
        "with torch.as_tensor."
    )
