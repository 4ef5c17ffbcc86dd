"""What a result row keeps so that its number can be remade."""

import os
import platform
from datetime import UTC, datetime

from vifistore.store.features import Features
from vifistore.store.provenance import command_line, package_versions

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


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **package_versions(_PACKAGES)}
