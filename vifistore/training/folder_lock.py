"""One writer per folder. Imports no torch, so that a second one is refused at once."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from vifistore.errors import LockedError, StoreError, UsageError
from vifistore.files import file_in_the_way
from vifistore.store.key_value.locks import ByteLocks

logger = logging.getLogger("vifi")

_NAME = ".lock"


@contextlib.contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the folder of a run, which is made if it is not there, as `only_writer` does."""
    with only_writer(folder / _NAME, f"the run in {folder}"):
        yield


@contextlib.contextmanager
def only_writer(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`, made where it is not there, against other processes; `what` is
    written by who holds it.

    A process that ends, however it does, gives it back. Raises LockedError, which names host and
    process, if another one has it. Without locks, as on some network disks, that is told alone.
    """
    locks = ByteLocks(path, what, "wait for it, or give another --out", "--out")
    try:
        locks.acquire([0])
    except LockedError:
        raise
    except StoreError as error:
        logger.warning("%s; until then, start no second one there", error)
    try:
        yield
    finally:
        locks.release()


def require_folder(folder: Path) -> None:
    """Raise UsageError where a file keeps the folder of a run from being made."""
    if file := file_in_the_way(folder):
        raise UsageError(f"--out {folder} cannot be made: {file} is no folder; give another --out")


def refuse_second(folder: Path) -> None:
    """Raise LockedError if a trainer is at work in a folder; nothing is written."""
    if (folder / _NAME).exists() and not (folder / "finished.json").exists():
        with only_trainer(folder):
            pass
