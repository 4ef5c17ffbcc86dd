"""SIGTERM ends a command as Ctrl-C does, and a machine without memory costs one line."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from vifi.__main__ import run
from vifi.command_line.endings import STOPPED, quiet_threads, shortage
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

ROOT = Path(__file__).parents[2]
FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Many clips of different bytes: more than a second of work."""
    folder = tmp_path_factory.mktemp("endings")
    for label in ("run", "jump"):
        write_clip(folder / label / "000.mp4", seed=5, num_frames=60)
    clip = (folder / "run" / "000.mp4").read_bytes()
    for number in range(1, 700):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / ("run", "jump")[number % 2] / f"{number:03}.mp4").write_bytes(clip + box)
    return folder


@pytest.fixture
def store(tmp_path, clips) -> Path:
    return scan(tmp_path / "s.zarr", clips).path


STARTED: list[subprocess.Popen] = []


def vifi(*words: object, **options) -> subprocess.Popen:
    """The program, in a group of its own."""
    command = [sys.executable, "-m", "vifi", *map(str, words)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **streams, **options)
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def children_of(pid: int) -> set[int]:
    """Processes below one, as far down as there are any."""
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, task.read_text().split()):
                found |= {child, *children_of(child)}
    return found


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def assert_stopped(process: subprocess.Popen, number: int, whole_group: bool = False) -> str:
    """Send a signal; what the process and those below it make of it."""
    below = children_of(process.pid)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == STATUS[number], error
    assert "Traceback" not in error
    assert error.splitlines()[-1] == f"vifi: {STOPPED}"
    deadline = time.monotonic() + 10
    while not all(map(is_gone, below)):
        assert time.monotonic() < deadline, below
        time.sleep(0.01)
    return error


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [
        (signal.SIGTERM, False),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, True, marks=pytest.mark.slow),
    ],
)
def test_an_extraction_that_is_stopped_goes_on(store, number, whole_group):
    process = vifi("extract", store, *FLAGS, "--workers", "2")
    wait_for(lambda: list(store.glob("features/d/*/status/c.0")), process)
    assert len(children_of(process.pid)) >= 2
    assert_stopped(process, number, whole_group)
    assert list(verify_store(open_store(store))) == []
    # Workers that got the signal as well made no video look broken.
    features = open_store(store).features("d", open_store(store).dataset("d").feature_ids()[0])
    assert features.counts()["quarantined"] == 0
    assert features.counts()["done"] >= 64


@pytest.mark.slow
def test_a_training_ends_with_its_follower(store, tmp_path):
    process = vifi(
        *("train", "zero_shot_k400", store, "--dataset", "d", "--model", "vifi-tiny"),
        *("--pretrained", "none", "--out", tmp_path / "run", "--epochs", "1000"),
        *("--extract-every", "checkpoint", "--device", "cpu", "--frames", "2"),
    )
    log = tmp_path / "run" / "log.csv"
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 1, process)
    assert len(children_of(process.pid)) >= 2
    assert_stopped(process, signal.SIGTERM)


@pytest.mark.slow
def test_serving(store, tmp_path):
    extract = vifi("extract", store, *FLAGS, "--limit", "3")
    said = extract.communicate(timeout=120)
    assert extract.returncode == 0, said
    process = vifi("serve", store, "--port", "0")
    assert "http://" in process.stdout.readline()
    assert_stopped(process, signal.SIGTERM)


def catches_sigterm(process: subprocess.Popen) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", status)[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", STATUS)
def test_while_everything_is_imported(store, number):
    process = vifi("extract", store, *FLAGS)
    wait_for(lambda: catches_sigterm(process), process)
    # Neither torch nor even the store is there yet.
    assert "torch" not in Path(f"/proc/{process.pid}/maps").read_text()
    assert_stopped(process, number)


def test_while_a_text_is_executed(tmp_path):
    """As dataclasses do, of which imports make many."""
    (tmp_path / "stopped.py").write_text(
        "import vifi.__main__ as verbs\n"
        "verbs._run = lambda words: exec('raise KeyboardInterrupt')\n"
        "verbs.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "stopped"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (130, f"vifi: {STOPPED}\n")


def test_who_ignores_it_goes_on(store):
    """As under `nohup`-like wrappers that set it aside."""
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)}
    process = vifi("verify", store, **ignore)
    process.send_signal(signal.SIGTERM)
    said, error = process.communicate(timeout=60)
    assert process.returncode == 0, (said, error)


WORDS = [
    MemoryError(),
    MemoryError("Unable to allocate 7.28 TiB for an array"),
    RuntimeError("can't start new thread"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    # Of Python itself.
    SystemError("error return without exception set"),
]


@pytest.mark.parametrize("error", WORDS)
def test_a_shortage_is_one_line(error, monkeypatch, capsys):
    def fail(_):
        try:
            raise error
        except Exception as cause:
            raise ImportError("NumPy cannot be loaded") from cause

    monkeypatch.setattr(
        "vifi.command_line.endings.is_near_limit", lambda: isinstance(error, SystemError)
    )
    for raised in (fail, lambda _: (_ for _ in ()).throw(error)):
        monkeypatch.setattr("vifi.verbs.info.main", raised)
        assert run(["info", "S"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "memory or threads ran out" in line
        assert len(line) < 400


def test_other_errors_are_told_in_full(monkeypatch):
    for error in (RuntimeError("a bug"), ImportError("no module named x"), ValueError("x")):

        def fail(_, error=error):
            raise error

        monkeypatch.setattr("vifi.verbs.info.main", fail)
        with pytest.raises(type(error), match=re.escape(str(error))):
            run(["info", "S"])
    assert shortage(ValueError("x")) == ""


def test_a_thread_without_memory_says_nothing_by_itself(monkeypatch):
    said = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: said.append(ended.exc_type))
    quiet_threads()

    def fail(error: Exception) -> None:
        raise error

    for error in (MemoryError(), ValueError("x")):
        thread = threading.Thread(target=fail, args=(error,))
        thread.start()
        thread.join()
    assert said == [ValueError]


@pytest.mark.parametrize("kibibytes", [400_000, 700_000, 1_000_000, 2_000_000, 3_000_000])
@pytest.mark.parametrize("verb", ["info", pytest.param("extract", marks=pytest.mark.slow)])
def test_little_memory(store, verb, kibibytes):
    words = [sys.executable, "-m", "vifi", verb, str(store), *(FLAGS if verb == "extract" else ())]
    command = f"ulimit -v {kibibytes}; exec " + " ".join(words)
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert done.returncode in (0, 1, 3), (done.returncode, done.stderr[-2000:])
    if done.returncode == 1:
        assert done.stderr.splitlines()[-1].startswith("vifi: ")
    assert list(verify_store(open_store(store))) == []
