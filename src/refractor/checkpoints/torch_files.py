"""Reading what `torch.save` wrote: only tensors by name, never code.

Such a file is a pickle, which can name any function to be called. `torch.load(weights_only=True)` calls none but those
that put tensors together, and refuses the rest; on top of that, what it returns has to be a plain mapping from names to
tensors, no larger than the file.
"""

import io
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # what a refused or damaged file raises; nothing is unpickled here
from typing import Any

import torch
from torch import Tensor

from refractor.base.budget import format_bytes
from refractor.base.errors import CheckpointError, StoreError
from refractor.checkpoints.weight_files import (
    SAFETENSORS_DTYPES,
    ShardedWeights,
    WeightFiles,
    fetch_again,
    find,
    listed,
    mistaken_for_weights,
    new_tensor,
)

SINGLE_FILE = "pytorch_model.bin"
INDEX_FILE = "pytorch_model.bin.index.json"
SUFFIX = ".bin"

READ_DTYPES = frozenset(SAFETENSORS_DTYPES.values())
DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    ImportError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)
"""What torch.load was seen to raise, or may, when bytes of a file are not what they were."""

ZIP = b"PK\x03\x04"
NAMED_CODE = re.compile(r"GLOBAL (\S+)")  # how torch names the function that a file wants called


class TorchFile(WeightFiles):
    """The tensors of one file that `torch.save` wrote.

    Files of torch 1.6 and later (zip archives) are mapped into memory, and a tensor is copied when it is read. Older
    ones cannot be mapped and are held in memory as long as this reader is.

    Args:
        path: of the file.

    Raises:
        CheckpointError: the file would run code if it were read as it asks, or holds something else than tensors by
            name.
        StoreError: it is missing or damaged.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = _load(path)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order in which they were saved."""
        return tuple(self._tensors)

    @property
    def described(self) -> str:
        """The path."""
        return str(self._path)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(find(self._tensors, name, self).shape)

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype in which a tensor is stored."""
        return find(self._tensors, name, self).dtype

    def read(self, name: str) -> Tensor:
        """Return a copy of a tensor."""
        tensor = find(self._tensors, name, self)
        return new_tensor(name, tuple(tensor.shape), tensor.dtype, str(self._path)).copy_(tensor)


def sharded_torch(index: Path) -> ShardedWeights:
    """Return the tensors of several files that `torch.save` wrote, one of which is open at a time.

    Args:
        index: path of the index, usually `pytorch_model.bin.index.json`.

    Raises:
        StoreError: the index is damaged.
        CheckpointError: files are missing, or the index names files elsewhere.

    """
    return ShardedWeights(index, SUFFIX, TorchFile, most_open=1)


def _load(path: Path) -> dict[str, Tensor]:
    size, mapped = _look(path)
    try:
        loaded = torch.load(str(path), map_location="cpu", weights_only=True, mmap=mapped)
    except UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except DAMAGED as error:
        raise StoreError(
            f"{path} is damaged or was not written by torch.save: {_first_line(error)}. {fetch_again(path)}"
        ) from error
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path} should hold tensors by name; a {type(loaded).__name__} came.")
    return {_name(path, name): _tensor(path, name, value, size) for name, value in loaded.items()}


def _look(path: Path) -> tuple[int, bool]:
    """Return the size of a file, and whether it can be mapped into memory."""
    if not path.is_file():
        what = "points to a file that is not there any more" if path.is_symlink() else "is no file"
        raise StoreError(f"{path} {what if path.is_symlink() or path.exists() else 'does not exist'}.")
    try:
        with path.open("rb") as file:
            start = file.read(8)
            size = file.seek(0, io.SEEK_END)
        members = _members(path) if start.startswith(ZIP) else None
    except DAMAGED as error:
        raise StoreError(
            f"{path} cannot be read, or is truncated: {_first_line(error)}. {fetch_again(path)}"
        ) from error
    if members is None:
        what = mistaken_for_weights(start)
        if what:
            raise StoreError(f"{path} is {what}.")
        return size, False
    # torch.save never compresses: a small file that unfolds into a large one was made to do so
    packed = [m.filename for m in members if m.compress_type != zipfile.ZIP_STORED or m.file_size > size]
    if packed:
        raise StoreError(f"{path} has compressed parts ({listed(packed, 2)}), which torch.save never writes.")
    return size, True


def _members(path: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def _refused(path: Path, reason: str) -> CheckpointError:
    named = NAMED_CODE.search(reason)
    wants = f" (it asks for {named[1]})" if named else ""
    return CheckpointError(
        f"{path} is refused: it is damaged, or needs code to be executed to be read{wants}. Nothing was executed. "
        "Use a safetensors version of the model, or have its owner save plain tensors: torch.save(model.state_dict())."
    )


def _name(path: Path, name: Any) -> str:
    if not isinstance(name, str):
        raise CheckpointError(f"{path} should hold tensors by name; the key {name!r} came.")
    return name


def _tensor(path: Path, name: str, value: Any, size: int) -> Tensor:
    if not isinstance(value, Tensor):
        raise CheckpointError(
            f"{path} should hold tensors by name; {name!r} is a {type(value).__name__}. "
            "A file of a training run has the weights inside: save those alone, with torch.save."
        )
    if value.layout != torch.strided or value.device.type != "cpu" or value.dtype not in READ_DTYPES:
        raise CheckpointError(
            f"{path} holds {name!r} as {value.dtype} ({value.layout}, on {value.device}), which is not supported; "
            f"dense tensors of {', '.join(SAFETENSORS_DTYPES)} are."
        )
    if value.numel() * value.itemsize > size:  # one number said to be repeated over a shape that fills the memory
        raise StoreError(
            f"{path} gives {name!r} the shape {list(value.shape)}, {format_bytes(value.numel() * value.itemsize)}, "
            f"and has only {format_bytes(size)}."
        )
    return value.detach()


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200].rstrip(".") if text else type(error).__name__
