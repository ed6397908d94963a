"""One door for both wings: sums modulo p, and composition in groups."""

from collections.abc import Iterable
from typing import Any, overload

import torch
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.groups import Group, Irreps
from refractor.lab.analyse import analyse as analyse_sums
from refractor.lab.analyse import analyse_network as analyse_sum_network
from refractor.lab.analysis import Analysis
from refractor.lab.composition import (
    CompositionAnalysis,
    CompositionProgress,
    analyse_composition,
    analyse_composition_logits,
    analyse_composition_snapshots,
)
from refractor.lab.composition.views import Network
from refractor.lab.controls import COUNT
from refractor.lab.progress import RunAnalysis
from refractor.lab.progress import analyse_snapshots as analyse_sum_snapshots
from refractor.lab.sums import Logits
from refractor.models.transformer import HookedTransformer
from refractor.tasks import GroupComposition, ModularArithmetic, Split


@overload
def analyse(
    logits: Logits,
    *,
    p: int,
    operation: str = "addition",
    train: Tensor | None = None,
    test: Tensor | None = None,
    frequencies: Iterable[int] | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> Analysis: ...


@overload
def analyse(
    logits: Logits,
    *,
    group: Group | str,
    operation: str = "product",
    irreps: Irreps | None = None,
    train: Tensor | None = None,
    test: Tensor | None = None,
    keys: Iterable[str] | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> CompositionAnalysis: ...


def analyse(
    logits: Logits, *, p: int | None = None, group: Group | str | None = None, **options: Any
) -> Analysis | CompositionAnalysis:
    """Measure anybody's network from its logits on all pairs: of numbers modulo p, or of elements of a group.

    Args:
        logits: over (first, second, answer), [n, n, n] or [n * n, n] with the first operand slowest; numpy or torch,
            any real floating dtype.
        p: the modulus, for sums; see `analyse_sums` for its options.
        group: the group or its name, for composition; see `composition.analyse_composition_logits` for its options.
        options: of the one or the other.

    Returns:
        An `Analysis` for a modulus, a `CompositionAnalysis` for a group.

    Raises:
        ArgumentError: neither or both are given; or a value is out of range.
        ShapeError: the logits have the wrong axes, sizes or dtype.
        UnknownNameError: no group or irrep has that name.

    >>> from refractor.lab import cosine_logits
    >>> analyse(cosine_logits(59, {7: 20.0, 11: 20.0, 23: 20.0}), p=59).frequencies
    (7, 11, 23)
    >>> analyse(cosine_logits(59, {7: 20.0, 11: 20.0, 23: 20.0}), group="C59").irreps
    ('freq_7', 'freq_11', 'freq_23')

    """
    if (p is None) == (group is None):
        came = "neither" if p is None else "both"
        raise ArgumentError(f"give p (a modulus) or group (a group or its name), one of them; {came} came.")
    if p is not None:
        return analyse_sums(logits, p=p, **options)
    if group is None:  # known from above; said again for the type checker
        raise ArgumentError("group is missing.")
    return analyse_composition_logits(logits, group, **options)


@overload
def analyse_network(
    model: HookedTransformer, task: ModularArithmetic, split: Split | None = None, **options: Any
) -> Analysis: ...


@overload
def analyse_network(
    model: Network, task: GroupComposition, split: Split | None = None, **options: Any
) -> CompositionAnalysis: ...


def analyse_network(
    model: Network, task: ModularArithmetic | GroupComposition, split: Split | None = None, **options: Any
) -> Analysis | CompositionAnalysis:
    """Measure a network by its logits, weights and neurons, as its task asks for.

    Args:
        model: the network.
        task: sums modulo p (a transformer), or products in a group.
        split: the pairs trained on and held out; None when they are not known.
        options: of `lab.analyse.analyse_network` or `lab.composition.analyse_composition`.

    Raises:
        ArgumentError: the network does not fit the task, or no measures are known for the two.

    """
    if isinstance(task, GroupComposition):
        return analyse_composition(model, task, split, **options)
    if not isinstance(model, HookedTransformer):
        raise ArgumentError(
            f"{task.name} modulo {task.p} is measured on transformers; a {type(model).__name__} came. As composition in"
            f" a group it can be measured: GroupComposition('C{task.p}')."
        )
    return analyse_sum_network(model, task, split, **options)


@overload
def analyse_snapshots(
    snapshots: Iterable[tuple[int, HookedTransformer | Logits]],
    task: ModularArithmetic,
    split: Split | None = None,
    **options: Any,
) -> RunAnalysis: ...


@overload
def analyse_snapshots(
    snapshots: Iterable[tuple[int, Network]], task: GroupComposition, split: Split | None = None, **options: Any
) -> CompositionProgress: ...


def analyse_snapshots(
    snapshots: Iterable[Any], task: ModularArithmetic | GroupComposition, split: Split | None = None, **options: Any
) -> RunAnalysis | CompositionProgress:
    """Measure a run, with one set of frequencies or irreps for all of it.

    Args:
        snapshots: (step, network) in order of steps.
        task: what the networks were asked.
        split: the pairs trained on and held out; None when they are not known.
        options: of `lab.progress.analyse_snapshots` or `lab.composition.analyse_composition_snapshots`.

    Raises:
        ArgumentError: there is no snapshot, the steps do not increase, or a network does not fit the task.

    """
    if isinstance(task, GroupComposition):
        return analyse_composition_snapshots(snapshots, task, split, **options)
    return analyse_sum_snapshots(snapshots, task, split, **options)
