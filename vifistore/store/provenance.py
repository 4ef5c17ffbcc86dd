"""What a process can say of itself, to be kept with what it makes: its command and its versions."""

import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def command_line() -> str:
    """The command that this process runs, as one would type it again."""
    program = Path(sys.argv[0])
    # `python -m vifi` gives the file that it runs.
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name, *sys.argv[1:]])


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those of some packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
