"""What several tests of group composition share."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from published_groups import Studied

from refractor.lab import load_network
from refractor.lab.composition import analyse_composition


@pytest.fixture(scope="session")
def studied(published_folder: Callable[[str], Path]) -> Callable[[str], Studied]:
    """A network of the 2023 study by name, measured once."""
    known: dict[str, Studied] = {}

    def find(name: str) -> Studied:
        if name not in known:
            folder = published_folder(name)
            source = load_network(folder)
            analysis = analyse_composition(*source.composition(), source.split, controls=0)
            published = json.loads((folder / "summary_metrics.json").read_text())
            keys = tuple((folder / "key_reps.txt").read_text().split())
            known[name] = Studied(name, analysis, published, keys)
        return known[name]

    return find
