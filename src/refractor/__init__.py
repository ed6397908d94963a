"""Refractor takes trained transformers apart: exactly, fast, and in memory that a laptop has.

The words of every day are here; the rest lives in `refractor.linalg` (what can be asked of two matrices),
`refractor.lab` (learned algorithms), `refractor.training`, `refractor.tasks`, `refractor.plots` and `refractor.report`,
each imported when it is asked for.
"""

from importlib import import_module
from types import ModuleType

from refractor.hooks import ActivationCache, HookedRootModule, HookPoint, hook_module
from refractor.linalg import FactoredMatrix
from refractor.models import HookedTransformer, HookedTransformerConfig

__version__ = "0.1.0"

__all__ = [
    "ActivationCache",
    "FactoredMatrix",
    "HookPoint",
    "HookedRootModule",
    "HookedTransformer",
    "HookedTransformerConfig",
    "hook_module",
]

_WINGS = ("checkpoints", "lab", "linalg", "plots", "report", "tasks", "training")


def __getattr__(name: str) -> ModuleType:
    """Import a wing of the house when it is first asked for, as `refractor.lab`."""
    if name in _WINGS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public words and the wings."""
    return sorted([*__all__, *_WINGS, "__version__"])
