"""`results.jsonl`: result rows are appended, and the last of a key wins.

append_rows("results", [row])       # safe against a kill, and between processes
rows = read_rows("results")         # list[ResultRow]
frame = read_frame("results", ["metric=top1"])      # a pandas.DataFrame, one column a field
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from harness.results.conditions import rows_where
from harness.results.result_row import ResultRow, from_record, to_frame, to_record
from harness.results.whole_files import made_folder
from vifistore.errors import DamagedError, UsageError
from vifistore.files import locked, parse_json, read_regular, regular_opener, write_all

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

FILE_NAME = "results.jsonl"
_LOCK = ".lock"
_REMEDY = "remove or mend that line, or point to another results folder"


def append_rows(folder: str | Path, rows: Iterable[ResultRow]) -> None:
    """Append rows to `folder/results.jsonl`, made if missing, and wait until they are on disk.

    A last line torn by a killed writer is cut off first, with a line in the log. Several
    processes may append at once. Raises UsageError when `folder` is not a folder.
    """
    lines = b"".join(_encode(row) for row in rows)
    if not lines:
        return
    path = made_folder(folder) / FILE_NAME
    is_new = not path.exists()
    # A file of its own: some versions of the library that locks it empty what they open.
    with locked(path.with_name(_LOCK)), open(path, "a+b", 0, opener=regular_opener) as file:
        _mend_tail(file, path)
        write_all(file.fileno(), lines)
        os.fsync(file.fileno())
    if is_new:
        _sync_folder(path.parent)


def read_rows(folder: str | Path) -> list[ResultRow]:
    """Rows in the order they were first written; of several with one key, the last.

    A torn last line is left out with a line in the log. A folder without results gives an empty
    list. Raises UsageError when there is no such folder, DamagedError for any other bad line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"no results folder {folder}: name one that `vifi evaluate` wrote")
    path = folder / FILE_NAME
    if not path.exists():
        return []
    rows: dict[tuple, ResultRow] = {}
    for row in _parse_lines(path):
        rows[row.key] = row
    return list(rows.values())


def read_frame(folder: str | Path, where: Sequence[str] = ()) -> "pd.DataFrame":
    """`read_rows` as a table, see `to_frame`: of all rows, or of those of which the conditions
    `where` hold (`rows_where`). Raises what both do."""
    return to_frame(rows_where(read_rows(folder), where))


def _encode(row: ResultRow) -> bytes:
    text = json.dumps(to_record(row), allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode("utf-8")


def _parse_lines(path: Path) -> Iterator[ResultRow]:
    lines = read_regular(path).split(b"\n")
    tail = lines.pop()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse_line(line, path, number)
    if tail and not _is_row(tail):
        logger.warning("%s: the last line was torn by a killed writer and is left out", path)
    elif tail:
        yield _parse_line(tail, path, len(lines) + 1)


def _parse_line(line: bytes, path: Path, number: int) -> ResultRow:
    try:
        return from_record(parse_json(line))
    except UsageError as error:
        raise DamagedError(f"{path}, line {number}: {error}; {_REMEDY}") from error
    except ValueError as error:
        message = f"{path}, line {number}: not a result row ({error}); {_REMEDY}"
        raise DamagedError(message) from error


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def _mend_tail(file: BinaryIO, path: Path) -> None:
    """End the file with a newline: complete a whole last row, cut off a torn one."""
    file.seek(0)
    content = file.read()
    tail = content.rpartition(b"\n")[2]
    if not tail:
        return
    if _is_row(tail):
        write_all(file.fileno(), b"\n")
        return
    logger.warning("%s: the last line was torn by a killed writer and is removed", path)
    file.truncate(len(content) - len(tail))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
