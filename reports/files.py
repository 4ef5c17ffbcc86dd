"""Files appear whole or not at all."""

import os
from pathlib import Path

from vifistore.temporaries import temporary_name, writing_in


def write_bytes(path: Path, data: bytes) -> Path:
    """Write `data` under a temporary name beside `path`, then rename; returns `path`."""
    with writing_in(path.parent):
        temporary = temporary_name(path)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_bytes` in UTF-8."""
    return write_bytes(path, text.encode("utf-8"))
