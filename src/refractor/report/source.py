"""What a report is about: a bundled network or a run folder, and one moment of it."""

from dataclasses import dataclass
from pathlib import Path

from refractor.base.errors import CheckpointError, nearest
from refractor.base.store import RunFolder
from refractor.models.bundle import bundled_names, choose_step, find_bundled, is_bundled
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


def open_source(source: str | Path) -> Source:
    """Find what a report is to be about.

    Args:
        source: a bundled name, such as `modular-addition-113`, `modular-addition-113@500` or
            `modular-addition-113/memorised`; or the path of a run folder, of which the last snapshot is taken.

    Returns:
        A `Source`.

    Raises:
        CheckpointError: there is no such name and no such folder, or the folder has no snapshot.
        StoreError: a file of the run is missing or damaged.
        ArgumentError: the snapshot does not exist.

    """
    if isinstance(source, str) and is_bundled(source):
        found = find_bundled(source)
        return Source(source, open_run(found.folder.path), found.step)
    folder = RunFolder(Path(source))
    if folder.exists:
        return Source(str(source), open_run(folder.path), choose_step(folder))
    near = nearest(str(source), bundled_names()) or list(bundled_names())
    what = "is a folder without run.json" if folder.path.is_dir() else "is neither a bundled network nor a folder"
    raise CheckpointError(f"{str(source)!r} {what}. Bundled: {', '.join(map(repr, near))}.")
