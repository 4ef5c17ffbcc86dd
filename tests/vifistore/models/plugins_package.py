"""The package of docs/EXTENDING.md with an encoder, installed for tests."""

import re
import subprocess
import sys
from pathlib import Path

from tests.test_house import ROOT

_FILE = re.compile(r"^```\w+ package (\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def write_package(folder: Path) -> Path:
    """The files of the page in a folder."""
    page = (ROOT / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
    folder.mkdir(parents=True)
    for name, text in _FILE.findall(page):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def install_package(folder: Path) -> Path:
    """A folder for sys.path with the package installed by pip, from no index."""
    source, target = write_package(folder / "source"), folder / "site"
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", target)
    quiet = (
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--no-warn-script-location",
    )
    command = [sys.executable, "-m", "pip", "install", *options, *quiet, source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target
