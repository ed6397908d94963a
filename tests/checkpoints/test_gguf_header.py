"""Headers of GGUF files: good ones are read as the `gguf` package reads them, bad ones are refused before they cost anything."""

import struct
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_gguf import add, finish

from refractor.base.errors import CheckpointError, StoreError
from refractor.checkpoints import gguf_header
from refractor.checkpoints.gguf_file import GgufWeights, open_gguf
from refractor.checkpoints.gguf_header import STORED, read_header

LLAMA = {
    "context_length": 16,
    "embedding_length": 32,
    "feed_forward_length": 8,
    "block_count": 1,
    "attention.head_count": 2,
    "attention.head_count_kv": 1,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 1e4,
    "rope.dimension_count": 16,
}
TOKENIZER = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": ["a", "b", "ab", "<s>"],
    "tokenizer.ggml.token_type": [1, 1, 1, 3],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.bos_token_id": 3,
}


def small(path: Path, **more: Any) -> Path:
    """A file of every kind of entry, with three tensors of 4 × 32, 16 × 32 and 32 numbers."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in {**{f"llama.{key}": value for key, value in LLAMA.items()}, **TOKENIZER, **more}.items():
        add(writer, key, value)
    numbers = np.arange(16 * 32, dtype=np.float32).reshape(16, 32) / 7
    writer.add_tensor("token_embd.weight", numbers[:4])
    q8 = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("blk.0.attn_k.weight", gguf.quants.quantize(numbers, q8), raw_dtype=q8)
    writer.add_tensor("output_norm.weight", numbers[0])
    return finish(writer, path)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("gguf") / "small.gguf")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def entry(name: str, kind: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", kind) + value


def tensor(name: str, sizes: tuple[int, ...], kind: int, offset: int) -> bytes:
    return string(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def content(
    entries: list[bytes],
    tensors: list[bytes],
    data: int = 0,
    version: int = 3,
    more_entries: int = 0,
    more_tensors: int = 0,
) -> bytes:
    """A file as bytes, which may claim more entries and tensors than it has."""
    counts = len(tensors) + more_tensors, len(entries) + more_entries
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % 32 + data)


def test_a_header_is_read_as_the_gguf_package_reads_it(file: Path) -> None:
    header, peer = read_header(file), gguf.GGUFReader(file)
    theirs = {key: field.contents() for key, field in peer.fields.items() if not key.startswith("GGUF.")}
    assert header.metadata == theirs
    assert list(header.tensors) == [tensor.name for tensor in peer.tensors]
    for tensor in peer.tensors:
        ours = header.tensors[tensor.name]
        assert ours.shape == tuple(reversed(tensor.shape.tolist()))
        assert (ours.stored.name, ours.begin, ours.nbytes) == (
            tensor.tensor_type.name,
            tensor.data_offset,
            tensor.n_bytes,
        )


def test_every_type_of_tensor_has_the_size_that_the_gguf_package_gives_it() -> None:
    for code, stored in STORED.items():
        kind = gguf.GGMLQuantizationType(code)
        assert stored.name == kind.name
        assert (stored.block, stored.size) == gguf.GGML_QUANT_SIZES[kind]


def test_every_type_of_entry_is_read(tmp_path: Path) -> None:
    numbers = {0: ("B", 200), 1: ("b", -3), 2: ("H", 60000), 3: ("h", -300), 4: ("I", 2**31), 5: ("i", -7)}
    numbers |= {6: ("f", 0.5), 10: ("Q", 2**40), 11: ("q", -(2**40)), 12: ("d", 0.1)}
    entries = [entry(f"n{code}", code, struct.pack("<" + letter, value)) for code, (letter, value) in numbers.items()]
    entries += [entry("yes", 7, b"\1"), entry("text", 8, string("für alle"))]
    nested = struct.pack("<IQ", 9, 2) + 2 * (struct.pack("<IQ", 5, 2) + struct.pack("<ii", -1, 1))
    entries += [entry("nested", 9, nested), entry("flags", 9, struct.pack("<IQ", 7, 2) + b"\0\1")]
    metadata = read_header(written(tmp_path / "x.gguf", content(entries, []))).metadata
    for code, (_, value) in numbers.items():
        assert metadata[f"n{code}"] == value
    assert (metadata["yes"], metadata["text"]) == (True, "für alle")
    assert (metadata["nested"], metadata["flags"]) == ([[-1, 1], [-1, 1]], [False, True])


HUGE = 2**62
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is truncated or damaged: the first four bytes should end at byte 4, and the file has 0 bytes"),
    "other": (b"PK\3\4" + bytes(60), "is no GGUF file: it begins with b'PK\\x03\\x04' instead of b'GGUF'"),
    "version": (content([], [], version=1), "is of GGUF version 1; versions 2 and 3 are read"),
    "endian": (
        content([], [], version=3 << 24),
        "was written for big-endian machines; convert it: gguf-convert-endian",
    ),
    "tensors": (content([], [], more_tensors=HUGE), "the list of tensors should have"),
    "entries": (content([], [], more_entries=HUGE), "the metadata should have"),
    "name": (content([struct.pack("<Q", HUGE)], [], data=64), "the name of an entry of metadata should be"),
    "text": (content([entry("a", 8, struct.pack("<Q", 2**40))], [], data=64), "'a' should be 1099511627776 bytes long"),
    "list": (content([entry("a", 9, struct.pack("<IQ", 8, HUGE))], [], data=64), "'a' should have"),
    "numbers": (
        content([entry("a", 9, struct.pack("<IQ", 5, 2**33))], [], data=64),
        "'a' should have 8589934592 values",
    ),
    "deep": (content([entry("a", 9, 4 * struct.pack("<IQ", 9, 1))], [], data=64), "'a' is an array within arrays"),
    "kind": (content([entry("a", 13, bytes(8))], [], data=64), "'a' is of type 13, which the format does not have"),
    "inner": (content([entry("a", 9, struct.pack("<IQ", 77, 3))], [], data=64), "'a' is of type 77"),
    "truth": (content([entry("a", 7, b"\2")], [], data=64), "'a' is neither true (1) nor false (0), but 2"),
    "utf8": (content([entry("a", 8, struct.pack("<Q", 2) + b"\xff\xfe")], [], data=64), "'a' is no UTF-8"),
    "twice": (content(2 * [entry("a", 0, b"\1")], []), "'a' is there twice"),
    "alignment": (
        content([entry("general.alignment", 4, struct.pack("<I", 24))], []),
        "should be a power of two, and is 24",
    ),
    "axes": (content([], [tensor("t", (1, 1, 1, 1, 1), 0, 0)], 4), "'t' has 5 axes; tensors of ggml have 1 to 4"),
    "no axes": (content([], [tensor("t", (), 0, 0)], 64), "'t' has 0 axes"),
    "empty": (content([], [tensor("t", (4, 0), 0, 0)], 64), "'t' of sizes [4, 0] has no numbers"),
    "overflow": (
        content([], [tensor("t", (2**32, 2**32), 0, 0)], 64),
        "takes 73786976294838206464 bytes, and the whole",
    ),
    "type": (content([], [tensor("t", (32,), 99, 0)], 64), "stores 't' as type 99 of ggml, which is not known here"),
    "block": (content([], [tensor("t", (33,), 8, 0)], 64), "'t' has rows of 33 numbers, and Q8_0 has blocks of 32"),
    "aligned": (content([], [tensor("t", (4,), 0, 4)], 64), "'t' begins at 4, which is no multiple of 32"),
    "outside": (content([], [tensor("t", (4,), 0, 2**40)], 64), "is truncated: its tensors end at byte 10995116"),
    "overlap": (
        content([], [tensor("t", (32,), 0, 0), tensor("u", (4,), 0, 32)], 128),
        "'u' and 't' are said to lie in",
    ),
    "tensor twice": (content([], 2 * [tensor("t", (4,), 0, 0)], 64), "the tensor 't' is there twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_header_is_refused_before_anything_is_allocated(name: str, tmp_path: Path) -> None:
    given, message = BAD[name]
    path = written(tmp_path / "bad.gguf", given)
    tracemalloc.start()
    try:
        with pytest.raises(StoreError) as caught:
            read_header(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert peak < 2**18


def test_a_file_that_is_cut_says_how_long_it_should_be(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    end = max(tensor.begin + tensor.nbytes for tensor in read_header(file).tensors.values())
    cut = written(tmp_path / "cut.gguf", whole[: end - 1])
    with pytest.raises(
        StoreError, match=f"is truncated: its tensors end at byte {end}, and the file has {end - 1} bytes"
    ):
        read_header(cut)
    for length in range(0, end - 1, 41):
        with pytest.raises(StoreError, match="truncated|damaged"):
            read_header(written(cut, whole[:length]))


def test_a_header_beyond_every_bound_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_header, "LARGEST_HEADER", 512)
    with pytest.raises(StoreError, match="would make its header larger than 512 bytes"):
        read_header(file)
    monkeypatch.undo()
    monkeypatch.setattr(gguf_header, "MOST_ITEMS", 24)
    with pytest.raises(StoreError, match="its header has [0-9]+ values; at most 24 are read"):
        read_header(file)


def test_a_file_that_shrinks_while_it_is_read_is_refused(file: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "shrinks.gguf", file.read_bytes())
    weights = open_gguf(path).weights
    written(path, file.read_bytes()[:-200])
    with pytest.raises(StoreError, match="is truncated: it ends at byte .*, inside a tensor"):
        weights.read(weights.names[-1])
    path.unlink()
    with pytest.raises(StoreError, match="does not exist"):
        weights.read("model.norm.weight")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no file"):
        read_header(tmp_path)
    with pytest.raises(StoreError, match="does not exist"):
        read_header(tmp_path / "missing.gguf")
    with pytest.raises(StoreError, match="cannot be read"):
        read_header("a\0b.gguf")


def test_a_larger_alignment_is_followed(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "wide.gguf", "llama")
    writer.add_custom_alignment(256)
    for key, value in LLAMA.items():
        add(writer, f"llama.{key}", value)
    numbers = np.arange(3 * 32, dtype=np.float32).reshape(3, 32)
    writer.add_tensor("output_norm.weight", numbers[1])
    writer.add_tensor("token_embd.weight", numbers)
    weights = open_gguf(finish(writer, tmp_path / "wide.gguf")).weights
    assert weights.read("model.embed_tokens.weight").equal(torch.from_numpy(numbers))


def attempt(path: Path) -> str:
    """Open a file and read all of it: it works, with shapes that fit, or the error that says why not is returned."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = open_gguf(path)
        for name in model.weights.names:
            if model.weights.read(name).shape != model.weights.shape(name):
                raise AssertionError(name)
        if model.tokenizer is not None:
            model.tokenizer.decode(model.tokenizer.encode("ab ba"))
    except (CheckpointError, StoreError) as error:
        return str(error)
    return f"{path} was read"


def check(path: Path) -> None:
    outcome = attempt(path)
    assert str(path) in outcome or "tokenizer.ggml" in outcome


ODD = [0, 1, 2, 3, 7, 8, 9, 31, 33, 127, 128, 255]
Edit = tuple[float, int]


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(ODD)), min_size=1, max_size=4), st.booleans()
)
def test_damaged_headers_are_refused_or_read(file: Path, tmp_path: Path, edits: list[Edit], cut: bool) -> None:
    damaged = bytearray(file.read_bytes())
    header_end = min(tensor.begin for tensor in read_header(file).tensors.values())
    for place, value in edits:
        damaged[int(place * header_end)] = value
    if cut:
        del damaged[int(edits[0][0] * len(damaged)) :]
    check(written(tmp_path / "damaged.gguf", bytes(damaged)))


@settings(max_examples=80)
@given(st.integers(0, 40), st.integers(0, 2**64 - 1))
@example(0, 2**64 - 1)
def test_absurd_lengths_are_refused_or_read(file: Path, tmp_path: Path, which: int, value: int) -> None:
    damaged = bytearray(file.read_bytes())
    header_end = min(tensor.begin for tensor in read_header(file).tensors.values())
    # every count and length of the format is eight bytes, of which the upper six are zero in an honest small file
    places = [at for at in range(8, header_end - 8) if damaged[at] and not any(damaged[at + 2 : at + 8])]
    at = places[which * len(places) // 41]
    damaged[at : at + 8] = struct.pack("<Q", value)
    tracemalloc.start()
    try:
        check(written(tmp_path / "absurd.gguf", bytes(damaged)))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path: Path, noise: bytes) -> None:
    for start in (b"", b"GGUF\3\0\0\0"):
        with pytest.raises((StoreError, CheckpointError)):
            open_gguf(written(tmp_path / "noise.gguf", start + noise))


def test_the_fuzz_notices_another_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*_: object) -> None:
        raise ValueError("not one of ours")

    monkeypatch.setattr(GgufWeights, "read", careless)
    with pytest.raises(ValueError, match="not one of ours"):
        attempt(file)


def test_the_good_file_is_read(file: Path) -> None:
    model = open_gguf(file)
    assert model.weights.names == (
        "model.embed_tokens.weight",
        "model.layers.0.self_attn.k_proj.weight",
        "model.norm.weight",
    )
    assert model.tokenizer is not None
    assert model.tokenizer.encode("ab<s>") == [2, 3]
