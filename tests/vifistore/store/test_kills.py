"""Kills at any point lose and double nothing: real processes, killed for good."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.store.conftest import block_of
from tests.vifistore.store.processes import (
    GROUP,
    NUM_TRIES,
    SET_ID,
    encoded_rows,
    extract,
    grow,
    in_child,
    is_chunk,
    is_set,
    is_status,
    kill_at,
    open_writer,
)
from vifistore.extract.repair import start_repair
from vifistore.store import open_store
from vifistore.store.committer import BlockCommitter
from vifistore.store.schema import FEATURE_ARRAYS, QUARANTINED, TODO
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter

# Five blocks, in groups of two.
NUM_VIDEOS = 300


# Moment -> step of `kill_at`, which files, and after how many for a number of blocks to do.
MOMENTS = {
    "while a chunk is written": ("write", is_chunk, lambda kill, blocks: 5 * kill % (8 * blocks)),
    "after a chunk is written": ("written", is_chunk, lambda kill, blocks: 7 * kill % (8 * blocks)),
    "between chunks' names": ("named", is_chunk, lambda kill, blocks: 5 * kill % (8 * blocks)),
    "between data and status": ("name", is_status, lambda kill, blocks: kill % blocks),
    "after a status": ("named", is_status, lambda kill, blocks: kill % blocks),
}


def arrays_of(path: Path) -> dict[str, bytes]:
    """Every chunk of the feature set, by its key."""
    return {
        str(chunk.relative_to(path)): chunk.read_bytes()
        for chunk in path.glob("features/d/*/*/c.*")
        if chunk.suffix != ".partial"
    }


def read_status(path: Path) -> np.ndarray:
    """Status of all videos; nothing is settled where there is no set yet."""
    store = open_store(path)
    num_videos = len(store.videos("d"))
    status = np.full(num_videos, TODO, np.uint8)
    if store.dataset("d").feature_ids() and store.backend.exists(f"features/d/{SET_ID}/status"):
        found = store.backend.read(f"features/d/{SET_ID}/status")
        status[: len(found)] = found
    return status


def check_killed(
    path: Path,
    moment: tuple[str, Callable[[str], bool], int],
    undisturbed: Path,
    work: Callable[[], None],
    wanted: int = TODO,
) -> None:
    """Kill `work` at a moment, do it again, and compare all with an undisturbed store.

    `wanted` is the status of what `work` encodes.
    """
    step, fits, count = moment

    def doomed() -> None:
        kill_at(step, count, fits)
        work()

    assert in_child(doomed) == signal.SIGKILL
    settled = set(np.flatnonzero(read_status(path) != wanted).tolist())
    before = len(encoded_rows(path))
    assert in_child(work) == 0
    again = encoded_rows(path)[before:]
    assert not settled & set(again), "a written block was encoded again"
    assert len(set(again)) == len(again)
    assert arrays_of(path) == arrays_of(undisturbed)
    seal = [open_store(p).features("d", SET_ID).sealed for p in (path, undisturbed)]
    assert seal[0] == seal[1]
    assert list(verify_store(open_store(path))) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """A store whose extraction nobody disturbed."""
    path = tmp_path_factory.mktemp("undisturbed") / "s.zarr"
    grow(path, NUM_VIDEOS)
    extract(path)
    return path


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> tuple[Path, Path]:
    """A sealed store of 70 videos, and one that then grew."""
    small = tmp_path_factory.mktemp("small") / "s.zarr"
    grow(small, 70)
    extract(small)
    large = Path(shutil.copytree(small, tmp_path_factory.mktemp("large") / "s.zarr"))
    grow(large, NUM_VIDEOS)
    extract(large)
    return small, large


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_where_it_was(tmp_path, undisturbed, moment):
    step, fits, count_of = MOMENTS[moment]
    for kill in range(NUM_TRIES):
        path = tmp_path / str(kill) / "s.zarr"
        grow(path, NUM_VIDEOS)
        at = (step, fits, 1 + count_of(kill, 5))
        check_killed(path, at, undisturbed, lambda path=path: extract(path))


def test_a_kill_while_sealing(tmp_path, undisturbed):
    for number, step in enumerate(("write", "name", "named")):
        path = tmp_path / str(number) / "s.zarr"
        grow(path, NUM_VIDEOS)
        # The first such file plans the set, the second seals it.
        check_killed(path, (step, is_set, 2), undisturbed, lambda path=path: extract(path))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_growth_that_is_killed_leaves_sealed_rows_as_they_were(tmp_path, grown, moment):
    small, large = grown
    step, fits, count_of = MOMENTS[moment]
    sealed = {name: open_store(small).features("d", SET_ID).read(name) for name in FEATURE_ARRAYS}
    for kill in range(NUM_TRIES):
        path = Path(shutil.copytree(small, tmp_path / str(kill) / "s.zarr"))
        grow(path, NUM_VIDEOS)
        at = (step, fits, 1 + count_of(kill, 4))
        check_killed(path, at, large, lambda path=path: extract(path))
        features = open_store(path).features("d", SET_ID)
        for name, values in sealed.items():
            np.testing.assert_array_equal(features.read(name, 0, 70), values)


def test_a_set_killed_in_growth_is_still_whole(tmp_path, grown):
    path = Path(shutil.copytree(grown[0], tmp_path / "s.zarr"))
    grow(path, NUM_VIDEOS)

    def doomed() -> None:
        kill_at("name", 1, is_status)
        extract(path)

    assert in_child(doomed) == signal.SIGKILL
    features = open_store(path).features("d", SET_ID)
    assert features.sealed["rows"] == 70
    found = [p.where for p in verify_store(open_store(path)) if not p.where.endswith(".partial")]
    assert found == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_retry_that_is_killed(tmp_path, undisturbed, moment):
    mended = Path(shutil.copytree(undisturbed, tmp_path / "mended" / "s.zarr"))
    extract(mended, retry=True)
    assert (read_status(mended) != read_status(undisturbed)).sum() == 1
    path = Path(shutil.copytree(undisturbed, tmp_path / "s.zarr"))
    step, fits, _ = MOMENTS[moment]

    def work() -> None:
        extract(path, retry=True)
        extract(path)

    check_killed(path, (step, fits, 1), mended, work, wanted=QUARANTINED)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_repair_that_is_killed(tmp_path, undisturbed, moment):
    path = Path(shutil.copytree(undisturbed, tmp_path / "s.zarr"))
    for block in (1, 3):
        chunk = path / f"features/d/{SET_ID}/frames/c.{block}.0.0.0"
        chunk.write_bytes(chunk.read_bytes()[:-1])
    step, fits, _ = MOMENTS[moment]

    def repair() -> None:
        # As the verb does; a second time finds what is left to do, or nothing damaged any more.
        store = open_store(path, mode="a")
        if list(verify_store(store)):
            repairing = start_repair(store.dataset("d"), SET_ID)
            extract(path)
            repairing.finish()
        else:
            extract(path)

    def doomed() -> None:
        kill_at(step, 2, fits)
        repair()

    assert in_child(doomed) == signal.SIGKILL
    for partial in path.rglob("*.partial"):
        partial.unlink()
    assert in_child(repair) == 0
    assert arrays_of(path) == arrays_of(undisturbed)
    assert list(verify_store(open_store(path))) == []


def test_a_kill_costs_no_more_than_the_group_on_its_way(tmp_path):
    path = tmp_path / "s.zarr"
    grow(path, NUM_VIDEOS)

    def doomed() -> None:
        # The third status is the first of the second group.
        kill_at("name", 3, is_status)
        extract(path)

    assert in_child(doomed) == signal.SIGKILL
    assert np.flatnonzero(read_status(path) != TODO).tolist() == list(range(64 * GROUP))


def test_blocks_committed_in_the_background_survive_a_kill(tmp_path, undisturbed):
    path = tmp_path / "s.zarr"
    grow(path, NUM_VIDEOS)

    def doomed() -> None:
        writer = open_writer(path)
        with BlockCommitter(writer) as committer:
            kill_at("named", 4, is_status)
            for block in writer.todo_blocks():
                rows = writer.todo_rows(block)
                committer.add(block, rows, block_of(rows))

    assert in_child(doomed) == signal.SIGKILL
    settled = np.flatnonzero(read_status(path) != TODO)
    assert len(settled) == 4 * 64
    assert in_child(lambda: extract(path)) == 0
    assert not set(settled.tolist()) & set(encoded_rows(path))
    assert arrays_of(path) == arrays_of(undisturbed)


def test_the_kill_test_notices_a_status_written_too_early(tmp_path, undisturbed, monkeypatch):
    """What the tests above guard against: status first, then a kill before the data."""

    def status_first(self, group):
        names = [name for name in self._layouts if name != "status"]
        status = dict(self._file("status", part) for part in group)
        data = dict(self._file(name, part) for part in group for name in names)
        self._backend.put(status, data)

    path = tmp_path / "s.zarr"
    grow(path, NUM_VIDEOS)
    monkeypatch.setattr(FeatureWriter, "_write", status_first)
    with pytest.raises(AssertionError):
        check_killed(path, ("named", is_chunk, 3), undisturbed, lambda: extract(path))
