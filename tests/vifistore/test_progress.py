"""A log gets lines with the time that is left; a terminal gets a bar."""

import io
import logging

import pytest

from vifistore import progress
from vifistore.progress import Progress, duration


@pytest.fixture
def clock(monkeypatch, caplog):
    """Seconds that the test sets; what is logged."""
    caplog.set_level(logging.INFO, "vifi")
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then(clock, caplog):
    bar = Progress(total=1000, unit="video", desc="extract")
    clock[0] += 500
    # The model was loaded meanwhile.
    bar.unpause()
    lines = []
    for _ in range(999):
        clock[0] += 1
        bar.update()
        lines.append(len(caplog.records))
    assert caplog.messages[0] == "extract: 30 of 1000 videos, about 16 min left"
    assert caplog.messages[1] == "extract: 60 of 1000 videos, about 16 min left"
    # Ever rarer.
    assert 10 < len(caplog.messages) < 20
    bar.update()
    assert lines[-1] == len(caplog.messages)


def test_what_is_gone_through_is_counted_too(clock, caplog):
    def items():
        for number in range(4):
            clock[0] += 40
            yield number

    assert list(Progress(items(), total=4, unit="video", desc="scan")) == [0, 1, 2, 3]
    assert caplog.messages[0] == "scan: 1 of 4 videos, about 2 min left"


def test_a_run_that_goes_on_is_timed_from_where_it_begins(clock):
    bar = Progress(total=100, initial=90, unit="step", desc="train")
    assert bar.left == "no time known yet"
    clock[0] += 10
    bar.update(5)
    assert bar.left == "about 10 s left"


def test_a_terminal_gets_a_bar(caplog):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    caplog.set_level(logging.INFO, "vifi")
    screen = Terminal()
    with Progress(range(3), total=3, unit="video", desc="scan", file=screen) as bar:
        assert list(bar) == [0, 1, 2]
    assert "scan: 100%" in screen.getvalue()
    assert caplog.messages == []


def test_durations_in_words():
    assert [duration(s) for s in (0, 99, 100, 5900, 7200)] == [
        "1 s",
        "99 s",
        "2 min",
        "98 min",
        "2.0 h",
    ]
