"""Turns whatever a notebook holds (tensor, array, list) into a numpy array that plotly can draw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refractor.base.errors import ArgumentError, ShapeError

ArrayLike = torch.Tensor | np.ndarray | Sequence[Any]


def to_numpy(data: ArrayLike, name: str = "data") -> NDArray[Any]:
    """Return `data` as a numpy array of real numbers, on the CPU and cut from the graph.

    Booleans become 0 and 1; floats narrower than 32 bits (bfloat16, float16, the 8-bit ones) become float32, and every
    other dtype stays. The array may share memory with `data`: it is there to be drawn, not to be written to.

    Args:
        data: tensor (any device, with or without gradient), array, or sequence of numbers, tensors or such sequences.
        name: what errors call it.

    Returns:
        Array of integers or floats with the shape of `data`.

    Raises:
        ShapeError: complex data, values that are no numbers, no values at all, or sequences of unequal lengths.
        ArgumentError: a tensor without values (meta device).

    >>> to_numpy(torch.tensor([1.5, 2.0], dtype=torch.bfloat16, requires_grad=True)).tolist()
    [1.5, 2.0]
    """
    array = _tensor_to_numpy(data, name) if isinstance(data, torch.Tensor) else _to_array(data, name)
    if np.iscomplexobj(array):
        raise ShapeError(f"{name} must be real; {array.dtype} came. Draw its .real, .imag or .abs().")
    if array.size == 0:
        raise ShapeError(f"{name} must hold at least one value; shape {list(array.shape)} came.")
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ShapeError(f"{name} must hold real numbers; {array.dtype} came.")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def check_ndim(name: str, array: NDArray[Any], allowed: Sequence[int], needs: str) -> None:
    """Raise unless `array` has one of the `allowed` numbers of axes.

    Raises:
        ShapeError: it has another; `needs` says in words what shape is needed.

    """
    if array.ndim not in allowed:
        raise ShapeError(f"{name} must have shape {needs}; {list(array.shape)} came.")


def _tensor_to_numpy(data: torch.Tensor, name: str) -> NDArray[Any]:
    if data.is_meta:
        raise ArgumentError(f"{name} must hold values; a tensor on the meta device came.")
    plain = data.detach() if data.layout == torch.strided else data.detach().to_dense()
    if plain.is_floating_point() and plain.element_size() < 4:
        plain = plain.float()
    return plain.cpu().resolve_conj().resolve_neg().numpy()


def _to_array(data: Any, name: str) -> NDArray[Any]:
    plain = _without_tensors(data, name)
    try:
        return np.asarray(plain)
    except ValueError as error:  # numpy: "inhomogeneous shape"
        raise ShapeError(
            f"{name} must have rows of equal length; {type(data).__name__} of unequal ones came."
        ) from error


def _without_tensors(data: Any, name: str) -> Any:
    """Replace the tensors inside nested lists by arrays: numpy cannot read those that require a gradient."""
    if isinstance(data, torch.Tensor):
        return _tensor_to_numpy(data, name)
    return [_without_tensors(item, name) for item in data] if isinstance(data, list | tuple) else data
