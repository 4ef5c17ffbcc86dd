"""Small data sets on disk: files that only have a name, and lists."""

from pathlib import Path

import pytest


@pytest.fixture
def make_files(tmp_path: Path):
    """Make empty files below a folder of the test, by default `data`; returns the folder."""

    def make(*paths: str, folder: str = "data") -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return root

    return make


@pytest.fixture
def write(tmp_path: Path):
    """Write a text file and return its path."""

    def make(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return make
