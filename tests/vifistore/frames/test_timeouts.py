"""Time limits count a video's own time: not that of others, and more for a large file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.vifistore.frames.test_pool import Obedient, open_pool, verdicts
from vifistore.frames.processes.child_process import is_starved, processor_seconds

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this is not Linux")


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(pid: int, wanted: str) -> None:
    deadline = time.monotonic() + 10
    while state(pid) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state(pid) == wanted


def test_who_is_starved():
    program = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as busy:
        try:
            wait_for_state(busy.pid, "R")
            assert is_starved(busy.pid, 1000)
            time.sleep(0.2)
            assert 0 < processor_seconds(busy.pid) < 20
            assert not is_starved(busy.pid, 0)
            os.kill(busy.pid, signal.SIGSTOP)
            wait_for_state(busy.pid, "T")
            assert not is_starved(busy.pid, 1000)
        finally:
            busy.kill()
    assert not is_starved(busy.pid, 1000)
    assert processor_seconds(busy.pid) == 0


def test_a_decoder_that_spins_for_ever_is_ended(obedient: Obedient) -> None:
    with open_pool(1, timeout_seconds=0.5) as pool:
        start = time.monotonic()
        assert verdicts(pool, [obedient("spin 1000"), obedient("count 40")]) == ["timeout", "ok"]
        assert time.monotonic() - start < 60


def test_a_starved_worker_is_waited_for(
    obedient: Obedient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def starved(pid: int, limit_seconds: float) -> bool:
        seen.append(limit_seconds)
        return len(seen) < 4

    monkeypatch.setattr("vifistore.frames.processes.worker_handle.is_starved", starved)
    with open_pool(1, timeout_seconds=0.3) as pool:
        assert verdicts(pool, [obedient("slow 0.7")]) == ["ok"]
        assert seen
        assert verdicts(pool, [obedient("slow 30")]) == ["timeout"]


def test_a_large_file_has_more_time(obedient: Obedient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = obedient("slow 1")
    monkeypatch.setattr(
        "vifistore.frames.processes.decode_jobs._BYTES_PER_TIMEOUT", path.stat().st_size / 20
    )
    with open_pool(1, timeout_seconds=0.3) as pool:
        assert verdicts(pool, [path]) == ["ok"]
    monkeypatch.undo()
