"""A name that comes from a file steers no terminal, and begins no line of its own."""

import io
import json
import logging
import os
import subprocess
import sys

import pytest

from tests.harness.films import Stretch, write_films
from tests.vifi.study.conftest import STUDY
from vifi.__main__ import run
from vifi.command_line.console import print_json, printable, say, start_logging
from vifi.command_line.endings import print_error

BAD = "a\x1b[2J\n  1 1.000 d forged\u202e.mp4"


@pytest.fixture
def films(tmp_path):
    rows = [
        Stretch(BAD, 0, 2, [0.5, 1.5], [0.9, 0.1]),
        Stretch("good.mp4", 0, 2, [0.5, 1.5], [0.8, 0.2]),
    ]
    return write_films(tmp_path, rows, lost=()).store.path


@pytest.mark.parametrize("flags", [(), ("--frames",)])
def test_hits(films, capsys, flags):
    assert run(["search", str(films), "--like", "good.mp4", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines, "nothing was found"
    assert all(map(str.isprintable, lines))
    assert [line for line in lines if "forged" in line] == [line for line in lines if "a?" in line]
    assert sum("forged" in line for line in lines) == 1


def test_what_is_said_keeps_its_lines_and_columns(capsys):
    say("a\tb\nc\x1b[31m\udce9")
    assert capsys.readouterr().out == "a\tb\nc?[31m?\n"
    assert printable("a\tb\nc") == "a?b?c"


@pytest.mark.parametrize(("encoding", "name"), [("ascii", "“é😀”"), ("utf-8", "\udce9.mp4")])
def test_a_document_has_letters_that_the_output_has_no_bytes_for(monkeypatch, encoding, name):
    written = io.BytesIO()
    output = io.TextIOWrapper(written, encoding=encoding)
    monkeypatch.setattr("sys.stdout", output)
    print_json({"name": name})
    output.flush()
    assert json.loads(written.getvalue()) == {"name": name}


@pytest.mark.slow
def test_a_terminal_without_such_letters_ends_no_command(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY.replace("VIDEOS", "vidéos"), encoding="utf-8")
    command = [sys.executable, "-m", "vifi", "study", str(path), "--out", str(tmp_path / "o")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*command, "--dry-run"], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"vid?os" in done.stdout


def test_errors_and_warnings(capsys):
    print_error(BAD)
    start_logging()
    logging.getLogger("vifi").warning("no frame of %s", "a\x1b[2J.mp4")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(map(str.isprintable, lines))
