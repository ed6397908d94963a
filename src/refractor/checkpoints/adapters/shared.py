"""What the configurations of several families say in the same words."""

from collections.abc import Mapping, Sequence
from typing import Any

from refractor.base.errors import CheckpointError
from refractor.checkpoints.adapters.keys import Keys
from refractor.models.activations import ACTIVATIONS
from refractor.models.rotary import RotaryScaling

SAME_ACTIVATIONS: Mapping[str, str] = {"swish": "silu", "gelu_python": "gelu"}


def activation(keys: Keys, name: str, default: str) -> str:
    """Return the activation that a key names.

    Raises:
        CheckpointError: it is none that is built here.

    """
    given = keys.take(name, default)
    known = SAME_ACTIVATIONS.get(given, given) if isinstance(given, str) else ""
    if known not in ACTIVATIONS:
        raise CheckpointError(
            f"{keys.family} models with {name}={given!r} are not supported; activations are {', '.join(ACTIVATIONS)}."
        )
    return known


def check_common(keys: Keys) -> None:
    """Raise unless keys that every family may have say what every network here is: a decoder of plain numbers.

    Raises:
        CheckpointError: it is something else.

    """
    keys.take("tie_word_embeddings", None)
    keys.only("is_encoder_decoder", [False])
    keys.only("is_decoder", [False, True])
    keys.only("add_cross_attention", [False])
    keys.only("cross_attention_hidden_size", [])
    if keys.take("quantization_config", None) is not None:
        raise CheckpointError(
            f"the weights of this {keys.family} model are quantised; load the unquantised model, or a GGUF file of it."
        )


def sizes(keys: Keys, n_ctx: int | None = None) -> dict[str, Any]:
    """Return the sizes that newer families name alike: layers, widths, heads, vocabulary and context.

    Args:
        keys: the configuration.
        n_ctx: the context where the configuration does not say.

    """
    d_model, n_heads = keys.size("hidden_size"), keys.size("num_attention_heads")
    return {
        "n_layers": keys.size("num_hidden_layers"),
        "d_model": d_model,
        "n_heads": n_heads,
        "d_head": keys.size("head_dim", d_model // n_heads),
        "d_mlp": keys.size("intermediate_size"),
        "d_vocab": keys.size("vocab_size"),
        "n_ctx": keys.size("max_position_embeddings", n_ctx if n_ctx else 2048),
    }


def shared_heads(keys: Keys, n_heads: int) -> dict[str, Any]:
    """Return how many key/value heads there are.

    Raises:
        CheckpointError: they cannot be shared evenly.

    """
    n_kv = keys.size("num_key_value_heads", n_heads)
    if n_heads % n_kv:
        raise CheckpointError(f"num_attention_heads={n_heads} is no multiple of num_key_value_heads={n_kv}.")
    return {"n_key_value_heads": None if n_kv == n_heads else n_kv}


def rotary(keys: Keys, d_head: int, share: float | None = None, base: float = 10000.0) -> dict[str, Any]:
    """Return rotary positions, from the words of new configurations (`rope_parameters`) or old ones.

    Args:
        keys: the configuration.
        d_head: width of a head.
        share: of its dimensions that turn, where the configuration does not say; None for families in which all do.
        base: of the wavelengths, where the configuration does not say.

    Raises:
        CheckpointError: new and old words disagree, or a share is given in a family that has none.

    """
    new = _rope_values(keys, keys.take("rope_parameters", None))
    old = _rope_values(keys, keys.take("rope_scaling", None))
    theta = keys.number("rope_theta", keys.number("rotary_emb_base", base))
    given = keys.take("partial_rotary_factor", keys.take("rotary_pct", None))
    found = dict(new or old)
    turns = found.pop("partial_rotary_factor", given)
    base = float(found.pop("rope_theta", theta))
    scaling = rotary_scaling(keys, found)
    if new and old and scaling != rotary_scaling(keys, {**old, "rope_type": old.get("rope_type", old.get("type"))}):
        raise CheckpointError(
            f"the configuration of this {keys.family} model has rope_parameters and rope_scaling, which differ. Remove "
            "the wrong one."
        )
    if share is None and turns not in (None, 1):
        raise CheckpointError(
            f"{keys.family} models in which only a part of each head turns (partial_rotary_factor={turns!r}) are not "
            "known."
        )
    turning = int(d_head * float(1.0 if share is None else share if turns is None else turns))
    return {
        "positional_embedding_type": "rotary",
        "rotary_base": base,
        "rotary_dim": turning - turning % 2,
        "rotary_scaling": scaling,
    }


def _rope_values(keys: Keys, given: object) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise CheckpointError(f"the rotary scaling of this {keys.family} model must be an object; {given!r} came.")
    return dict(given)


def rotary_scaling(keys: Keys, values: Mapping[str, Any]) -> RotaryScaling | None:
    """Return the stretching of wavelengths that a mapping describes, None for none.

    Raises:
        CheckpointError: it is of a kind that is not built here, or has keys that are not known.

    """
    found = dict(values)
    kind = found.pop("rope_type", found.pop("type", "default"))
    found.pop("type", None)
    scaling: RotaryScaling | None
    if kind == "default":
        scaling = None
    elif kind == "linear":
        scaling = RotaryScaling(kind="linear", factor=float(found.pop("factor", 0)))
    elif kind == "llama3":
        scaling = RotaryScaling(
            kind="llama3",
            factor=float(found.pop("factor", 0)),
            low_freq_factor=float(found.pop("low_freq_factor", 0)),
            high_freq_factor=float(found.pop("high_freq_factor", 0)),
            original_n_ctx=int(found.pop("original_max_position_embeddings", 0)),
        )
    else:
        raise CheckpointError(
            f"{keys.family} models with rotary scaling of type {kind!r} are not supported; 'linear' and 'llama3' are. "
            "A model whose context is stretched so computes something else without it."
        )
    if found:
        raise CheckpointError(
            f"the rotary scaling of this {keys.family} model has unknown keys: {', '.join(sorted(found))}."
        )
    return scaling


def windows(types: Sequence[str], size: int | None) -> dict[str, Any]:
    """Return which layers have a window, from the words "sliding_attention" and "full_attention".

    Raises:
        CheckpointError: a layer is of another kind, or there is no size.

    """
    known = {"sliding_attention": "local", "full_attention": "global", "local": "local", "global": "global"}
    strange = [kind for kind in types if kind not in known]
    if strange:
        raise CheckpointError(f"layers of type {strange[0]!r} are not supported; {' and '.join(known)} are.")
    kinds = tuple(known[kind] for kind in types)
    if "local" not in kinds:
        return {}
    if size is None:
        raise CheckpointError("some layers have a window, but the configuration does not say how wide it is.")
    return {"use_local_attn": True, "window_size": size, "attn_types": kinds}
