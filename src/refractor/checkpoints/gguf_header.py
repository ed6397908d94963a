"""The header of a GGUF file, read with suspicion: nothing is allocated because a file says so.

The format (ggml, 2023), all little-endian: `GGUF`, a version, how many tensors and how many entries of metadata there
are; the entries, each a name, a type and a value; the tensors, each a name, sizes (the fastest axis first), a type and
an offset; then, aligned, the bytes of the tensors. Strings and arrays say their own lengths, so a damaged or malicious
file can ask for any amount of memory. Here every length is held against what the file still has before it is believed.
"""

import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

from refractor.base.errors import StoreError
from refractor.checkpoints.weight_files import UNFINISHED

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # the first had 32-bit lengths, and was replaced within months
LARGEST_HEADER = 2**28  # bytes; those of the largest vocabularies (260,000 tokens with merges) take 20 MB
LONGEST_STRING = 2**24  # bytes; chat templates take 20 kB
MOST_ITEMS = 2**22  # values of all arrays and entries together; those vocabularies take 1.3 million
DEEPEST = 2  # arrays within an array
MOST_AXES = 4  # of ggml
ALIGNMENT = 32  # of tensors, unless general.alignment says another
CHUNK = 2**20  # bytes of the header that are read at once


class Stored(NamedTuple):
    """How a type of ggml lays numbers out: in blocks of `block` numbers and `size` bytes each."""

    name: str
    block: int
    size: int


STORED: Mapping[int, Stored] = MappingProxyType(
    {
        0: Stored("F32", 1, 4),
        1: Stored("F16", 1, 2),
        2: Stored("Q4_0", 32, 18),
        3: Stored("Q4_1", 32, 20),
        6: Stored("Q5_0", 32, 22),
        7: Stored("Q5_1", 32, 24),
        8: Stored("Q8_0", 32, 34),
        9: Stored("Q8_1", 32, 40),
        10: Stored("Q2_K", 256, 84),
        11: Stored("Q3_K", 256, 110),
        12: Stored("Q4_K", 256, 144),
        13: Stored("Q5_K", 256, 176),
        14: Stored("Q6_K", 256, 210),
        15: Stored("Q8_K", 256, 292),
        16: Stored("IQ2_XXS", 256, 66),
        17: Stored("IQ2_XS", 256, 74),
        18: Stored("IQ3_XXS", 256, 98),
        19: Stored("IQ1_S", 256, 50),
        20: Stored("IQ4_NL", 32, 18),
        21: Stored("IQ3_S", 256, 110),
        22: Stored("IQ2_S", 256, 82),
        23: Stored("IQ4_XS", 256, 136),
        24: Stored("I8", 1, 1),
        25: Stored("I16", 1, 2),
        26: Stored("I32", 1, 4),
        27: Stored("I64", 1, 8),
        28: Stored("F64", 1, 8),
        29: Stored("IQ1_M", 256, 56),
        30: Stored("BF16", 1, 2),
        34: Stored("TQ1_0", 256, 54),
        35: Stored("TQ2_0", 256, 66),
        39: Stored("MXFP4", 32, 17),
    }
)
"""Types of tensors by their number in files; those that are missing here are refused by number."""

NUMBERS: Mapping[int, struct.Struct] = MappingProxyType(
    {
        code: struct.Struct("<" + letter)
        for code, letter in zip((0, 1, 2, 3, 4, 5, 6, 10, 11, 12), "BbHhIifQqd", strict=True)
    }
)
"""Types of metadata that are numbers: by their code in files, how they are packed."""

BOOL, STRING, ARRAY = 7, 8, 9
U32, U64 = NUMBERS[4], NUMBERS[10]


@dataclass(frozen=True)
class GgufTensor:
    """One tensor of a file.

    Args:
        shape: the slowest axis first, as torch counts; the file says them the other way round.
        stored: how its numbers are laid out.
        begin: its first byte, from the beginning of the file.
        nbytes: how many bytes it takes.

    """

    shape: tuple[int, ...]
    stored: Stored
    begin: int
    nbytes: int


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself.

    Args:
        path: of the file.
        metadata: values by name: numbers, truth values, strings, and lists of them.
        tensors: by name, in the order of the file.

    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_header(path: str | Path) -> GgufHeader:
    """Read and check the header of a GGUF file; no tensor is read.

    Every number is checked, so that the result can be trusted: each tensor is aligned, lies inside the file, shares its
    bytes with no other, and takes as many as its shape and type say.

    Raises:
        StoreError: the file is missing, truncated, damaged, absurd, of another format, or of another version.

    """
    path = Path(path)
    with open_file(path) as file:
        cursor = _Cursor(file, path)
        tensor_count, entry_count = _begin(cursor)
        metadata: dict[str, Any] = {}
        for _ in range(entry_count):
            name = cursor.string("the name of an entry of metadata")
            if name in metadata:
                raise cursor.damaged(f"{_short(name)} is there twice")
            metadata[name] = _value(cursor, cursor.number(U32), name)
        infos: dict[str, tuple[tuple[int, ...], Stored, int]] = {}
        for _ in range(tensor_count):
            name = cursor.string("the name of a tensor")
            if name in infos:
                raise cursor.damaged(f"the tensor {_short(name)} is there twice")
            infos[name] = _tensor(cursor, name)
        return GgufHeader(path, metadata, _placed(cursor, infos, _alignment(cursor, metadata)))


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading; pipes and devices are refused.

    Raises:
        StoreError: it does not exist, is no file, or cannot be read.

    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreError(f"{path} is no file.")
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path} cannot be read: {error}.") from error


class _Cursor:
    """A place in the header. What is asked for is checked against the file before it is read.

    Args:
        file: the file, at its beginning.
        path: its path, for messages.

    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self.size = os.fstat(file.fileno()).st_size
        self.place = 0
        self.items = 0
        self._file = file
        self._read = bytearray()

    def damaged(self, what: str) -> StoreError:
        """Return the error for a file that contradicts itself."""
        return StoreError(f"{self.path} is damaged: {what}.")

    def need(self, count: int, what: str) -> None:
        """Raise unless the file has `count` more bytes; have them read.

        Raises:
            StoreError: it has not, or no honest header has.

        """
        end = self.place + count
        if end > self.size:
            raise StoreError(
                f"{self.path} is truncated or damaged: {what} should end at byte {end}, and the file has {self.size} "
                f"bytes. {UNFINISHED}"
            )
        if end > LARGEST_HEADER:
            raise self.damaged(f"{what} would make its header larger than {LARGEST_HEADER} bytes, which none is")
        while len(self._read) < end:
            wanted = min(max(CHUNK, end - len(self._read)), self.size - len(self._read))
            more = self._file.read(wanted)
            if not more:  # it shrank meanwhile
                raise StoreError(f"{self.path} is truncated: it ends at byte {len(self._read)}, inside its header.")
            self._read += more

    def count(self, items: int, least: int, what: str) -> None:
        """Raise unless `items` more values, each of at least `least` bytes, can be there.

        Raises:
            StoreError: the file has not so many bytes, or no honest header so many values.

        """
        if items * least > self.size - self.place:
            raise self.damaged(
                f"{what} should have {items} values, which take {items * least} bytes at least; from there on the file "
                f"has {self.size - self.place}"
            )
        self.items += items
        if self.items > MOST_ITEMS:
            raise self.damaged(f"with {what} its header has {self.items} values; at most {MOST_ITEMS} are read")

    def number(self, packed: struct.Struct, what: str = "a number of its header") -> Any:
        """Return the next number."""
        self.need(packed.size, what)
        value = packed.unpack_from(self._read, self.place)[0]
        self.place += packed.size
        return value

    def numbers(self, packed: struct.Struct, count: int, what: str) -> list[Any]:
        """Return the next numbers; their count has been checked."""
        self.need(count * packed.size, what)
        values = struct.unpack_from(f"<{count}{packed.format[1:]}", self._read, self.place)
        self.place += count * packed.size
        return list(values)

    def string(self, what: str) -> str:
        """Return the next string.

        Raises:
            StoreError: it is too long, or no UTF-8.

        """
        length = self.number(U64, what)
        if length > min(LONGEST_STRING, self.size):
            raise self.damaged(f"{what} should be {length} bytes long")
        self.need(length, what)
        content = self._read[self.place : self.place + length]
        self.place += length
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(f"{what} is no UTF-8") from error


def _begin(cursor: _Cursor) -> tuple[int, int]:
    """Return how many tensors and entries there are, after checking what the file is."""
    cursor.need(4, "the first four bytes")
    start = cursor.number(U32).to_bytes(4, "little")
    if start != MAGIC:
        raise StoreError(f"{cursor.path} is no GGUF file: it begins with {start!r} instead of {MAGIC!r}.")
    version = cursor.number(U32)
    if version and version & 0xFFFF == 0:
        raise StoreError(
            f"{cursor.path} was written for big-endian machines; convert it: gguf-convert-endian {cursor.path} little"
        )
    if version not in VERSIONS:
        raise StoreError(
            f"{cursor.path} is of GGUF version {version}; versions {' and '.join(map(str, VERSIONS))} are read. "
            "Convert the model again."
        )
    tensors, entries = cursor.number(U64), cursor.number(U64)
    cursor.count(tensors, 8 + 4 + 8 + 4 + 8, "the list of tensors")
    cursor.count(entries, 8 + 4 + 1, "the metadata")
    return tensors, entries


def _value(cursor: _Cursor, kind: int, name: str, depth: int = 0) -> Any:
    if kind in NUMBERS:
        return cursor.number(NUMBERS[kind], _short(name))
    if kind == STRING:
        return cursor.string(_short(name))
    if kind == BOOL:
        return _truth(cursor, cursor.number(NUMBERS[0], _short(name)), name)
    if kind != ARRAY:
        raise cursor.damaged(f"{_short(name)} is of type {kind}, which the format does not have")
    if depth > DEEPEST:
        raise cursor.damaged(f"{_short(name)} is an array within arrays, more than {DEEPEST} deep")
    inner, count = cursor.number(U32), cursor.number(U64)
    if inner in NUMBERS:
        cursor.count(count, NUMBERS[inner].size, _short(name))
        return cursor.numbers(NUMBERS[inner], count, _short(name))
    cursor.count(count, {BOOL: 1, STRING: 8, ARRAY: 12}.get(inner, 1), _short(name))
    if inner == STRING:
        what = f"an entry of {_short(name)}"
        return [cursor.string(what) for _ in range(count)]
    return [_value(cursor, inner, name, depth + 1) for _ in range(count)]


def _truth(cursor: _Cursor, value: int, name: str) -> bool:
    if value > 1:
        raise cursor.damaged(f"{_short(name)} is neither true (1) nor false (0), but {value}")
    return value == 1


def _tensor(cursor: _Cursor, name: str) -> tuple[tuple[int, ...], Stored, int]:
    """Return the shape of the next tensor, how it is stored, and its offset from the first one."""
    axes = cursor.number(U32)
    if not 1 <= axes <= MOST_AXES:
        raise cursor.damaged(f"{_short(name)} has {axes} axes; tensors of ggml have 1 to {MOST_AXES}")
    sizes = cursor.numbers(U64, axes, f"the sizes of {_short(name)}")
    kind, offset = cursor.number(U32), cursor.number(U64)
    if kind not in STORED:
        raise StoreError(f"{cursor.path} stores {_short(name)} as type {kind} of ggml, which is not known here.")
    stored = STORED[kind]
    if 0 in sizes:
        raise cursor.damaged(f"{_short(name)} of sizes {sizes} has no numbers")
    nbytes = math.prod(sizes) // stored.block * stored.size
    if nbytes > cursor.size:
        raise StoreError(
            f"{cursor.path} is truncated or damaged: {_short(name)} of sizes {sizes} and type {stored.name} takes "
            f"{nbytes} bytes, and the whole file has {cursor.size}. {UNFINISHED}"
        )
    if sizes[0] % stored.block:
        raise cursor.damaged(
            f"{_short(name)} has rows of {sizes[0]} numbers, and {stored.name} has blocks of {stored.block}"
        )
    return tuple(reversed(sizes)), stored, offset


def _alignment(cursor: _Cursor, metadata: Mapping[str, Any]) -> int:
    value = metadata.get("general.alignment", ALIGNMENT)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 2**16 or value & (value - 1):
        raise cursor.damaged(f"general.alignment should be a power of two, and is {_short(value)}")
    return value


def _placed(
    cursor: _Cursor, infos: Mapping[str, tuple[tuple[int, ...], Stored, int]], alignment: int
) -> dict[str, GgufTensor]:
    """Return the tensors with their places, after checking that these are apart and inside the file."""
    start = -(-cursor.place // alignment) * alignment
    tensors = {}
    for name, (shape, stored, offset) in infos.items():
        if offset % alignment:
            raise cursor.damaged(f"{_short(name)} begins at {offset}, which is no multiple of {alignment}")
        tensors[name] = GgufTensor(shape, stored, start + offset, math.prod(shape) // stored.block * stored.size)
    end, before = start, ""
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if tensor.begin < end:
            raise cursor.damaged(f"{_short(name)} and {_short(before)} are said to lie in the same bytes")
        end, before = tensor.begin + tensor.nbytes, name
    if end > cursor.size:
        raise StoreError(
            f"{cursor.path} is truncated: its tensors end at byte {end}, and the file has {cursor.size} "
            f"bytes. {UNFINISHED}"
        )
    return tensors


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
