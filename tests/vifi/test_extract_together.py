"""Machines that encode one set in a bucket together: real processes with caches of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.vifi.conftest import save_tiny
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.store.conftest import bucket, bucket_server
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.claims.claims import COMMITTED
from vifistore.store.claims.claims import read_claim as claim_on
from vifistore.store.features import Features
from vifistore.store.verifying.verify import verify_store

__all__ = ["bucket", "bucket_server"]
NUM_VIDEOS, LEASE = 330, 6


@pytest.fixture(scope="module")
def made(bucket, tmp_path_factory) -> tuple[Path, list[str], Features]:
    """Videos, the flags that encode them, and what one process makes of them on a disk."""
    folder = tmp_path_factory.mktemp("together")
    write_clip(folder / "clip.mp4", seed=0, num_frames=4)
    content = (folder / "clip.mp4").read_bytes()
    for number in range(NUM_VIDEOS):
        path = folder / "v" / f"{number:03}.mp4"
        path.parent.mkdir(exist_ok=True)
        # Other bytes each, behind the end: else they were copied, not encoded.
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        path.write_bytes(content + box)
    save_tiny(folder / "tiny.safetensors")
    model = ["--model", "vifi-tiny", "--pretrained", str(folder / "tiny.safetensors")]
    flags = [*model, "--name", "n", "--frames", "2", "--device", "cpu", "--workers", "1"]
    flags += ["--precision", "fp32", "--dataset", "d"]
    assert run(["scan", str(folder / "s.zarr"), str(folder / "v"), "--dataset", "d"]) == 0
    assert run(["extract", str(folder / "s.zarr"), *flags]) == 0
    return folder, flags, open_store(folder / "s.zarr").features("d", "n")


def machine(folder: Path, url: str, flags: list[str], number: int) -> subprocess.Popen:
    """A process that shares nothing with others but the bucket."""
    own = {"XDG_CACHE_HOME": str(folder / f"cache{number}"), "VIFI_CLAIM_SECONDS": str(LEASE)}
    command = [sys.executable, "-m", "vifi", "extract", url, *flags]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**os.environ, **own}, start_new_session=True, **streams)


def scanned(bucket: str, name: str, folder: Path) -> str:
    url = f"{bucket}/{name}.zarr"
    assert run(["scan", url, str(folder / "v"), "--dataset", "d"]) == 0
    return url


def wait_until(condition, what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"it was waited a minute for {what}")


def ended(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def done(url: str, path: str, block: int, state: str) -> bool:
    claim = claim_on(open_store(url).backend, path, block)
    return claim is not None and claim.state == state


def any_block(url: str, path: str, state: str) -> bool:
    return any(done(url, path, block, state) for block in range(6))


@pytest.mark.slow
def test_two_machines_make_what_one_makes_and_share_it(made, bucket):
    folder, flags, alone = made
    url = scanned(bucket, "two", folder)
    for process in [machine(folder, url, flags, number) for number in range(2)]:
        ended(process)
    store = open_store(url)
    assert store.features("d", "n").sealed == alone.sealed
    assert not list(verify_store(store))
    runs = store.backend.children(f"{alone.path}/runs")
    blocks = [store.backend.attributes(f"{alone.path}/runs/{run}")["blocks"] for run in runs]
    encoded = sorted(b for spans in blocks for low, high in spans for b in range(low, high))
    assert encoded == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("state", ["held", COMMITTED])
def test_one_that_is_killed_leaves_what_the_next_goes_on_with(made, bucket, state):
    folder, flags, alone = made
    url = scanned(bucket, f"killed-{state}", folder)
    first = machine(folder, url, flags, 0)
    try:
        wait_until(lambda: any_block(url, alone.path, state), f"a block that is {state}")
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    # At once: what the killed one holds is waited for, unless it has expired by then.
    said = ended(machine(folder, url, flags, 1))
    assert said.count("waiting to see who is at work") <= 1
    store = open_store(url)
    assert store.features("d", "n").sealed == alone.sealed
    assert not list(verify_store(store))


@pytest.mark.slow
def test_one_that_sleeps_past_its_claim_writes_nothing_when_it_wakes_up(made, bucket):
    folder, flags, alone = made
    url = scanned(bucket, "asleep", folder)
    first = machine(folder, url, flags, 0)
    try:
        wait_until(lambda: any_block(url, alone.path, "held"), "a block that is held")
        os.killpg(first.pid, signal.SIGSTOP)
        time.sleep(LEASE + 2)
        ended(machine(folder, url, flags, 1))
        os.killpg(first.pid, signal.SIGCONT)
        said, _ = first.communicate(timeout=240)
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    assert "had expired and is now of" in said or first.returncode == 0, said
    store = open_store(url)
    assert store.features("d", "n").sealed == alone.sealed
    assert not list(verify_store(store))
