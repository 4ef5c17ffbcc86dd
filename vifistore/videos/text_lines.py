"""Text that others wrote: strict UTF-8 or marked UTF-16, with line numbers, and clean paths."""

import codecs
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from vifistore.errors import UsageError, first_few
from vifistore.files import open_regular, read_regular
from vifistore.pointers import HEAD_BYTES, pointer_told
from vifistore.sources.roots import Root

_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")
# The mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> tuple[str, str]:
    """The text of a file and the SHA-256 of its bytes; a byte-order mark is dropped.

    UTF-8, or UTF-16 or UTF-32 with a byte-order mark, as spreadsheets save it. Raises UsageError
    with the line number where the file is none of these, and for a pointer to a file not fetched.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        remedy = "name a list or a table that exists and can be read"
        raise UsageError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    if description := pointer_told(content[:HEAD_BYTES]):
        raise UsageError(f"{path.name}: {description}")
    if content.startswith(_ARCHIVES):
        raise UsageError(f"{path.name} is a spreadsheet or an archive; save it as CSV text")
    text = decoded(content, path.name)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UsageError(f"{path.name} line {line} holds a NUL character; save it as UTF-8 text")
    return text, hashlib.sha256(content).hexdigest()


def decoded(content: bytes, name: str = "", errors: str = "strict") -> str:
    """Bytes as text, whose line ends are line feeds or lie before them. Raises UsageError."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding, errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        description = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise UsageError(f"{name} line {line} is not {description}; save it as UTF-8") from error
    # Old spreadsheets on a Mac end lines so.
    return text if "\n" in text else text.replace("\r", "\n")


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file to tell its format by; none where it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(count)
    except OSError:
        return b""


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Files of a folder with one of these suffixes, sorted, hidden ones left out.

    Only names with the suffix are asked whether they are files: videos may lie beside them. Raises
    UsageError where the folder cannot be read.
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
    return first_few(sorted(set(names)), shown)


def relative_path(listed: str, root: Root, where: str) -> str:
    """A listed path as a clean POSIX path relative to `root`.

    Raises UsageError for a path that would leave the root, or that cannot be one.
    """
    path = _below_root(listed, root, where) if listed.startswith("/") else listed
    if "\0" in path:
        raise UsageError(f"{where}: the path holds a NUL character; write the list again as text")
    if path in ("", ".", "..") or "//" in path or "./" in path or path.endswith(("/", "/..", "/.")):
        path = _normalised(path, listed, where)
    return path


def _below_root(listed: str, root: Root, where: str) -> str:
    for folder in (str(root), os.path.realpath(root) if isinstance(root, Path) else str(root)):
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
