"""Weights changed where they lie: a few at a time, in a wider dtype, and rounded once when they are written back."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.numerics import compute_dtype
from refractor.models.rewrites.anatomy import W_E, W_U

BLOCK = 2**17  # entries at a time: 1 MB in float64, so that what is done to a block finds it in the cache


def wide(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which weights like this are rewritten: float64, or float32 for half precisions.

    mps has no float64; there float32 stays float32.
    """
    narrow = compute_dtype(tensor.dtype) != tensor.dtype or tensor.device.type == "mps"
    return torch.float32 if narrow else torch.float64


def widened(tensor: Tensor) -> Tensor:
    """Return a copy in the dtype in which it is rewritten."""
    return tensor.to(wide(tensor), copy=True)


def matrices(weight: Tensor) -> tuple[Tensor, ...]:
    """Return the matrices of a weight as views: of every head or expert, of itself, or of a vector as one row."""
    return weight.unbind(0) if weight.ndim == 3 else (weight if weight.ndim == 2 else weight.unsqueeze(0),)


def parts(length: int, across: int) -> Iterator[slice]:
    """Yield slices of `range(length)` such that a slice times `across` has about BLOCK entries."""
    step = max(1, BLOCK // max(1, across))
    for start in range(0, length, step):
        yield slice(start, min(length, start + step))


def center_rows(weight: Float[Tensor, "..."]) -> None:
    """Take off each row's mean: `W -= mean(W)` over the last axis."""
    for matrix in matrices(weight):
        rows, cols = matrix.shape
        for some in parts(rows, cols):
            block = widened(matrix[some])
            matrix[some].copy_(block.sub_(block.mean(-1, keepdim=True)))


def is_tied(state: dict[str, Tensor]) -> bool:
    """Whether the unembedding lies in the memory of the embedding."""
    if W_E not in state or W_U not in state:
        return False
    (ptr_e, start_e, stop_e), (ptr_u, start_u, stop_u) = _extent(state[W_E]), _extent(state[W_U])
    return ptr_e == ptr_u and start_e < stop_u and start_u < stop_e


def own_memory(state: dict[str, Tensor]) -> Tensor:
    """Return where a new `W_U` is to be written: its own memory, or as much anew where `W_E` lies in it.

    New memory has the layout of the old, so that a tied unembedding stays as fast to multiply with as it was.
    """
    return torch.empty_like(state[W_U], requires_grad=False) if is_tied(state) else state[W_U]


def untie(state: dict[str, Tensor]) -> None:
    """Give `W_U` memory of its own where it lies in that of `W_E`."""
    if is_tied(state):
        state[W_U] = own_memory(state).copy_(state[W_U])


def _extent(tensor: Tensor) -> tuple[int, int, int]:
    """Return the storage of a tensor, and its first and last (exclusive) element in it."""
    start = int(tensor.storage_offset())
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.untyped_storage().data_ptr(), start, start + last + 1
