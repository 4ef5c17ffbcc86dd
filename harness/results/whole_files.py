"""Files of a results folder appear whole or not at all, and are checked when they are read.

`artefacts/` is a folder of the results folder, for all that is no result row.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from vifistore.errors import DamagedError, UsageError
from vifistore.files import locked, read_json
from vifistore.temporaries import atomic_path, clear_temporaries

FOLDER = "artefacts"

Document = TypeVar("Document", list, dict)


def made_folder(folder: str | Path) -> Path:
    """A results folder, made if missing; what stopped runs left half written in it goes.

    Raises UsageError when `folder` is no folder.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder} is not a folder; give another folder") from error
    # No deeper than results are: a store in the folder may be being written.
    for level in ("*", "*/*", f"{FOLDER}/*/*"):
        clear_temporaries(folder, level)
    return folder


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file that appears whole or not at all; returns `path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_bytes` in UTF-8."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: list | dict) -> None:
    """Write a JSON document of plain values; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, indent=1, allow_nan=False))


def read_document(path: Path, kind: type[Document]) -> Document:
    """The list or the object in a JSON file, an empty one where there is none.

    Raises DamagedError for a file that holds something else.
    """
    if not path.is_file():
        return kind()
    try:
        document = read_json(path)
    except ValueError as error:
        raise damaged(path, f"is not JSON ({error})") from error
    if not isinstance(document, kind):
        raise damaged(path, f"is no JSON {'list' if kind is list else 'object'}")
    return document


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Keep others from changing files of this folder, which is made if missing, meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        yield


def damaged(path: Path, what: str) -> DamagedError:
    """What is wrong with a file, and the remedy."""
    return DamagedError(f"{path} {what}; mend the file or remove it")
