"""Tasks as runs describe them."""

from collections.abc import Mapping
from typing import Any

from refractor.base.errors import ConfigError, nearest, unknown_name
from refractor.tasks.composition import COMPOSITION, GroupComposition
from refractor.tasks.modular import OPERATIONS, ModularArithmetic
from refractor.tasks.task import Task


def task_from_dict(values: Mapping[str, Any]) -> Task:
    """Return the task that `to_dict` described.

    Raises:
        UnknownNameError: no task is called that.
        ConfigError: a key is missing, or not known.

    >>> task_from_dict({"name": "modular-addition", "p": 5}).title
    'modular-addition with p=5'
    >>> task_from_dict(GroupComposition("S4").to_dict()).n
    24

    """
    name = values.get("name")
    if name == COMPOSITION:
        _check_keys(values, needed=("name", "group"), optional=("operation", "ordering", "factors"))
        return GroupComposition(**{key: value for key, value in values.items() if key != "name"})
    if name in OPERATIONS:
        _check_keys(values, needed=("name", "p"))
        return ModularArithmetic(**values)
    raise unknown_name("task", name, [*OPERATIONS, COMPOSITION])


def _check_keys(values: Mapping[str, Any], needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    known = (*needed, *optional)
    missing = [key for key in needed if key not in values]
    if missing:
        raise ConfigError(f"the task {values['name']!r} needs {', '.join(missing)}.")
    for key in values:
        if key not in known:
            near = ", ".join(nearest(key, known) or known)
            raise ConfigError(f"{key!r} is nothing that the task {values['name']!r} has. Nearest: {near}.")
