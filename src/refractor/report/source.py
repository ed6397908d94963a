"""What a report is about: one moment of a bundled network or a run folder, or a network in memory."""

from dataclasses import dataclass
from pathlib import Path

from refractor.base.errors import ArgumentError, CheckpointError, nearest
from refractor.base.store import RunFolder
from refractor.checkpoints.bundle import bundled_names, choose_step, find_bundled, is_bundled
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularArithmetic
from refractor.tasks.splits import Split
from refractor.training.run import Run, open_run


@dataclass(frozen=True, eq=False)
class Source:
    """A run, and the step at which its network is looked at.

    Args:
        name: as it was asked for: a bundled name, or the path of a run folder.
        run: the run.
        step: the step.

    """

    name: str
    run: Run
    step: int

    @property
    def task(self) -> ModularArithmetic:
        """The questions."""
        return self.run.task

    @property
    def split(self) -> Split:
        """Which questions were trained on."""
        return self.run.split

    @property
    def model(self) -> HookedTransformer:
        """The network, read from the disk each time."""
        return self.run.load_model(self.step)


@dataclass(frozen=True, eq=False)
class LiveNetwork:
    """A network in memory, with what it was asked. Nothing is known about how it came about, so a page has no curves.

    Args:
        model: the network.
        task: the questions: modular addition or subtraction.
        split: which questions it was trained on; None where that is not known.
        name: what the page calls it.

    """

    model: HookedTransformer
    task: ModularArithmetic
    split: Split | None = None
    name: str = "network in memory"


Subject = Source | LiveNetwork
"""What a page can be about."""


def open_source(source: str | Path) -> Source:
    """Find what a report is to be about, by name or path.

    Args:
        source: a bundled name, such as `modular-addition-113`, `modular-addition-113@500` or
            `modular-addition-113/memorised`; or the path of a run folder, of which the last snapshot is taken.

    Returns:
        A `Source`.

    Raises:
        CheckpointError: there is no such name and no such folder, or the folder has no snapshot.
        StoreError: a file of the run is missing or damaged.
        ArgumentError: the snapshot does not exist, or `source` is neither a name nor a path.

    """
    if not isinstance(source, str | Path):
        what = type(source).__name__
        raise ArgumentError(f"source must be a name or a path; {what} came. For a network: LiveNetwork(model, task).")
    if isinstance(source, str) and is_bundled(source):
        found = find_bundled(source)
        return Source(source, open_run(found.folder.path), found.step)
    folder = RunFolder(Path(source))
    if folder.exists:
        return Source(str(source), open_run(folder.path), choose_step(folder))
    near = nearest(str(source), bundled_names()) or list(bundled_names())
    what = "is a folder without run.json" if folder.path.is_dir() else "is neither a bundled network nor a folder"
    raise CheckpointError(f"{str(source)!r} {what}. Bundled: {', '.join(map(repr, near))}.")
