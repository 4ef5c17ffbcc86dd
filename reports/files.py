"""Files appear whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> Path:
    """Write `data` under a temporary name beside `path`, then rename; returns `path`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            # mkstemp makes files that only their owner reads; a report is to be shared.
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_bytes` in UTF-8."""
    return write_bytes(path, text.encode("utf-8"))
