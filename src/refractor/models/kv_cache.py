"""Keys and values of the tokens that a network has read, so that the next ones need not read them again."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.models.config import HookedTransformerConfig

FIRST_CAPACITY = 64  # positions; memory doubles when they are used up


class HookedTransformerKeyValueCache:
    """Keys (turned, where positions are rotary) and values of every layer, [batch, pos, kv_head, d_head].

    It belongs to one batch of texts, and grows as `model(tokens, past_kv_cache=cache)` reads on. A forward pass that
    fails leaves it as it was.

    Args:
        cfg: the architecture.
        batch: rows.
        device: where it lies; by default where the parameters do.

    """

    def __init__(self, cfg: HookedTransformerConfig, batch: int, device: torch.device | str | None = None) -> None:
        self.cfg = cfg
        self.batch = batch
        self.length = 0
        self._real: Tensor | None = None
        shape = (batch, cfg.n_kv_heads, 0, cfg.d_head)
        where = cfg.device if device is None else device
        self._keys = [torch.empty(shape, dtype=cfg.torch_dtype, device=where) for _ in range(cfg.n_layers)]
        self._values = [torch.empty(shape, dtype=cfg.torch_dtype, device=where) for _ in range(cfg.n_layers)]

    def __repr__(self) -> str:
        """Say what it holds: the passes that it allows, and what they take, follow from that."""
        padded = "" if self._real is None else ", some of them padding"
        layers = f"{self.cfg.n_layers} layers of {self.cfg.n_kv_heads} heads"
        return f"{type(self).__name__}({layers}, {self.batch} rows, {self.length} positions{padded})"

    @classmethod
    def init_cache(
        cls, cfg: HookedTransformerConfig, device: torch.device | str | None = None, batch_size: int = 1
    ) -> "HookedTransformerKeyValueCache":
        """Return an empty cache: the constructor under the name that notebooks know."""
        return cls(cfg, batch_size, device)

    def keys(self, layer: int) -> Float[Tensor, "batch pos kv_head d_head"]:
        """Return the keys of a layer, all positions read so far."""
        return self._keys[layer][:, :, : self.length].transpose(1, 2)

    def values(self, layer: int) -> Float[Tensor, "batch pos kv_head d_head"]:
        """Return the values of a layer, all positions read so far."""
        return self._values[layer][:, :, : self.length].transpose(1, 2)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of keys and values."""
        return self._keys[0].dtype

    @property
    def real(self) -> Bool[Tensor, "batch pos"] | None:
        """Which positions read so far are tokens and not padding; None when all are."""
        return self._real

    def extend(
        self, layer: int, k: Float[Tensor, "batch kv_head pos d_head"], v: Float[Tensor, "batch kv_head pos d_head"]
    ) -> tuple[Float[Tensor, "batch kv_head key_pos d_head"], Float[Tensor, "batch kv_head key_pos d_head"]]:
        """Write keys and values of the tokens of this pass behind the others, and return all of them.

        They count as read only when the pass is over (`advance`). Gradients flow to those of this pass, not to earlier
        ones; while gradients are on, what is returned is a copy, which later passes leave alone.
        """
        end = self.length + k.shape[2]
        if self.foresees(k):
            return k.new_empty(*k.shape[:2], end, k.shape[3]), v.new_empty(*v.shape[:2], end, v.shape[3])
        for held, new in ((self._keys, k), (self._values, v)):
            # what was made in inference mode cannot be written to outside of it
            locked = held[layer].is_inference() and not torch.is_inference_mode_enabled()
            if held[layer].shape[2] < end or locked:
                held[layer] = self._grown(held[layer], end)
            held[layer][:, :, self.length : end] = new.detach()
        if torch.is_grad_enabled():
            past = slice(None), slice(None), slice(self.length)
            return torch.cat([self._keys[layer][past], k], 2), torch.cat([self._values[layer][past], v], 2)
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def _grown(self, held: Tensor, end: int) -> Tensor:
        capacity = max(FIRST_CAPACITY, 1 << (end - 1).bit_length())
        capacity = min(capacity, max(self.cfg.n_ctx, end))
        larger = held.new_empty(*held.shape[:2], capacity, held.shape[3])
        larger[:, :, : self.length] = held[:, :, : self.length]
        return larger

    def advance(self, n_pos: int, real: Bool[Tensor, "batch key_pos"] | None) -> None:
        """Count `n_pos` more positions as read.

        Args:
            n_pos: positions of the pass that is over.
            real: which of all positions are tokens; None when all are.

        """
        self.length += n_pos
        self._real = real

    def foresees(self, x: Tensor) -> bool:
        """Whether `x` has a shape but no data, though this cache has some: such a pass writes and counts nothing.

        See `HookedRootModule.cache_bytes`, which runs one.
        """
        return x.is_meta and not self._keys[0].is_meta

    def keep(self, rows: Int[Tensor, " row"]) -> None:
        """Go on with some rows of the batch only."""
        self.batch = len(rows)
        for held in (self._keys, self._values):
            held[:] = [tensor[rows] for tensor in held]
        self._real = None if self._real is None else self._real[rows]

    def check(self, batch: int, n_pos: int) -> None:
        """Raise unless this cache can read `n_pos` more positions of so many rows.

        Raises:
            ShapeError: it belongs to a batch of another size.
            ArgumentError: the text would be longer than the context, or earlier positions read later ones.

        """
        if self.cfg.attention_dir != "causal":
            raise ArgumentError(
                "past_kv_cache needs attention_dir='causal': in a bidirectional network every position reads those "
                "that come later too, so nothing that was computed before can be kept. Run the whole text in one pass."
            )
        if batch != self.batch:
            raise ShapeError(f"past_kv_cache belongs to {self.batch} rows; tokens of {batch} rows came.")
        if self.length + n_pos > self.cfg.n_ctx:
            raise ArgumentError(
                f"past_kv_cache holds {self.length} positions and {n_pos} more came, but n_ctx={self.cfg.n_ctx}."
            )
