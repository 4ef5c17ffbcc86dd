"""Blocks are claimed as their turn comes, so that processes share a set; each row comes once."""

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support import video_table
from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.sets import NAME, arrays, assert_equal
from tests.vifistore.store.conftest import block_of
from tests.vifistore.store.processes import end, extract, held, in_child, open_writer, together
from vifistore.extract.row_sources import ALL, FreeRows, NotedWriter, Wanted
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import BlockData

COMMAND = (
    *(sys.executable, "-m", "vifi", "extract", "s.zarr", "--dataset", "d", "--model", "vifi-tiny"),
    *("--pretrained", "none", "--frames", "2", "--precision", "fp32", "--device", "cpu"),
    *("--workers", "1", "--json"),
)


@pytest.fixture
def path(tmp_path) -> Path:
    """A store of five blocks, the last of 44 videos."""
    path = tmp_path / "s.zarr"
    write_videos(create_store(path).new_dataset("d"), video_table(300, ["a"]), ["a"], "/videos")
    return path


def blocks(rows) -> list[int]:
    return list(dict.fromkeys(row // 64 for row in rows))


def test_every_row_comes_once_and_in_order(path):
    writer = open_writer(path)
    with FreeRows(writer, ALL) as source:
        assert (source.total, source.is_empty) == (300, False)
        assert list(source) == list(range(300)) == source.taken == list(source.planned)
        assert source.pending == {0: 64, 1: 64, 2: 64, 3: 64, 4: 44}


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Wanted(limit=70), list(range(70))),
        (Wanted(blocks=range(1, 2)), list(range(64, 128))),
        (Wanted(blocks=range(3, 5), limit=65), list(range(192, 257))),
        (Wanted(first=range(3, 5), limit=128), [*range(192, 300), *range(20)]),
    ],
)
def test_what_is_wanted_comes(path, wanted, rows):
    with FreeRows(open_writer(path), wanted) as source:
        assert source.total == len(rows)
        assert list(source) == rows
        assert source.total == len(rows)


def test_what_others_have_is_left_to_them_and_what_they_leave_is_done(path):
    pid, _ = held(path, range(1, 3))
    try:
        with FreeRows(open_writer(path), ALL) as source:
            rows, seen = iter(source), []
            while len(seen) < 300 - 128:
                seen.append(next(rows))
            assert set(blocks(seen)) == {0, 3, 4}
            assert in_child(lambda: extract(path, [1])) != 0
            end(pid)
            pid = 0
            # They have gone, and left what they had.
            seen += rows
            assert Counter(seen) == Counter(range(300))
    finally:
        if pid:
            end(pid)


def test_what_others_have_done_does_not_come(path):
    writer = open_writer(path)
    assert in_child(lambda: extract(path, [0, 2])) == 0
    with FreeRows(writer, ALL) as source:
        assert set(blocks(source)) == {1, 3, 4}
        assert source.total == 300 - 128


def test_where_others_have_all_that_is_to_do_nothing_comes(path):
    pid, _ = held(path, range(5))
    try:
        with FreeRows(open_writer(path), ALL) as source:
            assert source.is_empty
            assert (list(source), source.total) == ([], 0)
    finally:
        end(pid)


def test_a_block_is_given_back_once_all_its_rows_are_written(path):
    writer = open_writer(path)
    with FreeRows(writer, Wanted(blocks=range(1))) as source:
        assert len(list(source)) == 64
        first, second = (
            BlockData(block=0, rows=rows, data={})
            for rows in (list(range(30)), list(range(30, 64)))
        )
        source.written([first])
        assert in_child(lambda: open_writer(path).claim([0])) != 0
        source.written([second])
        assert in_child(lambda: open_writer(path).claim([0])) == 0


def share(path: Path, number: int) -> None:
    """Write every block that comes, say which these were, and wait for the other's first."""
    writer, other = open_writer(path), path.with_name(f"{1 - number}.txt")
    with FreeRows(writer, ALL) as source:
        for block in blocks_as_they_come(source):
            rows = writer.todo_rows(block)
            with open(path.with_name(f"{number}.txt"), "a") as log:
                log.write("".join(f"{row}\n" for row in rows))
            part = BlockData(block=block, rows=rows, data=block_of(rows))
            NotedWriter(writer, source).write_blocks([part])
            while not other.exists():
                time.sleep(0.01)


def blocks_as_they_come(rows) -> Iterator[int]:
    return (block for block, _ in itertools.groupby(rows, lambda row: row // 64))


def test_processes_share_a_set_and_do_each_row_once(path):
    assert together(*(partial(share, path, number) for number in range(2))) == [0, 0]
    done = [path.with_name(f"{number}.txt").read_text().split() for number in range(2)]
    assert all(done)
    assert Counter(map(int, itertools.chain(*done))) == Counter(range(300))


@pytest.mark.slow
def test_two_plain_commands_share_a_set(tmp_path):
    folder = tmp_path / "v"
    write_clip(folder / "000.mp4", seed=5, num_frames=30)
    clip = (folder / "000.mp4").read_bytes()
    for number in range(1, 320):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"{number:03}.mp4").write_bytes(clip + box)
    alone, shared = (scan(tmp_path / name / "s.zarr", folder) for name in ("alone", "shared"))
    subprocess.run(COMMAND, cwd=tmp_path / "alone", check=True, stdout=subprocess.DEVNULL)
    both = {"cwd": tmp_path / "shared", "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(COMMAND, **both) for _ in range(2)]
    reports = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(report["encoded"] for report in reports) == 320
    assert_equal(arrays(shared), arrays(alone))
    first, second = (open_store(store.path).features("d", NAME) for store in (alone, shared))
    assert first.sealed == second.sealed
    assert list(verify_store(open_store(shared.path))) == []
