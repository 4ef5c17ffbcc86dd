"""What a result row keeps so that its number can be remade."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from vifistore.store.features import Features

_PACKAGES = ("vifistore", "numpy", "scikit-learn", "zarr", "zarrs")


def provenance(features: Features, rows_covered: int, **further: object) -> dict:
    """Recipe id, checkpoint digest, manifest digest, rows covered, command, versions, machine,
    time (UTC), and whatever else a protocol adds."""
    return {
        "recipe": features.id,
        "checkpoint": features.checkpoint,
        "manifest": features.sealed["manifest"] if features.sealed else None,
        "rows_covered": rows_covered,
        "command": command_line(),
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **further,
    }


def command_line() -> str:
    """The command that this process runs, as one would type it again."""
    return shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
