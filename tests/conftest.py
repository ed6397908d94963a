"""For every test: annotations are checked while the code runs, and examples start from the same random numbers."""

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("refractor", "beartype.beartype")  # before anything of refractor is imported

settings.register_profile(
    "project",
    deadline=None,  # timing decides nothing
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("project")
