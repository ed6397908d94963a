"""`Task`: what every kind of question has."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int
from torch import Tensor


@runtime_checkable
class Task(Protocol):
    """All questions of one kind: some of n elements and "=", each with one of n answers."""

    @property
    def name(self) -> str:
        """How the kind is called; `task_from_dict` finds it by this name."""
        ...

    @property
    def title(self) -> str:
        """The kind with its parameters, for people."""
        ...

    @property
    def formula(self) -> str:
        """The answer as a formula."""
        ...

    @property
    def n(self) -> int:
        """Number of elements."""
        ...

    @property
    def d_vocab(self) -> int:
        """Number of tokens: the elements 0 … n - 1, and n for the sign "="."""
        ...

    @property
    def d_vocab_out(self) -> int:
        """Number of answers."""
        ...

    @property
    def n_ctx(self) -> int:
        """Length of a question, "=" included."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of questions."""
        ...

    def tokens(self) -> Int[Tensor, "rows pos"]:
        """Return all questions, the first element slowest."""
        ...

    def labels(self) -> Int[Tensor, " rows"]:
        """Return all answers."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `task_from_dict` makes the task again."""
        ...
