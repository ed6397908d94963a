"""Where the tokens of a pass stand, and which keys each of them may read."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.models.config import HookedTransformerConfig
from refractor.models.rotary import Rotation, rotation


@dataclass(frozen=True, eq=False)
class Sequence:
    """Positions of the tokens of one pass, and of all keys they may read (those of earlier passes come first).

    Positions count real tokens only, so that a row padded on the left is computed as it would be alone. Masks and
    rotations are made when a layer first needs them and shared by all layers.

    Args:
        cfg: the architecture.
        positions: of the tokens of this pass; the batch is 1 where all rows have the same.
        key_positions: of all keys; the last ones are those of this pass.
        real: which keys are tokens and not padding; None when all are.

    """

    cfg: HookedTransformerConfig
    positions: Int[Tensor, "batch pos"]
    key_positions: Int[Tensor, "batch key_pos"]
    real: Bool[Tensor, "batch key_pos"] | None = None
    _masks: dict[bool, Tensor | None] = field(default_factory=dict)
    _rotations: dict[bool, Rotation] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the tokens are a whole text without padding: no earlier keys, and every key is real."""
        return self.real is None and self.positions.shape[-1] == self.key_positions.shape[-1]

    def mask(self, local: bool) -> Bool[Tensor, "batch one pos key_pos"] | None:
        """Return which keys each token may read, or None for all of them; a padding token reads itself.

        Args:
            local: whether the layer has a window.

        """
        if local not in self._masks:
            self._masks[local] = self._make_mask(local)
        return self._masks[local]

    def is_plainly_causal(self, local: bool) -> bool:
        """Whether each token reads itself and all before it, and nothing else: kernels need no mask for that."""
        if self.cfg.attention_dir != "causal" or not self.is_whole:
            return False
        return not local or (self.cfg.window_size or 0) >= self.key_positions.shape[-1]

    def rotation(self, local: bool, dtype: torch.dtype) -> Rotation:
        """Return the turning of queries and keys of this pass.

        Args:
            local: whether the layer has a window, and so the local base where there is one.
            dtype: of the result.

        """
        if local not in self._rotations:
            cfg = self.cfg
            of_window = local and cfg.rotary_base_local is not None
            base = cfg.rotary_base_local if of_window and cfg.rotary_base_local is not None else cfg.rotary_base
            scaling = None if of_window else cfg.rotary_scaling
            self._rotations[local] = rotation(self.positions, cfg.rotary_dim or cfg.d_head, base, scaling, dtype)
        return self._rotations[local]

    def _make_mask(self, local: bool) -> Tensor | None:
        n_keys, n_queries = self.key_positions.shape[-1], self.positions.shape[-1]
        device = self.positions.device
        keys = torch.arange(n_keys, device=device)
        queries = torch.arange(n_keys - n_queries, n_keys, device=device).unsqueeze(-1)
        allowed = None
        if self.cfg.attention_dir == "causal" and n_queries > 1:
            allowed = (keys <= queries)[None, None]
        if local and self.cfg.window_size is not None and n_keys > self.cfg.window_size:
            # by position and not by place: padding between two tokens takes no room in a window
            near = self.positions[:, None, :, None] - self.key_positions[:, None, None, :] < self.cfg.window_size
            allowed = near if allowed is None else allowed & near
        if self.real is None:
            return allowed
        readable = self.real[:, None, None, :] | (keys == queries)
        return readable if allowed is None else readable & allowed


def make_sequence(
    cfg: HookedTransformerConfig,
    shape: Iterable[int],
    device: torch.device,
    mask: Shaped[Tensor, "batch key_pos"] | None = None,
    n_past: int = 0,
    past_real: Bool[Tensor, "batch past_pos"] | None = None,
) -> Sequence:
    """Return the sequence of tokens that follow `n_past` earlier ones.

    Args:
        cfg: the architecture.
        shape: batch and positions of the tokens of this pass.
        device: where they lie.
        mask: 1 where a token is real, of the tokens of this pass or of all positions; None when all are.
        n_past: earlier positions.
        past_real: which of these are real; None when all are.

    Raises:
        ShapeError: the mask has another shape.
        ArgumentError: it has other values than 0 and 1.

    """
    batch, n_pos = shape
    real = _real_keys(batch, n_pos, mask, n_past, past_real, device)
    if real is None:
        key_positions = torch.arange(n_past + n_pos, device=device).unsqueeze(0)
    else:
        key_positions = (real.cumsum(-1) - 1).clamp(min=0)
    return Sequence(cfg, key_positions[:, n_past:], key_positions, real)


def _real_keys(
    batch: int, n_pos: int, mask: Tensor | None, n_past: int, past_real: Tensor | None, device: torch.device
) -> Tensor | None:
    """Return which keys, earlier ones first, are tokens and not padding; None when all are."""
    if mask is None and past_real is None:
        return None
    if mask is None:
        mask = torch.ones(batch, n_pos, dtype=torch.bool, device=device)
    if tuple(mask.shape) not in ((batch, n_pos), (batch, n_past + n_pos)):
        raise ShapeError(
            f"attention_mask must have shape [batch={batch}, pos={n_pos}]"
            + (f", or pos={n_past + n_pos} with what past_kv_cache holds" if n_past else "")
            + f"; {list(mask.shape)} came."
        )
    if mask.dtype != torch.bool and not mask.is_meta and bool(((mask != 0) & (mask != 1)).any()):
        wrong = mask[(mask != 0) & (mask != 1)][0].item()
        raise ArgumentError(
            f"attention_mask must be 1 where a token is real and 0 where it is padding; {wrong} came. (A mask that is "
            "added to scores, 0 and -inf, says the opposite.)"
        )
    mask = mask.to(device=device, dtype=torch.bool)
    if n_past and mask.shape[1] == n_pos:
        earlier = torch.ones(batch, n_past, dtype=torch.bool) if past_real is None else past_real
        mask = torch.cat([earlier.to(device), mask], dim=1)
    if past_real is not None or mask.is_meta:  # padding that was read does not go away
        return mask
    return None if bool(mask.all()) else mask


def alibi_slopes(n_heads: int) -> list[float]:
    """Return the slope of each head, `2^(-8 i / n)` for i = 1 … n (Press et al. 2021).

    When n is no power of two, the slopes of the power below come first, then every other one of the power above.

    >>> alibi_slopes(2)
    [0.0625, 0.00390625]

    """
    power = 1 << (n_heads.bit_length() - 1)
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    finer = [2 ** (-4 * (head + 1) / power) for head in range(2 * power)]
    return slopes + finer[::2][: n_heads - power]


def alibi(sequence: Sequence, dtype: torch.dtype) -> Tensor:
    """Return what alibi adds to the scores, `-slope * distance` to each key, [batch, head, pos, key_pos].

    It is made in float32 at least: half precisions cannot tell long distances apart.
    """
    cfg = sequence.cfg
    wide = torch.promote_types(dtype, torch.float32)
    slopes = torch.tensor(alibi_slopes(cfg.n_heads), device=sequence.positions.device, dtype=wide)

    def falls(positions: Tensor) -> Tensor:
        """Return slope times position for every head, [batch, head, positions]."""
        if cfg.alibi_rounded:
            return (slopes.bfloat16()[:, None] * positions.bfloat16()[:, None, :]).to(wide)
        return slopes[:, None] * positions.to(wide)[:, None, :]

    distances = falls(sequence.positions)[..., None] - falls(sequence.key_positions)[:, :, None, :]
    return (distances.abs() * -cfg.alibi_scale).to(dtype)
