"""`load_network`: a network that learned a task, found by name or folder, with its task, its split and its moment."""

from dataclasses import dataclass
from pathlib import Path

from refractor.base.errors import ArgumentError, CheckpointError, nearest
from refractor.base.store import RunFolder
from refractor.hooks.root import HookedRootModule
from refractor.lab.composition.views import Network
from refractor.lab.published import CONFIG, WEIGHTS, PublishedRun, read_published_run
from refractor.models.bundle import bundled_names, choose_step, find_bundled, is_bundled
from refractor.models.pair_networks import PairNetwork
from refractor.models.transformer import HookedTransformer
from refractor.tasks.composition import GroupComposition
from refractor.tasks.modular import ModularArithmetic
from refractor.tasks.splits import Split
from refractor.tasks.task import Task
from refractor.training.run import Run, open_run

IN_CYCLIC_GROUPS = {"modular-addition": "product", "modular-subtraction": "quotient"}
"""Arithmetic modulo p that is an operation in C_p."""


@dataclass(frozen=True, eq=False)
class Source:
    """A network that was trained on a task, at one step of its training. Weights are read when they are asked for.

    Args:
        name: as it was asked for: a bundled name, or the path of a folder.
        task: the questions.
        split: which of them were trained on.
        step: how many updates its weights have had; None where a published run does not say.
        run: the run of ours that it belongs to; None for a network of the 2023 study.
        published: the network of the 2023 study; None for a run of ours.

    """

    name: str
    task: Task
    split: Split
    step: int | None
    run: Run | None = None
    published: PublishedRun | None = None

    @property
    def model(self) -> HookedRootModule:
        """The network, made anew each time."""
        if self.published is not None:
            return self.published.model()
        return self.our_run().load_model(self.step)

    def modular(self) -> tuple[HookedTransformer, ModularArithmetic]:
        """Return network and task of a transformer that calculates modulo p, for the measures that are about these.

        Raises:
            ArgumentError: it is another network, or has another task.

        """
        model, task = self.model, self.task
        if not isinstance(model, HookedTransformer) or not isinstance(task, ModularArithmetic):
            raise ArgumentError(
                f"{self.name} is a {type(model).__name__} for {task.title}; what is asked for is known for a "
                "HookedTransformer that calculates modulo p."
            )
        return model, task

    def composition(self) -> tuple[Network, GroupComposition]:
        """Return network and task for the measures of group composition.

        Sums and differences modulo p are products and quotients in C_p, elements numbered alike.

        Raises:
            ArgumentError: the task is none that these measures know.

        """
        model, task = self.model, self.task
        if isinstance(task, ModularArithmetic) and task.name in IN_CYCLIC_GROUPS:
            task = GroupComposition(f"C{task.p}", IN_CYCLIC_GROUPS[task.name])
        if not isinstance(model, HookedTransformer | PairNetwork) or not isinstance(task, GroupComposition):
            raise ArgumentError(
                f"{self.name} is a {type(model).__name__} for {task.title}; what is asked for is known for networks "
                "that compose elements of a group, or add modulo p."
            )
        return model, task

    def our_run(self) -> Run:
        """Return the run of ours that the network belongs to, with its curves and snapshots.

        Raises:
            ArgumentError: it belongs to none.

        """
        if self.run is None:
            raise ArgumentError(
                f"{self.name} is a network of the 2023 study, of which only the last weights were kept; curves and "
                "snapshots are those of a run of ours."
            )
        return self.run


def load_network(source: str | Path) -> Source:
    """Find a network by name or folder.

    Args:
        source: a bundled name, such as `composition-S4`, `composition-S4@500` (after 500 updates) or
            `composition-S4/memorised` (a control); the path of a run folder of ours, of which the last snapshot is
            taken; or the path of a run folder of the 2023 study (`cfg.json` and `model.pt`), whose task is the
            composition in its group, elements numbered as they are there, split by its convention.

    Returns:
        A `Source`.

    Raises:
        CheckpointError: there is no such name and no such folder; or the folder holds no run, and what is missing is
            named; or a run of ours has no snapshot.
        StoreError: a file of the run is missing or damaged.
        ConfigError: its configuration has unknown or missing keys, or an unknown group or architecture.
        ArgumentError: the snapshot does not exist.

    >>> network = load_network("modular-addition-113/memorised")
    >>> network.task.name, len(network.split.train), network.model.cfg.d_vocab
    ('modular-addition', 3830, 114)

    """
    if isinstance(source, str) and is_bundled(source):
        found = find_bundled(source)
        return _ours(source, open_run(found.folder.path), found.step)
    folder = Path(source)
    store = RunFolder(folder)
    if store.exists:
        return _ours(str(source), open_run(folder), choose_step(store))
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        return _published(str(source), read_published_run(folder))
    raise CheckpointError(_nothing_there(source, folder))


def _ours(name: str, run: Run, step: int) -> Source:
    return Source(name, run.task, run.split, step, run=run)


def _published(name: str, run: PublishedRun) -> Source:
    task = run.task
    return Source(name, task, run.split(task.n), run.epochs, published=run)


def _nothing_there(source: str | Path, folder: Path) -> str:
    """Return what keeps a name or path from being a network."""
    if folder.is_dir():
        published = {name: (folder / name).is_file() for name in (CONFIG, WEIGHTS)}
        if any(published.values()):
            there, missing = sorted(published, key=lambda name: not published[name])
            return f"{str(source)!r} has {there} but no {missing}; a run of the 2023 study has both."
        return (
            f"{str(source)!r} is a folder without run.json, which says what a run of ours is, and without {CONFIG} and "
            f"{WEIGHTS}, which a run of the 2023 study has."
        )
    near = nearest(str(source), bundled_names()) or list(bundled_names())
    return f"{str(source)!r} is neither a bundled network nor a folder. Bundled: {', '.join(map(repr, near))}."
