"""Tensors of a family's files become ours: every one is used, ignored for a reason, or the load stops."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from refractor.base.errors import CheckpointError, nearest
from refractor.checkpoints.adapters.rules import Adapter, Rule, is_tied
from refractor.checkpoints.weight_files import WeightFiles, listed
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer

POSITIONS = "pos_embed.W_pos"


@dataclass(frozen=True)
class Family:
    """A model of a family: its adapter, its own configuration, and ours.

    Args:
        adapter: of the family.
        config: the family's configuration.
        cfg: the same in our words; `n_ctx` may be another.
        stored_n_ctx: positions that the files have.

    """

    adapter: Adapter
    config: Mapping[str, Any]
    cfg: HookedTransformerConfig
    stored_n_ctx: int

    @property
    def tied(self) -> bool:
        """Whether embedding and unembedding are one matrix."""
        return is_tied(self.config, self.adapter.tied)


def blank(cfg: HookedTransformerConfig) -> HookedTransformer:
    """Return a network without memory for its weights, into which weights are put as they are."""
    return HookedTransformer({**cfg.to_dict(), "device": "meta", "init_weights": False})


class FamilyReader:
    """A family's files, read as our parameters: all at once, or a layer at a time.

    Names, shapes and dtypes of all tensors are checked at once, before anything is read.

    Args:
        family: what the model is.
        weights: its files.
        dtype: of what is read; a tensor of another dtype is converted when it has been read.
        device: where it goes.

    Raises:
        CheckpointError: a tensor is missing, left over, or of another shape than the configuration says.
        StoreError: a file is damaged.

    """

    def __init__(
        self, family: Family, weights: WeightFiles, dtype: torch.dtype, device: torch.device | None = None
    ) -> None:
        self.family = family
        self.weights = weights
        self.dtype = dtype
        self.device = torch.device("cpu") if device is None else device
        self._wanted = dict(blank(replace(family.cfg, n_ctx=family.stored_n_ctx)).state_dict())
        self._rules = _chosen_rules(family, weights)
        self._names = _names_in_files(self._rules, weights, family.adapter)
        _check_left_over(family, weights, set(self._names.values()))
        _check_shapes(self._rules, self._names, weights, self._wanted, family.cfg)

    def read(self, *prefixes: str) -> dict[str, Tensor]:
        """Return our parameters by name; a tied `W_U` shares the memory of `W_E`.

        Args:
            *prefixes: only those whose names begin so, such as `blocks.3.`; all when there are none.

        """
        prefix = prefixes or ""
        state: dict[str, Tensor] = {}
        strange: list[str] = []
        for rule in self._rules:
            if not any(name.startswith(prefix) for name in rule.ours):
                continue
            theirs = [_read(self.weights, self._names[name], self.dtype, strange) for name in rule.theirs]
            made = rule.layout.read(theirs, self.family.cfg)
            del theirs
            state.update({name: tensor.to(self.device) for name, tensor in zip(rule.ours, made, strict=True)})
        if POSITIONS in state and self.family.cfg.n_ctx < self.family.stored_n_ctx:
            state[POSITIONS] = state[POSITIONS][: self.family.cfg.n_ctx].clone()
        if strange:
            warnings.warn(f"{self.weights.described}: NaN or infinity in {listed(strange)}.", stacklevel=3)
        if self.family.tied and "embed.W_E" in state and "unembed.W_U" not in state:
            state["unembed.W_U"] = state["embed.W_E"].T
        self._read_own_unembedding(state, strange)
        for name, tensor in self._wanted.items():
            if name.startswith(prefix) and name not in state and _is_bias(name):  # the family has no such bias
                state[name] = torch.zeros(tensor.shape, dtype=self.dtype, device=self.device)
        return {name: tensor for name, tensor in state.items() if name.startswith(prefix)}

    def _read_own_unembedding(self, state: dict[str, Tensor], strange: list[str]) -> None:
        """Use the unembedding of files that hold one although they say that it is tied, where it is another matrix."""
        own = [name for name in UNEMBEDDINGS if name in self.weights.names and name not in self._names.values()]
        if self.family.tied and own and "unembed.W_U" in state:
            stored = _read(self.weights, own[0], self.dtype, strange).to(self.device).T
            used = state["unembed.W_U"]
            if stored.shape == used.shape and not torch.equal(stored, used):  # a narrower one is projected first
                state["unembed.W_U"] = stored


UNEMBEDDINGS = ("lm_head.weight", "embed_out.weight")
"""Names of the unembedding, which some files hold although it is tied."""


def _is_bias(name: str) -> bool:
    return name.rsplit(".", 1)[-1].lstrip("_").startswith("b_")


def _chosen_rules(family: Family, weights: WeightFiles) -> list[Rule]:
    """Return the rules for the names of the files, or those for the names in memory where these are there."""
    rules = family.adapter.all_rules(family.cfg, family.config)
    in_memory = family.adapter.in_memory(family.cfg, family.config)
    if in_memory is None:
        return rules
    there = set(weights.names)
    found = [sum(name in there for rule in each for name in rule.theirs) for each in (rules, in_memory)]
    return in_memory if found[1] > found[0] else rules


def _names_in_files(rules: Sequence[Rule], weights: WeightFiles, adapter: Adapter) -> dict[str, str]:
    """Return where each tensor that rules name is: files may leave out the beginning of all names.

    Raises:
        CheckpointError: tensors are missing.

    """
    there = set(weights.names)
    found: dict[str, str] = {}
    missing: list[str] = []
    for name in (name for rule in rules for name in rule.theirs):
        short = [name.removeprefix(prefix) for prefix in adapter.prefixes if name.startswith(prefix)]
        candidates = [candidate for candidate in (name, *short) if candidate in there]
        if candidates:
            found[name] = candidates[0]
        else:
            missing.append(name)
    if missing:
        near = nearest(missing[0], there, 1)
        raise CheckpointError(
            f"{weights.described} lacks {len(missing)} of the tensors that its configuration calls for: "
            f"{listed(missing)}"
            + (f" (near {near[0]!r})" if near else "")
            + ". The download may be incomplete, or the "
            "configuration that of another model."
        )
    return found


def _check_left_over(family: Family, weights: WeightFiles, used: set[str]) -> None:
    """Raise if a tensor of the files is neither used nor known to be no weight.

    Raises:
        CheckpointError: naming those that are left over.

    """
    left = [name for name in weights.names if name not in used and not _is_known(name, family)]
    if left:
        raise CheckpointError(
            f"{weights.described} holds {len(left)} tensors that a {family.adapter.model_types[0]} model of this "
            f"configuration does not have: {listed(left)}. They would be ignored, and the network be another one."
        )


def _is_known(name: str, family: Family) -> bool:
    """Whether a tensor that no rule uses is ignored for a reason."""
    if any(name.endswith(ending) for ending in family.adapter.buffers):
        return True
    if (
        family.tied and name in UNEMBEDDINGS
    ):  # the embedding once more, or what is used instead of it: see _read_own_unembedding
        return True
    layer = next((int(part) for part in name.split(".") if part.isdigit()), None)
    of_later_layer = layer is not None and layer >= family.cfg.n_layers
    return of_later_layer and family.cfg.n_layers < family.adapter.fields(family.config)["n_layers"]


def _check_shapes(
    rules: Sequence[Rule],
    names: Mapping[str, str],
    weights: WeightFiles,
    wanted: Mapping[str, Tensor],
    cfg: HookedTransformerConfig,
) -> None:
    """Raise if a tensor has another shape than the configuration says, before anything is read.

    Raises:
        CheckpointError: naming the first such tensor, and both shapes.

    """
    for rule in rules:
        if rule.layout.write is None:  # what is made of them is held against our own shapes
            continue
        expected = rule.layout.write([wanted[name] for name in rule.ours], cfg)
        for name, tensor in zip(rule.theirs, expected, strict=True):
            shape = weights.shape(names[name])
            dtype = weights.dtype(names[name])
            if shape != tuple(tensor.shape):
                raise CheckpointError(
                    f"{names[name]!r} in {weights.described} has shape {list(shape)}; its configuration calls for "
                    f"{list(tensor.shape)}."
                )
            if not dtype.is_floating_point:
                raise CheckpointError(
                    f"{names[name]!r} in {weights.described} holds {dtype}, not floating-point numbers."
                )


def _read(weights: WeightFiles, name: str, dtype: torch.dtype, strange: list[str]) -> Tensor:
    tensor = weights.read(name)
    # A sum needs no second copy, and is no number when one of its terms is none; or it overflows: then look closer.
    if not torch.isfinite(tensor.sum()) and not torch.isfinite(tensor).all():
        strange.append(name)
    return tensor.to(dtype)
