"""A cluster on this machine, the commands that run on it, and its processes."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.store import open_store
from vifistore.store.features import Features
from vifistore.store.store import Store
from vifistore.store.verifying.verify import verify_store

ROOT = Path(__file__).parents[3]
MARK = "VIFI_TEST_CLUSTER"


def flags(seconds: float = 0.0) -> list[str]:
    """Of an extraction by the encoder that takes so many seconds a batch."""
    model = "tests.vifistore.cluster.sleepy_encoder:Sleepy"
    return [
        *("--dataset", "d", "--model", model, "--pretrained", str(seconds), "--frames", "2"),
        *("--precision", "fp32", "--device", "cpu", "--workers", "1", "--batch", "64"),
        *("--name", "n", "--json"),
    ]


@dataclass
class RayCluster:
    """Raylets of one core each, beside a head that has none."""

    address: str
    raylets: list[int]
    mark: str
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, store: Path | str, *more: str, seconds: float = 0.0) -> subprocess.Popen:
        """Begin `vifi extract --on ray` of a store."""
        command = [sys.executable, "-m", "vifi", "extract", str(store), *flags(seconds)]
        command += ["--on", "ray", "--cores", "1", *more]
        environment = {**self.environment, "RAY_ADDRESS": self.address}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)

    def encoders(self) -> list[int]:
        """Process ids of the actors that run."""
        return [pid for pid in _marked(self.mark) if _title(pid).startswith("ray::RayEncoder")]

    def decoders(self) -> list[int]:
        """Process ids of decode workers."""
        return [
            pid for pid in _marked(self.mark) if "vifistore.frames.processes.worker" in _title(pid)
        ]


def _title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return ""


def _marked(mark: str) -> list[int]:
    found, wanted = [], f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def raylets(*cores: int | str, **more: str) -> Iterator[RayCluster]:
    """A cluster that lasts as long as the context; `more` are variables of its processes."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0"} | more
    command = [sys.executable, "-m", "tests.vifistore.cluster.raylets", *map(str, cores)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        try:
            told = json.loads(process.stdout.readline())
            yield RayCluster(told["address"], told["raylets"], mark, environment)
        finally:
            for pid in _marked(mark):
                if pid != process.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            process.kill()


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> Path:
    """A folder of 320 videos, five blocks, each of bytes of its own."""
    folder = tmp_path_factory.mktemp("cluster") / "v"
    write_clip(folder / "000.mp4", seed=5, num_frames=8, size=(32, 32))
    clip = (folder / "000.mp4").read_bytes()
    for number in range(1, 320):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"{number:03}.mp4").write_bytes(clip + box)
    return folder


@pytest.fixture(scope="session")
def undisturbed(videos, tmp_path_factory) -> Features:
    """What one process makes of them that nothing disturbs."""
    path = tmp_path_factory.mktemp("undisturbed") / "s.zarr"
    return extracted_alone(path, videos)


def extracted_alone(path: Path, videos: Path) -> Features:
    """The set that a plain command makes."""
    scan(path, videos)
    command = [sys.executable, "-m", "vifi", "extract", str(path), *flags()]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return open_store(path).features("d", "n")


@pytest.fixture
def store(tmp_path: Path, videos: Path) -> Store:
    """A store of them, with nothing extracted."""
    return scan(tmp_path / "s.zarr", videos)


def wait_for(
    condition: Callable[[], object], process: subprocess.Popen, seconds: float = 110
) -> None:
    """Wait until something holds, while a process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finish(process: subprocess.Popen, *codes: int) -> tuple[dict, str]:
    """What a command printed when it ended, with one of these codes: its report, and what it said
    beside."""
    out, said = process.communicate(timeout=110)
    assert process.returncode in (codes or (0,)), said
    assert not [line for line in said.splitlines() if "raylet" in line or "(pid=" in line], said
    return json.loads(out) if out else {}, said


def num_done(store: Store) -> int:
    """Blocks of which the store says that they are done."""
    # Not what is being written: its temporary name goes on after the number.
    return len(list(Path(store.path).glob("features/d/*/status/c.[0-9]")))


def assert_as_undisturbed(store: Store, undisturbed: Features) -> None:
    """The store has the same bytes, and all of them are well."""
    found = open_store(store.path).features("d", "n")
    assert found.sealed == undisturbed.sealed
    np.testing.assert_array_equal(found.read("frames"), undisturbed.read("frames"))
    assert list(verify_store(open_store(store.path))) == []
