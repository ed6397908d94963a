"""Questions with known answers."""

from refractor.tasks.composition import GroupComposition
from refractor.tasks.modular import (
    ModularAddition,
    ModularArithmetic,
    ModularMultiplication,
    ModularSubtraction,
    SumOfSquares,
)
from refractor.tasks.splits import Split, split_rows
from refractor.tasks.stored import task_from_dict
from refractor.tasks.task import Task

__all__ = [
    "GroupComposition",
    "ModularAddition",
    "ModularArithmetic",
    "ModularMultiplication",
    "ModularSubtraction",
    "Split",
    "SumOfSquares",
    "Task",
    "split_rows",
    "task_from_dict",
]
