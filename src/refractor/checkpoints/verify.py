"""Whether a network computes what its weights mean: checks that a person can run on any model, their own included."""

import importlib.util
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.errors import ArgumentError, CheckpointError
from refractor.checkpoints.adapters import adapter_of
from refractor.checkpoints.hub import download
from refractor.checkpoints.weight_files import listed
from refractor.hooks.cache import ActivationCache
from refractor.hooks.names import layer_of
from refractor.hooks.point import HookPoint
from refractor.models.transformer import HookedTransformer

N_TOKENS = 12  # enough for windows to matter in small models, few enough for large ones

TOLERANCES: Mapping[torch.dtype, float] = MappingProxyType(
    {
        torch.float64: 1e-6,  # references compute their angles and norms in float32
        torch.float32: 1e-4,  # the noise of two correct float32 runs is 1e-5; a wrong GELU or epsilon makes 4e-4
        torch.bfloat16: 0.15,  # 8 bits, rounded at every step
        torch.float16: 2e-2,  # 11 bits
    }
)
"""Largest difference from a reference, as a share of the largest value where that is above 1."""


@dataclass(frozen=True)
class Check:
    """One check of a network.

    Args:
        name: what was checked.
        passed: whether it held; None when it could not be run.
        detail: the figures, or why it could not be run.

    """

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Verification:
    """The checks of a network, in the order in which they were run.

    Args:
        model: what its weights are.
        checks: what was found.

    """

    model: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {"model": self.model, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def __str__(self) -> str:
        """Write one line for each check."""
        words = {True: "holds", False: "FAILS", None: "not run"}
        width = max(len(check.name) for check in self.checks)
        lines = [f"{words[check.passed]:8}{check.name:{width}}  {check.detail}" for check in self.checks]
        return "\n".join([self.model, *lines])


def verify(
    model: HookedTransformer, tokens: Int[Tensor, "batch pos"] | None = None, reference: Any = None
) -> Verification:
    """Check a network: its weights, its attention, every hook point, and its outputs against `transformers`.

    Args:
        model: the network.
        tokens: what it reads in the checks; some fixed ones when left out.
        reference: a model of `transformers` to compare with; loaded from where the network came from when left out and
            `transformers` is installed.

    Returns:
        What was found; `passed` says whether all of it held.

    Raises:
        ArgumentError: `model` is no network, or hooks are attached to it.

    >>> from refractor.checkpoints import load
    >>> verify(load("modular-addition-113")).passed
    True

    """
    if not isinstance(model, HookedTransformer):
        raise ArgumentError(f"verify checks a network that was loaded; {type(model).__name__} came. Load it first.")
    hooked = [point.name for point in model.hook_points() if point.hooked]
    if hooked:
        raise ArgumentError(
            f"hooks are attached at {listed(hooked)}, so what would be checked is not the network alone. Take them "
            "off: model.reset_hooks(including_permanent=True)."
        )
    if tokens is None:
        n_tokens = min(N_TOKENS, model.cfg.n_ctx)
        tokens = torch.randint(model.cfg.d_vocab, (2, n_tokens), generator=torch.Generator().manual_seed(0))
    tokens = tokens.to(model.cfg.device)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
        noise = _distance(model(tokens), logits)
        checks = [
            _finite(model),
            _same_with_hooks(noise, model.cfg.torch_dtype),
            _rows_sum_to_one(cache),
            _every_point_bites(model, tokens, logits, cache, noise),
            *_against_reference(model, tokens, logits, cache, reference),
        ]
    return Verification(f"{model.cfg.model_name} ({model.provenance})", tuple(checks))


def _finite(model: HookedTransformer) -> Check:
    strange = [name for name, tensor in model.state_dict().items() if not bool(tensor.isfinite().all())]
    count = sum(parameter.numel() for parameter in model.parameters())
    detail = f"NaN or infinity in {listed(strange)}" if strange else f"{count:,} numbers"
    return Check("weights are finite", not strange, detail)


def _same_with_hooks(noise: float, dtype: torch.dtype) -> Check:
    return Check("hooked and unhooked runs agree", noise <= TOLERANCES[dtype], f"to {noise:.1e}")


def _rows_sum_to_one(cache: ActivationCache) -> Check:
    patterns = [cache[name] for name in cache if name.endswith("hook_pattern")]
    worst = max(_distance(pattern.double().sum(-1), torch.ones(())) for pattern in patterns)
    allowed = max(1e-6, 4 * torch.finfo(patterns[0].dtype).eps)  # rounded once each, errors of both signs
    return Check("attention rows sum to one", worst <= allowed, f"to {worst:.1e}")


def _every_point_bites(
    model: HookedTransformer, tokens: Tensor, logits: Tensor, cache: ActivationCache, noise: float
) -> Check:
    """Edit each point that is on, and see what it leads to move beyond noise.

    A point of a block must move the stream after the block, and each such stream the logits: so a block is run for
    each of its points, and not the whole network.
    """
    name = "editing any hook point moves the logits"
    if tokens.shape[1] < 2:
        return Check(name, None, "one position attends to nothing else; give longer tokens")
    wide = logits.dtype in (torch.float32, torch.float64)  # others round so coarsely that ten times is a large part
    least = (10 if wide else 1) * max(noise, torch.finfo(logits.dtype).eps)
    silent = [name for name in cache if not _moves(model, name, tokens, logits, cache, least)]
    detail = f"{listed(silent)} did not" if silent else f"{len(cache)} points"
    return Check(name, not silent, detail)


def _moves(
    model: HookedTransformer, name: str, tokens: Tensor, logits: Tensor, cache: ActivationCache, least: float
) -> bool:
    layer, last = layer_of(name), model.cfg.n_layers - 1
    edit: Any = {"fwd_hooks": [(name, _nudged)]}
    if layer is None or model.cfg.positional_embedding_type == "shortformer":
        return _distance(model.run_with_hooks(tokens, **edit), logits) > least
    if name.endswith("hook_resid_post"):
        if layer == last:
            edited = model.run_with_hooks(cache["resid_pre", layer], start_at_layer=layer, **edit)
            return _distance(edited, logits) > least
        changed = _nudged(cache[name], model.hook_dict[name])
        return _distance(model(changed, start_at_layer=layer + 1), logits) > least
    options = {"start_at_layer": layer, "stop_at_layer": layer + 1}
    edited = model.run_with_hooks(cache["resid_pre", layer], **options, **edit)
    return _distance(edited, cache["resid_post", layer]) > least


def _nudged(tensor: Tensor, hook: HookPoint) -> Tensor:
    """Return other values: not a multiple of what came and not it plus a constant, either of which norms take back."""
    if not tensor.is_floating_point():
        return tensor.roll(1, -1)
    steps = torch.arange(1, tensor.shape[-1] + 1, device=tensor.device, dtype=torch.float32).sqrt()
    return (0.5 * tensor + 0.1 * steps.to(tensor.dtype)).to(tensor.dtype)


def _against_reference(
    model: HookedTransformer, tokens: Tensor, logits: Tensor, cache: ActivationCache, reference: Any
) -> Iterator[Check]:
    """Yield the comparison of logits (probabilities after a rewrite) and hidden states with another library."""
    name = "logits agree with transformers"
    if reference is None:
        reference, why = _find_reference(model)
        if reference is None:
            yield Check(name, None, why)
            return
    theirs = reference(tokens, output_hidden_states=True)
    dtype = model.cfg.torch_dtype
    if model.provenance.rewrites:
        error = _distance(logits.double().log_softmax(-1), theirs.logits.to(logits.device).double().log_softmax(-1))
        yield Check(name, error <= TOLERANCES[dtype], f"log-probabilities to {error:.1e} (rewrites move logits)")
        yield Check("hidden states agree with transformers", None, "rewrites change the residual stream; load without")
        return
    error = _distance(theirs.logits.to(logits), logits)
    yield Check(name, error <= TOLERANCES[dtype], f"to {error:.1e}")
    streams = [cache["resid_pre", layer] for layer in range(model.cfg.n_layers)]
    worst = max(_distance(a.to(b), b) for a, b in zip(theirs.hidden_states, streams, strict=False))
    yield Check("hidden states agree with transformers", worst <= TOLERANCES[dtype], f"to {worst:.1e}")


def _find_reference(model: HookedTransformer) -> tuple[Any, str]:
    """Return the same model in `transformers`, or None and why there is none."""
    source, family = model.provenance.source, model.provenance.family
    if family is None:
        return None, "a network of our own: there is no other implementation"
    config = model.provenance.config
    n_layers = adapter_of(config, source).fields(config)["n_layers"] if config else model.cfg.n_layers
    if n_layers != model.cfg.n_layers:
        return None, f"only {model.cfg.n_layers} of {n_layers} layers were loaded"
    if importlib.util.find_spec("transformers") is None:
        return None, "transformers is not installed: pip install transformers"
    folder = Path(source)
    if folder.suffix == ".gguf":
        options, place = {"gguf_file": folder.name}, folder.parent
    elif (folder / "config.json").is_file():
        options, place = {}, folder
    else:
        try:
            options, place = {}, download(source, model.provenance.revision)
        except CheckpointError as error:
            return None, f"its files are not there: {error}"
    from transformers import AutoModelForCausalLM

    try:
        found: Any = AutoModelForCausalLM.from_pretrained(place, dtype=model.cfg.torch_dtype, **options)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return None, f"transformers could not load it: {' '.join(str(error).split())[:120]}"
    return found.to(model.cfg.device).eval(), ""


def _distance(a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> float:
    """Return the largest difference, as a share of the largest value where that is above 1; NaN is infinitely far."""
    a, b = a.detach(), b.detach()
    difference = (a - b).abs().nan_to_num(nan=math.inf)
    scale = max(1.0, float(b.abs().max()))
    return float(difference.max()) / scale
