"""Runs to report on."""

from pathlib import Path

import pytest
from pages import ODD, trained

from refractor.checkpoints import bundled_folder
from refractor.report import write_report
from refractor.tasks import ModularAddition


@pytest.fixture(scope="session", params=sorted(ODD))
def odd_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One odd run after the other."""
    return ODD[request.param](tmp_path_factory.mktemp("odd") / "run")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for p = 11."""
    return trained(tmp_path_factory.mktemp("small") / "run", ModularAddition(11))


@pytest.fixture(scope="session")
def bundled_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page about the bundled network, as the main command writes it."""
    name = "modular-addition-113"
    if not bundled_folder(name).exists():
        pytest.skip(f"{name} is not in this checkout")
    return write_report(name, tmp_path_factory.mktemp("bundled") / "page.html")
