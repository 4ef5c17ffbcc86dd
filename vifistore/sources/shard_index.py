"""What lies in a shard, an uncompressed tar file: by name, where each member begins, and its size.

Nothing is unpacked: names name rows, and no files.
"""

import contextlib
import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from io import SEEK_END, BufferedIOBase
from pathlib import Path
from typing import NamedTuple

from vifistore.errors import UsageError, first_few, first_line, short
from vifistore.files import read_json_object, user_cache_folder
from vifistore.sources.footage import Footage, LocalFile, Stamp, opened
from vifistore.sources.pieces import Window
from vifistore.temporaries import atomic_path

# Beyond it a header is none: names and times have room in far less.
_LARGEST_HEADER = 2**20
_LARGEST_TEXT = 2**20
_MAGIC = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\x00": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BLOCK_BYTES = 512


class Member(NamedTuple):
    """Where a file lies in its shard, in bytes."""

    offset: int
    size_bytes: int


@dataclass(kw_only=True)
class ShardIndex:
    """The files of a shard."""

    members: dict[str, Member] = field(default_factory=dict)
    """By their path in it."""
    texts: dict[str, bytes] = field(default_factory=dict)
    """What small files hold that were asked for."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """What is wrong, and the names of what was left out for it."""

    def leave_out(self, what: str, name: str) -> None:
        """Take note of something that is none of the files."""
        self.left_out.setdefault(what, []).append(name)

    def notes(self) -> list[str]:
        """One line for each kind of thing that was left out."""
        return [f"{what}: {first_few(names)}" for what, names in self.left_out.items()]


def is_shard(name: str) -> bool:
    """Whether the name is that of a shard."""
    return name.lower().endswith(".tar")


def is_told(name: str) -> bool:
    """Whether a file of a shard may tell something of a video, as WebDataset has it."""
    return name.lower().endswith((".cls", ".txt", ".json"))


def read_index(shard: Footage, keeps: Callable[[str], bool] = lambda _: False) -> ShardIndex:
    """The files of a shard, and what those hold of whose names `keeps` is true.

    Raises UsageError for what is no uncompressed tar file, OSError where it cannot be read.
    """
    index = ShardIndex()
    with shard.at_hand(0) as readable, opened(readable) as file:
        magic = file.read(8)
        for start, command in _MAGIC.items():
            if magic.startswith(start):
                raise UsageError(
                    f"{shard} is compressed, so that no video in it can be found by its place; "
                    f"unpack it to a plain tar first, with {command}"
                )
        size = file.seek(0, SEEK_END)
        for info in _infos(file, size, shard, index):
            _take(info, size, index)
            if info.isreg() and info.size <= _LARGEST_TEXT and keeps(info.name):
                name = _name(info)
                if name in index.members:
                    file.seek(info.offset_data)
                    index.texts[name] = file.read(info.size)
    return index


def _infos(
    file: BufferedIOBase, size: int, shard: Footage, index: ShardIndex
) -> Iterator[tarfile.TarInfo]:
    headers = Window(file, 0, size, most_bytes=_LARGEST_HEADER)
    try:
        with tarfile.open(fileobj=headers, mode="r:") as tar:
            while (info := tar.next()) is not None:
                yield info
            file.seek(tar.offset)
            if any(file.read(_BLOCK_BYTES)):
                index.leave_out("damaged, and read up to there", f"byte {tar.offset:,}")
    except (tarfile.TarError, ValueError, EOFError) as error:
        if not index.members and not index.left_out:
            raise UsageError(
                f"{shard} is no tar file ({first_line(error)}); name shards that are, or remove it"
            ) from error
        index.leave_out("it ends before it should", short(first_line(error)))


def _take(info: tarfile.TarInfo, size: int, index: ShardIndex) -> None:
    name = _name(info)
    if not info.isreg() or info.issparse():
        if not info.isdir():
            index.leave_out("links and special files", name)
    elif not name or ".." in name.split("/") or info.name.startswith("/"):
        index.leave_out("names that leave the shard", name or "empty")
    elif _UNPRINTABLE.search(name):
        index.leave_out("names are not UTF-8 or hold control characters", ascii(name))
    elif info.size < 0 or info.offset_data + info.size > size:
        index.leave_out("larger than the shard itself, which may be cut short", name)
    else:
        if name in index.members:
            index.leave_out("more than once, the last is taken", name)
        index.members[name] = Member(info.offset_data, info.size)


def _name(info: tarfile.TarInfo) -> str:
    return "/".join(part for part in info.name.split("/") if part not in ("", "."))


@lru_cache(64)
def index_of(shard: Footage, stamp: Stamp) -> dict[str, Member]:
    """The files of a shard that has this stamp, from the cache folder where it is on a server.

    Raises as `read_index` does.
    """
    if isinstance(shard, LocalFile):
        return read_index(shard).members
    try:
        kept = read_json_object(kept_at(shard, stamp))
        return {name: member_of(place, stamp) for name, place in kept.items()}
    except (OSError, ValueError):
        return keep_index(shard, stamp, read_index(shard).members)


def keep_index(shard: Footage, stamp: Stamp, members: dict[str, Member]) -> dict[str, Member]:
    """Keep what a shard on a server holds for the next time, where that can be done."""
    path = kept_at(shard, stamp)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(members), encoding="ascii")
    return members


def kept_at(shard: Footage, stamp: Stamp) -> Path:
    """Where the places of the files of a shard of this stamp are kept."""
    told = f"{shard} {stamp.size_bytes} {stamp.mtime_ns}"
    name = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return user_cache_folder() / "shards" / f"{name}.json"


def member_of(place: object, stamp: Stamp) -> Member:
    """Where a file lies, of what was kept. Raises ValueError for what cannot be."""
    match place:
        case [int(offset), int(size)] if 0 <= offset <= offset + size <= stamp.size_bytes:
            return Member(offset, size)
    raise ValueError(f"{place!r:.40} is no place in the shard")
