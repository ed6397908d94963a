"""The networks that come with the package, usable without a network connection.

`modular-addition-113` is a transformer, made by `scripts/train_bundled.py`; `composition-S4` and `composition-S5` are
MLPs that multiply permutations, made by `scripts/train_bundled_groups.py`.

A name is that of a network, `modular-addition-113`; of its weights after some update, `modular-addition-113@500`; or of
one of its controls, in which no algorithm is to be found: `modular-addition-113/step-0` (before training),
`…/memorised` (knows what it was trained on and nothing else) and `…/random-labels` (trained on permuted answers).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from refractor.base.errors import ArgumentError, CheckpointError, unknown_name
from refractor.base.store import RunFolder

BUNDLED = Path(__file__).parent / "bundled"

NETWORKS = ("modular-addition-113", "composition-S4", "composition-S5")

CONTROLS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        f"{network}/{control}": (network + folder, step)
        for network in NETWORKS
        for control, folder, step in (
            ("step-0", "", "step_0"),
            ("memorised", "", "memorised"),
            ("random-labels", "-random-labels", "last"),
        )
    }
)
"""Controls by name: the folder they lie in, and which of its named steps they are."""


@dataclass(frozen=True)
class Snapshot:
    """Where the weights of a network lie: a run folder, and the step in it."""

    folder: RunFolder
    step: int


def bundled_names() -> tuple[str, ...]:
    """Return the names that come with the package."""
    return (*NETWORKS, *CONTROLS)


def bundled_folder(name: str) -> Path:
    """Return the run folder in which a bundled network lies; a control's is that of its run.

    Raises:
        UnknownNameError: nothing of that name comes with the package; the nearest names are offered.

    >>> bundled_folder("modular-addition-113").name
    'modular-addition-113'

    """
    network = name.partition("@")[0]
    if network not in bundled_names():
        raise unknown_name("bundled network", name, bundled_names())
    return BUNDLED / (CONTROLS[network][0] if network in CONTROLS else network)


def is_bundled(name: str) -> bool:
    """Whether a name is that of a bundled network."""
    return name.partition("@")[0] in bundled_names()


def find_bundled(name: str, step: int | None = None, index: int | None = None) -> Snapshot:
    """Find a bundled network.

    Args:
        name: see the module; `@step` may be part of it.
        step: which snapshot, by its step; the last by default.
        index: which snapshot, by its place; negative counts from the end.

    Raises:
        UnknownNameError: nothing of that name comes with the package.
        ArgumentError: the snapshot is named in two ways that differ, or does not exist.
        CheckpointError: the package's own files are missing.

    """
    network, at, label = name.partition("@")
    folder = RunFolder(bundled_folder(network))
    if at:
        if not label.isdigit():
            raise ArgumentError(f"{name!r} should end with @ and a step, such as {network}@0; {label!r} came.")
        step = _one_step(step, int(label), name)
    if network in CONTROLS:
        named = folder.description()["provenance"]["steps"]
        step = _one_step(step, int(named[CONTROLS[network][1]]), name)
    return Snapshot(folder, choose_step(folder, step, index))


def choose_step(folder: RunFolder, step: int | None = None, index: int | None = None) -> int:
    """Return the step of the snapshot that is meant: by its step, by its place, or the last.

    Raises:
        ArgumentError: there is no such snapshot (those that exist are listed), or both are given.
        CheckpointError: the folder has no snapshots.

    """
    steps = folder.steps()
    if not steps:
        raise CheckpointError(f"{folder.path} holds no snapshots.")
    if step is not None and index is not None:
        raise ArgumentError("give checkpoint_value (a step) or checkpoint_index (a place), not both.")
    if index is not None:
        if not -len(steps) <= index < len(steps):
            raise ArgumentError(f"checkpoint_index must be below {len(steps)}, the number of snapshots; {index} came.")
        return steps[index]
    if step is None:
        return steps[-1]
    if step not in steps:
        listed = ", ".join(map(str, steps if len(steps) <= 12 else [*steps[:6], "…", *steps[-5:]]))
        raise ArgumentError(f"there is no snapshot of step {step}; there are {listed}.")
    return step


def _one_step(given: int | None, named: int, name: str) -> int:
    if given is not None and given != named:
        raise ArgumentError(f"{name!r} is step {named}, but checkpoint_value={given} came too.")
    return named
