"""Pages on disk: whole, or not at all."""

import contextlib
import os
from pathlib import Path

from refractor.base.errors import StoreError


def write_text(path: Path, text: str) -> Path:
    """Write a file in one step and return its path; its folder is made if it is not there.

    Raises:
        StoreError: it could not be written. Nothing is left behind then.

    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {error.strerror or error}.") from error
    return path
