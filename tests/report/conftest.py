"""Runs to report on."""

from pathlib import Path

import pytest
from pages import ODD, trained

from refractor.tasks import ModularAddition


@pytest.fixture(scope="session", params=sorted(ODD))
def odd_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One odd run after the other."""
    return ODD[request.param](tmp_path_factory.mktemp("odd") / "run")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for p = 11."""
    return trained(tmp_path_factory.mktemp("small") / "run", ModularAddition(11))
