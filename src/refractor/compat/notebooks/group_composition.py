"""The helper names of the group composition notebook: replace its imports from `utils` by one from here.

from refractor.compat.notebooks.group_composition import *
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor import plots
from refractor.base.checks import check_fraction, check_int
from refractor.base.errors import ArgumentError
from refractor.base.numerics import cross_entropy
from refractor.groups import Group, group
from refractor.groups.cycles import signature, write_cycles
from refractor.groups.elements import Permutations
from refractor.groups.orderings import SYMPY_COSET_RANK
from refractor.lab import Source, load_network
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig
from refractor.plots.arrays import ArrayLike
from refractor.tasks import GroupComposition

__all__ = [
    "AlternatingGroup",
    "NotebookGroup",
    "OneLayerMLP",
    "Permutation",
    "SymmetricGroup",
    "architecture_type",
    "generate_train_test_data",
    "imshow",
    "load_cfg",
    "load_weights",
    "loss_fn",
]

PERMUTATION_GROUP = re.compile(r"([SA])(\d+)")


@dataclass(frozen=True)
class Permutation:
    """A permutation, which prints as its cycles.

    Args:
        array_form: `array_form[k]` is where k goes.

    >>> print(Permutation((1, 0, 2, 3)), Permutation((0, 1, 2, 3)), Permutation((2, 3, 0, 1)))
    (3)(0 1) (3) (0 2)(1 3)

    """

    array_form: tuple[int, ...]

    def __str__(self) -> str:
        return write_cycles(self.array_form)


@dataclass(frozen=True, eq=False)
class NotebookGroup:
    """A permutation group with the names of the notebook.

    Args:
        group: the group, whose elements are permutations.

    >>> s4 = SymmetricGroup(4)
    >>> s4.order, s4.index, f"{s4.idx_to_perm(9)}, signature: {s4.signature(9)}, order: {s4.perm_order(9)}"
    (24, 4, '(3)(0 1), signature: -1, order: 2')

    """

    group: Group

    def __post_init__(self) -> None:
        """Check that the elements are permutations.

        Raises:
            ArgumentError: they are not.

        """
        _permutations(self.group)

    @property
    def arrays(self) -> Int[Tensor, "n degree"]:
        """The array forms of all elements."""
        return _permutations(self.group).arrays

    @property
    def order(self) -> int:
        """The number of elements."""
        return self.group.order

    @property
    def index(self) -> int:
        """The number of points that are permuted."""
        return self.arrays.shape[1]

    def idx_to_perm(self, idx: int) -> Permutation:
        """Return the permutation that has a number.

        Raises:
            OutOfRangeError: no element has it.

        """
        return Permutation(tuple(self.arrays[self.group.check_element(idx)].tolist()))

    def signature(self, idx: int) -> int:
        """Return 1 for an even permutation, -1 for an odd one.

        Raises:
            OutOfRangeError: no element has this number.

        """
        return signature(self.idx_to_perm(idx).array_form)

    def perm_order(self, idx: int) -> int:
        """Return the least k ≥ 1 for which the k-th power is the identity.

        Raises:
            OutOfRangeError: no element has this number.

        """
        return int(self.group.element_orders[self.group.check_element(idx)])

    @cached_property
    def natural_reps(self) -> Float[Tensor, "n degree degree"]:
        """The permutation matrices `N(g)[k, g(k)] = 1`, a representation: `N(x) N(y) = N(x y)`, x applied first."""
        return torch.nn.functional.one_hot(self.arrays, self.index).float()

    def compute_natural_rep(self) -> None:
        """Make `natural_reps`, which otherwise is made when it is first read."""
        _ = self.natural_reps

    def natural_rep(self, idx: int) -> Float[Tensor, "degree degree"]:
        """Return the permutation matrix of an element.

        Raises:
            OutOfRangeError: no element has this number.

        """
        return self.natural_reps[self.group.check_element(idx)]


def _permutations(group: Group) -> Permutations:
    elements = group.elements
    if not isinstance(elements, Permutations):
        raise ArgumentError(
            f"the notebook's groups are groups of permutations, as S4 and A5; the elements of {group.name} are "
            f"{type(elements).__name__.lower()}. Use refractor.groups and refractor.lab for it."
        )
    return elements


def SymmetricGroup(n: int, ordering: str = SYMPY_COSET_RANK) -> NotebookGroup:
    """Return S_n, elements numbered as in the notebook (n = 4, 5, 6) or in another order that has a name.

    Raises:
        UnknownNameError: that order is not known for this n.

    """
    return NotebookGroup(group(f"S{n}", ordering=ordering))


def AlternatingGroup(n: int, ordering: str = SYMPY_COSET_RANK) -> NotebookGroup:
    """Return A_n, elements numbered as in the study (n = 5) or in another order that has a name.

    Raises:
        UnknownNameError: that order is not known for this n.

    """
    return NotebookGroup(group(f"A{n}", ordering=ordering))


GROUP_TYPES = {"S": SymmetricGroup, "A": AlternatingGroup}


class Configuration(NamedTuple):
    """How a one-layer MLP was trained, in the order in which the notebook unpacks it."""

    seed: int
    frac_train: float
    width: dict[str, int]
    lr: float
    group_param: int
    weight_decay: float
    num_epochs: int
    group_type: Callable[[int], NotebookGroup]
    architecture_type: Callable[[dict[str, int], int, int], OneLayerMLP]
    metrics: list[Any]


def load_cfg(task_dir: str | Path) -> Configuration:
    """Return how a one-layer MLP was trained.

    Args:
        task_dir: a bundled name such as `composition-S4`, a run folder of ours, or one of the 2023 study.

    Returns:
        seed (in a run of ours that of the split), frac_train, width (`embed_dim` and `hidden_dim`), lr, group_param,
        weight_decay, num_epochs, group_type, architecture_type, metrics. `group_type(group_param)` numbers the elements
        as the network does.

    Raises:
        CheckpointError: there is no such network.
        ArgumentError: it is no one-layer MLP, its task is not the product in S_n or A_n, or its configuration leaves
            out what the notebook needs.

    """
    source = load_network(task_dir)
    model = source.model
    if not isinstance(model, OneLayerMLP):
        raise ArgumentError(f"the notebook is about one-layer MLPs; {source.name} is a {type(model).__name__}.")
    letter, degree, ordering = _permutation_group(source)
    lr, decay, seed, fraction, metrics = _settings(source)
    if lr is None or decay is None or source.step is None:
        raise ArgumentError(
            f"{source.name} does not say how it was trained: lr, weight_decay and num_epochs are needed."
        )
    return Configuration(
        seed=seed,
        frac_train=fraction,
        width={"embed_dim": model.W_E_a.shape[1], "hidden_dim": model.W.shape[1]},
        lr=lr,
        group_param=degree,
        weight_decay=decay,
        num_epochs=source.step,
        group_type=partial(GROUP_TYPES[letter], ordering=ordering),
        architecture_type=architecture_type,
        metrics=metrics,
    )


def _settings(source: Source) -> tuple[float | None, float | None, int, float, list[Any]]:
    """Return learning rate, weight decay, seed of the split, share trained on, and metrics."""
    if source.published is not None:
        there = source.published
        lr, decay = there.config.get("lr"), there.config.get("weight_decay")
        return lr, decay, there.seed, there.fraction, there.config.get("metrics", [])
    training = source.our_run().training
    return training.lr, training.weight_decay, training.split_seed, training.fraction, []


def _permutation_group(source: Source) -> tuple[str, int, str]:
    """Return "S" or "A", the number of points, and the order of the elements."""
    task = source.task
    if isinstance(task, GroupComposition) and (task.operation, task.factors) == ("product", 2):
        named = PERMUTATION_GROUP.fullmatch(task.group.name)
        if named:
            return named[1], int(named[2]), task.ordering
    raise ArgumentError(
        f"the notebook is about products in groups of permutations, S_n or A_n; {source.name} learned {task.title}. "
        "Use refractor.lab for it."
    )


def load_weights(task_dir: str | Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Return the weights of a network, for `load_state_dict`; takes what `load_cfg` takes.

    Raises:
        CheckpointError: there is no such network.

    """
    return {name: weight.to(device) for name, weight in load_network(task_dir).model.state_dict().items()}


def architecture_type(width: dict[str, int], order: int, seed: int) -> OneLayerMLP:
    """Return a one-layer MLP with drawn weights: `logits = ReLU([W_E_a[x]; W_E_b[y]] W) W_U`.

    Args:
        width: `embed_dim`, of each embedding, and `hidden_dim`, the number of neurons.
        order: the number of elements.
        seed: of the weights.

    Raises:
        ArgumentError: width lacks one of the two.

    """
    if set(width) != {"embed_dim", "hidden_dim"}:
        raise ArgumentError(f"width needs embed_dim and hidden_dim; {sorted(width)} came.")
    return OneLayerMLP(
        PairNetworkConfig(
            architecture="mlp", n=order, d_embed=width["embed_dim"], d_hidden=width["hidden_dim"], seed=seed
        )
    )


def generate_train_test_data(
    group: NotebookGroup, frac_train: float, seed: int = 0
) -> tuple[Int[Tensor, "train 2"], Int[Tensor, "test 2"], Int[Tensor, " train"], Int[Tensor, " test"]]:
    """Return pairs (x, y) trained on, pairs held out, and the products x · y of both.

    Args:
        group: the group.
        frac_train: share of the pairs trained on, rounded down.
        seed: of the order of the pairs (`torch.randperm`); 0 leaves them as they are, x-major.

    Raises:
        ArgumentError: the share is not in (0, 1], or the seed is negative.

    >>> train, test, train_labels, test_labels = generate_train_test_data(SymmetricGroup(4), frac_train=0.5, seed=1)
    >>> len(train), len(test_labels)
    (288, 288)

    """
    check_fraction("frac_train", frac_train)
    n_rows = group.order**2
    rows = torch.arange(n_rows)
    if check_int("seed", seed, least=0) != 0:
        rows = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
    pairs = torch.stack([rows // group.order, rows % group.order], dim=1)
    labels = group.group.table.flatten()[rows]
    count = int(frac_train * n_rows)
    return pairs[:count], pairs[count:], labels[:count], labels[count:]


def loss_fn(logits: Float[Tensor, "batch n"], labels: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of the logits in float64."""
    return cross_entropy(logits, labels).mean()


def imshow(
    tensor: ArrayLike, *, title: str | None = None, input1: str | None = None, input2: str | None = None, **options: Any
) -> go.Figure:
    """Draw a matrix as an image; a notebook shows it at once, so that it is seen in a loop too.

    Args:
        tensor: [rows, columns].
        title: words above the figure.
        input1: words beside the rows, the first axis.
        input2: words below the columns, the second axis.
        options: for `refractor.plots.imshow`.

    Raises:
        ShapeError: the array has other than two axes.

    >>> figure = imshow([[0.0, 1.0]], input1="position 1", input2="position 2")
    >>> figure.layout.yaxis.title.text, figure.layout.xaxis.title.text
    ('position 1', 'position 2')

    """
    figure = plots.imshow(tensor, title=title, xaxis=input2, yaxis=input1, **options)
    if "ipykernel" in sys.modules:  # a notebook shows by itself only what the last line of a cell returns
        figure.show()
    return figure
