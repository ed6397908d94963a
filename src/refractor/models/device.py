"""The device that a network lies on: chosen, or found."""

import torch

from refractor.base.errors import ArgumentError


def get_device() -> torch.device:
    """Return the best device that there is: CUDA, then mps (Apple), then the CPU.

    >>> get_device().type in ("cuda", "mps", "cpu")
    True

    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def as_device(given: torch.device | str | int) -> torch.device:
    """Return the device that a name (or the number of an accelerator) means.

    Raises:
        ArgumentError: torch knows none of that name, or it is not there.

    >>> as_device("cpu")
    device(type='cpu')

    """
    try:
        device = torch.device(given)
    except (RuntimeError, TypeError) as error:
        raise ArgumentError(f"device must be one that torch knows, such as 'cpu'; {given!r} came.") from error
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "meta": False}
    if not there.get(device.type, True):
        raise ArgumentError(f"device={given!r} is not there on this machine; get_device() finds one, 'cpu' always is.")
    return device
