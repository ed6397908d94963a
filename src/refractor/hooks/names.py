"""Names of hook points: parsing the notebooks' shorthand, and answering unknown names with the nearest ones.

A full name is a dotted path, `blocks.0.attn.hook_pattern`. The shorthand is what notebooks write:
`("pattern", 0)`, `("post", 0, "mlp")`, `("scale", 0, "ln1")`, `("resid_post", -1)`, `"embed"`, `"pattern0"`.
It is parsed, not guessed: the last part of the name must be `hook_<name>`, the layer must be one of the parts, and
the type, when given, must be one of the parts too. Exactly one known name must fit.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from refractor.base.errors import UnknownNameError, unknown_name

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "attn": "pattern",
        "attn_logits": "attn_scores",
        "key": "k",
        "query": "q",
        "value": "v",
        "mlp_pre": "pre",
        "mlp_mid": "mid",
        "mlp_post": "post",
    }
)
"""Older short names, and the ones they stand for."""

TYPES: Mapping[str, str] = MappingProxyType({"a": "attn", "m": "mlp", "b": "", "block": "", "blocks": ""})
"""Short words for the part of a block, and what they stand for (nothing: the block itself)."""

_COMPACT = re.compile(r"(?P<name>[a-z_]+?)(?P<layer>\d+)(?P<type>[a-z]\w*)?")

Key = str | tuple[str, int] | tuple[str, int, str] | tuple[str, None, str]
"""A full name, a short name, or (short name, layer[, type]); the layer may be negative."""


def layer_of(name: str) -> int | None:
    """Return the first number among the dotted parts of a name, or None.

    >>> layer_of("blocks.11.hook_resid_post")
    11
    """
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def resolve(key: Key, known: Iterable[str]) -> str:
    """Return the one name among `known` that `key` means.

    Raises:
        UnknownNameError: nothing fits (the nearest names are offered), or several do (they are listed).

    >>> resolve(("post", 0, "mlp"), ["blocks.0.mlp.hook_pre", "blocks.0.mlp.hook_post"])
    'blocks.0.mlp.hook_post'

    """
    names = list(known)
    if isinstance(key, str):
        if key in names:
            return key
        fits = _fitting(key, None, None, names)
        compact = _COMPACT.fullmatch(key)
        if not fits and compact:
            fits = _fitting(compact["name"], int(compact["layer"]), compact["type"], names)
    else:
        short, layer, kind = _unpack(key)
        fits = _fitting(short, layer, kind, names)
    if len(fits) == 1:
        return fits[0]
    if fits:
        listed = ", ".join(repr(name) for name in fits[:6])
        raise UnknownNameError(f"{key!r} could mean {len(fits)} hook points: {listed}. Give the layer or the type.")
    raise unknown_name("hook point", _as_text(key), names)


def _unpack(key: object) -> tuple[str, int | None, str | None]:
    if isinstance(key, tuple) and 1 <= len(key) <= 3:
        name, layer, kind = (*key, None, None)[:3]
        right_layer = layer is None or (isinstance(layer, int) and not isinstance(layer, bool))
        if isinstance(name, str) and right_layer and (kind is None or isinstance(kind, str)):
            return name, layer, kind
    raise UnknownNameError(
        f"a cache is asked by full name or by (name, layer[, type]), e.g. cache['pattern', 0]; {key!r} came."
    )


def _fitting(short: str, layer: int | None, kind: str | None, names: list[str]) -> list[str]:
    leaf = "hook_" + ALIASES.get(short, short).removeprefix("hook_")
    part = TYPES.get(kind, kind) if kind else None
    if layer is not None and layer < 0:
        depth = 1 + max((found for found in map(layer_of, names) if found is not None), default=-1)
        layer += depth
    fits = [name for name in names if name.rsplit(".", 1)[-1] == leaf and layer_of(name) == layer]
    return [name for name in fits if part is None or part == "" or part in name.split(".")[:-1]]


def _as_text(key: object) -> str:
    """Write a shorthand as a dotted name, so that the nearest names can be found by their spelling."""
    if isinstance(key, tuple):
        short, layer, kind = _unpack(key)
        return ".".join(str(part) for part in (layer, kind, f"hook_{short}") if part is not None)
    return str(key)
