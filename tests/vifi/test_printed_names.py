"""A name that comes from a file steers no terminal, and begins no line of its own."""

import logging

import pytest

from tests.harness.films import Stretch, write_films
from vifi.__main__ import run
from vifi.command_line.console import printable, say, start_logging
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


def test_errors_and_warnings(capsys):
    print_error(BAD)
    start_logging()
    logging.getLogger("vifi").warning("no frame of %s", "a\x1b[2J.mp4")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(map(str.isprintable, lines))
