"""The lines beside a figure that reproduce its data."""

from refractor.report.source import LiveNetwork, Source, Subject

MOST_LINES = 5


def analysis_snippet(source: Subject, last: str) -> str:
    """Return lines that analyse a network and end with `last`, which reads `analysis`."""
    if isinstance(source, LiveNetwork):
        arguments = "model, task" if source.split is None else "model, task, split"
        return "\n".join(
            (
                f"# {arguments}: what the page was made of",
                "from refractor.lab import analyse_network",
                f"analysis = analyse_network({arguments})",
                last,
            )
        )
    return "\n".join(
        (
            "from refractor.lab import analyse_network",
            "from refractor.report import open_source",
            f"source = open_source({source.name!r})",
            "analysis = analyse_network(source.model, source.task, source.split)",
            last,
        )
    )


def curves_snippet(source: Source) -> str:
    """Return lines that read the curves of a run."""
    return "\n".join(
        (
            "from refractor.report import open_source, read_curves",
            f"curves = read_curves(open_source({source.name!r}))",
            "series, phases = curves.series, curves.phases",
        )
    )
