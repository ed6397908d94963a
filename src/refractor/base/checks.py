"""Checks of arguments that users pass. Each raises an error that names the argument, what came and what is needed."""

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from refractor.base.axes import describe
from refractor.base.errors import ArgumentError, ShapeError, unknown_name


def check_int(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """Return `value` if it is an integer in [least, most].

    Raises:
        ArgumentError: it is no integer (booleans are none), or out of range.

    """
    needs = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentError(f"{name} must be {needs}; {value!r} ({type(value).__name__}) came.")
    if value < least or (most is not None and value > most):
        raise ArgumentError(f"{name} must be {needs}; {value} came.")
    return value


def check_float(name: str, value: object, *, above: float | None = None, least: float | None = None) -> float:
    """Return `value` as a float if it is finite and (strictly) above / at least the bound given.

    Raises:
        ArgumentError: it is no finite number, or below the bound.

    """
    bound = f" above {above}" if above is not None else f" of at least {least}" if least is not None else ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ArgumentError(f"{name} must be a finite number{bound}; {value!r} came.")
    if (above is not None and value <= above) or (least is not None and value < least):
        raise ArgumentError(f"{name} must be a finite number{bound}; {value} came.")
    return float(value)


def check_fraction(name: str, value: object) -> float:
    """Return `value` as a float if it lies in (0, 1].

    Raises:
        ArgumentError: otherwise.

    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ArgumentError(f"{name} must be a fraction above 0 and at most 1; {value!r} came.")
    return float(value)


def check_member(name: str, value: object, allowed: Collection[object]) -> None:
    """Raise unless `value` is one of `allowed`.

    Raises:
        ArgumentError: `value` is none of them; the message lists them.

    """
    if value not in allowed:
        raise ArgumentError(f"{name} must be one of {', '.join(repr(item) for item in allowed)}; {value!r} came.")


def check_known(what: str, name: str, known: Collection[str]) -> None:
    """Raise `UnknownNameError` with the nearest names unless `name` is one of `known`."""
    if name not in known:
        raise unknown_name(what, name, known)


def check_shape(name: str, tensor: Tensor, axes: Sequence[str], sizes: Sequence[int | None]) -> None:
    """Raise unless `tensor` has exactly these axes and sizes (`None`: any size).

    Raises:
        ShapeError: with the axes and sizes that are needed, and those that came.

    """
    fits = tensor.ndim == len(sizes) and all(
        want is None or want == got for want, got in zip(sizes, tensor.shape, strict=True)
    )
    if not fits:
        needs = ", ".join(axis if size is None else f"{axis}={size}" for axis, size in zip(axes, sizes, strict=True))
        raise ShapeError(f"{name} must have shape [{needs}]; {list(tensor.shape)} came.")


def check_tokens(name: str, tokens: Tensor, d_vocab: int) -> None:
    """Raise unless `tokens` are integers in [0, d_vocab).

    Raises:
        ShapeError: the dtype is no integer dtype.
        ArgumentError: some token is out of range; the message gives the first one and where it stands.

    """
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise ShapeError(f"{name} must be a tensor of integers (torch.long); dtype {tokens.dtype} came.")
    if tokens.numel() == 0 or tokens.is_meta:  # nothing to look at
        return
    low, high = tokens.aminmax()
    if int(low) < 0 or int(high) >= d_vocab:
        wrong = ((tokens < 0) | (tokens >= d_vocab)).nonzero()[0].tolist()
        place = describe((), wrong)
        raise ArgumentError(
            f"{name} must lie in 0 … {d_vocab - 1} (d_vocab={d_vocab}); {int(tokens[tuple(wrong)])} came at {place}."
        )
