"""Claim: an extraction that is killed goes on, and ends as one that nobody disturbed.

    python -m benchmarks.killed --device cuda
    python -m benchmarks.killed --tiny --device cpu               # some seconds

Starts `vifi extract` on small clips, kills it when its first block is on the disk, starts it again,
and compares what there is with an extraction by one process, which runs meanwhile. On a CPU the
bytes are equal. On a GPU a frame's place in its batch may change the last bits: `equal` says
whether it did, and `largest_difference` by how much, of embeddings at unit length.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import scanned, write_copies, write_noise_clip
from vifi.bench.recording import in_scratch, script
from vifistore.errors import UsageError
from vifistore.store.store import Store, open_store
from vifistore.store.verifying.verify import verify_store

CASE = ("model", "videos")
_NAME, _WAIT_SECONDS = "killed", 300.0


@dataclass(frozen=True, kw_only=True)
class Killed(Bench):
    """Kill an extraction, and go on."""

    model: str = "ViT-B-32"
    """OpenCLIP model, with random weights."""
    videos: int = 1280
    """Small clips; 64 are a block."""
    frames: int = 8
    """Frames of a clip."""
    decoder: str = "pyav"
    """Decoder."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    tiny: bool = False
    """A model and clips so few that nothing but the running is tried."""


@in_scratch
def run(settings: Killed, scratch: Path) -> Iterator[dict]:
    """The one row."""
    if settings.tiny:
        settings = replace(settings, model="vifi-tiny", videos=200, frames=2)
    clips, videos = [scratch / f"{seed}.mp4" for seed in range(8)], scratch / "videos"
    for seed, clip in enumerate(clips):
        write_noise_clip(clip, seed)
    write_copies(clips, videos, settings.videos)
    paths = [scratch / "straight.zarr", scratch / "killed.zarr"]
    for path in paths:
        scanned(path, videos)
    straight, killed = paths
    undisturbed = subprocess.Popen(_command(settings, straight))
    try:
        done = _kill(settings, killed)
        _extract(settings, killed)
        _require_ended(undisturbed)
    finally:
        undisturbed.kill()
        undisturbed.wait()
    faults = [str(fault) for fault in verify_store(open_store(killed))]
    yield {
        "model": settings.model,
        "videos": settings.videos,
        "done_when_killed": done,
        "was_interrupted": 0 < done < settings.videos,
        "faults": faults,
        **_compared(*map(open_store, paths)),
    }


def _command(settings: Killed, store: Path) -> list[str]:
    flags = ("--dataset", "videos", "--pretrained", "none", "--name", _NAME, "--no-compile")
    of_run = ("--model", settings.model, "--frames", settings.frames, "--device", settings.device)
    how = map(str, (*of_run, "--decoder", settings.decoder))
    return [sys.executable, "-m", "vifi", "extract", str(store), *flags, *how]


def _extract(settings: Killed, store: Path) -> None:
    subprocess.run(_command(settings, store), check=True)


def _require_ended(process: subprocess.Popen) -> None:
    """Wait for an extraction. Raises CalledProcessError if it failed."""
    if code := process.wait():
        raise subprocess.CalledProcessError(code, process.args)


def _kill(settings: Killed, store: Path) -> int:
    """Kill a run with its first block; how many videos are done then.

    Raises UsageError if it has none after five minutes.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    process = subprocess.Popen(_command(settings, store), start_new_session=True)
    try:
        while process.poll() is None and not list(store.glob("features/videos/*/status/c.0")):
            if time.monotonic() > deadline:
                raise UsageError("no block was written in five minutes; see what the run said")
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    features = open_store(store).features("videos", _NAME)
    return features.counts()["done"]


def _compared(straight: Store, killed: Store) -> dict:
    """How far the embeddings of two stores are from each other."""
    one, other = (store.features("videos", _NAME).read("frames") for store in (straight, killed))
    difference = _units(one.astype(np.float32)) - _units(other.astype(np.float32))
    return {
        "equal": bool(np.array_equal(one, other)),
        "largest_difference": float(np.abs(difference).max()),
    }


def _units(values: np.ndarray) -> np.ndarray:
    """Vectors `[... dim]` at unit length."""
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


if __name__ == "__main__":
    script("killed", Killed, run, CASE, __doc__)
