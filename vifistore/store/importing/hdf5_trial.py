"""A first look at an HDF5 file, in a process of its own.

HDF5's library ends the process that reads some damaged files, or never comes back. What that does
to this one is one line.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

from vifistore.errors import UsageError

# Run as a file: as a module it would import the store with all that it needs, which takes a second.
_PROGRAM = __file__
# Reading the texts of a million videos takes seconds.
_SECONDS = 300


def require_survivable(path: Path) -> None:
    """Raise UsageError if reading a file ends its process, or does not end."""
    command = [sys.executable, "-P", _PROGRAM, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        # What is wrong without such an end is told by whoever reads the file for good.
        status = subprocess.run(
            command, env=environment, capture_output=True, timeout=_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{path} cannot be read in {_SECONDS} seconds; export it again") from error
    if status < 0:
        raise UsageError(
            f"{path} is damaged: HDF5's library ends by signal {-status} where it reads it; export "
            "it again"
        )


def _read_all(path: Path) -> None:
    """Open every dataset; read the texts, which lie all over the file, and the outer numbers."""
    import h5py

    def read(_: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
            return
        # No more than there is room for in the file.
        num_bytes = math.prod(item.shape or ()) * min(item.dtype.itemsize, 16)
        if item.shape and num_bytes <= path.stat().st_size:
            is_text = item.dtype.kind == "O"
            for part in [slice(None)] if is_text else [slice(0, 1), slice(-1, None)]:
                item[part]

    with h5py.File(path, "r") as file:
        dict(file.attrs)
        file.visititems(read)


if __name__ == "__main__":
    _read_all(Path(sys.argv[1]))
