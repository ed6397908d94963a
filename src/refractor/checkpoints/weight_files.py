"""What every reader of weights offers: names, shapes and dtypes at once, tensors one at a time.

A model is loaded one tensor after the other, so that no second copy of it is ever held. Readers of single files are in
`safetensors_files` and `torch_files`; here are the weights that are in memory already, and the weights of several
files that an index ties together.
"""

import json
import math
import mmap
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor

from refractor.base.budget import format_bytes
from refractor.base.errors import BudgetError, CheckpointError, StoreError, unknown_name

T = TypeVar("T")

SAFETENSORS_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
)
"""Dtypes that are read, from files of every kind, by the names that safetensors files give them."""

OWN_PAGES = 2**20  # bytes from which on a tensor gets pages of its own
LARGEST_INDEX = 100_000_000  # bytes; the index of the largest open models has about 100 kB
SHARD_NAME = re.compile(r"\w[\w.+@=, -]*")  # no separator, no drive, no NUL, no dots alone, nothing a pattern expands
UNFINISHED = (
    "The download may have been interrupted: load the model again by its hub name while online, "
    "or run `hf download NAME --local-dir FOLDER` again; both go on where they stopped."
)

WEB_PAGE = "a web page, not weights: the download went to a page that shows the file"
OTHER_FILES: Mapping[bytes, str] = MappingProxyType(
    {
        b"version ": "a git-lfs pointer, not the weights themselves: run `git lfs pull` in its folder",
        b"<!DOCTYP": WEB_PAGE,
        b"<!doctyp": WEB_PAGE,
        b"<html": WEB_PAGE,
        b"PK\x03\x04": "a zip archive, as torch.save writes it, not safetensors: name it pytorch_model.bin",
        b"GGUF": "a GGUF file: give it a name that ends in .gguf and load it by that path",
    }
)
"""What the first eight bytes say a file is, if not what its name says."""


def fetch_again(path: Path) -> str:
    """Say how to replace a damaged file, which a download would otherwise take for the one that is wanted."""
    # in a cache the path is a link, and the file is a blob that would only be linked again
    return f"Delete {path.resolve()} and load the model again by its hub name, or copy it again from where it came."


class WeightFiles(ABC):
    """Named tensors somewhere on disk or in memory, read one at a time."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of all tensors."""

    @property
    @abstractmethod
    def described(self) -> str:
        """Where the weights lie, for messages: a path, or what they are."""

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, without reading it.

        Raises:
            UnknownNameError: there is no such tensor.

        """

    @abstractmethod
    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype in which a tensor is stored.

        Raises:
            UnknownNameError: there is no such tensor.

        """

    def stored(self, name: str) -> str:
        """Return how a tensor is stored: its dtype, or its quantisation."""
        return str(self.dtype(name)).removeprefix("torch.")

    @abstractmethod
    def read(self, name: str) -> Tensor:
        """Return a new contiguous tensor on the CPU that owns its memory, of the dtype in which it is stored.

        Raises:
            UnknownNameError: there is no such tensor.
            StoreError: the file is not there any more, or is damaged.
            BudgetError: the tensor does not fit into memory.

        """


class InMemoryWeights(WeightFiles):
    """Tensors that are in memory already, such as the state dict of a model of another library.

    Args:
        tensors: by name; they are kept as they are, and `read` copies.
        described: what they are, for messages.

    >>> weights = InMemoryWeights({"bias": torch.ones(3)})
    >>> weights.names, weights.shape("bias"), weights.read("bias")
    (('bias',), (3,), tensor([1., 1., 1.]))

    """

    def __init__(self, tensors: Mapping[str, Tensor], described: str = "the weights in memory") -> None:
        self._tensors = dict(tensors)
        self._described = described

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the mapping."""
        return tuple(self._tensors)

    @property
    def described(self) -> str:
        """What the weights are."""
        return self._described

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(find(self._tensors, name, self).shape)

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype of a tensor."""
        return find(self._tensors, name, self).dtype

    def read(self, name: str) -> Tensor:
        """Return a copy of a tensor, on the CPU."""
        tensor = find(self._tensors, name, self)
        if tensor.is_meta:
            raise CheckpointError(f"{name!r} of {self.described} is on the meta device: it has a shape, but no values.")
        return new_tensor(name, tuple(tensor.shape), tensor.dtype, self.described).copy_(tensor.detach())


class ShardedWeights(WeightFiles):
    """Tensors in several files of one folder, and an index that says which tensor is in which file.

    Args:
        index: the path of the index; the files lie beside it.
        suffix: how the names of these files end.
        open_shard: makes a reader of one of them.
        most_open: how many readers are kept, for files whose reader holds much memory; all by default.

    Raises:
        StoreError: the index is no index.
        CheckpointError: it names files elsewhere, or files that are not there.

    """

    def __init__(
        self, index: Path, suffix: str, open_shard: Callable[[Path], WeightFiles], most_open: int | None = None
    ) -> None:
        self._index = index
        self._weight_map = read_index(index, suffix)
        self._files = tuple(dict.fromkeys(self._weight_map.values()))
        self._open_shard = open_shard
        self._most_open = len(self._files) if most_open is None else most_open
        self._open: dict[str, WeightFiles] = {}
        self._seen: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
        missing = [file for file in self._files if not (index.parent / file).is_file()]
        if missing:
            raise CheckpointError(
                f"{len(missing)} of the {len(self._files)} weight files that {index} names are missing: "
                f"{listed(missing)}. {UNFINISHED}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the index."""
        return tuple(self._weight_map)

    @property
    def described(self) -> str:
        """The path of the index, and how many files it names."""
        return f"{self._index} ({len(self._files)} files)"

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._description(name)[0]

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype in which a tensor is stored."""
        return self._description(name)[1]

    def read(self, name: str) -> Tensor:
        """Return a tensor, from whichever file it is in."""
        return self._shard(find(self._weight_map, name, self)).read(name)

    def check(self) -> None:
        """Open every file, and hold what is in it against the index.

        Raises:
            StoreError: a file is damaged, or has not exactly the tensors that the index says.

        """
        for file in self._files:
            self._shard(file)

    def _description(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        file = find(self._weight_map, name, self)
        if name not in self._seen:
            self._shard(file)
        return self._seen[name]

    def _shard(self, file: str) -> WeightFiles:
        if file not in self._open:
            while len(self._open) >= self._most_open:
                del self._open[next(iter(self._open))]
            shard = self._open_shard(self._index.parent / file)
            self._check_shard(file, shard)
            self._seen.update({name: (shard.shape(name), shard.dtype(name)) for name in shard.names})
            self._open[file] = shard
        return self._open[file]

    def _check_shard(self, file: str, shard: WeightFiles) -> None:
        wanted = {name for name, place in self._weight_map.items() if place == file}
        there = set(shard.names)
        if wanted - there:
            raise StoreError(
                f"{self._index} says that {shard.described} holds {listed(sorted(wanted - there))}, which it does not. "
                "Index and files are of different models or versions: download both again."
            )
        if there - wanted:
            raise StoreError(
                f"{shard.described} holds {listed(sorted(there - wanted))}, which {self._index} does not place there. "
                "Index and files are of different models or versions: download both again."
            )


def read_index(path: Path, suffix: str) -> dict[str, str]:
    """Return which tensor is in which file, as an index says: `{"weight_map": {tensor: file}}`.

    Args:
        path: of the index.
        suffix: how the names of the files must end.

    Raises:
        StoreError: it is missing, no JSON, or has no map from names to names.
        CheckpointError: it names a file that would be sought outside its own folder.

    """
    weight_map = strict_json(read_small(path, LARGEST_INDEX), str(path)).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise StoreError(f"{path} has no weight_map from tensors to files, so it is no index of weights.")
    files: dict[str, str] = {}
    for name, file in weight_map.items():
        if not isinstance(file, str):
            raise StoreError(f"weight_map in {path} should give {name!r} the name of a file; {file!r} came.")
        if not SHARD_NAME.fullmatch(file) or not file.endswith(suffix):
            raise CheckpointError(
                f"weight_map in {path} places {name!r} in {file!r}; only plain names of {suffix} files in the same "
                "folder are opened. Do not trust this model unless you know why its index looks elsewhere."
            )
        files[name] = file
    return files


def mistaken_for_weights(start: bytes) -> str | None:
    """Return what a file is whose first bytes are no beginning of weights; None when that cannot be told."""
    return next((what for beginning, what in OTHER_FILES.items() if start.startswith(beginning)), None)


def read_small(path: Path, largest: int) -> bytes:
    """Return the content of a file that should be small.

    Raises:
        StoreError: it cannot be read, or has more than `largest` bytes.

    """
    if not path.is_file():
        raise StoreError(f"{path} {'is no file' if path.exists() else 'does not exist'}.")
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > largest:
        raise StoreError(f"{path} has more than {format_bytes(largest)}, which no honest file of its kind has.")
    return content


def strict_json(content: bytes, where: str) -> dict[str, Any]:
    """Return the object in a JSON text; keys that come twice, NaN and infinity are refused.

    Args:
        content: the text, as UTF-8.
        where: what the text is, for messages.

    Raises:
        StoreError: it is no JSON, or no object.

    >>> strict_json(b'{"n_layer": 12}', "config.json")
    {'n_layer': 12}

    """

    def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise StoreError(f"{where} has the key {twice!r} twice; which of the two is meant cannot be known.")
        return value

    def refuse(constant: str) -> float:
        raise StoreError(f"{where} has the value {constant}, which is no JSON.")

    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=without_repetition, parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON, or an integer of thousands of digits
        raise StoreError(f"{where} is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise StoreError(f"{where} should be a JSON object; a {type(value).__name__} came.")
    return value


def find(table: Mapping[str, T], name: str, weights: WeightFiles) -> T:
    """Return the entry of `name`.

    Raises:
        UnknownNameError: there is none; the nearest names are offered.

    """
    if name not in table:
        raise unknown_name(f"tensor of {weights.described}", name, table)
    return table[name]


def new_tensor(name: str, shape: tuple[int, ...], dtype: torch.dtype, described: str) -> Tensor:
    """Return a tensor on the CPU whose values are not set yet.

    Large ones lie in pages of their own, which go back to the system as soon as they are freed: what is read, taken
    apart and dropped would leave holes in the allocator's memory that the next tensor does not fit into.

    Raises:
        BudgetError: there is no memory for it.

    """
    nbytes = math.prod(shape) * dtype.itemsize
    try:
        if nbytes < OWN_PAGES:
            return torch.empty(shape, dtype=dtype, device="cpu")
        private = {} if os.name == "nt" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
        return torch.frombuffer(mmap.mmap(-1, nbytes, **private), dtype=dtype).view(shape)
    except (RuntimeError, OSError, OverflowError) as error:  # their own messages do not say what the memory was for
        raise BudgetError(
            f"{name!r} of {described} needs {format_bytes(nbytes)}, which the system does not give."
        ) from error


def listed(names: Collection[str], most: int = 6) -> str:
    """Return names for a message, the first few of them when there are many.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
