"""Runs of the 2023 study of group operations (Chughtai, Chan, Nanda), read as they were stored.

A run folder has `cfg.json` and `model.pt`. Group and architecture are looked up in tables; nothing is evaluated, and
weights are read with `weights_only`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError  # what a damaged file raises; nothing is unpickled
from typing import Any

import torch
from torch import Tensor

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, CheckpointError, ConfigError, StoreError
from refractor.groups.group import CANONICAL
from refractor.groups.orderings import SYMPY_COSET_RANK
from refractor.models.config import HookedTransformerConfig
from refractor.models.pair_networks import OneLayerMLP, pair_network_of
from refractor.models.transformer import HookedTransformer
from refractor.tasks.composition import GroupComposition
from refractor.tasks.splits import Split, split_rows

CONFIG, WEIGHTS = "cfg.json", "model.pt"
GROUPS = {
    "CyclicGroup": "cyclic",
    "DihedralGroup": "dihedral",
    "SymmetricGroup": "symmetric",
    "AlternatingGroup": "alternating",
}
LETTERS = {"cyclic": "C", "dihedral": "D", "symmetric": "S", "alternating": "A"}
PERMUTATIONS = ("symmetric", "alternating")
"""Families whose elements the study numbers in another order than ours; the others are numbered alike."""

ARCHITECTURES = {"OneLayerMLP": "mlp", "Transformer": "transformer"}
NEEDED = ("group", "group_parameter", "model", "frac_train", "seed")
SETTINGS = ("lr", "num_epochs", "weight_decay", "betas", "layers", "extra_name", "epochs")
IGNORED = {
    "metrics": "which figures were logged during training; the weights do not depend on it",
    "notes": "words of the authors about the run",
}
"""Keys of the earliest configurations, and why they are not used."""

KNOWN = (*NEEDED, *SETTINGS, *IGNORED)
COPIES = ("x_embed", "y_embed")  # accidental copies of embed.W_E in the state dicts of transformers


@dataclass(frozen=True, eq=False)
class PublishedRun:
    """A finished network of the study.

    Args:
        name: the folder's name.
        group: "cyclic", "dihedral", "symmetric" or "alternating".
        parameter: the n of the group.
        architecture: "mlp" or "transformer".
        fraction: share of the pairs trained on.
        seed: of weights and split.
        config: the configuration as it was stored.
        weights: the state dict, without the two copies of the embedding.

    """

    name: str
    group: str
    parameter: int
    architecture: str
    fraction: float
    seed: int
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor] = field(repr=False)

    @property
    def group_name(self) -> str:
        """The group by the name that `groups.group` knows, such as "S5"."""
        return f"{LETTERS[self.group]}{self.parameter}"

    @property
    def ordering(self) -> str:
        """The order in which the elements are numbered, by its name."""
        return SYMPY_COSET_RANK if self.group in PERMUTATIONS else CANONICAL

    @cached_property
    def task(self) -> GroupComposition:
        """The questions: products in the group, elements numbered as the network numbers them.

        Raises:
            UnknownNameError: the study's order of the elements is not known for this group.

        """
        return GroupComposition(self.group_name, ordering=self.ordering)

    @property
    def epochs(self) -> int | None:
        """How many updates the weights have had; None where the configuration does not say."""
        return self.config.get("num_epochs")

    def split(self, order: int) -> Split:
        """Return the rows trained on and held out, for a group of `order` elements."""
        return split_rows(order * order, self.fraction, self.seed)

    def model(self) -> HookedTransformer | OneLayerMLP:
        """Return the network, whichever it is.

        Raises:
            CheckpointError: the weights do not fit it, or are those of a network for another number of elements.

        """
        if self.architecture == "mlp":
            model = self.mlp()
            there = model.cfg.n
        else:
            model = self.transformer()
            there = model.cfg.d_vocab_out
        if there != self.task.n:
            raise CheckpointError(
                f"{self.name} is said to be about {self.group_name}, which has {self.task.n} elements; its weights are "
                f"for {there}."
            )
        return model

    def transformer(self) -> HookedTransformer:
        """Return the network; its vocabulary is the elements and "=".

        Raises:
            ArgumentError: the run is an MLP.
            CheckpointError: the weights do not fit.

        """
        if self.architecture != "transformer":
            raise ArgumentError(f"{self.name} is an {self.architecture}; use mlp().")
        weights = self.weights
        n_heads, d_model, d_head = weights["blocks.0.attn.W_Q"].shape
        cfg = HookedTransformerConfig(
            n_layers=1,
            n_heads=n_heads,
            d_model=d_model,
            d_head=d_head,
            d_mlp=weights["blocks.0.mlp.W_in"].shape[1],
            d_vocab=weights["embed.W_E"].shape[0],
            d_vocab_out=weights["unembed.W_U"].shape[1],
            n_ctx=weights["pos_embed.W_pos"].shape[0],
            act_fn="relu",
            normalization_type=None,
            init_weights=False,
            model_name=self.name,
        )
        model = HookedTransformer(cfg)
        model.load_state_dict(weights)
        return model

    def mlp(self) -> OneLayerMLP:
        """Return the network.

        Raises:
            ArgumentError: the run is a transformer.
            CheckpointError: the weights do not fit.

        """
        if self.architecture != "mlp":
            raise ArgumentError(f"{self.name} is a {self.architecture}; use transformer().")
        model = pair_network_of(self.weights, name=self.name)
        if not isinstance(model, OneLayerMLP):
            raise CheckpointError(f"{self.name} is said to be an MLP; its weights are {sorted(self.weights)}.")
        return model


def read_published_run(path: str | Path) -> PublishedRun:
    """Read a run folder of the study.

    Args:
        path: a folder with `cfg.json` and `model.pt`.

    Raises:
        StoreError: a file is missing or cannot be read.
        ConfigError: the configuration has unknown or missing keys, or an unknown group or architecture.

    """
    folder = Path(path)
    config = _read_config(folder / CONFIG)
    weights = _read_weights(folder / WEIGHTS)
    return PublishedRun(
        name=folder.name,
        group=_look_up("group", config, GROUPS),
        parameter=check_int("group_parameter", config["group_parameter"], least=2),
        architecture=_look_up("model", config, ARCHITECTURES),
        fraction=config["frac_train"],
        seed=config["seed"],
        config=config,
        weights={name: weight for name, weight in weights.items() if name not in COPIES},
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as a configuration: {error}.") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} must hold a JSON object; {type(config).__name__} came.")
    unknown, missing = [key for key in config if key not in KNOWN], [key for key in NEEDED if key not in config]
    if unknown or missing:
        raise ConfigError(f"{path}: unknown keys {unknown}, missing keys {missing}; known are {', '.join(KNOWN)}.")
    return config


def _look_up(key: str, config: Mapping[str, Any], table: Mapping[str, str]) -> str:
    if config[key] not in table:
        raise ConfigError(f"{key} must be one of {', '.join(table)}; {config[key]!r} came.")
    return table[config[key]]


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise StoreError(f"{path} cannot be read as a state dict: {error}.") from error
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise StoreError(f"{path} must hold tensors by name.")
    return weights
