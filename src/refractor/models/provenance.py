"""Where the weights of a network come from, and what was done to them: said with every result."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """What a network's weights are.

    Args:
        source: name on the hub, path, or "drawn" for weights that were never read.
        revision: branch, tag, commit or step; None where there is none.
        family: `model_type` of the files; None for networks of our own.
        stored_dtype: the dtype (or the quantisation) in the files.
        rewrites: rewrites that were done since, in order; see `models.rewrites`.
        config: the family's own configuration, which writing the weights back needs.

    >>> str(Provenance("gpt2", None, "gpt2", "float32", ("fold_ln",)))
    'gpt2, stored as float32, rewritten: fold_ln'

    """

    source: str = "drawn"
    revision: str | None = None
    family: str | None = None
    stored_dtype: str | None = None
    rewrites: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def rewritten(self, names: tuple[str, ...]) -> "Provenance":
        """Return what the weights are after more rewrites."""
        return replace(self, rewrites=(*self.rewrites, *(name for name in names if name not in self.rewrites)))

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [self.source + (f" at {self.revision}" if self.revision else "")]
        if self.stored_dtype:
            parts.append(f"stored as {self.stored_dtype}")
        if self.rewrites:
            parts.append(f"rewritten: {', '.join(self.rewrites)}")
        return ", ".join(parts)
