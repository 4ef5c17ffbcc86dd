"""Processes that write a feature set and die: forked, so that no start has to be waited for."""

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from tests.support import plain_recipe, video_table
from tests.vifistore.store.conftest import CLASSES, block_of
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.key_value import durable
from vifistore.store.schema import QUARANTINED, TODO
from vifistore.store.store import create_store
from vifistore.store.writer import BlockData, FeatureWriter, Shape

# How often what may go wrong once in a while is tried; a longer run sets it to 20.
NUM_TRIES = int(os.environ.get("VIFI_KILLS", "4"))

# Blocks that become lasting together.
GROUP = 2

SET_ID = plain_recipe().id


def start(work: Callable[[], None]) -> int:
    """Begin `work` in a forked process, all imports done; return its id."""
    with warnings.catch_warnings():
        # Since Python 3.12 a fork warns where a library has threads; these wait for work alone.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process; return how it ended, as waitpid says."""
    return os.waitpid(start(work), 0)[1]


def together(*works: Callable[[], None]) -> list[int]:
    """Run each in a process of its own, all let go at the same moment; how each ended."""
    reader, writer = os.pipe()

    def after_the_signal(work: Callable[[], None]) -> Callable[[], None]:
        def wait_and_work() -> None:
            os.close(writer)
            os.read(reader, 1)
            work()

        return wait_and_work

    pids = [start(after_the_signal(work)) for work in works]
    # Every reader is woken when nobody can write any more.
    os.close(writer)
    os.close(reader)
    return [os.waitpid(pid, 0)[1] for pid in pids]


def grow(path: Path, num_videos: int) -> None:
    """Give dataset `d` that many videos."""
    store = create_store(path)
    write_videos(store.new_dataset("d"), video_table(num_videos, CLASSES), CLASSES, "/videos")


def open_writer(path: Path) -> FeatureWriter:
    """A writer over all videos of dataset `d`."""
    store = open_store(path, mode="a")
    shape = Shape(video=len(store.videos("d")), view=1, frame=4, dim=8)
    return FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {"host": "test"})


def extract(path: Path, blocks: Iterable[int] | None = None, *, retry: bool = False) -> None:
    """Write what is to do, or quarantined, as an extraction does; note each row encoded."""
    writer = open_writer(path)
    wanted = QUARANTINED if retry else TODO
    found = {int(row) // 64 for row in np.flatnonzero(writer.status == wanted)}
    chosen = sorted(found if blocks is None else found & set(blocks))
    writer.claim(chosen)
    if retry and chosen and writer.sealed:
        writer.unseal()
    parts = [_encoded(path, writer, block, wanted, retry=retry) for block in chosen]
    parts = [part for part in parts if part.rows]
    for first in range(0, len(parts), GROUP):
        writer.write_blocks(parts[first : first + GROUP])
    writer.refresh()
    if not writer.todo_blocks() and writer.needs_seal:
        writer.seal()
    writer.release()


def _encoded(
    path: Path, writer: FeatureWriter, block: int, wanted: int, *, retry: bool
) -> BlockData:
    rows = [row for row in writer.block_rows(block) if writer.status[row] == wanted]
    with open(path.with_name("encoded.txt"), "a") as log:
        log.write("".join(f"{row}\n" for row in rows))
    return BlockData(block=block, rows=rows, data=block_of(rows, mended=retry) if rows else {})


def encoded_rows(path: Path) -> list[int]:
    """Rows that were encoded for the store at `path`, each as often as it was."""
    log = path.with_name("encoded.txt")
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


def holding(enter: Callable[[], AbstractContextManager]) -> tuple[int, bool]:
    """A child that waits within a context to be killed: its pid, and whether it got there."""
    reader, writer = os.pipe()

    def hold() -> None:
        with enter():
            os.write(writer, b"y")
            signal.pause()

    pid = start(hold)
    os.close(writer)
    said = os.read(reader, 1)
    os.close(reader)
    return pid, said == b"y"


def held(path: Path, blocks: range) -> tuple[int, bool]:
    """A child that has claimed blocks and waits to be killed: its pid, once the claim holds."""

    @contextmanager
    def claimed() -> Iterator[None]:
        writer = open_writer(path)
        writer.claim(blocks)
        yield

    return holding(claimed)


def writing(path: Path) -> int:
    """A child that is writing something in the store, and waits to be killed: its pid."""
    pid, is_there = holding(lambda: open_store(path).backend.place.writing())
    assert is_there
    return pid


def end(pid: int) -> None:
    """Kill a child and take its leave."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def kill_at(step: str, count: int, fits: Callable[[str], bool]) -> None:
    """Let this process die at the count-th file whose path fits: while it is written (`write`),
    once it is (`written`), before it gets its name (`name`), or once it has it (`named`)."""
    write, rename, turn, seen = durable._write, durable._rename, threading.Lock(), []

    def is_it(here: tuple[str, str], path: Path) -> bool:
        with turn:
            if step in here and fits(str(path)):
                seen.append(path)
                return len(seen) == count
        return False

    def deadly_write(item) -> None:
        final = item[0].with_name(item[0].name.rsplit(".", 2)[0])
        last = is_it(("write", "written"), final)
        if last and step == "write":
            item[0].write_bytes(b"".join(map(bytes, item[1]))[:-3])
            os.kill(os.getpid(), signal.SIGKILL)
        write(item)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly_rename(temporary: Path, path: Path) -> None:
        last = is_it(("name", "named"), path)
        if last and step == "name":
            os.kill(os.getpid(), signal.SIGKILL)
        rename(temporary, path)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    durable._write, durable._rename = deadly_write, deadly_rename


def is_chunk(path: str) -> bool:
    """Whether a file is a chunk of a feature array other than status."""
    return "/features/" in path and "/c." in path and "/status/" not in path


def is_status(path: str) -> bool:
    """Whether a file is a chunk of status."""
    return "/status/c." in path


def is_set(path: str) -> bool:
    """Whether a file holds a feature set's attributes, where `sealed` is."""
    parts = path.split("/")
    return parts[-1] == "zarr.json" and parts[-4] == "features"
