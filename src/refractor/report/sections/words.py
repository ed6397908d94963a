"""Words that several sections share."""

from refractor.lab.load import Source
from refractor.lab.logit_fit import LogitFit
from refractor.lab.table import Value, write
from refractor.lab.verdict import name_set

MOST_PANELS = 6  # of one kind in a figure: what a reader can compare at a glance


def frequency_set(frequencies: tuple[int, ...], p: int) -> str:
    """Write a set of frequencies; an empty one as "no frequency"."""
    return name_set(frequencies, p) if frequencies else "no frequency"


def strongest(frequencies: tuple[int, ...], fit: LogitFit) -> tuple[int, ...]:
    """Return those frequencies, at most six, that the logits resemble most, in increasing order."""
    similarity = fit.similarity.values
    return tuple(sorted(sorted(frequencies, key=lambda k: -abs(float(similarity[k - 1])))[:MOST_PANELS]))


def number(value: Value) -> str:
    """Write a number for people, as the lab does, with the minus sign of print before it.

    >>> number(-0.25), number(5.56835e-08)
    ('−0.25', '5.568e-08')
    """
    text = write(value)
    return "−" + text[1:] if isinstance(value, float | int) and text.startswith("-") else text


def count(amount: int, what: str) -> str:
    """Write an amount of things.

    >>> count(1, "neuron"), count(2, "neuron")
    ('1 neuron', '2 neurons')
    """
    return f"{amount} {what}{'' if amount == 1 else 's'}"


def about(source: Source, questions: str) -> str:
    """Say what was looked at, in one sentence."""
    when = "" if source.step is None else f", after {source.step} updates"
    return f"{source.name}{when}: {questions}."


def warnings(source: Source) -> tuple[str, ...]:
    """Return what a reader must know of a network before anything else."""
    if source.run is not None and source.run.training.shuffle_labels is not None:
        return ("This network was trained on permuted answers, a control. It is judged by the right ones.",)
    return ()
