"""Questions with known answers."""

from refractor.tasks.modular import (
    ModularAddition,
    ModularArithmetic,
    ModularMultiplication,
    ModularSubtraction,
    SumOfSquares,
)
from refractor.tasks.splits import Split, split_rows

__all__ = [
    "ModularAddition",
    "ModularArithmetic",
    "ModularMultiplication",
    "ModularSubtraction",
    "Split",
    "SumOfSquares",
    "split_rows",
]
