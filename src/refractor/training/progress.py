"""Progress of a run, for people: a bar with losses and the time that is left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, float, float], None]
"""Called after every step with the step, the last training loss and the last held-out loss (NaN if there is none)."""


def silent(step: int, train_loss: float, test_loss: float) -> None:
    """Show nothing."""


@contextmanager
def bar(steps: int, may_stop_early: bool = False) -> Iterator[Progress]:
    """Show a bar on standard error.

    The time left is the steps left over the speed of the last half minute; for a run that may stop early it is the
    most that it can take, and says so.

    Yields:
        What to pass to `train` as `progress`.

    """
    from rich.console import Console  # here: only a run that is watched needs it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("train {task.fields[train]:.2e}  test {task.fields[test]:.2e}"),
        TextColumn("at most" if may_stop_early else "left"),
        TimeRemainingColumn(),
    )
    bars = Bars(*columns, console=Console(stderr=True), speed_estimate_period=30)
    task = bars.add_task("", total=steps, train=float("nan"), test=float("nan"))
    last = -1

    def show(step: int, train_loss: float, test_loss: float) -> None:
        nonlocal last
        if last < 0:  # not before the first step: a run that is refused shows an error and no bar
            bars.start()
            if step > 0:  # a run that goes on: what was done before says nothing about the speed
                bars.reset(task, total=steps, completed=step)
        last = step
        bars.update(task, completed=step, train=train_loss, test=test_loss)

    try:
        yield show
    finally:
        if last >= 0:
            bars.stop()
