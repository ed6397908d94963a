"""How a family lays its weights out in files, and how ours are made of them: pairs of functions that undo each other.

What is made from a file's tensor is a view of it where that can be, so that a file read into memory is the model's
memory. Shapes are never guessed from sizes: every layout says which axis is which.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from refractor.models.config import HookedTransformerConfig

Tensors = tuple[Tensor, ...]
Convert = Callable[[Sequence[Tensor], HookedTransformerConfig], Tensors]


@dataclass(frozen=True)
class Layout:
    """Two functions: `read` makes our tensors of theirs, `write` theirs of ours (None where that cannot be done)."""

    read: Convert
    write: Convert | None


def _each(
    read: Callable[[Tensor, HookedTransformerConfig], Tensor],
    write: Callable[[Tensor, HookedTransformerConfig], Tensor],
) -> Layout:
    """Return the layout that treats every tensor alike."""
    return Layout(
        lambda theirs, cfg: tuple(read(tensor, cfg) for tensor in theirs),
        lambda ours, cfg: tuple(write(tensor, cfg) for tensor in ours),
    )


SAME = _each(lambda t, _: t, lambda t, _: t)

TRANSPOSED = _each(lambda t, _: t.T, lambda t, _: t.T)
"""[out, in] in the file, as `nn.Linear` keeps it; [in, out] here."""

HEADS_IN = _each(
    lambda t, cfg: t.unflatten(0, (-1, cfg.d_head)).mT,
    lambda t, _: t.mT.flatten(0, 1),
)
"""[head * d_head, d_model] in the file; [head, d_model, d_head] here."""

HEADS_OUT = _each(
    lambda t, cfg: t.T.unflatten(0, (-1, cfg.d_head)),
    lambda t, _: t.flatten(0, 1).T,
)
"""[d_model, head * d_head] in the file; [head, d_head, d_model] here."""

HEAD_BIASES = _each(lambda t, cfg: t.unflatten(0, (-1, cfg.d_head)), lambda t, _: t.flatten())
"""[head * d_head] in the file; [head, d_head] here."""

PLUS_ONE = _each(lambda t, _: t + 1, lambda t, _: t - 1)
"""The file has the deviation of a norm's weight from 1 (Gemma)."""


def _split_conv(theirs: Sequence[Tensor], cfg: HookedTransformerConfig) -> Tensors:
    return tuple(_own(part.unflatten(1, (-1, cfg.d_head)).transpose(0, 1)) for part in theirs[0].chunk(3, dim=1))


def _join_conv(ours: Sequence[Tensor], cfg: HookedTransformerConfig) -> Tensors:
    return (_joined([part.transpose(0, 1).flatten(1) for part in ours], dim=1),)


CONV_QKV = Layout(_split_conv, _join_conv)
"""[d_model, 3 * head * d_head] in the file: queries, keys, values side by side, the input first (GPT-2)."""

CONV_QKV_BIASES = Layout(
    lambda theirs, cfg: tuple(_own(part.unflatten(0, (-1, cfg.d_head))) for part in theirs[0].chunk(3)),
    lambda ours, _: (_joined([part.flatten() for part in ours]),),
)

CONV_OUT = _each(lambda t, cfg: t.unflatten(0, (-1, cfg.d_head)), lambda t, _: t.flatten(0, 1))
"""[head * d_head, d_model] in the file, the input first (GPT-2)."""


def _split_groups(theirs: Sequence[Tensor], cfg: HookedTransformerConfig) -> Tensors:
    group = cfg.n_heads // cfg.n_kv_heads
    parts = theirs[0].unflatten(0, (cfg.n_kv_heads, group + 2, cfg.d_head))
    q, k, v = parts[:, :group].flatten(0, 1), parts[:, group], parts[:, group + 1]
    return tuple(_own(part.mT if part.ndim == 3 else part) for part in (q, k, v))


def _join_groups(ours: Sequence[Tensor], cfg: HookedTransformerConfig) -> Tensors:
    q, k, v = (part.mT if part.ndim == 3 else part for part in ours)
    q = q.unflatten(0, (cfg.n_kv_heads, -1))
    return (_joined([q, k.unsqueeze(1), v.unsqueeze(1)], dim=1).flatten(0, 2),)


GROUPED_QKV = Layout(_split_groups, _join_groups)
"""[kv_head, queries of the group then key then value, d_head, d_model] with the first three axes as one: GPT-NeoX,
Bloom and Falcon, which differ only in how many heads share a key. Biases lie alike, without the last axis."""


def _split_stacked(theirs: Sequence[Tensor], cfg: HookedTransformerConfig) -> Tensors:
    sizes = [heads * cfg.d_head for heads in (cfg.n_heads, cfg.n_kv_heads, cfg.n_kv_heads)]
    return tuple(_own(part.unflatten(0, (-1, cfg.d_head)).mT) for part in theirs[0].split(sizes))


STACKED_QKV = Layout(_split_stacked, lambda ours, _: (_joined([part.mT.flatten(0, 1) for part in ours]),))
"""[all queries, all keys, all values; d_model] in the file (Phi-3)."""

STACKED_GATE = Layout(
    lambda theirs, _: tuple(_own(part.T) for part in theirs[0].chunk(2)),
    lambda ours, _: (_joined([part.T for part in ours]),),
)
"""[gates, then what they multiply; d_model] in the file (Phi-3)."""

EXPERTS = Layout(
    lambda theirs, _: (torch.stack(tuple(theirs)).mT,),
    lambda ours, _: tuple(ours[0].mT),
)
"""One [out, in] tensor for each expert in the file; [expert, in, out] here."""

EXPERTS_STACKED = _each(lambda t, _: t.mT, lambda t, _: t.mT)
"""[expert, out, in] in memory; [expert, in, out] here."""

EXPERTS_GATE = Layout(
    lambda theirs, _: tuple(_own(part.mT) for part in theirs[0].chunk(2, dim=1)),
    lambda ours, _: (_joined([part.mT for part in ours], dim=1),),
)
"""[expert, gates then what they multiply, in] in memory."""

NORM_PER_HEAD = Layout(lambda theirs, _: (torch.stack(tuple(theirs)),), lambda ours, _: tuple(ours[0]))
"""One [d_head] tensor for each head in the file (StableLM)."""


def scaled(factor: float) -> Layout:
    """Return the layout of a tensor that is multiplied by a constant before it is used."""
    return _each(lambda t, _: t * factor, lambda t, _: t / factor)


def scaled_and_tied(factor: float) -> Layout:
    """Return the layout of one matrix that embeds, times a constant, and unembeds, without it (Gemma)."""
    return Layout(lambda theirs, _: (theirs[0] * factor, theirs[0].T), lambda ours, _: (ours[1].T,))


def rows_from(first: int) -> Layout:
    """Return the layout of a table whose first rows are never used (OPT); written, they are zero."""
    return _each(lambda t, _: t[first:], lambda t, _: _joined([t.new_zeros(first, t.shape[1]), t]))


TWICE = Layout(lambda theirs, _: (theirs[0], theirs[0].clone()), lambda ours, _: (ours[0],))
"""One norm in the file that attention and MLP both read; two here, equal when they are written."""


def _joined(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return tensors one after the other along an axis; of those without numbers, only the shape.

    PyTorch would load a compiler, in seconds and 75 MB, to find that shape.
    """
    if not parts[0].is_meta:
        return torch.cat(list(parts), dim=dim)
    shape = list(parts[0].shape)
    shape[dim] = sum(part.shape[dim] for part in parts)
    return parts[0].new_empty(shape)


def _own(part: Tensor) -> Tensor:
    """Return a part of a fused tensor in memory of its own, in the order in which it lies there.

    A view would keep the whole alive, and would lose its order when it is copied.
    """
    order = sorted(range(part.ndim), key=lambda axis: -part.stride(axis))
    dense = part.permute(order).contiguous()
    return (dense.clone() if dense.data_ptr() == part.data_ptr() else dense).permute(
        [order.index(axis) for axis in range(part.ndim)]
    )
