"""Files that were made to harm, or damaged: read rightly or refused in one line, and nothing large is allocated before."""

import json
import math
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from refractor.base.errors import BudgetError, CheckpointError, StoreError
from refractor.checkpoints import safetensors_files
from refractor.checkpoints.safetensors_files import SafetensorsFile, sharded_safetensors
from refractor.checkpoints.sources import open_folder
from refractor.checkpoints.torch_files import TorchFile, sharded_torch
from refractor.checkpoints.weight_files import new_tensor


def pack(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Put a safetensors file together, whatever its parts say."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + data


def tensor(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Fail when a tensor is made that is larger than the file that asks for it."""
    limit = {"bytes": 0}

    def watched(name: str, shape: tuple[int, ...], dtype: torch.dtype, described: str) -> Tensor:
        size = math.prod(shape) * dtype.itemsize
        assert size <= limit["bytes"], f"{size} bytes for a file of {limit['bytes']}"
        return new_tensor(name, shape, dtype, described)

    monkeypatch.setattr(safetensors_files, "new_tensor", watched)
    return limit


def read_or_refuse(path: Path, content: bytes, limit: dict[str, int]) -> dict[str, Tensor] | None:
    """Read a whole file: its tensors, or None where it was refused. Any other error comes through and fails the test."""
    path.write_bytes(content)
    limit["bytes"] = len(content)
    try:
        weights = SafetensorsFile(path)
        return {name: weights.read(name) for name in weights.names}
    except (StoreError, CheckpointError):
        return None


def check_against_the_library(path: Path, content: bytes, limit: dict[str, int]) -> bool:
    """What is read must be what the format's own library reads; so nothing is accepted that it refuses."""
    read = read_or_refuse(path, content, limit)
    if read is None:
        return False
    reference = load_file(path)
    assert sorted(read) == sorted(reference)
    for name, value in read.items():
        assert (value.dtype, value.shape) == (reference[name].dtype, reference[name].shape)
        assert torch.equal(value.flatten().view(torch.uint8), reference[name].flatten().view(torch.uint8))
    return True


# headers


@settings(max_examples=60)
@given(content=st.binary(max_size=64))
def test_random_bytes_are_no_weights(content: bytes, tmp_path: Path, bounded: dict[str, int]) -> None:
    check_against_the_library(tmp_path / "x.safetensors", content, bounded)


VALID = save(
    {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([True, False]), "c": torch.zeros(0, 2), "d": torch.tensor(7)},
    metadata={"format": "pt"},
)


@settings(max_examples=100)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 40),
    more=st.binary(max_size=9),
)
def test_damaged_files_are_read_rightly_or_refused(
    edits: list[tuple[int, int]], cut: int, more: bytes, tmp_path: Path, bounded: dict[str, int]
) -> None:
    content = bytearray(VALID)
    for place, value in edits:
        content[place] = value
    check_against_the_library(tmp_path / "x.safetensors", bytes(content[: len(content) - cut]) + more, bounded)


SIZES = st.one_of(
    st.integers(0, 4), st.sampled_from([-1, 2**31, 2**32, 2**62, 2**63, 2**64, 10**30, True, False, None, 1.0, "2"])
)
DTYPES = st.sampled_from(["F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "U16", "f32", "", None, 4, ["F32"]])
OFFSETS = st.one_of(st.lists(SIZES, max_size=3), st.tuples(st.integers(0, 40), st.integers(0, 40)))
TENSORS = st.one_of(
    st.fixed_dictionaries(
        {"dtype": DTYPES, "shape": st.lists(SIZES, max_size=4), "data_offsets": OFFSETS}, optional={"extra": st.none()}
    ),
    st.none(),
    st.lists(st.integers(), max_size=2),
)
HEADERS = st.dictionaries(st.sampled_from(["a", "b", "c", "__metadata__", "", "é", "\ud800"]), TENSORS, max_size=4)


@settings(max_examples=100)
@given(header=HEADERS, data=st.binary(max_size=40), length=st.none() | st.sampled_from([0, 1, 2**27, 2**63, 2**64 - 1]))
def test_absurd_headers_are_read_rightly_or_refused(
    header: dict[str, Any], data: bytes, length: int | None, tmp_path: Path, bounded: dict[str, int]
) -> None:
    check_against_the_library(tmp_path / "x.safetensors", pack(header, data, length), bounded)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """Draw tensors whose sizes are right and whose places may overlap, leave gaps, or fill the file exactly."""
    header, place = {}, 0
    for name in draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)):
        shape = draw(st.lists(st.integers(0, 3), max_size=2))
        begin = max(0, place + draw(st.sampled_from([0, 0, 0, 0, -1, 1, -8])))
        place = begin + 4 * math.prod(shape)
        header[name] = tensor("F32", shape, [begin, place])
    return header, bytes(range(draw(st.sampled_from([place, place, place, place + 1, max(0, place - 1)]))))


@settings(max_examples=60)
@given(drawn=neighbours())
def test_tensors_that_fill_a_file_are_read_and_others_refused(
    drawn: tuple[dict[str, Any], bytes], tmp_path: Path, bounded: dict[str, int]
) -> None:
    header, data = drawn
    spans = sorted(entry["data_offsets"] for entry in header.values())
    fills = all(end == begin for (_, end), (begin, _) in zip([[0, 0], *spans], [*spans, [len(data), 0]], strict=True))
    assert check_against_the_library(tmp_path / "x.safetensors", pack(header, data), bounded) == fills


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", r"x.safetensors is truncated: it ends before the length of the header does."),
        (b"\0" * 8, r"the header of .*x.safetensors is no JSON"),
        (pack({}, length=10**8 + 1), "its header should take 100,000,001 bytes, and at most 100,000,000 are read."),
        (pack({}, length=2**64 - 1), "its header should take 18,446,744,073,709,551,615 bytes, and at most"),
        (
            pack({}, length=3),
            "is no safetensors file, or truncated: its header should take 3 bytes, and the file has 10.",
        ),
        (pack([]), "the header of .* should be a JSON object; a list came."),
        (pack(b'{"a": 1, "a": 2}'), "the header of .* has the key 'a' twice"),
        (pack(b'{"a": {"dtype": "F32", "dtype": "F16"}}'), "has the key 'dtype' twice"),
        (pack(b'{"a": NaN}'), "the header of .* has the value NaN"),
        (pack(b"[" * 50_000), "the header of .* is no JSON"),
        (pack(b"\xff{}"), "the header of .* is no JSON"),
        (pack({"a": 3}), "should give 'a' a dtype, a shape and data_offsets; 3 came."),
        (pack({"a": {"dtype": "F32", "shape": []}}), "should give 'a' a dtype, a shape and data_offsets"),
        (pack({"a": {**tensor(), "more": 1}}, bytes(8)), "should give 'a' a dtype, a shape and data_offsets"),
        (pack({"__metadata__": {"a": 1}}), "__metadata__ of .* should give names texts; {'a': 1} came."),
        (pack({"__metadata__": ["a"]}), "__metadata__ of .* should give names texts; .'a'. came."),
        (pack({"a": tensor(shape=[-2])}, bytes(8)), "should give 'a' a shape of up to 64 sizes; .-2. came."),
        (pack({"a": tensor(shape=[2.0])}, bytes(8)), "shape of up to 64 sizes; .2.0. came."),
        (pack({"a": tensor(shape=[True, 2])}, bytes(8)), "shape of up to 64 sizes; .True, 2. came."),
        (pack({"a": tensor(shape=2)}, bytes(8)), "shape of up to 64 sizes; 2 came."),
        (pack({"a": tensor(shape=[1] * 65, offsets=[0, 4])}, bytes(4)), "shape of up to 64 sizes"),
        (pack({"a": tensor(shape=[2**64], offsets=[0, 8])}, bytes(8)), "shape of up to 64 sizes"),
        (
            pack({"a": tensor(shape=[2**62, 4], offsets=[0, 0])}),
            "gives 'a' the shape .4611686018427387904, 4., more than",
        ),
        (pack({"a": tensor(shape=[2**40, 2**40, 0], offsets=[0, 0])}), "more than any memory has."),
        (pack({"a": tensor(offsets=[0])}, bytes(8)), "should give 'a' two offsets in bytes; .0. came."),
        (pack({"a": tensor(offsets=[-8, 0])}, bytes(8)), "two offsets in bytes; .-8, 0. came."),
        (pack({"a": tensor(offsets=[False, 8])}, bytes(8)), "two offsets in bytes; .False, 8. came."),
        (pack({"a": tensor(offsets=[8, 0])}, bytes(8)), "'a' of shape .2. and F32 takes 8 bytes, and bytes 8 to 0 are"),
        (pack({"a": tensor(offsets=[0, 4])}, bytes(4)), "takes 8 bytes, and bytes 0 to 4 are said to hold it."),
        (pack({"a": tensor(offsets=[0, 8])}, bytes(7)), "is truncated: it ends before 'a' does."),
        (pack({"a": tensor(offsets=[4, 12])}, bytes(12)), "is damaged: 4 bytes before 'a' belong to no tensor."),
        (pack({"a": tensor()}, bytes(11)), "is damaged: its last 3 bytes belong to no tensor."),
        (
            pack({"a": tensor(), "b": tensor(offsets=[4, 12])}, bytes(12)),
            "'b' and 'a' are said to lie in the same bytes.",
        ),
        (
            pack({"a": tensor("F8_E4M3", [8])}, bytes(8)),
            "'a' as F8_E4M3, a quantised format that is not supported; F64,",
        ),
        (pack({"a": tensor("U16", [4])}, bytes(8)), "holds 'a' as 'U16', which is not supported; F64, F32, F16, BF16,"),
        (pack({"a": tensor(None, [4])}, bytes(8)), "holds 'a' as None, which is not supported"),
        (pack({"a": tensor("BOOL", [2], [0, 2])}, b"\1\2"), "'a' is of dtype BOOL and has bytes that are not 0 or 1."),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
            "x.safetensors is a git-lfs pointer, .* `git lfs pull`",
        ),
        (b"<!DOCTYPE html><html>", "x.safetensors is a web page, not weights"),
        (b"GGUF\3\0\0\0" + bytes(90), "x.safetensors is a GGUF file: give it a name that ends in .gguf"),
        (b"PK\3\4" + bytes(90), "x.safetensors is a zip archive, as torch.save writes it, not safetensors"),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else value[:40],
)
def test_what_is_wrong_is_said(content: bytes, error: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=error) as raised:
        SafetensorsFile(path).read("a")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_a_header_above_the_limit_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(pack(b"", length=10**8 + 1))
    os.truncate(path, 2 * 10**8)  # all hole: it takes no place on disk
    reads: list[int] = []
    fill = safetensors_files._fill

    def watched(place: memoryview, *rest: Any) -> None:
        reads.append(len(place))
        fill(place, *rest)

    monkeypatch.setattr(safetensors_files, "_fill", watched)
    with pytest.raises(StoreError, match="should take 100,000,001 bytes, and at most 100,000,000 are read. Delete /"):
        SafetensorsFile(path)
    assert reads == [8]


def test_a_header_that_is_right_is_read(tmp_path: Path, bounded: dict[str, int]) -> None:
    """The parts of the list above are refused for what is wrong in them, not for how they are put together."""
    header = {
        "__metadata__": {"format": "pt"},
        "b": tensor("U8", [], [8, 9]),
        "a": tensor(),
        "c": tensor("F32", [0], [9, 9]),
    }
    content = pack(json.dumps(header).encode() + b"   ", struct.pack("<2fB", 1.5, -2, 200))
    read = read_or_refuse(tmp_path / "x.safetensors", content, bounded)
    assert read is not None
    assert {name: value.tolist() for name, value in read.items()} == {"a": [1.5, -2], "b": 200, "c": []}


def test_large_allocations_are_seen(tmp_path: Path, bounded: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch of these tests bites when a check is missing."""
    monkeypatch.setattr(safetensors_files, "_check_layout", lambda *_: None)
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result((0, 0, 0, 0, 0, 0, 10**12, 0, 0, 0)))
    with pytest.raises(AssertionError, match="bytes for a file of"):
        read_or_refuse(tmp_path / "x", pack({"a": tensor(shape=[10**9], offsets=[0, 4 * 10**9])}), bounded)


@pytest.mark.timeout(60)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    os.mkfifo(tmp_path / "x.bin")
    with pytest.raises(StoreError, match="is no file"):
        SafetensorsFile(tmp_path / "x.safetensors")
    with pytest.raises(StoreError, match="is no file"):
        TorchFile(tmp_path / "x.bin")


def test_memory_that_the_system_refuses_is_a_budget_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may be as large as it says and still be too large."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(pack({"a": tensor()}, bytes(8)))

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(BudgetError, match=r"'a' of .*x.safetensors needs 8 B, which the system does not give."):
        SafetensorsFile(path).read("a")


# indexes


@pytest.mark.parametrize(
    "file",
    [
        "../outside.safetensors",
        "..",
        ".",
        "",
        "/etc/passwd",
        "/outside.safetensors",
        "sub/inside.safetensors",
        "..\\outside.safetensors",
        "C:outside.safetensors",
        "outside.safetensors\0",
        "out\0.safetensors",
        "outside.safetensors\n",
        ".hidden.safetensors",
        "*.safetensors",
        "config.json",
        "tokenizer.bin",
    ],
)
def test_an_index_opens_nothing_outside_its_folder(file: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    save_file({"a": torch.ones(1)}, tmp_path / "outside.safetensors")
    save_file({"a": torch.ones(1)}, folder / "sub" / "inside.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": file}}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="only plain names of .safetensors files in the same folder are opened"):
        sharded_safetensors(index)
    torch.save({"a": torch.ones(1)}, tmp_path / "outside.bin")
    index.write_text(json.dumps({"weight_map": {"a": file.replace("safetensors", "zip")}}), encoding="utf-8")
    if file != "tokenizer.bin":
        with pytest.raises(CheckpointError, match="only plain names of .bin files in the same folder are opened"):
            sharded_torch(index)


def test_links_of_a_cache_are_followed(tmp_path: Path) -> None:
    """A snapshot in a cache of the hub is a folder of links to ../../blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    save_file({"a": torch.ones(1)}, blobs / "abc")
    (snapshot / "model-00001-of-00001.safetensors").symlink_to("../../blobs/abc")
    index = snapshot / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}), encoding="utf-8")
    assert sharded_safetensors(index).read("a").tolist() == [1]


# pickles


class Payload:
    """Leaves a trace when it is unpickled with all powers."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("inside", ["alone", "as a value", "as a key's neighbour"])
def test_a_pickle_is_never_executed(zipped: bool, inside: str, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    payload = Payload(trace)
    value = {
        "alone": payload,
        "as a value": {"w": payload},
        "as a key's neighbour": {"w": torch.ones(2), "x": [payload]},
    }
    path = tmp_path / "pytorch_model.bin"
    torch.save(value[inside], path, _use_new_zipfile_serialization=zipped)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    for opening in (lambda: TorchFile(path), lambda: open_folder(tmp_path)):
        with pytest.raises(
            CheckpointError, match=r"needs code to be executed to be read \(it asks for \w+.system\)"
        ) as raised:
            opening()
        assert "Nothing was executed. Use a safetensors version of the model" in str(raised.value)
        assert "\n" not in str(raised.value)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the payload is live: with all powers it does what it says
    assert trace.exists()


def test_a_shard_with_a_payload_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "one.bin")
    torch.save({"b": Payload(tmp_path / "executed")}, tmp_path / "two.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.bin", "b": "two.bin"}}), encoding="utf-8")
    weights = sharded_torch(index)
    assert weights.read("a").tolist() == [1]
    with pytest.raises(CheckpointError, match="two.bin is refused"):
        weights.shape("b")
    assert not (tmp_path / "executed").exists()


def test_a_number_repeated_over_an_absurd_shape_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(10**12)}, tmp_path / "x.bin")
    with pytest.raises(StoreError, match=r"gives 'w' the shape .1000000000000., 4.0 TB, and has only \d"):
        TorchFile(tmp_path / "x.bin")


def test_an_archive_that_unfolds_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1_000_000)}, tmp_path / "plain.bin")
    with zipfile.ZipFile(tmp_path / "plain.bin") as plain, zipfile.ZipFile(tmp_path / "x.bin", "w") as packed:
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.bin").stat().st_size < 100_000
    with pytest.raises(StoreError, match=r"has compressed parts \(.* which torch.save never writes."):
        TorchFile(tmp_path / "x.bin")


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>", b"GGUF" + bytes(50)]
)
def test_a_torch_file_that_is_none_says_what_it_is(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(StoreError, match="x.bin is a (git-lfs pointer|web page|GGUF file)"):
        TorchFile(tmp_path / "x.bin")


@settings(max_examples=40)
@given(
    zipped=st.booleans(), edits=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=3)
)
def test_damaged_torch_files_are_read_or_refused(zipped: bool, edits: list[tuple[int, int]], tmp_path: Path) -> None:
    torch.save(
        {"w": torch.ones(4), "v": torch.zeros(2, 2).T}, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped
    )
    content = bytearray((tmp_path / "x.bin").read_bytes())
    for place, value in edits:
        content[place % len(content)] = value
    (tmp_path / "x.bin").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a pickle protocol that it does not know
        try:
            weights = TorchFile(tmp_path / "x.bin")
        except (StoreError, CheckpointError):
            return
    for name in weights.names:
        assert weights.read(name).shape == weights.shape(name)
