"""Finding a model: a folder, a GGUF file, or a name on the hub becomes a configuration and weights to be read."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from refractor.base.errors import ArgumentError, CheckpointError, StoreError
from refractor.checkpoints import safetensors_files, torch_files
from refractor.checkpoints.aliases import resolve_name
from refractor.checkpoints.hub import download
from refractor.checkpoints.safetensors_files import SafetensorsFile, sharded_safetensors
from refractor.checkpoints.torch_files import TorchFile, sharded_torch
from refractor.checkpoints.weight_files import UNFINISHED, WeightFiles, listed, read_small, strict_json

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
LARGEST_CONFIG = 10_000_000  # bytes; a large one, with thousands of labels, has 100 kB

READERS = (
    (safetensors_files.SINGLE_FILE, SafetensorsFile),
    (safetensors_files.INDEX_FILE, sharded_safetensors),
    (torch_files.SINGLE_FILE, TorchFile),
    (torch_files.INDEX_FILE, sharded_torch),
)
"""Files that hold or list weights, the preferred first, and what reads them."""

UNREAD_FORMATS = (
    (("tf_model*.h5", "model.ckpt*", "saved_model.pb"), "TensorFlow"),
    (("flax_model*.msgpack",), "Flax"),
    (("rust_model.ot",), "Rust"),
    (("*.onnx",), "ONNX"),
    (("consolidated.*.pth", "consolidated*.safetensors"), "Meta's or Mistral's own"),
)
"""Weights in formats that are not read: their files, and whose format it is."""


@dataclass(frozen=True)
class ModelFiles:
    """A model that was found, and not read yet.

    Args:
        config: its configuration, as its own format writes it.
        weights: its tensors by the names of its own format.
        folder: where its files lie, the tokenizer's among them; None when it is no folder.
        name: what it is called in messages and reports.
        revision: that of the hub that was asked for; None for the newest, and for what is not from the hub.
        tokenizer: the one that comes in the same file; None where it lies in files of its own.

    """

    config: dict[str, Any]
    weights: WeightFiles
    folder: Path | None
    name: str
    revision: str | None = None
    tokenizer: Any = None


def open_model(name_or_path: str | Path, revision: str | None = None, dtype: torch.dtype = torch.float32) -> ModelFiles:
    """Find a model: an existing folder, a GGUF file, or a name on the Hugging Face hub.

    Args:
        name_or_path: a path, a short name such as `gpt2-small`, or `owner/name`. A folder that exists wins over a name.
        revision: for models of the hub, a branch, tag or commit.
        dtype: what quantised tensors become when they are read.

    Raises:
        UnknownNameError: it is no folder, and no short name; the nearest short names are offered.
        CheckpointError: there is no such model, it cannot be reached, or has no weights that are read.
        StoreError: one of its files is damaged.
        ArgumentError: a revision came for a path.

    """
    text = str(name_or_path)
    path = Path(name_or_path).expanduser()
    is_folder = text.strip() != "" and path.is_dir()
    if is_folder or _is_path(name_or_path):
        if revision is not None:
            raise ArgumentError(
                f"revision is for models of the hub; {text!r} is a path, and revision={revision!r} came."
            )
        if is_folder:
            return open_folder(path)
        if path.suffix.lower() == ".gguf":
            return _open_gguf(path, dtype)
        raise CheckpointError(_no_folder(path))
    hub_name = resolve_name(text)
    return dataclasses.replace(open_folder(download(hub_name, revision)), name=hub_name, revision=revision)


def open_folder(path: str | Path) -> ModelFiles:
    """Find a model in a folder: `config.json` and its weights, safetensors before those that `torch.save` wrote.

    Raises:
        CheckpointError: the folder is none, or has no configuration or no weights that are read; the message says what
            it has instead.
        StoreError: a file is damaged.

    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise CheckpointError(_no_folder(path))
    try:
        has_config = (path / CONFIG).is_file()
    except PermissionError as error:
        raise StoreError(f"{path} may not be read: {error.strerror}.") from error
    if not has_config:
        raise CheckpointError(_no_config(path))
    config = strict_json(read_small(path / CONFIG, LARGEST_CONFIG), str(path / CONFIG))
    return ModelFiles(config, _open_weights(path), path, path.resolve().name)


def _open_gguf(path: Path, dtype: torch.dtype) -> ModelFiles:
    """Open a GGUF file; the one place where this module hands over to its reader, which needs the `gguf` extra."""
    from refractor.checkpoints.gguf_file import open_gguf

    return open_gguf(path, dtype)


def _open_weights(path: Path) -> WeightFiles:
    for file, reader in READERS:
        place = path / file
        if place.is_file():
            return reader(place)
        if place.is_symlink():  # into the blobs of a cache, one of which is gone
            raise StoreError(f"{place} points to a file that is not there any more. {UNFINISHED}")
    raise CheckpointError(_no_weights(path))


def _is_path(given: str | Path) -> bool:
    """Whether what came can only be a path: names of the hub have at most one slash, and none of these beginnings."""
    if isinstance(given, Path):
        return True
    is_file = given.lower().endswith((".gguf", ".safetensors", ".bin", ".json"))
    return is_file or given.startswith((".", "/", "~")) or "\\" in given or given.count("/") > 1


def _no_folder(path: Path) -> str:
    if path.is_file():
        return f"{path} is a file; give the folder that holds it together with {CONFIG}, or a .gguf file."
    if not path.exists():
        return f"there is no folder {path}; give the path of an existing one, or the name of a model on the hub."
    return f"{path} is no folder."


def _no_config(path: Path) -> str:
    start = f"{path} holds no {CONFIG}"
    instead = _instead(path)
    snapshots = sorted(folder for folder in path.glob("snapshots/*") if folder.is_dir())
    needed = f"one has {CONFIG} and {safetensors_files.SINGLE_FILE}; a run of ours has run.json"
    if instead:
        return start + instead
    if snapshots:
        return f"{start}: it is a repository in a cache. Load the model by its hub name, or give {snapshots[-1]}."
    if _in_cache(path):
        return f"{start}, nor has its repository: {needed}. Of one that offers GGUF, fetch a file and give its path."
    return f"{start}, so it is no folder of a model: {needed}.{_other_weights(path)}"


def _no_weights(path: Path) -> str:
    start = f"{path} holds {CONFIG}, but no weights that are read ({safetensors_files.SINGLE_FILE}, its index, or .bin)"
    instead = _instead(path)
    other = _other_weights(path)
    loose = _names(path, (f"*{safetensors_files.SUFFIX}", f"*{torch_files.SUFFIX}"))
    if instead:
        return start + instead
    if other:
        return f"{start}.{other}"
    if loose:
        return (
            f"{start}; {listed(loose, 3)} are there, but no index says which tensors they hold. Fetch the index "
            f"({safetensors_files.INDEX_FILE}), or call a single file {safetensors_files.SINGLE_FILE}."
        )
    why = ": its repository has none, or they were not fetched" if _in_cache(path) else ""
    return f"{start}{why}. {UNFINISHED}"


def _instead(path: Path) -> str:
    """Return how a sentence goes on that began with what a folder lacks: what it has instead, and what to do."""
    ggufs = _names(path, ("*.gguf",))
    unfinished = _unfinished(path)
    if (path / ADAPTER_CONFIG).is_file():
        settings = strict_json(read_small(path / ADAPTER_CONFIG, LARGEST_CONFIG), str(path / ADAPTER_CONFIG))
        base = settings.get("base_model_name_or_path")
        of = f" of {base!r}" if base else ""
        return (
            f": it is an adapter (LoRA){of}, not a model. Merge it into its model (peft: merge_and_unload), save that."
        )
    if ggufs:
        return f", only GGUF: load one of its files by its path, such as {str(path / ggufs[0])!r}."
    if unfinished:
        return f": its download is not finished ({listed(unfinished, 2)}). {UNFINISHED}"
    return ""


def _other_weights(path: Path) -> str:
    for patterns, whose in UNREAD_FORMATS:
        found = _names(path, patterns)
        if found:
            return (
                f" Its weights are in {whose} format ({listed(found, 2)}), which is not read: convert them to "
                "safetensors with transformers (from_pretrained, then save_pretrained)."
            )
    return ""


def _unfinished(path: Path) -> list[str]:
    """Return parts of files that a download left behind: beside the files, or where hub downloads keep them."""
    places = (path, path / ".cache" / "huggingface" / "download")
    blobs = (path.parent.parent / "blobs",) if _in_cache(path) else ()
    return [name for place in (*places, *blobs) if place.is_dir() for name in _names(place, ("*.incomplete",))]


def _in_cache(path: Path) -> bool:
    """Whether a folder is a snapshot in a cache of the hub, `…/models--owner--name/snapshots/commit`."""
    return path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--")


def _names(path: Path, patterns: tuple[str, ...]) -> list[str]:
    return sorted(file.name for pattern in patterns for file in path.glob(pattern))
