"""Named tensors and plain data on disk: safetensors and JSON, written whole or not at all, never pickled.

A write goes to a temporary file in the same folder, is flushed to the disk, and then takes the place of the old
file in one step, so that a reader (or a run that was killed) sees the old content or the new one. Every file of
tensors carries a digest of its content and the name of what it belongs to; reading checks both.

A run folder holds one training run:

    run.json                        what was trained and how (written once)
    state.safetensors               weights, optimiser moments and curves: where to go on
    curves.safetensors              curves alone, in a folder that cannot be gone on with
    snapshots/step-0000100.safetensors   weights after 100 updates
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from refractor.base.errors import StoreError

FORMAT = 1
"""Version of the run folder's format; a folder of another version is refused."""

DIGEST = "sha256"
CURVE = "curve/"  # begins the names of curves in a state
SNAPSHOT = re.compile(r"step-(\d{7,})\.safetensors")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name, with text metadata and a digest of names, shapes, dtypes and bytes.

    Tensors are written contiguously, whatever their strides, from whatever device.

    Raises:
        StoreError: the disk is full or the folder cannot be written to; the file that was there is still there.

    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    labels = {**(metadata or {}), DIGEST: digest(plain)}
    _write_whole(path, to_safetensors(plain, metadata=labels))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of a file that `write_tensors` wrote.

    Raises:
        StoreError: the file is missing, truncated, no safetensors file, or its content is not what was written.

    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  no mapping
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.") from error
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path} cannot be read, it is truncated or no safetensors file: {error}.") from error
    if metadata.pop(DIGEST, None) != digest(tensors):
        raise StoreError(f"{path} is damaged: its content is not what was written there.")
    return tensors, metadata


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, dtypes, shapes and bytes of tensors, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().clone(memory_format=torch.contiguous_format)
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON; NaN and infinity are refused.

    Raises:
        StoreError: the disk is full or the folder cannot be written to; the file that was there is still there.

    """
    _write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the plain data of a JSON file.

    Raises:
        StoreError: the file is missing or no JSON.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as JSON: {error}.") from error


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        kept = "; the file that was there is unchanged" if path.exists() else ""
        raise StoreError(f"{path} could not be written: {error.strerror or error}{kept}.") from error


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders; its renames are journaled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class RunFolder:
    """A run on disk. Nothing is read until it is asked for, and every file is checked against `run.json`.

    Args:
        path: the folder.

    """

    path: Path

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").exists()

    def begin(self, description: Mapping[str, Any]) -> None:
        """Write `run.json`, once, with the description of a run."""
        write_json(self.path / "run.json", {"format": FORMAT, **description})

    def description(self) -> dict[str, Any]:
        """Return what `run.json` says.

        Raises:
            StoreError: there is no run here, or it is of another format.

        """
        if not self.exists:
            raise StoreError(f"{self.path} is no run folder: it has no run.json.")
        value = read_json(self.path / "run.json")
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            came = value.get("format") if isinstance(value, dict) else type(value).__name__
            raise StoreError(f"{self.path / 'run.json'} has format {came!r}; this version reads format {FORMAT}.")
        return value

    def identity(self) -> str:
        """Return what ties the files of this run together: the digest of `run.json`."""
        return hashlib.sha256(json.dumps(self.description(), sort_keys=True).encode()).hexdigest()[:16]

    def steps(self) -> list[int]:
        """Return the steps of which there are snapshots, in order."""
        found = map(SNAPSHOT.fullmatch, (file.name for file in (self.path / "snapshots").glob("*.safetensors")))
        return sorted(int(match[1]) for match in found if match)

    def snapshot_path(self, step: int) -> Path:
        """Return where the snapshot of a step lies."""
        return self.path / "snapshots" / f"step-{step:07d}.safetensors"

    def write_snapshot(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights after `step` updates."""
        write_tensors(self.snapshot_path(step), weights, self._labels("snapshot", step))

    def read_snapshot(self, step: int, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the weights after `step` updates.

        Raises:
            StoreError: there is no such snapshot (the nearest is named), it is damaged, it is of another run or step,
                or a tensor is not of this dtype.

        """
        path = self.snapshot_path(step)
        if not path.exists():
            steps = self.steps()
            near = f"the nearest is step {min(steps, key=lambda s: abs(s - step))}" if steps else "there is none at all"
            raise StoreError(f"{self.path} has no snapshot of step {step}; {near}.")
        weights = self._read(path, "snapshot", step)[0]
        for name, tensor in weights.items():
            if tensor.dtype != dtype:
                raise StoreError(f"{path} holds {name!r} as {tensor.dtype}; {self.path / 'run.json'} says {dtype}.")
        return weights

    def write_state(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Write where to go on: everything that the next update depends on."""
        write_tensors(self.path / "state.safetensors", tensors, self._labels("state", step))

    def read_state(self) -> tuple[dict[str, Tensor], int] | None:
        """Return where to go on, and after which step; None when nothing was written yet."""
        path = self.path / "state.safetensors"
        return self._read(path, "state", None) if path.exists() else None

    def write_curves(self, curves: Mapping[str, Tensor]) -> None:
        """Write curves for a folder that is only read from now on."""
        write_tensors(self.path / "curves.safetensors", curves, self._labels("curves", 0))

    def read_curves(self) -> dict[str, Tensor]:
        """Return the curves: those written alone, or else those of the state; empty when there are none."""
        alone = self.path / "curves.safetensors"
        if alone.exists():
            return self._read(alone, "curves", 0)[0]
        state = self.read_state()
        tensors = {} if state is None else state[0]
        return {name.removeprefix(CURVE): tensor for name, tensor in tensors.items() if name.startswith(CURVE)}

    def clean(self) -> None:
        """Remove what an interrupted write may have left behind."""
        for leftover in self._leftovers():
            leftover.unlink(missing_ok=True)

    def _leftovers(self) -> Iterator[Path]:
        for folder in (self.path, self.path / "snapshots"):
            yield from folder.glob(".*.tmp")

    def _labels(self, kind: str, step: int) -> dict[str, str]:
        return {"kind": kind, "step": str(step), "run": self.identity()}

    def _read(self, path: Path, kind: str, step: int | None) -> tuple[dict[str, Tensor], int]:
        tensors, labels = read_tensors(path)
        if labels.get("run") != self.identity():
            raise StoreError(f"{path} belongs to another run than {self.path / 'run.json'} describes.")
        found = labels.get("step", "")
        if labels.get("kind") != kind or not found.isdigit() or (step is not None and int(found) != step):
            raise StoreError(f"{path} is the {labels.get('kind')} of step {found}, not the {kind} of step {step}.")
        return tensors, int(found)
