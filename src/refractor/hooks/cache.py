"""`ActivationCache`: what a pass through a network left behind, as an immutable mapping."""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor

from refractor.base.axes import describe
from refractor.base.budget import format_bytes
from refractor.base.errors import ShapeError, UnknownNameError, unknown_name
from refractor.hooks.names import Key, resolve

SHOWN = 60  # rows of a repr; a longer cache shows its first and last half as many


class ActivationCache(Mapping[str, Tensor]):
    """Activations by name, in the order in which they were computed.

    Ask by full name, `cache["blocks.0.attn.hook_z"]`, or by shorthand: `cache["pattern", 0]`,
    `cache["post", 0, "mlp"]`, `cache["resid_post", -1]`, `cache["embed"]`. The cache cannot be written to; it holds
    no model. Entries may share memory with each other (the end of one block is the start of the next).

    Args:
        tensors: activations by full name.
        axes: names of the axes of each; a name that is missing has unknown axes.
        points: every hook point of the network, so that a name that was not cached is told from one that
            does not exist; by default just the names in `tensors`.

    >>> import torch
    >>> cache = ActivationCache({"blocks.0.hook_resid_pre": torch.zeros(1, 2, 3)},
    ...                         {"blocks.0.hook_resid_pre": ("batch", "pos", "d_model")})
    >>> cache
    ActivationCache: 1 activation, 24 B
      blocks.0.hook_resid_pre  [batch=1, pos=2, d_model=3]  float32  24 B
    >>> cache["resid_pre", 0].shape
    torch.Size([1, 2, 3])

    """

    __slots__ = ("_axes", "_points", "_tensors")

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        axes: Mapping[str, tuple[str, ...]] | None = None,
        points: Iterable[str] = (),
    ) -> None:
        self._tensors = dict(tensors)
        self._axes = {name: (axes or {}).get(name, ()) for name in self._tensors}
        self._points = tuple(dict.fromkeys([*points, *self._tensors]))

    def __getitem__(self, key: Key) -> Tensor:
        """Return one activation.

        Raises:
            UnknownNameError: no hook point has that name (the nearest are offered), several fit, or the point
                exists but was not cached.

        """
        return self._tensors[self.resolve(key)]

    def resolve(self, key: Key) -> str:
        """Return the full name of the cached activation that `key` means; raises as `cache[key]` does."""
        if isinstance(key, str) and key in self._tensors:
            return key
        name = resolve(key, self._points)
        if name not in self._tensors:
            raise UnknownNameError(
                f"{name!r} is a hook point but was not cached: names_filter left it out, it is switched off, or the "
                f"pass ended before it. Cached: {len(self._tensors)} activations."
            )
        return name

    def __contains__(self, key: object) -> bool:
        """Whether `cache[key]` would return something."""
        if not isinstance(key, str | tuple):
            return False
        try:
            self.resolve(key)
        except UnknownNameError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """Iterate over full names in the order of computation."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """Return the number of activations."""
        return len(self._tensors)

    def axes(self, key: Key) -> tuple[str, ...]:
        """Return the names of the axes of an activation, empty if they were not declared."""
        return self._axes[self.resolve(key)]

    @property
    def nbytes(self) -> int:
        """Bytes held, memory shared by several entries counted once."""
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in self.values()}
        return sum(storages.values())

    def to(self, device: torch.device | str) -> "ActivationCache":
        """Return a cache whose activations lie on `device` (the same tensors where they already do)."""
        return self._map(lambda tensor: tensor.to(device))

    def select(self, names: str | Iterable[str] | Callable[[str], bool]) -> "ActivationCache":
        """Return a cache of only some activations: a name, several names, or a predicate on full names.

        Raises:
            UnknownNameError: a name or the predicate matches nothing.

        """
        if callable(names):
            kept = [name for name in self if names(name)]
            if not kept:
                raise unknown_name("cached activation", "<predicate>", self)
        else:
            wanted = [names] if isinstance(names, str) else list(names)
            kept = [self.resolve(name) for name in wanted]
        return ActivationCache(
            {name: self._tensors[name] for name in kept}, {name: self._axes[name] for name in kept}, self._points
        )

    def remove_batch_dim(self) -> "ActivationCache":
        """Return a cache without the batch axis.

        Raises:
            ShapeError: an activation has undeclared axes, or a batch of another size than 1.

        """
        tensors, axes = {}, {}
        for name, tensor in self.items():
            tensors[name], axes[name] = drop_batch(name, tensor, self._axes[name])
        return ActivationCache(tensors, axes, self._points)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "ActivationCache":
        return ActivationCache({name: change(t) for name, t in self._tensors.items()}, self._axes, self._points)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = [
            (
                name,
                describe(self._axes[name], tensor.shape),
                str(tensor.dtype).removeprefix("torch."),
                format_bytes(tensor.numel() * tensor.element_size()),
            )
            for name, tensor in self._tensors.items()
        ]
        if len(rows) > SHOWN:
            half = SHOWN // 2
            rows[half:-half] = [(f"… {len(rows) - 2 * half} more …", "", "", "")]
        return rows

    def _title(self) -> str:
        noun = "activation" if len(self) == 1 else "activations"
        return f"ActivationCache: {len(self)} {noun}, {format_bytes(self.nbytes)}"

    def __repr__(self) -> str:
        """Write a table: names, axes with sizes, dtypes, bytes."""
        rows = self._rows()
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = [
            "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
            for row in rows
        ]
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        """Write the same table for notebooks."""
        head = "".join(f"<th style='text-align:left'>{title}</th>" for title in ("name", "axes", "dtype", "bytes"))
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        return (
            f"<table><caption>{html.escape(self._title())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def drop_batch(name: str, tensor: Tensor, axes: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    """Return the tensor and its axes without the batch axis.

    Raises:
        ShapeError: the axes are unknown, or the batch has more than one row.

    """
    if not axes:
        raise ShapeError(f"the axes of {name!r} are not declared, so its batch axis cannot be removed.")
    if "batch" not in axes:
        return tensor, axes
    place = axes.index("batch")
    if tensor.shape[place] != 1:
        raise ShapeError(
            f"remove_batch_dim needs a batch of 1, but {name!r} is {describe(axes, tensor.shape)}. "
            "Run one input, or keep the axis and index it."
        )
    return tensor.squeeze(place), axes[:place] + axes[place + 1 :]
