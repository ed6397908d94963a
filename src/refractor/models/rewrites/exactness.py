"""For which architectures a rewrite keeps the logits, and why it does not for the others."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from refractor.base.errors import ConfigError
from refractor.models.config import HookedTransformerConfig


def why_not(name: str, cfg: HookedTransformerConfig) -> str | None:
    """Return why the rewrite of this name does not keep what it should for `cfg`, or None where it does."""
    return _REASONS[name](cfg)


def check_exact(name: str, cfg: HookedTransformerConfig) -> None:
    """Raise unless the rewrite of this name is exact for `cfg`.

    Raises:
        ConfigError: it is not; the message names the part of the architecture and the reason.

    """
    reason = why_not(name, cfg)
    if reason is not None:
        raise ConfigError(f"{name} would change what this network computes: {reason}. Use {name}=False.")


def _fold_ln(cfg: HookedTransformerConfig) -> str | None:
    if cfg.normalization_type not in ("LN", "RMS"):
        return None  # nothing is left to fold
    if cfg.norm_placement == "stream":
        return (
            "with norm_placement='stream' the norms' weights multiply the residual stream itself, to which layers add; "
            "no weight reads it through a norm"
        )
    if cfg.positional_embedding_type == "shortformer":
        return (
            "with positional_embedding_type='shortformer' queries and keys read the result of ln1 plus positions, and "
            "weights of ln1 folded into W_Q and W_K would multiply the positions too"
        )
    return None


def _center_writing_weights(cfg: HookedTransformerConfig) -> str | None:
    if cfg.normalization_type not in ("LN", "LNPre"):
        return (
            f"normalization_type={cfg.normalization_type!r} does not take the mean off what is read, so the mean over "
            "d_model that the weights write counts"
        )
    if cfg.norm_placement in ("after", "stream"):
        return (
            f"with norm_placement={cfg.norm_placement!r} attention and MLP read the stream itself, its mean over "
            "d_model included"
        )
    return None


def _center_unembed(cfg: HookedTransformerConfig) -> str | None:
    if cfg.output_logits_soft_cap is not None:
        return (
            f"output_logits_soft_cap={cfg.output_logits_soft_cap} bends the logits, so a constant taken off all of "
            "them before the cap changes their differences"
        )
    return None


def _fold_value_biases(cfg: HookedTransformerConfig) -> str | None:
    return None  # the rows of every attention pattern sum to 1


def _refactor(cfg: HookedTransformerConfig) -> str | None:
    turned = "the new W_Q and W_K of a head are another basis of its d_head dimensions, and"
    if cfg.n_key_value_heads is not None:
        return (
            f"{turned} with n_key_value_heads={cfg.n_key_value_heads} several heads share keys and values, which "
            "cannot be in the basis of each"
        )
    if cfg.positional_embedding_type == "rotary":
        return f"{turned} positional_embedding_type='rotary' turns pairs of the old dimensions"
    if cfg.qk_norm is not None:
        return f"{turned} qk_norm={cfg.qk_norm!r} has a weight for each of the old dimensions"
    return None


_REASONS: Mapping[str, Callable[[HookedTransformerConfig], str | None]] = MappingProxyType(
    {
        "fold_ln": _fold_ln,
        "center_writing_weights": _center_writing_weights,
        "center_unembed": _center_unembed,
        "fold_value_biases": _fold_value_biases,
        "refactor_factored_attn_matrices": _refactor,
    }
)

REWRITES = tuple(_REASONS)
"""The names of all rewrites."""
