"""What people install: the wheel has everything that the package reads, and is small."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = 16_000_000  # bytes; the weights of three networks are 14.7 MB of it, and do not compress


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package_and_is_small(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size <= LARGEST
    inside = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = {Path(name).relative_to("src").as_posix() for name in tracked.split()}
    assert len(wanted) > 40
    assert wanted <= inside
    suffixes = {Path(name).suffix for name in inside}
    assert {".html", ".js", ".css", ".safetensors", ".json"} <= suffixes
