"""One writer per block, and kills at any point lose and double nothing: with real processes."""

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import plain_recipe, video_table
from tests.vifistore.store.conftest import CLASSES, block_of
from vifistore.errors import LockedError, StoreError
from vifistore.store import open_store, places
from vifistore.store.backend import Backend
from vifistore.store.locks import BlockLocks
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, TODO
from vifistore.store.store import create_store
from vifistore.store.tables import write_videos
from vifistore.store.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape

# Kills per kind of moment; a longer run sets it to 20.
NUM_KILLS = int(os.environ.get("VIFI_KILLS", "4"))


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process, all imports done; return how it ended, as waitpid says."""
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    code = 1
    try:
        work()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def grow(path: Path, num_videos: int) -> None:
    """Give dataset `d` that many videos."""
    store = create_store(path)
    write_videos(store.backend, "d", video_table(num_videos, CLASSES), CLASSES, "/videos")


def open_writer(path: Path) -> FeatureWriter:
    """A writer over all videos of dataset `d`."""
    store = open_store(path, mode="a")
    shape = Shape(video=len(store.videos("d")), view=1, frame=4, dim=8)
    return FeatureWriter(store.backend, "d", plain_recipe().as_dict(), shape, {"host": "test"})


def extract(path: Path, blocks: range | None = None) -> None:
    """Write what is to do, as an extraction does, and note each block that was encoded."""
    writer = open_writer(path)
    chosen = [block for block in writer.todo_blocks() if blocks is None or block in blocks]
    writer.claim(chosen)
    for block in chosen:
        if rows := writer.todo_rows(block):
            with open(path.with_name("encoded.txt"), "a") as log:
                log.write(f"{rows[0]} {rows[-1]}\n")
            writer.write_block(block, rows, block_of(rows))
    writer.refresh()
    if not writer.todo_blocks() and writer.needs_seal:
        writer.seal()
    writer.release()


def held(path: Path, blocks: range) -> tuple[int, int]:
    """A child that has claimed blocks and waits to be killed: its pid, once the claim holds."""
    reader, writer_end = os.pipe()
    if pid := os.fork():
        os.close(writer_end)
        said = os.read(reader, 1)
        os.close(reader)
        return pid, said == b"y"
    open_and_claim = open_writer(path)
    open_and_claim.claim(blocks)
    os.write(writer_end, b"y")
    signal.pause()
    os._exit(0)


def end(pid: int) -> None:
    """Kill a child and take its leave."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_second_writer_stops_and_says_who_is_first(tmp_path):
    grow(tmp_path / "s.zarr", 200)
    pid, ready = held(tmp_path / "s.zarr", range(0, 2))
    assert ready
    try:
        with pytest.raises(LockedError, match=f"block 0 of .* process {pid} on {os.uname()[1]}"):
            open_writer(tmp_path / "s.zarr").claim(range(4))
        with pytest.raises(LockedError, match="block 1 of "):
            open_writer(tmp_path / "s.zarr").write_block(1, [64], block_of([64]))
        extract(tmp_path / "s.zarr", range(2, 4))
    finally:
        end(pid)
    # A lock ends with its process, even a killed one.
    extract(tmp_path / "s.zarr")
    assert (open_writer(tmp_path / "s.zarr").status != TODO).all()


def test_a_failed_claim_holds_nothing(tmp_path):
    grow(tmp_path / "s.zarr", 200)
    pid, _ = held(tmp_path / "s.zarr", range(3, 4))
    try:
        writer = open_writer(tmp_path / "s.zarr")
        with pytest.raises(LockedError):
            writer.claim(range(4))
        assert in_child(lambda: extract(tmp_path / "s.zarr", range(3))) == 0
    finally:
        end(pid)


def test_disjoint_blocks_by_two_processes_make_one_sealed_set(tmp_path):
    path = tmp_path / "s.zarr"
    grow(path, 200)
    children = []
    for blocks in (range(0, 2), range(2, 4)):
        if pid := os.fork():
            children.append(pid)
            continue
        try:
            extract(path, blocks)
            os._exit(0)
        finally:
            os._exit(1)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
    features = open_store(path).features("d", open_writer(path).id)
    assert features.sealed["rows"] == 200
    assert len(features.provenance) == 2
    assert list(verify_store(open_store(path))) == []


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("vifistore.store.locks.fcntl.lockf", no_locks)
    with pytest.raises(StoreError, match="put the store on a file system with locks"):
        BlockLocks(tmp_path, "d", "id").acquire([0])


def kill_at(count: int, fits: Callable[[str], bool], *, after: bool) -> None:
    """Let this process die at the count-th file written whose key fits, before or after it."""
    put_file = places._put_file
    seen = []

    def deadly(item):
        path = str(item[0])
        if fits(path):
            seen.append(path)
        is_last = fits(path) and len(seen) == count
        if is_last and not after:
            temporary = item[0].with_name(f"{item[0].name}.killed.partial")
            temporary.write_bytes(b"".join(map(bytes, item[1]))[:-3])
            os.kill(os.getpid(), signal.SIGKILL)
        put_file(item)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)

    places._put_file = deadly


def is_chunk(path: str) -> bool:
    """Whether a file is a chunk of an array other than status."""
    return "/c." in path and "/status/" not in path


def is_status(path: str) -> bool:
    """Whether a file is a chunk of status."""
    return "/status/c." in path


def is_set(path: str) -> bool:
    """Whether a file holds a feature set's attributes, where `sealed` is."""
    parts = path.split("/")
    return parts[-1] == "zarr.json" and parts[-4] == "features"


# Moment -> which files, and whether death comes once such a file is in place. The first is_set
# file plans the set, the second seals it. The count goes through the files of all blocks to do.
MOMENTS = {
    "while a chunk is written": (is_chunk, False, lambda kill, blocks: 1 + 5 * kill % (8 * blocks)),
    "after a chunk is written": (is_chunk, True, lambda kill, blocks: 1 + 5 * kill % (8 * blocks)),
    "between data and status": (is_status, False, lambda kill, blocks: 1 + kill % blocks),
    "after status": (is_status, True, lambda kill, blocks: 1 + kill % blocks),
    "while sealing": (is_set, False, lambda kill, blocks: 2),
}


def arrays_of(path: Path) -> dict[str, bytes]:
    """Every chunk of the feature set, by its key."""
    return {
        str(chunk.relative_to(path)): chunk.read_bytes()
        for chunk in path.glob("features/d/*/*/c.*")
        if chunk.suffix != ".partial"
    }


def check_killed_runs(path: Path, moment: str, kill: int, undisturbed: Path) -> None:
    """Kill a run at a moment, run again, and compare all chunks with an undisturbed run's."""
    fits, after, count_of = MOMENTS[moment]
    num_blocks = len(set(np.flatnonzero(read_status(path) == TODO) // BLOCK_SIZE))

    def doomed() -> None:
        kill_at(count_of(kill, num_blocks), fits, after=after)
        extract(path)

    assert in_child(doomed) == signal.SIGKILL, moment
    log = path.with_name("encoded.txt")
    settled = np.flatnonzero(read_status(path) != TODO).tolist()
    before = log.read_text() if log.exists() else ""
    assert in_child(lambda: extract(path)) == 0
    encoded_again = log.read_text()[len(before) :].splitlines() if log.exists() else []
    for line in encoded_again:
        first, last = map(int, line.split())
        assert not set(range(first, last + 1)) & set(settled), "a written block was encoded again"
    assert arrays_of(path) == arrays_of(undisturbed)
    seal = [open_store(p).features("d", plain_recipe().id).sealed for p in (path, undisturbed)]
    assert seal[0] == seal[1]
    assert {p.where.rpartition(".")[2] for p in verify_store(open_store(path))} <= {"partial"}


def read_status(path: Path) -> np.ndarray:
    """Status of all videos; nothing is settled where there is no set yet."""
    store = open_store(path)
    num_videos = len(store.videos("d"))
    status = np.full(num_videos, TODO, np.uint8)
    if store.feature_ids("d") and store.backend.exists(f"features/d/{plain_recipe().id}/status"):
        found = store.backend.read(f"features/d/{plain_recipe().id}/status")
        status[: len(found)] = found
    return status


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_where_it_was(tmp_path, moment):
    undisturbed = tmp_path / "u" / "s.zarr"
    grow(undisturbed, 150)
    extract(undisturbed)
    for kill in range(NUM_KILLS if moment != "while sealing" else 1):
        path = tmp_path / str(kill) / "s.zarr"
        grow(path, 150)
        check_killed_runs(path, moment, kill, undisturbed)


@pytest.mark.parametrize("moment", [name for name in MOMENTS if name != "while sealing"])
def test_a_growth_that_is_killed_leaves_sealed_rows_as_they_were(tmp_path, moment):
    undisturbed = tmp_path / "u" / "s.zarr"
    for num_videos in (70, 150):
        grow(undisturbed, num_videos)
        extract(undisturbed)
    for kill in range(NUM_KILLS):
        path = tmp_path / str(kill) / "s.zarr"
        grow(path, 70)
        extract(path)
        sealed = {
            name: Backend(path, writable=False).read(
                f"features/d/{plain_recipe().id}/{name}", 0, 70
            )
            for name in FEATURE_ARRAYS
        }
        grow(path, 150)
        check_killed_runs(path, moment, kill, undisturbed)
        features = open_store(path).features("d", plain_recipe().id)
        for name, values in sealed.items():
            np.testing.assert_array_equal(features.read(name, 0, 70), values)


def test_a_set_killed_in_growth_is_still_whole(tmp_path):
    path = tmp_path / "s.zarr"
    grow(path, 70)
    extract(path)
    grow(path, 150)

    def doomed() -> None:
        kill_at(1, is_status, after=False)
        extract(path)

    assert in_child(doomed) == signal.SIGKILL
    features = open_store(path).features("d", plain_recipe().id)
    assert features.sealed["rows"] == 70
    found = [p.where for p in verify_store(open_store(path)) if not p.where.endswith(".partial")]
    assert found == []


def test_the_kill_test_notices_a_status_written_too_early(tmp_path, monkeypatch):
    """What the tests above guard against: status first, then a kill before the data."""

    def status_first(self, block, rows, data):
        status = self._chunk("status", block, rows, data)
        start = self.block_rows(block).start
        self._backend.write_rows(start, {f"{self.path}/status": status})
        names = [name for name in self._arrays if name != "status"]
        chunks = {f"{self.path}/{name}": self._chunk(name, block, rows, data) for name in names}
        self._backend.write_rows(start, chunks)

    undisturbed = tmp_path / "u" / "s.zarr"
    grow(undisturbed, 150)
    extract(undisturbed)
    grow(tmp_path / "s.zarr", 150)
    monkeypatch.setattr(FeatureWriter, "_write_block", status_first)
    with pytest.raises(AssertionError):
        check_killed_runs(tmp_path / "s.zarr", "while a chunk is written", 0, undisturbed)
