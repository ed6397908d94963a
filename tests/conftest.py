"""For every test: annotations are checked while the code runs, and examples start from the same random numbers."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import config, install_import_hook

install_import_hook("refractor", "typecheck.check")  # before anything of refractor is imported

settings.register_profile(
    "project",
    deadline=None,  # timing decides nothing
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("project")


@pytest.fixture
def untyped() -> Iterator[None]:
    """Switch the checks of annotations off, so that a test sees what a user sees who passes something else."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
