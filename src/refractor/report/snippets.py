"""The lines beside a figure that reproduce its data."""

MOST_LINES = 5


def analysis_snippet(name: str, last: str) -> str:
    """Return lines that analyse a network that adds modulo p, and end with `last`, which reads `analysis`."""
    return "\n".join(
        (
            "from refractor.lab import analyse_network, load_network",
            f"source = load_network({name!r})",
            "analysis = analyse_network(source.model, source.task, source.split)",
            last,
        )
    )


def composition_snippet(name: str, last: str) -> str:
    """Return lines that analyse a network that composes elements of a group, and end with `last`."""
    return "\n".join(
        (
            "from refractor.lab import load_network",
            "from refractor.lab.composition import analyse_composition",
            f"source = load_network({name!r})",
            "analysis = analyse_composition(*source.composition(), source.split)",
            last,
        )
    )


def curves_snippet(name: str, last: str = "series, phases = curves.series, curves.phases") -> str:
    """Return lines that read the curves of a run, and end with `last`, which reads `curves`."""
    return "\n".join(
        (
            "from refractor.lab import load_network",
            "from refractor.report import read_curves",
            f"curves = read_curves(load_network({name!r}))",
            last,
        )
    )
