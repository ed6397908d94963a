"""`load`: a trained network by name or path."""

from pathlib import Path
from typing import Any

import torch

from refractor.base.errors import ArgumentError, CheckpointError, nearest
from refractor.base.store import RunFolder
from refractor.checkpoints.bundle import Source, bundled_names, choose_step, find_bundled, is_bundled
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer


def load(
    model_name: str | Path,
    *,
    checkpoint_index: int | None = None,
    checkpoint_value: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
) -> HookedTransformer:
    """Load a trained network. Every weight is used, and checked against the configuration.

    Args:
        model_name: a bundled name (`checkpoints.bundled_names()`), also with a step, `modular-addition-113@0`; or
            the path of a run folder.
        checkpoint_index: which snapshot, by its place; negative counts from the end.
        checkpoint_value: which snapshot, by its step; the last by default.
        device: where the weights go; by default where the configuration says.
        dtype: their type; by default that in which they were trained.

    Returns:
        The network.

    Raises:
        CheckpointError: there is no such name and no such folder, or the weights do not fit the configuration.
        StoreError: a file is missing, damaged, or belongs to another run.
        ArgumentError: the snapshot does not exist.

    >>> model = load("modular-addition-113")
    >>> model.cfg.d_vocab_out, int(model(torch.tensor([[50, 100, 113]]))[0, -1].argmax())
    (113, 37)

    """
    source = _find(model_name, checkpoint_value, checkpoint_index)
    settings = dict(source.folder.description().get("model") or {})
    if not settings:
        raise CheckpointError(f"{source.folder.path / 'run.json'} does not say which network this is.")
    weights = source.folder.read_snapshot(source.step, HookedTransformerConfig.from_dict(settings).torch_dtype)
    model = HookedTransformer({**settings, "init_weights": False, **_placement(device, dtype)})
    model.load_state_dict(weights)
    return model


def _find(model_name: str | Path, step: int | None, index: int | None) -> Source:
    if isinstance(model_name, str) and is_bundled(model_name):
        return find_bundled(model_name, step, index)
    folder = RunFolder(Path(model_name))
    if folder.exists:
        return Source(folder, choose_step(folder, step, index))
    near = nearest(str(model_name), bundled_names()) or list(bundled_names())
    what = "is a folder without run.json" if folder.path.is_dir() else "is neither a bundled network nor a folder"
    raise CheckpointError(f"{str(model_name)!r} {what}. Bundled: {', '.join(map(repr, near))}.")


def _placement(device: torch.device | str | None, dtype: torch.dtype | str | None) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if device is not None:
        try:
            chosen["device"] = torch.device(device)
        except RuntimeError as error:
            raise ArgumentError(f"device must be one that torch knows, such as 'cpu'; {device!r} came.") from error
    if dtype is not None:
        chosen["dtype"] = dtype
    return chosen
