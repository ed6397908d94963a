"""Which weights a configuration has: names and shapes, which of them read a norm and which write the stream."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from refractor.base.errors import CheckpointError, nearest
from refractor.models.config import HookedTransformerConfig

W_E, W_POS, W_U, B_U = "embed.W_E", "pos_embed.W_pos", "unembed.W_U", "unembed.b_U"


@dataclass(frozen=True)
class Reading:
    """A norm and the weights that read its result: `norm(x) W + b`, whose axis before the last is that of the norm.

    Args:
        norm: the name of the norm; its weights are `norm.w` and, in a LayerNorm, `norm.b`.
        width: length of what is normalised.
        weights: names of `W` and `b`.

    """

    norm: str
    width: int
    weights: tuple[tuple[str, str], ...]


def readings(cfg: HookedTransformerConfig) -> list[Reading]:
    """Return the norms whose weights can be folded into what reads them.

    Norms of what is written (`ln1_post`, `ln2_post`, `embed.ln`), of the stream itself and of queries and keys are none
    of them: no weight reads their result alone.
    """
    found = []
    for layer in range(cfg.n_layers):
        at = f"blocks.{layer}."
        if cfg.norm_placement in ("before", "before_and_after"):
            found.append(Reading(at + "ln1", cfg.d_model, _attention_inputs(at + "attn.", cfg)))
            if not cfg.attn_only:
                found.append(Reading(at + "ln2", cfg.d_model, _mlp_inputs(at + "mlp.", cfg)))
        if not cfg.attn_only and cfg.act_fn == "solu_ln":
            neurons = ((at + "mlp.W_out", at + "mlp.b_out"),)
            found.append(Reading(at + "mlp.ln", cfg.d_mlp or 0, neurons))
    if cfg.norm_placement != "stream":
        found.append(Reading("ln_final", cfg.d_model, ((W_U, B_U),)))
    return found


def writers(cfg: HookedTransformerConfig) -> list[str]:
    """Return the names of what LayerNorms read and others write to the residual stream; the last axis is d_model.

    Where the embedding or what a block adds is normalised itself, it is the norm that writes, and only its bias is
    added as it is. The positions of a shortformer are read beside the stream.
    """
    norms_write = cfg.norm_placement == "before_and_after"
    names = ["embed.ln.b" if cfg.post_embedding_ln else W_E]
    names += [W_POS] if cfg.positional_embedding_type == "standard" else []
    for layer in range(cfg.n_layers):
        at = f"blocks.{layer}."
        names += [at + "ln1_post.b"] if norms_write else [at + "attn.W_O", at + "attn.b_O"]
        if not cfg.attn_only:
            names += [at + "ln2_post.b"] if norms_write else [at + "mlp.W_out", at + "mlp.b_out"]
    return names


def attention_names(cfg: HookedTransformerConfig, layer: int) -> dict[str, str]:
    """Return the full name of each weight of a layer's attention, keyed by its name without the `_` of shared heads."""
    before = "" if cfg.n_key_value_heads is None else "_"
    shared = {leaf: f"blocks.{layer}.attn.{before}{leaf}" for leaf in ("W_K", "W_V", "b_K", "b_V")}
    return shared | {leaf: f"blocks.{layer}.attn.{leaf}" for leaf in ("W_Q", "b_Q", "W_O", "b_O")}


def shapes(cfg: HookedTransformerConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight that a rewrite reads or changes."""
    found: dict[str, tuple[int, ...]] = {
        W_E: (cfg.d_vocab, cfg.d_model),
        W_U: (cfg.d_model, cfg.d_vocab_out),
        B_U: (cfg.d_vocab_out,),
    }
    if cfg.positional_embedding_type in ("standard", "shortformer"):
        found[W_POS] = (cfg.n_ctx, cfg.d_model)
    for layer in range(cfg.n_layers):
        names = attention_names(cfg, layer)
        for letter, heads in (("Q", cfg.n_heads), ("K", cfg.n_kv_heads), ("V", cfg.n_kv_heads)):
            found[names["W_" + letter]] = (heads, cfg.d_model, cfg.d_head)
            found[names["b_" + letter]] = (heads, cfg.d_head)
        found[names["W_O"]] = (cfg.n_heads, cfg.d_head, cfg.d_model)
        found[names["b_O"]] = (cfg.d_model,)
        if not cfg.attn_only:
            found |= _mlp_shapes(f"blocks.{layer}.mlp.", cfg)
    if cfg.normalization_type in ("LN", "LNPre"):
        found |= {name: (cfg.d_model,) for name in writers(cfg) if name.rsplit(".", 1)[-1] == "b"}
    if cfg.normalization_type in ("LN", "RMS"):
        for reading in readings(cfg):
            found |= dict.fromkeys(norm_weights(reading.norm, cfg), (reading.width,))
    return found


def norm_weights(norm: str, cfg: HookedTransformerConfig) -> tuple[str, ...]:
    """Return the names of the weights of a norm that has some: `w`, and `b` in a LayerNorm."""
    return (norm + ".w", norm + ".b") if cfg.normalization_type == "LN" else (norm + ".w",)


def check_weights(state: Mapping[str, Tensor], cfg: HookedTransformerConfig, names: Iterable[str]) -> None:
    """Raise unless the named weights are there, have the shape that `cfg` says and can be changed in place.

    Raises:
        CheckpointError: one is missing, has another shape or no floats, or lies in the memory of another one.

    """
    wanted, seen = shapes(cfg), dict[int, str]()
    for name in names:
        if name not in state:
            near = nearest(name, state, 1)
            raise CheckpointError(
                f"the weights have no {name!r}, which this configuration needs to be rewritten."
                + (f" Nearest: {near[0]!r}." if near else "")
            )
        tensor = state[name]
        if tuple(tensor.shape) != wanted[name] or not tensor.is_floating_point():
            raise CheckpointError(
                f"{name!r} must have shape {list(wanted[name])} and floats to be rewritten; "
                f"{list(tensor.shape)} of {tensor.dtype} came."
            )
        if name == W_U:  # may lie in the memory of W_E; a rewrite that changes either gives it its own
            continue
        twin = seen.setdefault(tensor.data_ptr(), name)
        if twin != name and not tensor.is_meta:
            raise CheckpointError(
                f"{name!r} lies in the memory of {twin!r}, so changing one would change both. Clone it."
            )
        if any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)):
            raise CheckpointError(f"{name!r} repeats entries (a stride is 0) and cannot be changed in place. Clone it.")


def _attention_inputs(at: str, cfg: HookedTransformerConfig) -> tuple[tuple[str, str], ...]:
    before = "" if cfg.n_key_value_heads is None else "_"
    return tuple(
        (f"{at}{mark}W_{letter}", f"{at}{mark}b_{letter}") for mark, letter in (("", "Q"), (before, "K"), (before, "V"))
    )


def _mlp_inputs(at: str, cfg: HookedTransformerConfig) -> tuple[tuple[str, str], ...]:
    leaves = ["in", *(["gate"] if cfg.gated_mlp else []), *(["router"] if cfg.num_experts is not None else [])]
    return tuple((f"{at}W_{leaf}", f"{at}b_{leaf}") for leaf in leaves)


def _mlp_shapes(at: str, cfg: HookedTransformerConfig) -> dict[str, tuple[int, ...]]:
    d_mlp = cfg.d_mlp or 0
    of_experts = () if cfg.num_experts is None else (cfg.num_experts,)
    found = {at + "W_out": (*of_experts, d_mlp, cfg.d_model), at + "b_out": (*of_experts, cfg.d_model)}
    for leaf in ("in", "gate") if cfg.gated_mlp else ("in",):
        found[f"{at}W_{leaf}"] = (*of_experts, cfg.d_model, d_mlp)
        found[f"{at}b_{leaf}"] = (*of_experts, d_mlp)
    if cfg.num_experts is not None:
        found |= {at + "W_router": (cfg.d_model, cfg.num_experts), at + "b_router": (cfg.num_experts,)}
    return found
