"""Tiny checkpoints of every family, and what `transformers` computes from them: the truth that adapters are held to.

Three layers, four heads, a vocabulary of 128 (`*_square`: everything 64, so that no shape gives an orientation away);
texts of 28 tokens, longer than any window; weights that leave no feature without effect.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import load_file
from tiny_configs import CONFIGS
from tiny_exact import exactly
from tiny_weights import fill
from torch import Tensor, nn

if TYPE_CHECKING:  # transformers takes seconds to import, and collecting tests needs nothing of it
    from transformers import PreTrainedModel

POSITIONS = 28
WINDOW = 8
NOISE = 5e-5  # float32 against float64, logits of any family; an order of magnitude above what is seen


@dataclass(frozen=True)
class Family:
    """One way of building a model.

    Attributes:
        name: as in `FAMILIES`.
        config: what `AutoConfig.for_model` is called with, `model_type` among it.
        attention: the implementation that can be trusted.
        tolerance: how far a right float64 model may be from the reference in float64, logits and hidden states.
        reason: why the tolerance is above 1e-9, where it is: no family needs it, since every step is in float64.
    """

    name: str
    config: Mapping[str, Any]
    attention: Literal["eager", "sdpa"] = "eager"
    tolerance: float = 1e-10
    reason: str = ""


@dataclass(frozen=True)
class Reference:
    """What transformers computes.

    Attributes:
        tokens: [batch 2, pos 28], no padding.
        logits: [batch, pos, d_vocab].
        hidden: the embedding, then the stream after each layer, [batch, pos, d_model] each, n_layers + 1 in all. The
            last one is after the final norm where the family has one, and after `project_out` in `opt_350m`, whose
            width is 40 there.
        patterns: the attention of each layer, [batch, head, query_pos, key_pos].
    """

    tokens: Tensor
    logits: Tensor
    hidden: tuple[Tensor, ...]
    patterns: tuple[Tensor, ...]


# With ALiBi, Falcon's eager attention adds the slopes twice: once in the mask, once to the scores.
FAMILIES: Mapping[str, Family] = {
    name: Family(name, config, attention="sdpa" if config.get("alibi") else "eager") for name, config in CONFIGS.items()
}


def build(name: str, dtype: torch.dtype = torch.float32, *, fresh: bool = False) -> "PreTrainedModel":
    """The model of a family, in eval mode, gradients off; shared between callers unless a fresh one is asked for.

    A float64 model is float64 throughout only where `run` (or `exactly`) runs it.
    """
    model = _built(name, dtype)
    return copy.deepcopy(model) if fresh else model


@cache
def _built(name: str, dtype: torch.dtype) -> "PreTrainedModel":
    return altered(name, dtype)


def altered(name: str, dtype: torch.dtype = torch.float64, **changes: Any) -> "PreTrainedModel":
    """The same weights in a model whose configuration differs, wherever names and shapes agree."""
    model = unfilled(name, dtype, **changes)
    fill(model, name)
    return model.eval().requires_grad_(False)


def unfilled(name: str, dtype: torch.dtype, **changes: Any) -> "PreTrainedModel":
    """The model of a family with the weights that transformers begins with."""
    from transformers import AutoConfig, AutoModelForCausalLM

    family = FAMILIES[name]
    config = AutoConfig.for_model(**copy.deepcopy({**family.config, **changes}))
    config._experts_implementation = "eager"  # the default multiplies experts in groups, which float64 does not know
    with torch.random.fork_rng(devices=[]), exactly(dtype):
        return AutoModelForCausalLM.from_config(config, attn_implementation=family.attention, dtype=dtype)


def tokens(name: str) -> Tensor:
    """Two texts of 28 tokens, the same for every family of the same vocabulary."""
    vocabulary = FAMILIES[name].config["vocab_size"]
    return torch.randint(0, vocabulary, (2, POSITIONS), generator=torch.Generator().manual_seed(28))


@cache
def reference(name: str, dtype: torch.dtype = torch.float64) -> Reference:
    """Logits, hidden states and attention of a family on `tokens(name)`, as transformers computes them."""
    return run(build(name, dtype), tokens(name))


def run(model: "PreTrainedModel", text: Tensor) -> Reference:
    """Run a model in its own dtype, in full: where that is float64, no step is in float32."""
    slopes_twice = model.config.model_type == "falcon" and model.config.alibi
    with exactly(model.dtype), torch.no_grad():
        out = model(text, output_hidden_states=True, output_attentions=not slopes_twice, use_cache=False)
        patterns = slopes_once(model, text).attentions if slopes_twice else out.attentions
    return Reference(text, out.logits, tuple(out.hidden_states), tuple(patterns))


def slopes_once(model: "PreTrainedModel", text: Tensor) -> Any:
    """The output of Falcon in eager mode with the slopes in the mask only: that of sdpa, and patterns with it."""
    eager = copy.deepcopy(model)
    eager.config._attn_implementation = "eager"
    for name, module in eager.named_modules():
        if name.endswith("self_attention"):
            module.register_forward_pre_hook(_without_slopes, with_kwargs=True)
    return eager(text, output_hidden_states=True, output_attentions=True, use_cache=False)


def _without_slopes(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**kwargs, "alibi": torch.zeros_like(kwargs["alibi"])}


def save(
    name: str,
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    max_shard_size: str = "1GB",
    pickled: bool = False,
) -> Path:
    """Write config.json and the weights as a hub repository has them.

    Args:
        name: of the family.
        folder: made if it does not exist.
        dtype: of the weights.
        max_shard_size: "100KB" gives several shards, with their index; not for pickled weights.
        pickled: pytorch_model.bin, which has tied weights twice, in place of model.safetensors.

    Returns:
        The folder.
    """
    with _quiet():
        build(name, dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    if pickled:
        _pickle(name, folder)
    return folder


def _pickle(name: str, folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    model = build(name)
    head: Any = model.get_output_embeddings()
    embedding = model.get_input_embeddings()
    if head.weight is embedding.weight:
        names = {id(module): name for name, module in model.named_modules()}
        state[f"{names[id(head)]}.weight"] = state[f"{names[id(embedding)]}.weight"]
    torch.save(state, folder / "pytorch_model.bin")


@contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
