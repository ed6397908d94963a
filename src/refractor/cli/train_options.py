"""From the options of `refractor train` to a task and a network; what is missing or means nothing is named."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from refractor.base.checks import check_known
from refractor.base.errors import ArgumentError

if TYPE_CHECKING:
    from refractor.tasks import Task
    from refractor.training.network import NetworkConfig

COMPOSITION = "composition"
OF_TASK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"modular": ("p",), COMPOSITION: ("group", "operation", "ordering", "factors")}
)
OF_NETWORK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "transformer": ("d_model", "n_heads", "d_mlp", "train_biases"),
        "mlp": ("d_embed", "d_hidden", "hidden_layers", "biases", "shared"),
        "bilinear": ("d_embed", "shared"),
        "quadratic": ("d_hidden",),
    }
)
"""The options that a kind of task or network has."""

TRANSFORMER: Mapping[str, int] = MappingProxyType({"d_model": 128, "n_heads": 4, "d_mlp": 512})
"""The widths of the published transformers."""


def task_of(name: str, options: Mapping[str, Any]) -> "Task":
    """Return the task.

    Args:
        name: as it was given.
        options: the options of tasks by name; None for what was left out.

    Raises:
        UnknownNameError: no task, group, operation or order is called that.
        ArgumentError: an option is missing, out of range, or one of another task.

    """
    from refractor.tasks import GroupComposition, ModularArithmetic
    from refractor.tasks.modular import OPERATIONS

    check_known("task", name, [*OPERATIONS, COMPOSITION])
    if name == COMPOSITION:
        given = _checked(name, OF_TASK[COMPOSITION], options)
        if "group" not in given:
            raise ArgumentError("Missing option '--group': composition needs the name of a group, such as S5.")
        return GroupComposition(**given)
    given = _checked(name, OF_TASK["modular"], options)
    if "p" not in given:
        raise ArgumentError(f"Missing option '--p': {name} needs its modulus.")
    return ModularArithmetic(name, **given)


def network_of(kind: str, options: Mapping[str, Any], task: "Task", seed: int) -> tuple["NetworkConfig", bool]:
    """Return the network, and whether its biases are trained.

    Args:
        kind: "transformer", "mlp", "bilinear" or "quadratic".
        options: the options of networks by name; None or False for what was left out.
        task: the questions, which the network must be able to read.
        seed: of the weights.

    Raises:
        UnknownNameError: no network is called that.
        ArgumentError: an option is out of range, or one of another network.

    """
    from refractor.models import HookedTransformerConfig
    from refractor.models.pair_networks import PairNetworkConfig

    check_known("network", kind, OF_NETWORK)
    given = _checked(f"--network {kind}", OF_NETWORK[kind], options)
    name = f"{task.name}-{task.to_dict().get('group', task.n)}"
    if kind != "transformer":
        fields = {"architecture": kind, "n": task.n, "seed": seed, "model_name": name, **given}
        return PairNetworkConfig.from_dict(fields), given.get("biases", False)
    widths = {**TRANSFORMER, **{key: value for key, value in given.items() if key in TRANSFORMER}}
    d_model, n_heads = widths["d_model"], widths["n_heads"]
    if n_heads < 1 or d_model % n_heads:
        raise ArgumentError(f"d_model must be a multiple of n_heads; {d_model} and {n_heads} came.")
    fields = {
        "n_layers": 1,
        "n_ctx": task.n_ctx,
        "d_vocab": task.d_vocab,
        "d_vocab_out": task.d_vocab_out,
        "act_fn": "relu",
        "normalization_type": None,
        "model_name": name,
        "seed": seed,
        "d_head": d_model // n_heads,
        **widths,
    }
    return HookedTransformerConfig.from_dict(fields), given.get("train_biases", False)


def _checked(owner: str, known: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, if they are among those that are known."""
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    for name in given:
        if name not in known:
            raise ArgumentError(f"{_flag(name)} is no option of {owner}, which has {', '.join(map(_flag, known))}.")
    return given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
