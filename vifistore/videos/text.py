"""Text that others wrote: strict UTF-8, with line numbers, and paths that cannot leave the root."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from vifistore.errors import UsageError, first_names

# Far above any list of videos: what is larger is a video or an archive named by mistake.
_LARGEST_BYTES = 1 << 30


def read_text(path: Path) -> tuple[str, str]:
    """The text of a file and the SHA-256 of its bytes; a byte-order mark is dropped.

    Raises UsageError with the line number where the file is not UTF-8.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} is larger than 1 GiB; name a list, a table or a folder")
        content = path.read_bytes()
    except OSError as error:
        remedy = "name a file that exists and can be read"
        raise UsageError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path.name} line {line} is not UTF-8; save it as UTF-8") from error
    return text, hashlib.sha256(content).hexdigest()


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file to tell its format by; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Files of a folder with one of these suffixes, sorted, hidden ones left out.

    Only names with the suffix are asked whether they are files: videos may lie beside them.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.lower().endswith(suffixes)]
    except OSError as error:
        remedy = "make it readable or name another"
        raise UsageError(f"{folder} cannot be read ({error.strerror}); {remedy}") from error
    paths = [folder / name for name in sorted(names) if not name.startswith(".")]
    return [path for path in paths if path.is_file()]


def some(names: Iterable[str], shown: int = 3) -> str:
    """The first few of some names and how many more there are, for one line of a message."""
    return first_names(sorted(set(names)), shown)


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """Stripped non-blank lines with their numbers, from 1.

    Only line feeds end a line: `str.splitlines` would also cut names that hold rarer separators.
    """
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line]


def relative_path(listed: str, root: Path, where: str) -> str:
    """A listed path as a clean POSIX path relative to `root`.

    Raises UsageError for a path that would leave the root, or that cannot be one.
    """
    path = _below_root(listed, root, where) if listed.startswith("/") else listed
    if "\0" in path:
        raise UsageError(f"{where}: the path holds a NUL character; write the list again as text")
    if path in ("", ".", "..") or "//" in path or "./" in path or path.endswith(("/", "/..", "/.")):
        path = _normalised(path, listed, where)
    return path


def _below_root(listed: str, root: Path, where: str) -> str:
    for folder in (str(root), os.path.realpath(root)):
        prefix = folder.rstrip("/") + "/"
        if listed.startswith(prefix):
            return listed[len(prefix) :]
    raise UsageError(f"{where}: {listed!r} is not below the root {root}; name its folder as --root")


def _normalised(path: str, listed: str, where: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UsageError(
            f"{where}: {listed!r} leaves the root; write paths below --root without '..'"
        )
    if not parts:
        raise UsageError(f"{where}: {listed!r} names no video; write a path below --root")
    return "/".join(parts)
