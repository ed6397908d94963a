"""Weights that stay in their files and are read a layer at a time."""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from refractor.checkpoints.adapters.rules import Adapter
from refractor.checkpoints.assemble import FamilyReader
from refractor.checkpoints.load import family_of
from refractor.checkpoints.sources import open_model
from refractor.models.config import HookedTransformerConfig
from refractor.models.weight_source import LayerWeights, WeightSource

ENDS = ("embed.", "pos_embed.", "ln_final.", "unembed.")


class StreamedWeights(WeightSource):
    """The weights of a model on disk, as its files have them (no rewrites). Embeddings are kept once they were read.

    Args:
        reader: reads the family's files.

    """

    def __init__(self, reader: FamilyReader) -> None:
        self._reader = reader
        self._ends: dict[str, Tensor] | None = None

    @property
    def cfg(self) -> HookedTransformerConfig:
        """The architecture."""
        return self._reader.family.cfg

    def ends(self) -> Mapping[str, Tensor]:
        """Return what belongs to no layer, by full name."""
        if self._ends is None:
            self._ends = self._reader.read(*ENDS)
        return self._ends

    def layer(self, layer: int) -> LayerWeights:
        """Read the weights of one layer; negative numbers count from the end."""
        number = self.number(layer)
        prefix = f"blocks.{number}."
        tensors = self._reader.read(prefix)
        return LayerWeights(self.cfg, number, {name.removeprefix(prefix): each for name, each in tensors.items()})


def stream(
    model_name: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    ignore_keys: Collection[str] = (),
    adapter: Adapter | None = None,
) -> StreamedWeights:
    """Open the weights of a model without loading it: a layer at a time is in memory.

    Args:
        model_name: as for `load`: a name on the hub, a folder, or a GGUF file.
        revision: branch, tag or commit on the hub.
        dtype: of what is read.
        device: where it goes; the CPU by default.
        ignore_keys: keys of the configuration that are known to change nothing.
        adapter: describes a family that is not among `checkpoints.adapters.ADAPTERS`.

    Raises:
        CheckpointError: there is no such model, or its weights do not fit its configuration.
        StoreError: a file is damaged.

    """
    files = open_model(model_name, revision, dtype)
    return StreamedWeights(FamilyReader(family_of(files, adapter, ignore_keys), files.weights, dtype, device))
