"""Files are written whole or not at all, and what is read is what was written, by the run that it is said to be of."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor.base import store
from refractor.base.errors import StoreError
from refractor.base.store import RunFolder, read_json, read_tensors, write_json, write_tensors

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool]


@given(
    shape=st.lists(st.integers(0, 4), max_size=3),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 1000),
    transposed=st.booleans(),
)
def test_tensors_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], dtype: torch.dtype, seed: int, transposed: bool
) -> None:
    path = tmp_path_factory.mktemp("store") / "x.safetensors"
    tensor = (10 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)
    tensor = tensor.mT if transposed and tensor.ndim > 1 else tensor
    write_tensors(path, {"x": tensor, "y.z": torch.ones(1)}, {"step": "3"})
    tensors, metadata = read_tensors(path)
    assert torch.equal(tensors["x"], tensor)
    assert tensors["x"].dtype == dtype
    assert metadata == {"step": "3"}


def written(folder: Path) -> Path:
    path = folder / "x.safetensors"
    write_tensors(path, {"x": torch.arange(100.0)})
    return path


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_file_is_found(tmp_path: Path, length: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StoreError, match=r"x.safetensors cannot be read, it is truncated or no safetensors file"):
        read_tensors(path)


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match="is damaged: its content is not what was written"):
        read_tensors(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="none.safetensors does not exist"):
        read_tensors(tmp_path / "none.safetensors")
    with pytest.raises(StoreError, match="none.json does not exist"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(StoreError, match="bad.json cannot be read as JSON"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(StoreError):
        read_tensors(tmp_path)


def test_an_absurd_header_is_refused_without_allocating(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(StoreError, match="truncated or no safetensors"):
        read_tensors(path)


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        StoreError, match="could not be written: No space left on device; the file that was there is unch"
    ):
        write_tensors(path, {"x": torch.zeros(3)})
    monkeypatch.undo()
    assert torch.equal(read_tensors(path)[0]["x"], torch.arange(100.0))
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX")
def test_a_file_that_grows_too_large_for_the_disk(tmp_path: Path) -> None:
    """A real failure of the operating system, not a simulated one: files of this process may not grow beyond 20 kB."""
    path = written(tmp_path)
    code = f"""
import resource, signal, torch
from pathlib import Path
from refractor.base.errors import StoreError
from refractor.base.store import write_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_tensors(Path({str(path)!r}), {{"x": torch.zeros(100_000)}})
except StoreError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "could not be written: File too large" in out
    assert torch.equal(read_tensors(path)[0]["x"], torch.arange(100.0))
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20_000


def make_run(folder: Path, name: str = "a") -> RunFolder:
    run = RunFolder(folder / name)
    run.begin({"name": name})
    run.write_snapshot(0, {"w": torch.zeros(2)})
    run.write_snapshot(100, {"w": torch.ones(2)})
    return run


def test_a_run_folder_keeps_snapshots_state_and_curves(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert run.steps() == [0, 100]
    assert run.read_state() is None
    assert run.read_curves() == {}
    run.write_state(7, {"weight/w": torch.ones(1), "curve/loss": torch.ones(3)})
    state = run.read_state()
    assert state is not None
    assert state[1] == 7
    assert run.read_curves()["loss"].tolist() == [1, 1, 1]
    run.write_curves({"loss": torch.zeros(2)})
    assert run.read_curves()["loss"].tolist() == [0, 0]
    assert torch.equal(run.read_snapshot(100, torch.float32)["w"], torch.ones(2))
    with pytest.raises(StoreError, match=r"no snapshot of step 90; the nearest is step 100"):
        run.read_snapshot(90, torch.float32)


def test_files_that_were_swapped_are_found(tmp_path: Path) -> None:
    one, two = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    one.snapshot_path(100).write_bytes(two.snapshot_path(100).read_bytes())
    with pytest.raises(StoreError, match="belongs to another run than"):
        one.read_snapshot(100, torch.float32)
    two.snapshot_path(100).write_bytes(two.snapshot_path(0).read_bytes())
    with pytest.raises(StoreError, match="is the snapshot of step 0, not the snapshot of step 100"):
        two.read_snapshot(100, torch.float32)
    (two.path / "state.safetensors").write_bytes(two.snapshot_path(0).read_bytes())
    with pytest.raises(StoreError, match="is the snapshot of step 0, not the state"):
        two.read_state()


def test_weights_of_another_type_are_found(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(
        StoreError, match=r"step-0000100.safetensors holds 'w' as torch.float32; .*run.json says torch.fl"
    ):
        run.read_snapshot(100, torch.float64)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no run folder: it has no run.json"):
        RunFolder(tmp_path).description()
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(StoreError, match="has format 'list'"):
        RunFolder(tmp_path).description()
    (tmp_path / "run.json").write_text(json.dumps({"format": store.FORMAT + 1}))
    with pytest.raises(StoreError, match=f"has format {store.FORMAT + 1}; this version reads format {store.FORMAT}"):
        RunFolder(tmp_path).description()


def test_leftovers_of_an_interrupted_write_are_never_read_and_are_cleaned(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for folder in (run.path, run.path / "snapshots"):
        (folder / ".step-0000200.safetensors.99.tmp").write_bytes(b"half")
    assert run.steps() == [0, 100]
    run.clean()
    names: list[Any] = [file.name for file in run.path.rglob("*") if file.name.endswith(".tmp")]
    assert names == []
