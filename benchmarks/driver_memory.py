"""Claim: one process gives out ten million videos to the encoders of a Ray cluster, in under 2 GB.

    OMP_NUM_THREADS=1 python -m benchmarks.driver_memory                  # ten minutes
    OMP_NUM_THREADS=1 python -m benchmarks.driver_memory --videos 100000   # a minute

Writes a table of so many videos, then runs what `vifi extract --on ray` does of it, in a process of
its own: plan the set, give out every block, take note that it is done, count what is left. Ray is
real; its encoders say at once that a block is written, and write none, so that the set stays to do.
`driver_mib` is the most memory that the process held, `start_mib` what its imports had taken. What
the encoders and Ray's own server hold is not in it.

Floor: the paths of the videos, which a run looks at first, are strings of 67 bytes and a pointer,
750 MB of ten million.
"""

import contextlib
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.generated import add_videos, unsynced
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import peak_mebibytes
from vifistore.cluster import driver, fleet
from vifistore.cluster.encoder_actor import EncoderStart, Pulse
from vifistore.cluster.on_ray import extract_on_ray
from vifistore.cluster.ray_settings import HERE, RaySettings
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.given_rows import Piece
from vifistore.scanning.presence import Presence
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import create_store, open_store

CASE = ("videos", "encoders")
# Real encoders have three pieces ahead and are asked five times a second, which would take an hour.
_AHEAD, _PULSE_SECONDS = 256, 0.01


@dataclass(frozen=True, kw_only=True)
class DriverMemory(Bench):
    """How much is given out."""

    videos: int = 10_000_000
    """Videos of the set."""
    encoders: int = 2
    """Encoders, of a core each."""


class SettlingEncoder(fleet.RayEncoder):
    """Says of all that it is given that it is written."""

    def begin(self, start: EncoderStart) -> None:
        """See EncoderActor; there is nothing to get ready."""

    def pulse(self, pieces: Sequence[Piece], *, leave: bool = False) -> Pulse:
        """See EncoderActor."""
        self._counts["encoded"] += sum(len(piece.rows) for piece in pieces)
        return Pulse(settled=list(pieces), counts=dict(self._counts), is_leaving=leave)


@in_scratch
def run(settings: DriverMemory, scratch: Path) -> Iterator[dict]:
    """One row."""
    store = scratch / "s.zarr"
    paths = filter(None, [os.getcwd(), os.environ.get("PYTHONPATH", "")])
    told = {"RAY_TMPDIR": str(scratch), "PYTHONPATH": os.pathsep.join(paths)}
    others = {name: os.environ[name] for name in os.environ if name != "RAY_ADDRESS"}
    with mock.patch.dict(os.environ, others | told, clear=True):
        in_own_process(make_table, store, settings.videos)
        found = in_own_process(drive, store, settings)
    yield {"videos": settings.videos, "encoders": settings.encoders, **found}


def in_own_process(call: Callable[..., Any], *args: object) -> Any:
    """What a call returns, whose memory is that of nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, args)


def make_table(store: Path, videos: int) -> None:
    """A store that knows so many videos, all of one class."""
    with unsynced():
        add_videos(create_store(store).new_dataset("d"), ["a"] * videos, ["a"])


def drive(store: Path, settings: DriverMemory) -> dict:
    """Give out every block, and say what that took."""
    logging.getLogger("vifi").setLevel(logging.ERROR)
    wanted = ExtractSettings(
        model="vifi-tiny", pretrained="none", frames=2, device="cpu", precision="fp32"
    )
    where = RaySettings(address=HERE, cores=1, actors=settings.encoders)
    start, began = peak_mebibytes(), time.perf_counter()
    with quick():
        report = extract_on_ray(open_store(store, mode="a").dataset("d"), wanted, where)
    taken = time.perf_counter() - began
    # Nothing is written, and all of it was given out.
    assert (report.num_todo, report.sealed) == (settings.videos, False), report
    return {
        "blocks": -(-settings.videos // BLOCK_SIZE),
        "start_mib": round(start),
        "driver_mib": round(peak_mebibytes()),
        "seconds": round(taken, 1),
    }


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Have encoders that write nothing, are given much and are asked all the time; the videos need
    not be there."""
    with (
        mock.patch.multiple(fleet, RayEncoder=SettlingEncoder, _PULSE_SECONDS=_PULSE_SECONDS),
        mock.patch.object(driver, "_AHEAD", _AHEAD),
        mock.patch.object(Presence, "require"),
    ):
        yield


if __name__ == "__main__":
    # Ray's processes know its encoder by the name of a module.
    from benchmarks import driver_memory

    script("driver_memory", driver_memory.DriverMemory, driver_memory.run, CASE, __doc__)
