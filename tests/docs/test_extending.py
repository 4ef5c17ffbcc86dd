"""docs/EXTENDING.md: its changes fit the code, and what they add can be used.

They are made in a copy, which another process uses: `extended.py` is what it runs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.conftest import planted_store
from tests.test_house import ROOT, cycles, modules, wrong_imports

PAGE = (ROOT / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
_NEW = re.compile(r"^```python new (\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_DIFF = re.compile(r"^```diff (\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def changed(text: str, diff: str) -> str:
    """A file with the `+` lines of a change behind the lines before them, without the `-` lines.

    Raises ValueError for a line of the change that the file does not have below the one before.
    """
    lines, at = text.splitlines(), 0
    for line in diff.splitlines():
        if line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
            continue
        at = lines.index(line[1:], at)
        if line.startswith("-"):
            del lines[at]
        else:
            at += 1
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the code with all that the page adds."""
    folder = tmp_path_factory.mktemp("extended")
    for package in ("vifistore", "harness", "reports", "vifi"):
        ignored = shutil.ignore_patterns("__pycache__", "out")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name, text in _NEW.findall(PAGE):
        assert not (folder / name).exists(), name
        (folder / name).write_text(text, encoding="utf-8")
    for name, diff in _DIFF.findall(PAGE):
        path = folder / name
        path.write_text(changed(path.read_text(encoding="utf-8"), diff), encoding="utf-8")
    return folder


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """A store, lists of a dataset of its own kind, and an animated picture of five greys."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    maker = planted_store(tmp_path)
    maker.features(maker.frames(noise=2.0))
    maker.texts()
    for part, name in (("train", "run"), ("train", "jump"), ("test", "run")):
        path = tmp_path / "lists" / part / f"{name}.lst"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{part}_{name}.mp4\n")
        (tmp_path / "lists" / f"{part}_{name}.mp4").touch()
    first, *others = [Image.new("RGB", (32, 32), (50 * n, 50 * n, 50 * n)) for n in range(5)]
    first.save(tmp_path / "greys.gif", save_all=True, append_images=others, duration=100)
    return tmp_path


def test_what_the_page_adds_can_be_used(extended, world):
    script = Path(__file__).with_name("extended.py")
    done = subprocess.run(
        [sys.executable, script, world],
        capture_output=True,
        text=True,
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
    )
    assert done.returncode == 0, done.stderr
    assert "single-frame" in done.stdout


def test_the_code_of_the_page_is_as_the_code_is(extended):
    names = [name for name, _ in (*_NEW.findall(PAGE), *_DIFF.findall(PAGE))]
    config = ROOT / "pyproject.toml"
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--config", config, *names]
        done = subprocess.run(command, capture_output=True, text=True, cwd=extended)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rooms_stay_apart(extended):
    assert wrong_imports(modules(extended)) == []
    assert cycles(modules(extended)) == []


def test_a_change_that_no_longer_fits_is_noticed():
    assert changed("a\nb\nc\n", " a\n+x\n-b\n+y\n c\n") == "a\nx\ny\nc\n"
    with pytest.raises(ValueError, match="is not in list"):
        changed("a\nb\n", " c\n+x\n")
