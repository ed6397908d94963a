"""`open_gguf`: a GGUF file presented as if it were the Hugging Face folder that it was converted from."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from refractor.base.checks import check_member
from refractor.base.errors import CheckpointError, StoreError
from refractor.checkpoints.gguf_config import ROPE_FACTORS, configuration
from refractor.checkpoints.gguf_header import GgufHeader, GgufTensor, Stored, open_file, read_header
from refractor.checkpoints.gguf_names import ROTATED, Source, sources
from refractor.checkpoints.gguf_tokenizer import tokenizer_from_gguf
from refractor.checkpoints.sources import ModelFiles
from refractor.checkpoints.weight_files import UNFINISHED, WeightFiles, find, new_tensor

BLOCK_BYTES = 2**23  # of numbers that are dequantised at once; the extra memory of a read is a few times this

NUMBERS: Mapping[str, torch.dtype] = MappingProxyType(
    {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
)
"""Types of tensors that are not quantised."""


def open_gguf(path: str | Path, dtype: torch.dtype = torch.float32) -> ModelFiles:
    """Find the model in a GGUF file: its configuration, tensors and tokenizer, as a Hugging Face folder has them.

    What conversion did to the tensors is undone: their names, the order of rotary rows, Gemma's norms, GPT-2's axes.
    Quantised tensors are dequantised one at a time, when they are asked for, by the `gguf` package.

    Args:
        path: of the file.
        dtype: in which tensors are given, whatever the file stores; float32 holds dequantised numbers exactly.

    Raises:
        StoreError: the file is missing, truncated or damaged.
        CheckpointError: its architecture, or something that it says, is not supported; or it is quantised, and the
            `gguf` package is missing.
        ArgumentError: `dtype` is no floating-point type.

    """
    check_member("dtype", dtype, tuple(NUMBERS.values()))
    header = read_header(Path(path))
    config = configuration(header, _rope_factors(header))
    table = sources(header, header.metadata["general.architecture"], config)
    _check_readable(header, {source.tensor for source in table.values()})
    name = header.metadata.get("general.name")
    return ModelFiles(
        config,
        GgufWeights(header, table, dtype),
        folder=None,
        name=name if isinstance(name, str) and name else header.path.stem,
        tokenizer=tokenizer_from_gguf(header.metadata),
    )


class GgufWeights(WeightFiles):
    """The tensors of a GGUF file, under the names and in the shapes of a Hugging Face folder.

    Args:
        header: of the file.
        table: how each tensor is made from the file's.
        dtype: in which tensors are given.

    """

    def __init__(self, header: GgufHeader, table: Mapping[str, Source], dtype: torch.dtype) -> None:
        self._header = header
        self._table = dict(table)
        self._dtype = dtype

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the file."""
        return tuple(self._table)

    @property
    def described(self) -> str:
        """The path."""
        return str(self._header.path)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        source = find(self._table, name, self)
        return source.shape(self._header.tensors[source.tensor])

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype in which a tensor is given."""
        find(self._table, name, self)
        return self._dtype

    def stored(self, name: str) -> str:
        """Return the type in which the file stores a tensor, such as "Q4_1"."""
        return self._header.tensors[find(self._table, name, self).tensor].stored.name

    def read(self, name: str) -> Tensor:
        """Return a tensor: dequantised, in a folder's order, in its own memory.

        Raises:
            StoreError: the file is not there any more, or ends too early.

        """
        source = find(self._table, name, self)
        stored = self._header.tensors[source.tensor]
        tensor = new_tensor(name, source.shape(stored), self._dtype, self.described)
        with open_file(self._header.path) as file:
            if source.change == "none" and NUMBERS.get(stored.stored.name) == self._dtype:
                begin = stored.begin + (source.part or 0) * tensor.nbytes
                _fill(tensor.view(-1).view(torch.uint8).numpy().data, file, begin, self._header.path)
                return tensor
            for first, values in _blocks(file, self._header.path, stored, source):
                _place(tensor, first, values, source)
        return tensor


def _blocks(file: BinaryIO, path: Path, stored: GgufTensor, source: Source) -> Iterator[tuple[int, Tensor]]:
    """Yield rows of a tensor, as many as may be in memory at once: the number of the first, and their values.

    Rows that are reordered come as whole heads. A tensor with one axis is one row.
    """
    shape = stored.shape if source.part is None else stored.shape[1:]
    rows, columns = (1, shape[0]) if len(shape) == 1 else shape
    row_bytes = columns // stored.stored.block * stored.stored.size
    unit = rows // source.heads if len(shape) == 2 else 1
    unit = unit if source.change in ROTATED.values() else 1
    step = max(BLOCK_BYTES // (4 * columns * unit), 1) * unit
    begin = stored.begin + (source.part or 0) * rows * row_bytes
    for first in range(0, rows, step):
        count = min(step, rows - first)
        content = np.empty(count * row_bytes, dtype=np.uint8)
        _fill(content.data, file, begin + first * row_bytes, path)
        yield first, _numbers(content, stored.stored, count)


def _numbers(content: np.ndarray, stored: Stored, rows: int) -> Tensor:
    """Return bytes of the file as numbers, [row, column]: float32, or what the file stores unquantised."""
    if stored.name in NUMBERS:
        return torch.from_numpy(content).view(NUMBERS[stored.name]).view(rows, -1)
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    with np.errstate(all="ignore"):  # scales may be infinite in a damaged file; the model's own checks name NaN
        return torch.from_numpy(dequantize(content.reshape(rows, -1), GGMLQuantizationType[stored.name])).view(rows, -1)


def _place(tensor: Tensor, first: int, values: Tensor, source: Source) -> None:
    """Write rows of the file, beginning with number `first`, where they belong."""
    if tensor.ndim == 1:
        first, values = 0, values.T  # each number is a row
    if source.change == "less one":
        values = (values if values.dtype == torch.float64 else values.float()) - 1
    if source.change in ROTATED.values():
        values = _halves_apart(values, tensor.shape[0] // source.heads)
    if source.change == "transpose":
        tensor[:, first : first + len(values)] = values.T
    else:
        tensor[first : first + len(values)] = values if tensor.ndim > 1 else values.squeeze(1)


def _halves_apart(values: Tensor, width: int) -> Tensor:
    """Put the two rows of each rotary pair, neighbours in the file, half a head apart: row 2i + j to j width/2 + i."""
    return values.unflatten(0, (-1, width // 2, 2)).transpose(1, 2).flatten(0, 2)


def _fill(place: memoryview, file: BinaryIO, begin: int, path: Path) -> None:
    """Read bytes of a file, from `begin` on, until `place` is full."""
    try:
        file.seek(begin)
        filled = 0
        while filled < len(place):
            count = file.readinto(place[filled:])  # type: ignore[attr-defined]
            if not count:
                raise StoreError(
                    f"{path} is truncated: it ends at byte {begin + filled}, inside a tensor. {UNFINISHED}"
                )
            filled += count
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path} cannot be read: {error}.") from error


def _rope_factors(header: GgufHeader) -> Tensor | None:
    """Return the tensor of rotary factors, float32; None where there is none."""
    stored = header.tensors.get(ROPE_FACTORS)
    if stored is None:
        return None
    if len(stored.shape) != 1 or stored.stored.name not in NUMBERS:
        raise CheckpointError(f"{ROPE_FACTORS} of {header.path} must be one row of numbers that are not quantised.")
    return GgufWeights(header, {ROPE_FACTORS: Source(ROPE_FACTORS)}, torch.float32).read(ROPE_FACTORS)


def _check_readable(header: GgufHeader, tensors: Iterable[str]) -> None:
    """Raise unless every type of tensor can be read here.

    Raises:
        CheckpointError: the `gguf` package is missing, or does not know a type.

    """
    quantised = {
        header.tensors[name].stored: name for name in tensors if header.tensors[name].stored.name not in NUMBERS
    }
    if not quantised:
        return
    try:
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize
    except ImportError as error:
        kinds = ", ".join(sorted(stored.name for stored in quantised))
        raise CheckpointError(
            f'{header.path} is quantised ({kinds}), which takes the gguf package: pip install "refractor[gguf]"'
        ) from error
    for stored, name in quantised.items():
        try:
            dequantize(np.zeros((1, stored.size), dtype=np.uint8), GGMLQuantizationType[stored.name])
        except (KeyError, NotImplementedError) as error:
            raise CheckpointError(
                f"{header.path} stores {name!r} as {stored.name}, which the installed gguf package does not "
                "dequantise. Update it (pip install -U gguf), or take another quantisation of the model, such as Q8_0."
            ) from error
