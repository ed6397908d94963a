"""Write constraints.txt anew: what a fresh environment gets for pyproject.toml today, torch pinned to its CPU build.

python scripts/lock.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TORCH = "2.13.0"
HEAD = f"""\
# The lock: every version that `make` installs. Written by `make lock`; do not edit.
# On Linux the CPU build of torch is named outright, so that a CUDA build (gigabytes) can never be taken for it.
torch=={TORCH}+cpu ; sys_platform == "linux" and platform_machine == "x86_64"
torch=={TORCH} ; sys_platform != "linux" or platform_machine != "x86_64"
"""


def main() -> None:
    """Install everything into a temporary environment, and write down what came."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", f"torch=={TORCH}"], check=True)
        subprocess.run([*pip, "install", "--quiet", f"{ROOT}[dev]"], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    lines = [line for line in frozen.splitlines() if not line.startswith(("torch==", "torch @", "refractor"))]
    (ROOT / "constraints.txt").write_text(HEAD + "\n".join(sorted(lines, key=str.lower)) + "\n")


if __name__ == "__main__":
    main()
