"""Rotary positions: queries and keys turn by angles that grow with the position (Su et al. 2021)."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_float, check_int, check_member
from refractor.base.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class RotaryScaling:
    """How the turning is slowed down so that a model reads more than it was first trained on.

    `linear`: every angle is divided by `factor` (Chen et al. 2023). `llama3`: only long wavelengths are: those beyond
    `original_n_ctx / low_freq_factor` are stretched by `factor`, those below `original_n_ctx / high_freq_factor` stay,
    and between the two the frequencies are interpolated (Meta 2024).

    Args:
        kind: "linear" or "llama3".
        factor: how far wavelengths are stretched.
        low_freq_factor: llama3 only.
        high_freq_factor: llama3 only.
        original_n_ctx: llama3 only: the context of the first training.

    Raises:
        ConfigError: a value of llama3 is missing, or a key is unknown.
        ArgumentError: a value is out of range.

    >>> RotaryScaling(kind="linear", factor=2.0).to_dict()["factor"]
    2.0

    """

    kind: Literal["linear", "llama3"]
    factor: float
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_n_ctx: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        check_member("rotary_scaling.kind", self.kind, ("linear", "llama3"))
        check_float("rotary_scaling.factor", self.factor, above=0)
        of_llama3 = ("low_freq_factor", "high_freq_factor", "original_n_ctx")
        given = [name for name in of_llama3 if asdict(self)[name] is not None]
        if len(given) != (3 if self.kind == "llama3" else 0):
            raise ConfigError(f"{', '.join(of_llama3)} belong to rotary_scaling of kind 'llama3', all three together.")
        if self.kind == "llama3":
            check_int("rotary_scaling.original_n_ctx", self.original_n_ctx, least=1)
            low = check_float("rotary_scaling.low_freq_factor", self.low_freq_factor, above=0)
            check_float("rotary_scaling.high_freq_factor", self.high_freq_factor, above=low)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RotaryScaling":
        """Build it from a mapping of its fields.

        Raises:
            ConfigError: a key is unknown, or kind or factor is missing.

        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                near = ", ".join(nearest(key, known) or known)
                raise ConfigError(f"{key!r} is no field of RotaryScaling. Nearest: {near}.")
        if "kind" not in values or "factor" not in values:
            raise ConfigError("rotary_scaling needs kind and factor.")
        return cls(**values)

    def scaled(self, frequencies: Float[Tensor, " pair"]) -> Float[Tensor, " pair"]:
        """Return the angles per position after scaling."""
        slowed = frequencies / self.factor
        if self.low_freq_factor is None or self.high_freq_factor is None or self.original_n_ctx is None:
            return slowed
        turns = self.original_n_ctx * frequencies / (2 * math.pi)  # turns made within the first context
        share = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        return torch.lerp(slowed, frequencies, share.clamp(0, 1))


class Rotation(NamedTuple):
    """Cosines and sines of the angles, each [batch, pos, 1, pair]; the batch may be 1."""

    cos: Tensor
    sin: Tensor


def rotation(
    positions: Int[Tensor, "batch pos"],
    turning: int,
    base: float,
    scaling: RotaryScaling | None,
    dtype: torch.dtype,
) -> Rotation:
    """Return cosines and sines of `position * base^(-2i / turning)` for pairs i, angles taken in float64.

    Args:
        positions: of every token.
        turning: dimensions of a head that turn, twice the number of pairs.
        base: base of the wavelengths.
        scaling: how they are stretched.
        dtype: of the result.

    """
    wide = torch.float32 if positions.device.type == "mps" else torch.float64  # mps has no float64
    pairs = torch.arange(0, turning, 2, device=positions.device, dtype=wide)
    frequencies = base ** (-pairs / turning)
    if scaling is not None:
        frequencies = scaling.scaled(frequencies)
    angles = (positions.to(wide).unsqueeze(-1) * frequencies).unsqueeze(2)
    return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))


def rotate(
    x: Float[Tensor, "batch pos head d_head"], turn: Rotation, adjacent: bool
) -> Float[Tensor, "batch pos head d_head"]:
    """Turn the leading dimensions of every head: pairs (u, v) become `(u cos - v sin, v cos + u sin)`.

    Args:
        x: queries or keys.
        turn: cosines and sines; what is left of the dimensions stays as it is.
        adjacent: pairs are dimensions 2i and 2i + 1, instead of i and i + half.

    """
    cos, sin = turn
    turning = 2 * cos.shape[-1]
    head = x[..., :turning]
    u, v = (head[..., ::2], head[..., 1::2]) if adjacent else head.chunk(2, dim=-1)
    parts = (u * cos - v * sin, v * cos + u * sin)
    turned = torch.stack(parts, dim=-1).flatten(-2) if adjacent else torch.cat(parts, dim=-1)
    return turned if turning == x.shape[-1] else torch.cat([turned, x[..., turning:]], dim=-1)
