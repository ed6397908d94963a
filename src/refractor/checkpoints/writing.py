"""Our weights back in their family's own format, as a folder that other libraries load."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from refractor.base.errors import CheckpointError, StoreError
from refractor.base.store import write_json
from refractor.checkpoints.adapters import adapter_of
from refractor.checkpoints.adapters.rules import Adapter, Rule, is_tied
from refractor.checkpoints.assemble import blank
from refractor.checkpoints.weight_files import listed
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer

UNFOLDED: Mapping[str | None, str] = {"LNPre": "LN", "RMSPre": "RMS"}
ROUNDING = 1e-5  # relative: what a scale and its inverse, or 1 added and taken off, lose in float32


def save_pretrained(model: HookedTransformer, folder: Path | str, adapter: Adapter | None = None) -> Path:
    """Write a network that came from a family's files back: `config.json`, `model.safetensors` and its tokenizer.

    What was folded is written as norms with weight 1; a network whose embedding and unembedding are no longer one
    matrix is written untied. The weights file takes its place in one step, the configuration after it.

    Args:
        model: the network.
        folder: where to write; made when it is not there.
        adapter: of its family, when it is not among `checkpoints.adapters.ADAPTERS`.

    Returns:
        The folder.

    Raises:
        CheckpointError: the network is of no family, has fewer layers or learned positions than its configuration
            says, or has weights that its family's format has no place for (such as biases after a fold); the message
            says which.
        StoreError: the folder cannot be written to.

    """
    config = dict(model.provenance.config)
    if not config:
        raise CheckpointError(
            "save_pretrained writes networks that were loaded from a family's files; this one was not. Save its "
            "weights with torch.save(model.state_dict(), path) and its architecture with model.cfg.to_json()."
        )
    adapter = adapter_of(config, model.cfg.model_name) if adapter is None else adapter
    n_layers, stored = (adapter.fields(config)[name] for name in ("n_layers", "n_ctx"))
    if n_layers != model.cfg.n_layers:
        raise CheckpointError(
            f"the network has {model.cfg.n_layers} of the {n_layers} layers of its configuration. Load all to write it."
        )
    if model.cfg.positional_embedding_type == "standard" and stored != model.cfg.n_ctx:
        raise CheckpointError(
            f"the network has {model.cfg.n_ctx} of the {stored} positions of its configuration. Load all to write it."
        )
    config = written_config(model, config, adapter)
    tensors = family_tensors(model, config, adapter)
    folder = Path(folder).expanduser()
    _write(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", config)
    if model.tokenizer is not None:
        _write_text(folder / "tokenizer.json", model.tokenizer.backend_tokenizer.to_str())
        special = {name: getattr(model.tokenizer, name) for name in ("bos_token", "eos_token", "pad_token")}
        known = {name: token for name, token in special.items() if token is not None}
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **known})
    return folder


def written_config(model: HookedTransformer, config: Mapping[str, Any], adapter: Adapter) -> dict[str, Any]:
    """Return the family's configuration of the network as it is now."""
    written = adapter.written_config(config)
    dtype = str(model.cfg.torch_dtype).removeprefix("torch.")
    written.update({name: dtype for name in ("dtype", "torch_dtype") if name in written})
    if is_tied(written, adapter.tied) and not _can_be_tied(model, written, adapter):
        written["tie_word_embeddings"] = False
    return written


def family_tensors(model: HookedTransformer, config: Mapping[str, Any], adapter: Adapter) -> dict[str, Tensor]:
    """Return the tensors of a network by the names of its family's files.

    Raises:
        CheckpointError: the family's format has no place for one of them.

    """
    cfg = _unfolded(model.cfg)
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    for name, tensor in blank(cfg).state_dict().items():
        if name not in state:  # weights of a norm that was folded
            fill = 1.0 if name.endswith(".w") else 0.0
            state[name] = torch.full(tensor.shape, fill, dtype=model.cfg.torch_dtype, device=model.cfg.device)
    found: dict[str, Tensor] = {}
    rules = adapter.all_rules(cfg, config)
    for rule in rules:
        theirs = _written(rule, state, cfg)
        found.update(dict(zip(rule.theirs, (tensor.contiguous() for tensor in theirs), strict=True)))
    _check_placed(rules, state, is_tied(config, adapter.tied))
    return found


def _unfolded(cfg: HookedTransformerConfig) -> HookedTransformerConfig:
    kind = UNFOLDED.get(cfg.normalization_type, cfg.normalization_type)
    return HookedTransformerConfig.from_dict({**cfg.to_dict(), "normalization_type": kind, "init_weights": False})


def _can_be_tied(model: HookedTransformer, config: Mapping[str, Any], adapter: Adapter) -> bool:
    """Whether what the network has now is what one matrix makes."""
    if model.is_tied:
        return True
    both = [rule for rule in adapter.rules(model.cfg, config) if rule.ours == ("embed.W_E", "unembed.W_U")]
    if not both or both[0].layout.write is None:
        return False
    ours = [model.embed.W_E.detach(), model.unembed.W_U.detach()]
    return _is_undone(both[0], both[0].layout.write(ours, model.cfg), ours, model.cfg)


def _written(rule: Rule, state: Mapping[str, Tensor], cfg: HookedTransformerConfig) -> tuple[Tensor, ...]:
    ours = [state[name] for name in rule.ours]
    if rule.layout.write is None:
        raise CheckpointError(f"{listed(rule.ours)} cannot be written in the form in which they were read.")
    theirs = rule.layout.write(ours, cfg)
    if not _is_undone(rule, theirs, ours, cfg):
        raise CheckpointError(
            f"this family's format has one tensor, {rule.theirs[0]!r}, for {listed(rule.ours)}, which are no longer "
            "equal. Load the network with fold_ln=False to write it."
        )
    return theirs


def _is_undone(rule: Rule, theirs: tuple[Tensor, ...], ours: list[Tensor], cfg: HookedTransformerConfig) -> bool:
    """Whether reading what is written gives what was there."""
    again = rule.layout.read(theirs, cfg)
    return all(
        then is now or torch.allclose(then, now, rtol=ROUNDING, atol=ROUNDING * float(now.abs().max()))
        for then, now in zip(again, ours, strict=True)
    )


def _check_placed(rules: list[Rule], state: Mapping[str, Tensor], tied: bool) -> None:
    """Raise if something that is not zero has no place in the family's files.

    Raises:
        CheckpointError: naming it.

    """
    placed = {name for rule in rules for name in rule.ours} | ({"unembed.W_U"} if tied else set())
    lost = [name for name, tensor in state.items() if name not in placed and bool(tensor.any())]
    if lost:
        raise CheckpointError(
            f"this family's format has no place for {listed(lost)}, which are not zero. They come from a rewrite: load "
            "the network with from_pretrained_no_processing to write it."
        )


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(_apart(tensors), temporary, metadata={"format": "pt"})
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, none in the memory of another: the format has no place for what is shared."""
    taken: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        own = tensor.cpu()
        storage = own.untyped_storage().data_ptr()
        found[name] = own.clone() if storage in taken else own
        taken.add(storage)
    return found


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror or error}.") from error
