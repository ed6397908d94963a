"""Readers of weights: what they return is what was saved, in memory of its own, and no more memory than that."""

import gc
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from refractor.base.errors import CheckpointError, StoreError, UnknownNameError
from refractor.checkpoints import safetensors_files, weight_files
from refractor.checkpoints.safetensors_files import SafetensorsFile, read_header, sharded_safetensors
from refractor.checkpoints.torch_files import TorchFile, sharded_torch
from refractor.checkpoints.weight_files import (
    InMemoryWeights,
    ShardedWeights,
    WeightFiles,
    listed,
    new_tensor,
    strict_json,
)

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def examples() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"layers.{i}.{str(dtype).removeprefix('torch.')}": (torch.randn(3, 5, generator=generator) * 40).to(dtype)
        for i, dtype in enumerate(DTYPES)
    }
    return {
        **tensors,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 7),
        "é ünï": torch.ones(2, dtype=torch.int8),
    }


def safetensors(folder: Path, tensors: dict[str, Tensor]) -> WeightFiles:
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return SafetensorsFile(folder / "model.safetensors")


def zipped(folder: Path, tensors: dict[str, Tensor]) -> WeightFiles:
    torch.save(tensors, folder / "pytorch_model.bin")
    return TorchFile(folder / "pytorch_model.bin")


def legacy(folder: Path, tensors: dict[str, Tensor]) -> WeightFiles:
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return TorchFile(folder / "pytorch_model.bin")


def write_index(folder: Path, name: str, weight_map: dict[str, Any]) -> Path:
    path = folder / name
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}), encoding="utf-8")
    return path


def in_parts(
    folder: Path, tensors: dict[str, Tensor], suffix: str, save: Callable[[dict[str, Tensor], Path], None]
) -> Path:
    """Write tensors to three files in turn, with an index."""
    weight_map = {name: f"model-0000{i % 3 + 1}-of-00003{suffix}" for i, name in enumerate(tensors)}
    for file in sorted(set(weight_map.values())):
        save({name: tensor for name, tensor in tensors.items() if weight_map[name] == file}, folder / file)
    return write_index(folder, f"model{suffix}.index.json", weight_map)


def safetensors_shards(folder: Path, tensors: dict[str, Tensor]) -> WeightFiles:
    return sharded_safetensors(in_parts(folder, tensors, ".safetensors", save_file))


def torch_shards(folder: Path, tensors: dict[str, Tensor]) -> WeightFiles:
    return sharded_torch(in_parts(folder, tensors, ".bin", torch.save))


def in_memory(folder: Path, tensors: dict[str, Tensor]) -> WeightFiles:
    return InMemoryWeights(tensors, str(folder))


KINDS = (safetensors, safetensors_shards, zipped, legacy, torch_shards, in_memory)


def check_reader(weights: WeightFiles, wanted: dict[str, Tensor]) -> None:
    """The contract of every reader."""
    assert sorted(weights.names) == sorted(wanted)
    for name, tensor in wanted.items():
        assert weights.shape(name) == tuple(tensor.shape)
        assert weights.dtype(name) == tensor.dtype
        first, second = weights.read(name), weights.read(name)
        for read in (first, second):
            assert read.dtype == tensor.dtype
            assert read.is_contiguous()
            assert read.device.type == "cpu"
            assert not read.requires_grad
            assert read.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize
            assert torch.equal(read, tensor.detach())
        if tensor.numel():
            assert first.data_ptr() not in {second.data_ptr(), tensor.data_ptr()}
            first.zero_()
            assert torch.equal(weights.read(name), tensor.detach()), "a read tensor shares memory with its source"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_is_read_in_memory_of_its_own(kind: Callable[..., WeightFiles], tmp_path: Path) -> None:
    weights = kind(tmp_path, examples())
    check_reader(weights, examples())
    assert str(tmp_path) in weights.described


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_tensor_is_answered_with_the_nearest_name(kind: Callable[..., WeightFiles], tmp_path: Path) -> None:
    weights = kind(
        tmp_path, {"h.0.attn.c_attn.weight": torch.ones(2), "h.0.ln_1.bias": torch.ones(2), "x": torch.ones(1)}
    )
    for question in (weights.shape, weights.dtype, weights.read):
        with pytest.raises(UnknownNameError, match="Nearest: 'h.0.attn.c_attn.weight'") as raised:
            question("h.0.attn.c_attn.weigth")
        assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("kind", [in_memory, zipped, legacy])
def test_views_parameters_and_repeated_numbers_are_read_as_tensors_of_their_own(
    kind: Callable[..., WeightFiles], tmp_path: Path
) -> None:
    base = torch.arange(12.0).view(3, 4)
    tensors = {
        "transposed": base.T,
        "part": base[1:, 1:3],
        "parameter": torch.nn.Parameter(base.clone()),
        "repeated": torch.ones(1, 4).expand(3, 4),
        "filler": torch.zeros(100),
    }
    check_reader(kind(tmp_path, tensors), tensors)


def test_weights_in_memory_without_values_are_refused() -> None:
    with pytest.raises(CheckpointError, match="'w' of the weights in memory is on the meta device"):
        InMemoryWeights({"w": torch.empty(2, device="meta")}).read("w")


def test_a_reader_that_hands_out_its_own_memory_is_caught() -> None:
    class Careless(InMemoryWeights):
        def read(self, name: str) -> Tensor:
            return self._tensors[name]

    with pytest.raises(AssertionError):
        check_reader(Careless(examples()), examples())


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_read_as_the_formats_own_library_reads_it(dtype: torch.dtype, tmp_path: Path) -> None:
    numbers = torch.randint(0, 256, (64,), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    tensor = numbers.bool() if dtype == torch.bool else numbers.view(dtype)  # NaN and infinity among the floats
    save_file({"t": tensor}, tmp_path / "t.safetensors")
    read, reference = SafetensorsFile(tmp_path / "t.safetensors").read("t"), load_file(tmp_path / "t.safetensors")["t"]
    assert read.dtype == reference.dtype == dtype
    assert torch.equal(read.view(torch.uint8), reference.view(torch.uint8))


def test_names_come_in_the_order_in_which_the_tensors_lie_in_the_file(tmp_path: Path) -> None:
    weights = safetensors(tmp_path, examples())
    entries = read_header(tmp_path / "model.safetensors")
    begins = [entries[name].begin for name in weights.names]
    assert begins == sorted(begins)


def test_a_large_tensor_is_read_in_several_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = safetensors(tmp_path, {"t": torch.arange(1000)})
    monkeypatch.setattr(safetensors_files, "READ_BYTES", 777)
    monkeypatch.setattr(safetensors_files, "new_tensor", lambda *given: new_tensor(*given).fill_(-1))
    assert torch.equal(weights.read("t"), torch.arange(1000))


def test_no_file_stays_open(tmp_path: Path) -> None:
    handles = Path("/proc/self/fd")
    before = len(list(handles.iterdir())) if handles.is_dir() else 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for kind in (safetensors, zipped, legacy, safetensors_shards):
            weights = kind(tmp_path, examples())
            for name in weights.names:
                weights.read(name)
            with pytest.raises(StoreError):
                SafetensorsFile(tmp_path / "model.safetensors.index.json")
            del weights
        gc.collect()
    assert (len(list(handles.iterdir())) if before else 0) == before


# several files and an index


def test_missing_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    index = in_parts(tmp_path, examples(), ".safetensors", save_file)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    (tmp_path / "model-00003-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError) as raised:
        sharded_safetensors(index)
    assert str(raised.value) == (
        f"2 of the 3 weight files that {index} names are missing: 'model-00002-of-00003.safetensors', "
        "'model-00003-of-00003.safetensors'. The download may have been interrupted: load the model again by its hub "
        "name while online, or run `hf download NAME --local-dir FOLDER` again; both go on where they stopped."
    )


@pytest.mark.parametrize(
    ("suffix", "save", "reader"),
    [(".safetensors", save_file, sharded_safetensors), (".bin", torch.save, sharded_torch)],
)
def test_index_and_files_must_agree(
    suffix: str, save: Any, reader: Callable[[Path], ShardedWeights], tmp_path: Path
) -> None:
    save({"a": torch.ones(1), "b": torch.ones(1)}, tmp_path / f"one{suffix}")
    save({"c": torch.ones(1)}, tmp_path / f"two{suffix}")
    good = {"a": f"one{suffix}", "b": f"one{suffix}", "c": f"two{suffix}"}
    reader(write_index(tmp_path, "index.json", good)).check()
    absent = write_index(tmp_path, "index.json", {**good, "d": f"two{suffix}"})
    with pytest.raises(StoreError, match=r"index.json says that .*two\S+ holds 'd', which it does not."):
        reader(absent).check()
    misplaced = write_index(tmp_path, "index.json", {**good, "b": f"two{suffix}"})
    with pytest.raises(StoreError, match="'b', which"):
        reader(misplaced).check()
    unlisted = write_index(tmp_path, "index.json", {"a": f"one{suffix}", "c": f"two{suffix}"})
    with pytest.raises(StoreError, match=r"one\S+ holds 'b', which .*index.json does not place there."):
        reader(unlisted).check()


def test_headers_of_all_files_are_held_against_the_index_at_once(tmp_path: Path) -> None:
    index = in_parts(tmp_path, examples(), ".safetensors", save_file)
    damaged = tmp_path / "model-00003-of-00003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(StoreError, match="model-00003-of-00003.safetensors is truncated"):
        sharded_safetensors(index)


def test_files_that_cost_memory_are_open_one_at_a_time(tmp_path: Path) -> None:
    index = in_parts(tmp_path, examples(), ".bin", torch.save)
    opened: list[str] = []

    def open_shard(path: Path) -> TorchFile:
        opened.append(path.name[:11])
        return TorchFile(path)

    weights = ShardedWeights(index, ".bin", open_shard, most_open=1)
    names = weights.names
    shapes = [weights.shape(name) for name in names] + [weights.dtype(name) for name in names]
    assert len(shapes) == 2 * len(names)
    assert sorted(opened) == ["model-00001", "model-00002", "model-00003"]  # descriptions are kept, readers are not
    weights.read(names[0])
    weights.read(names[3])
    assert len(opened) == 4
    for reader in (weights, sharded_torch(index)):
        for name in names[:3]:
            reader.read(name)
        assert len(reader._open) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", r"index.json should be a JSON object; a list came."),
        ("{", r"index.json is no JSON: Expecting property name"),
        ("{}", r"index.json has no weight_map from tensors to files, so it is no index of weights."),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": ["a"]}', "has no weight_map"),
        ('{"weight_map": {"a": 3}}', r"weight_map in .*index.json should give 'a' the name of a file; 3 came."),
        ('{"weight_map": {"a": "x.bin", "a": "y.bin"}}', r"index.json has the key 'a' twice;"),
        ('{"weight_map": NaN}', "has the value NaN, which is no JSON."),
    ],
)
def test_an_index_that_is_none_is_refused(text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match=error):
        sharded_torch(tmp_path / "index.json")


def test_small_files_are_not_read_when_they_are_large_or_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, "LARGEST_INDEX", 50)
    index = write_index(tmp_path, "index.json", {"a": "x.bin"})
    with pytest.raises(StoreError, match="index.json has more than 50 B"):
        sharded_torch(index)
    with pytest.raises(StoreError, match="is no file."):
        sharded_torch(tmp_path)
    with pytest.raises(StoreError, match="none.json does not exist."):
        sharded_torch(tmp_path / "none.json")


def test_strict_json_is_strict() -> None:
    assert strict_json('{"ä": [1, 2.5, null]}'.encode(), "x") == {"ä": [1, 2.5, None]}
    for content in (
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"{} {}",
        b'{"a": Infinity}',
        b'{"a":{"b":1,"b":1}}',
    ):
        with pytest.raises(StoreError, match="^x "):
            strict_json(content, "x")


def test_long_lists_are_cut() -> None:
    assert listed(["a"]) == "'a'"
    assert listed([str(i) for i in range(9)], 2) == "'0', '1' and 7 more"


# what goes wrong on disk


def test_missing_files_and_folders_say_so(tmp_path: Path) -> None:
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "gone")
    (tmp_path / "link.bin").symlink_to(tmp_path / "gone")
    for reader, suffix in ((SafetensorsFile, "safetensors"), (TorchFile, "bin")):
        with pytest.raises(StoreError, match=f"no.{suffix} does not exist."):
            reader(tmp_path / f"no.{suffix}")
        with pytest.raises(StoreError, match=f"link.{suffix} points to a file that is not there any more."):
            reader(tmp_path / f"link.{suffix}")
        with pytest.raises(StoreError, match="is no file."):
            reader(tmp_path)


def test_a_file_that_shrinks_or_goes_between_opening_and_reading_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = safetensors(tmp_path, {"t": torch.arange(1000)})
    monkeypatch.setattr(safetensors_files, "new_tensor", None)  # nothing is allocated for what cannot be read
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"model.safetensors is truncated: it ends before 't' does. Delete /"):
        weights.read("t")
    path.unlink()
    with pytest.raises(StoreError, match="does not exist"):
        weights.read("t")


@pytest.mark.parametrize("kind", [safetensors, zipped, legacy])
def test_a_file_cut_anywhere_is_refused(kind: Callable[..., WeightFiles], tmp_path: Path) -> None:
    path = Path(kind(tmp_path, {"t": torch.arange(10), "u": torch.ones(3)}).described)
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 20, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises((StoreError, CheckpointError), match="truncated|damaged|no JSON"):
            (SafetensorsFile if kind is safetensors else TorchFile)(path)


def test_a_damaged_file_in_a_cache_is_to_be_deleted_where_it_really_lies(tmp_path: Path) -> None:
    save_file({"t": torch.ones(3)}, tmp_path / "blob")
    (tmp_path / "blob").write_bytes((tmp_path / "blob").read_bytes()[:-1])
    (tmp_path / "model.safetensors").symlink_to("blob")
    with pytest.raises(StoreError, match=f"Delete {tmp_path.resolve()}/blob and load the model again by its hub name"):
        SafetensorsFile(tmp_path / "model.safetensors")


def test_a_torch_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    cases: list[tuple[object, str]] = [
        ([torch.ones(1)], "should hold tensors by name; a list came."),
        ({0: torch.ones(1)}, "should hold tensors by name; the key 0 came."),
        ({"state_dict": {"w": torch.ones(1)}}, "should hold tensors by name; 'state_dict' is a dict."),
        ({"step": 3}, "should hold tensors by name; 'step' is a int."),
        ({"w": torch.ones(2, dtype=torch.complex64)}, "holds 'w' as torch.complex64"),
        ({"w": torch.eye(2).to_sparse()}, "torch.sparse_coo, on cpu.*, which is not supported"),
    ]
    for value, error in cases:
        torch.save(value, tmp_path / "x.bin")
        with pytest.raises(CheckpointError, match=error):
            TorchFile(tmp_path / "x.bin")


PEAK = """
import sys
from pathlib import Path
from refractor.checkpoints.safetensors_files import SafetensorsFile

def kilobytes(of):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of))

weights = SafetensorsFile(Path(sys.argv[1]))
weights.read("small").sum()
hold = b"x" * max(0, 1024 * (kilobytes("VmHWM") - kilobytes("VmRSS")))  # now is the peak so far
before = kilobytes("VmRSS")
tensor = weights.read("large")
print((kilobytes("VmHWM") - before) * 1024 / (tensor.numel() * tensor.itemsize))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of a process is read from /proc")
def test_reading_a_tensor_takes_the_memory_of_the_tensor(tmp_path: Path) -> None:
    save_file({"large": torch.zeros(4096, 4096), "small": torch.zeros(2)}, tmp_path / "t.safetensors")
    command = [sys.executable, "-c", PEAK, str(tmp_path / "t.safetensors")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert 0.9 <= float(run.stdout) <= 1.1
