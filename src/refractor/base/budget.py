"""What an operation will cost in bytes, and whether it fits, said before it runs."""

import math

import torch

from refractor.base.errors import ArgumentError, BudgetError

HEADROOM = 0.9  # share of the free memory that one result may take; the rest is for temporaries of the run itself


def format_bytes(count: float) -> str:
    """Write a number of bytes for people, in powers of 1000.

    >>> format_bytes(2_400_000)
    '2.4 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def available_bytes(device: torch.device | str = "cpu") -> int:
    """Return the bytes that can still be allocated on `device` without swapping, as the system reports them."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil  # here: only needed when something asks, and importing refractor stays near torch's own cost

    return int(psutil.virtual_memory().available)


def check_fits(
    nbytes: int, what: str, hint: str, device: torch.device | str = "cpu", limit: float | None = None
) -> None:
    """Refuse what does not fit.

    Args:
        nbytes: bytes that `what` will hold at the same time.
        what: the subject of the message, e.g. `run_with_cache`.
        hint: what to try instead.
        device: where the bytes will lie.
        limit: bytes allowed; by default 90% of what is free on the device.

    Raises:
        BudgetError: `nbytes` is above the limit; the message has both figures.

    """
    if limit is not None and (not isinstance(limit, int | float) or math.isnan(limit)):
        raise ArgumentError(f"limit must be a number of bytes; {limit!r} came.")
    allowed = int(HEADROOM * available_bytes(device)) if limit is None else limit
    if nbytes > allowed:
        raise BudgetError(
            f"{what} would hold {format_bytes(nbytes)}, but {format_bytes(allowed)} may be used on {device}. {hint}"
        )
