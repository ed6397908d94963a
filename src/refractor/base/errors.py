"""One tree of errors. Every message says what was called, what it needs, what came, and what to try.

Each class also inherits the built-in that a caller would expect (`ValueError`, `KeyError`, …), so that
code which knows nothing of Refractor still catches the right thing.
"""

import difflib
from collections.abc import Iterable


class RefractorError(Exception):
    """Root of every error that Refractor raises on purpose."""


class ArgumentError(RefractorError, ValueError):
    """An argument has a value that the call cannot use."""


class ShapeError(ArgumentError):
    """A tensor has the wrong number of axes, the wrong sizes or the wrong dtype."""


class OutOfRangeError(ArgumentError, IndexError):
    """An index names an entry that is not there."""


class ConfigError(ArgumentError):
    """A configuration is inconsistent, incomplete or has keys that are not known."""


class UnknownNameError(RefractorError, KeyError):
    """A name (hook point, measure, model …) matches nothing; the message offers the nearest known names."""

    def __str__(self) -> str:
        """Return the message itself; `KeyError` would print its repr, quotes and all."""
        return str(self.args[0]) if self.args else ""


class HookError(RefractorError, RuntimeError):
    """A hook returned something unusable, or cannot be attached as asked."""


class BudgetError(RefractorError, MemoryError):
    """An operation would need more memory than is available or allowed."""


class StoreError(RefractorError, OSError):
    """A file or run folder is missing, truncated, corrupt, of another kind, or could not be written."""


class CheckpointError(RefractorError, RuntimeError):
    """Weights do not fit the model they were meant for, or a model cannot be found."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of `known` that look most like `name`, best first.

    Names that contain `name`, or whose last dotted part does, count as near even when they are much longer.

    >>> nearest("hook_pattrn", ["blocks.0.attn.hook_pattern", "hook_embed"])
    ['blocks.0.attn.hook_pattern']
    """
    names = list(dict.fromkeys(known))
    by_ratio = difflib.get_close_matches(name, names, n=count, cutoff=0.6)
    wanted = name.lower().rsplit(".", 1)[-1]
    tails = [known_name.lower().rsplit(".", 1)[-1] for known_name in names]
    close_tails = set(difflib.get_close_matches(wanted, tails, n=count, cutoff=0.8))
    by_tail = [known_name for known_name, tail in zip(names, tails, strict=True) if tail in close_tails]
    contains = [known_name for known_name in names if wanted and wanted in known_name.lower()]
    return list(dict.fromkeys([*by_ratio, *by_tail, *contains]))[:count]


def unknown_name(what: str, name: object, known: Iterable[str], hint: str = "") -> UnknownNameError:
    """Build the error for a name that matches nothing: `no <what> is called <name>; nearest: …`."""
    names = list(known)
    near = nearest(str(name), names)
    if near:
        offer = "Nearest: " + ", ".join(repr(known_name) for known_name in near) + "."
    elif len(names) <= 12:
        offer = "Known: " + ", ".join(repr(known_name) for known_name in names) + "."
    else:
        offer = f"{len(names)} names are known, the first is {names[0]!r}."
    return UnknownNameError(" ".join(part for part in (f"no {what} is called {name!r}.", offer, hint) if part))
