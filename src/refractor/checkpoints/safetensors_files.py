"""Reading safetensors files: the header is checked before anything is allocated, and a tensor is read into its place.

The format (Hugging Face, 2022): eight bytes with the length of the header, little-endian; the header, a JSON object
`{name: {"dtype": …, "shape": […], "data_offsets": [begin, end]}}` that may end in spaces; then the bytes of the
tensors, one after the other without gaps. Offsets count from the end of the header.

The safetensors library maps a file into memory. Pages that were touched then count as memory of the process beside the
copy that a model needs, and a file that shrinks meanwhile kills it. Here the bytes are read from the file straight into
the new tensor.
"""

import io
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from refractor.base.errors import StoreError
from refractor.checkpoints.weight_files import (
    SAFETENSORS_DTYPES,
    ShardedWeights,
    WeightFiles,
    fetch_again,
    find,
    mistaken_for_weights,
    new_tensor,
    strict_json,
)

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
SUFFIX = ".safetensors"

LENGTH_BYTES = 8
LONGEST_HEADER = 100_000_000  # bytes; the limit of the format's own library
MOST_AXES = 64  # of a tensor in torch
LARGEST_SIZE = 2**63 - 1  # of an axis and of a tensor in bytes: what torch counts with
READ_BYTES = 2**28  # at once; some systems read less than 2 GiB in one call


@dataclass(frozen=True)
class Entry:
    """One tensor in a file; `begin` and `end` count from the beginning of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsFile(WeightFiles):
    """The tensors of one safetensors file. The header is read and checked at once; tensors when they are asked for.

    Args:
        path: of the file.

    Raises:
        StoreError: it is missing, truncated, or no safetensors file; or has tensors of a dtype that is not read.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = read_header(path)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order in which the tensors lie in the file."""
        return tuple(self._entries)

    @property
    def described(self) -> str:
        """The path."""
        return str(self._path)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return find(self._entries, name, self).shape

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype in which a tensor is stored."""
        return find(self._entries, name, self).dtype

    def read(self, name: str) -> Tensor:
        """Return a tensor, read from the file into its own memory."""
        entry = find(self._entries, name, self)
        with _open(self._path) as file:
            if os.fstat(file.fileno()).st_size < entry.end:
                raise _truncated(self._path, repr(name))
            tensor = new_tensor(name, entry.shape, entry.dtype, str(self._path))
            if entry.begin == entry.end:
                return tensor
            numbers = tensor.view(-1).view(torch.uint8)
            _fill(numbers.numpy().data, file, entry.begin, self._path, repr(name))
        if entry.dtype == torch.bool and int(numbers.max()) > 1:
            raise StoreError(f"{self._path} is damaged: {name!r} is of dtype BOOL and has bytes that are not 0 or 1.")
        return tensor


def sharded_safetensors(index: Path) -> ShardedWeights:
    """Return the tensors of several safetensors files, all of whose headers are held against the index.

    Args:
        index: path of the index, usually `model.safetensors.index.json`.

    Raises:
        StoreError: the index or a file is damaged, or they do not fit each other.
        CheckpointError: files are missing, or the index names files elsewhere.

    """
    weights = ShardedWeights(index, SUFFIX, SafetensorsFile)
    weights.check()
    return weights


def read_header(path: Path) -> dict[str, Entry]:
    """Return where the tensors of a file lie, in the order in which they lie there.

    Every number is checked here, so that `Entry` can be trusted: the bytes of a tensor are as many as its shape and
    dtype take, lie inside the file, and belong to no other tensor.

    Raises:
        StoreError: the file is missing, truncated, or no safetensors file; or has tensors of a dtype that is not read.

    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = bytearray(LENGTH_BYTES)
        _fill(memoryview(start), file, 0, path, "the length of the header")
        length = int.from_bytes(start, "little")
        if length > min(LONGEST_HEADER, size - LENGTH_BYTES):
            raise _no_header(path, bytes(start), length, size)
        content = bytearray(length)
        _fill(memoryview(content), file, LENGTH_BYTES, path, "the header")
    header = strict_json(bytes(content), f"the header of {path}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise StoreError(f"__metadata__ of {path} should give names texts; {_short(metadata)} came.")
    data = LENGTH_BYTES + length
    entries = {name: _entry(path, name, value, data) for name, value in header.items()}
    ordered = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
    _check_layout(path, ordered, data, size)
    return ordered


def _entry(path: Path, name: str, value: Any, data: int) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise StoreError(f"{path} should give {name!r} a dtype, a shape and data_offsets; {_short(value)} came.")
    shape, offsets = value["shape"], value["data_offsets"]
    if not isinstance(shape, list) or not all(_is_size(size) for size in shape) or len(shape) > MOST_AXES:
        raise StoreError(f"{path} should give {name!r} a shape of up to {MOST_AXES} sizes; {_short(shape)} came.")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(offset) for offset in offsets):
        raise StoreError(f"{path} should give {name!r} two offsets in bytes; {_short(offsets)} came.")
    dtype = _dtype(path, name, value["dtype"])
    if math.prod(size for size in shape if size) * dtype.itemsize > LARGEST_SIZE:  # zeros would hide absurd sizes
        raise StoreError(f"{path} gives {name!r} the shape {_short(shape)}, more than any memory has.")
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise StoreError(
            f"{path} is damaged: {name!r} of shape {_short(shape)} and {value['dtype']} takes "
            f"{math.prod(shape) * dtype.itemsize} bytes, and bytes {begin} to {end} are said to hold it."
        )
    return Entry(dtype, tuple(shape), data + begin, data + end)


def _dtype(path: Path, name: str, said: Any) -> torch.dtype:
    if isinstance(said, str) and said in SAFETENSORS_DTYPES:
        return SAFETENSORS_DTYPES[said]
    read = ", ".join(SAFETENSORS_DTYPES)
    if isinstance(said, str) and said.startswith(("F8", "F4", "F6")):
        raise StoreError(
            f"{path} holds {name!r} as {said}, a quantised format that is not supported; {read} are. "
            "Load the variant of the model that is not quantised."
        )
    raise StoreError(f"{path} holds {name!r} as {_short(said)}, which is not supported; {read} are.")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SIZE


def _check_layout(path: Path, entries: Mapping[str, Entry], data: int, size: int) -> None:
    """Raise unless the tensors, in order, fill the bytes from `data` to `size` without a gap."""
    reached, before = data, ""
    for name, entry in entries.items():
        if entry.begin < reached:
            raise StoreError(f"{path} is damaged: {name!r} and {before!r} are said to lie in the same bytes.")
        if entry.begin > reached:
            raise StoreError(f"{path} is damaged: {entry.begin - reached} bytes before {name!r} belong to no tensor.")
        reached, before = entry.end, name
    if reached > size:
        raise _truncated(path, next(repr(name) for name, entry in entries.items() if entry.end > size))
    if reached < size:
        raise StoreError(f"{path} is damaged: its last {size - reached} bytes belong to no tensor.")


def _fill(place: memoryview, file: io.FileIO, begin: int, path: Path, what: str) -> None:
    """Read the bytes from `begin` on until `place` is full."""
    filled = 0
    while filled < len(place):
        try:
            file.seek(begin + filled)
            count = file.readinto(place[filled : filled + READ_BYTES])
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}.") from error
        if not count:
            raise _truncated(path, what)
        filled += count


def _open(path: Path) -> io.FileIO:
    """Open a file without a buffer, so that large reads go where they are wanted. A pipe or a device is refused."""
    try:
        file = io.FileIO(path, "r") if stat.S_ISREG(path.stat().st_mode) else None
    except FileNotFoundError as error:
        what = "points to a file that is not there any more" if path.is_symlink() else "does not exist"
        raise StoreError(f"{path} {what}.") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}.") from error
    if file is None:
        raise StoreError(f"{path} is no file.")
    return file


def _no_header(path: Path, start: bytes, length: int, size: int) -> StoreError:
    what = mistaken_for_weights(start)
    if what:
        return StoreError(f"{path} is {what}.")
    limit = f"at most {LONGEST_HEADER:,} are read" if length > LONGEST_HEADER else f"the file has {size:,}"
    return StoreError(
        f"{path} is no safetensors file, or truncated: its header should take {length:,} bytes, and {limit}. "
        f"{fetch_again(path)}"
    )


def _truncated(path: Path, what: str) -> StoreError:
    return StoreError(f"{path} is truncated: it ends before {what} does. {fetch_again(path)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
