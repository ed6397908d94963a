"""`load`: a trained network by name or path."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from refractor.base.errors import ArgumentError, CheckpointError, unknown_name
from refractor.base.store import RunFolder
from refractor.checkpoints.adapters import adapter_of
from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.rules import Adapter
from refractor.checkpoints.adapters.shared import check_common
from refractor.checkpoints.aliases import ALIASES, checkpoint_revision, resolve_name
from refractor.checkpoints.assemble import Family, FamilyReader, blank
from refractor.checkpoints.sources import ModelFiles, open_model
from refractor.checkpoints.tokenizers import load_tokenizer
from refractor.checkpoints.weight_files import InMemoryWeights
from refractor.models.bundle import Snapshot, bundled_names, choose_step, find_bundled, is_bundled
from refractor.models.config import HookedTransformerConfig
from refractor.models.config_checks import DTYPES
from refractor.models.device import as_device
from refractor.models.provenance import Provenance
from refractor.models.rewrites import REWRITES, defaults, rewrite
from refractor.models.transformer import HookedTransformer


def load(
    model_name: str | Path,
    *,
    fold_ln: bool | None = None,
    center_writing_weights: bool | None = None,
    center_unembed: bool | None = None,
    fold_value_biases: bool | None = None,
    refactor_factored_attn_matrices: bool | None = None,
    revision: str | None = None,
    checkpoint_index: int | None = None,
    checkpoint_value: int | None = None,
    hf_model: Any = None,
    device: torch.device | str | int | None = None,
    dtype: torch.dtype | str | None = None,
    first_n_layers: int | None = None,
    n_ctx: int | None = None,
    tokenizer: Any = None,
    default_prepend_bos: bool | None = None,
    default_padding_side: Literal["left", "right"] | None = None,
    ignore_keys: Collection[str] = (),
    adapter: Adapter | None = None,
) -> HookedTransformer:
    """Load a trained network. Every weight is used, and checked against the configuration.

    Args:
        model_name: a name on the Hugging Face hub, or a short one such as `gpt2-small`; the path of a folder with
            `config.json` and weights, or of a GGUF file; a bundled name (`models.bundle.bundled_names()`), also with a
            step, `modular-addition-113@0`; or the path of a run folder.
        fold_ln: fold the weights of norms into what reads them. This and the next four keep what the network computes
            (see `models.rewrites`). Left out, the first four are done to trained language models wherever they are
            exact, as notebooks expect, and to no network of our own.
        center_writing_weights: take the mean off what is written to the residual stream.
        center_unembed: take the mean off the unembedding: logits move by a constant, probabilities do not.
        fold_value_biases: move the biases of values to those of the output.
        refactor_factored_attn_matrices: choose the basis of every head by the singular vectors of its circuits.
        revision: branch, tag or commit on the hub.
        checkpoint_index: which snapshot, by its place; negative counts from the end.
        checkpoint_value: which snapshot, by its step; the last by default. Of runs, and of Pythia's training.
        hf_model: a model of `transformers` in memory, whose weights are taken instead of files (and copied).
        device: where the weights go; by default where the configuration says, the CPU for language models.
        dtype: their type; by default float32 for language models, for runs that in which they were trained.
        first_n_layers: load only so many layers.
        n_ctx: longest sequence, where another than the configuration's is wanted.
        tokenizer: used instead of the one that comes with the model.
        default_prepend_bos: whether text begins with the beginning-of-sequence token unless a call says otherwise;
            True when left out, whatever the family's own tokenizer does.
        default_padding_side: where texts of different lengths are padded.
        ignore_keys: keys of the configuration that are known to change nothing.
        adapter: describes a family that is not among `checkpoints.adapters.ADAPTERS`.

    Returns:
        The network; `model.provenance` says what its weights are.

    Raises:
        CheckpointError: there is no such model or it cannot be reached, its family or a key of its configuration is not
            known, or the weights do not fit the configuration.
        StoreError: a file is missing, damaged, or belongs to another run.
        ConfigError: a rewrite is asked for that is not exact for this family.
        ArgumentError: the snapshot does not exist, or an option has a value that it cannot have.

    >>> model = load("modular-addition-113")
    >>> model.cfg.d_vocab_out, int(model(torch.tensor([[50, 100, 113]]))[0, -1].argmax())
    (113, 37)

    """
    rewrites = dict(
        zip(
            REWRITES,
            (fold_ln, center_writing_weights, center_unembed, fold_value_biases, refactor_factored_attn_matrices),
            strict=True,
        )
    )
    if not isinstance(model_name, str | Path):
        raise ArgumentError(f"model_name must be a name or a path; {model_name!r} came.")
    ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else ignore_keys
    run = None if hf_model is not None else _find_run(model_name, checkpoint_value, checkpoint_index)
    if run is not None:
        _check_unused(
            run.folder.path,
            revision=revision,
            first_n_layers=first_n_layers,
            n_ctx=n_ctx,
            adapter=adapter,
            tokenizer=tokenizer,
            default_prepend_bos=default_prepend_bos,
            default_padding_side=default_padding_side,
            ignore_keys=ignore_keys or None,
        )
        return _load_run(model_name, run, rewrites, device, dtype)
    where, kind = as_device("cpu" if device is None else device), _dtype(torch.float32 if dtype is None else dtype)
    files = _files(model_name, hf_model, revision, checkpoint_index, checkpoint_value, kind)
    chosen = {"first_n_layers": first_n_layers, "n_ctx": n_ctx, "default_prepend_bos": default_prepend_bos}
    family = family_of(files, adapter, ignore_keys, **chosen)
    state = FamilyReader(family, files.weights, kind, where).read()
    cfg, done = rewrite(state, family.cfg, **_asked(rewrites, defaults(family.cfg)))
    model = blank(cfg)
    model.load_state_dict(state, assign=True)
    model.cfg.placed(where, kind)
    model.provenance = _provenance(files, model_name, hf_model, done)
    text = tokenizer if tokenizer is not None else files.tokenizer
    if text is None and files.folder is not None:
        text = load_tokenizer(files.folder)
    if text is not None:
        model.set_tokenizer(text, default_padding_side)
    return model


def family_of(
    files: ModelFiles,
    adapter: Adapter | None = None,
    ignore_keys: Collection[str] = (),
    *,
    first_n_layers: int | None = None,
    n_ctx: int | None = None,
    default_prepend_bos: bool | None = None,
) -> Family:
    """Return what a model is, from its configuration alone.

    Raises:
        CheckpointError: the family or a key is not known, or there are fewer layers or positions than are asked for.

    """
    adapter = adapter_of(files.config, files.name) if adapter is None else adapter
    keys = Keys(files.config, {**adapter.ignored_keys, **dict.fromkeys(ignore_keys, "the caller said so")})
    check_common(keys)
    fields = adapter.config(keys)
    keys.finish()
    fields["model_name"] = files.name
    if default_prepend_bos is not None:
        fields["default_prepend_bos"] = default_prepend_bos
    if first_n_layers is not None:
        _shorten(fields, first_n_layers)
    stored_n_ctx = fields["n_ctx"]
    if n_ctx is not None:
        _check_n_ctx(fields, n_ctx)
        fields["n_ctx"] = n_ctx
    return Family(adapter, files.config, HookedTransformerConfig(**fields, init_weights=False), stored_n_ctx)


def _shorten(fields: dict[str, Any], first_n_layers: int) -> None:
    if isinstance(first_n_layers, bool) or not isinstance(first_n_layers, int) or first_n_layers < 1:
        raise ArgumentError(f"first_n_layers must be a whole number of at least 1; {first_n_layers!r} came.")
    if first_n_layers > fields["n_layers"]:
        raise ArgumentError(
            f"first_n_layers={first_n_layers}, but {fields['model_name']} has {fields['n_layers']} layers."
        )
    fields["n_layers"] = first_n_layers
    if fields.get("attn_types") is not None:
        fields["attn_types"] = fields["attn_types"][:first_n_layers]


def _check_n_ctx(fields: Mapping[str, Any], n_ctx: int) -> None:
    if isinstance(n_ctx, bool) or not isinstance(n_ctx, int) or n_ctx < 1:
        raise ArgumentError(f"n_ctx must be a whole number of at least 1; {n_ctx!r} came.")
    learned = fields.get("positional_embedding_type", "standard") in ("standard", "shortformer")
    if learned and n_ctx > fields["n_ctx"]:
        raise ArgumentError(
            f"n_ctx={n_ctx}, but {fields['model_name']} has learned positions for {fields['n_ctx']} tokens only."
        )


def _files(
    model_name: str | Path,
    hf_model: Any,
    revision: str | None,
    index: int | None,
    value: int | None,
    dtype: torch.dtype,
) -> ModelFiles:
    if hf_model is not None:
        if revision is not None or index is not None or value is not None:
            raise ArgumentError("revision, checkpoint_index and checkpoint_value are for files; hf_model came too.")
        if not isinstance(hf_model, nn.Module) or not hasattr(hf_model, "config"):
            raise ArgumentError(f"hf_model must be a ...ForCausalLM of transformers; {type(hf_model).__name__} came.")
        config: Any = hf_model.config
        weights = InMemoryWeights(hf_model.state_dict(), f"the {type(hf_model).__name__} in memory")
        return ModelFiles(config.to_dict(), weights, None, str(model_name), revision)
    if index is not None or value is not None:
        if revision is not None:
            raise ArgumentError("give revision, or checkpoint_index or checkpoint_value, not both.")
        revision = checkpoint_revision(resolve_name(str(model_name)), index, value)
    return open_model(model_name, revision, dtype)


def _provenance(files: ModelFiles, given: str | Path, hf_model: Any, done: tuple[str, ...]) -> Provenance:
    """Return what the weights are: a path is said as it was given, a name on the hub in full."""
    local = hf_model is None and Path(given).expanduser().exists()
    stored = sorted({files.weights.stored(name) for name in files.weights.names})
    source = str(given) if local else files.name
    return Provenance(source, files.revision, files.config["model_type"], ", ".join(stored), done, files.config)


def _asked(given: Mapping[str, bool | None], otherwise: Mapping[str, bool]) -> dict[str, bool]:
    return {name: otherwise[name] if value is None else value for name, value in given.items()}


def _load_run(
    name: str | Path,
    source: Snapshot,
    rewrites: Mapping[str, bool | None],
    device: torch.device | str | int | None,
    dtype: torch.dtype | str | None,
) -> HookedTransformer:
    settings = dict(source.folder.description().get("model") or {})
    if not settings:
        raise CheckpointError(f"{source.folder.path / 'run.json'} does not say which network this is.")
    if "architecture" in settings:
        raise CheckpointError(
            f"{str(name)!r} is no transformer but a network of two elements (architecture="
            f"{settings['architecture']!r}). Use refractor.lab.load_network({str(name)!r}).model."
        )
    cfg = HookedTransformerConfig.from_dict(settings)
    weights = source.folder.read_snapshot(source.step, cfg.torch_dtype)
    where = as_device(device if device is not None else cfg.device)
    kind = cfg.torch_dtype if dtype is None else _dtype(dtype)
    state = {name: tensor.to(device=where, dtype=kind) for name, tensor in weights.items()}
    cfg, done = rewrite(state, cfg, **_asked(rewrites, dict.fromkeys(REWRITES, False)))
    model = HookedTransformer(replace(cfg, init_weights=False, device=where, dtype=kind))
    model.load_state_dict(state)
    stored = str(cfg.torch_dtype).removeprefix("torch.")
    model.provenance = Provenance(str(source.folder.path), f"step {source.step}", None, stored, done)
    return model


def _find_run(model_name: str | Path, step: int | None, index: int | None) -> Snapshot | None:
    """Return the run that a name or path means; None where it means a model of another kind."""
    if isinstance(model_name, str) and is_bundled(model_name):
        return find_bundled(model_name, step, index)
    folder = RunFolder(Path(model_name))
    if folder.exists:
        return Snapshot(folder, choose_step(folder, step, index))
    if isinstance(model_name, str) and re.fullmatch(r"[\w.@-]+", model_name) and not folder.path.exists():
        _check_short_name(model_name)
    return None


def _check_short_name(name: str) -> None:
    """Raise unless a name without a slash is known; ours are offered beside those of the hub.

    Raises:
        UnknownNameError: it is not, and is no path either.

    """
    if name.lower() in ALIASES or name.lower().endswith((".gguf", ".safetensors", ".bin", ".json")):
        return
    hint = "A model of the hub is called OWNER/NAME; a folder is named by its path, such as ./NAME."
    raise unknown_name("model", name, [*bundled_names(), *ALIASES], hint)


def _check_unused(path: Path, **options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ArgumentError(f"{given[0]} is for language models; {path} is a run.")


def _dtype(dtype: torch.dtype | str) -> torch.dtype:
    if isinstance(dtype, str) and dtype.removeprefix("torch.") in DTYPES:
        return DTYPES[dtype.removeprefix("torch.")]
    if isinstance(dtype, torch.dtype) and dtype in DTYPES.values():
        return dtype
    raise ArgumentError(f"dtype must be one of {', '.join(DTYPES)}; {dtype!r} came.")
