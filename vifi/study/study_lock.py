"""One process does the steps of a study; a second is refused before it changes anything."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vifi.study.ledger import FOLDER
from vifistore.training.folder_lock import only_writer

_NAME = ".lock"


@contextlib.contextmanager
def only_study(out: Path) -> Iterator[None]:
    """Hold the folder of a study, which is made if it is not there.

    Raises LockedError, which names host and process, if another one does its steps.
    """
    with only_writer(out / FOLDER / _NAME, f"the study in {out}"):
        yield
