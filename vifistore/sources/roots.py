"""From where the paths of a dataset start, and a path below it, to the bytes of a video."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from vifistore.errors import UsageError
from vifistore.sources.buckets import BucketFile, BucketRoot
from vifistore.sources.footage import Footage, LocalFile
from vifistore.sources.remote_file import RemoteFile
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.shard_index import Member
from vifistore.sources.shard_member import ShardMember
from vifistore.sources.web import WebFile, WebRoot

Root = Path | RemoteRoot
"""Where the paths of a dataset's videos start: a folder, or a place of a server."""

# A path of the command line arrives with its two slashes merged into one.
_URL = re.compile(r"(s3|gs|az|https?):/+([^/].*?)/*", re.DOTALL | re.IGNORECASE)


# What follows it on a path lies in a shard.
_SHARD = re.compile(r"\.tar/", re.IGNORECASE)


def root_of(place: str | Path | RemoteRoot) -> Root:
    """Where paths start, from its text. Raises UsageError for a URL with more than an address."""
    if isinstance(place, RemoteRoot) or not (match := _URL.fullmatch(str(place))):
        return place if isinstance(place, RemoteRoot | Path) else Path(place)
    scheme, rest = match[1].lower(), match[2]
    host = rest.partition("/")[0]
    if "@" in host or "?" in rest or "#" in rest:
        raise UsageError(
            f"the address at {host.rpartition('@')[2].partition('?')[0]} holds a query, a fragment "
            "or a password, which would lie in the store; give it without, and a user in ~/.netrc"
        )
    return (WebRoot if scheme.startswith("http") else BucketRoot)(f"{scheme}://{rest}")


def footage_at(root: Root, path: str, told_bytes: int = 0) -> Footage:
    """The video at a path below a root, of a size that is known, or 0."""
    shard, name = _in_shard(root, path)
    if shard:
        return ShardMember(_file_at(root, shard, 0), name, told_bytes)
    return _file_at(root, path, told_bytes)


def _file_at(root: Root, path: str, told_bytes: int) -> LocalFile | RemoteFile:
    return LocalFile(root / path) if isinstance(root, Path) else root.file(path, told_bytes)


def _in_shard(root: Root, path: str) -> tuple[str, str]:
    """The shard on a path and what it names there; two empty texts where there is none."""
    for match in _SHARD.finditer(path):
        shard, name = path[: match.end() - 1], path[match.end() :]
        # A folder may be called like a shard.
        if not (isinstance(root, Path) and (root / shard).is_dir()):
            return shard, name
    return "", ""


def footage_of(video: str | Path | Footage) -> Footage:
    """A video as whoever calls a function gives it. A relative path is one of this folder."""
    if isinstance(video, Footage):
        return video
    if isinstance(video, str) and isinstance(url := root_of(video), RemoteRoot):
        return _remote_file(url.url, 0)
    # Absolute, so that FFmpeg takes no name for an address or an option.
    return LocalFile(Path(video).absolute())


def footage_of_wire(wire: Sequence[str | int]) -> Footage:
    """What `Footage.wire` tells of."""
    match wire:
        case ["file", str(path)]:
            return LocalFile(Path(path))
        case ["url", str(url), int(told_bytes)]:
            return _remote_file(url, told_bytes)
        case ["member", str(name), int(told_bytes), int(offset), int(size), *shard]:
            place = Member(offset, size) if offset >= 0 else None
            file = footage_of_wire(shard)
            assert isinstance(file, LocalFile | RemoteFile), "no shard lies in another one"
            return ShardMember(file, name, told_bytes, place)
    raise AssertionError(f"{wire} is no footage")


def _remote_file(url: str, told_bytes: int) -> RemoteFile:
    return (WebFile if url.startswith("http") else BucketFile)(url, told_bytes)


class Values(Protocol):
    """What the videos of a dataset have, [video]: an array, or what is read as it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True)
class VideoFiles:
    """The videos of a dataset's rows, or of some of them, opened one by one."""

    root: Root
    paths: Values
    """object [video], below the root"""
    sizes: Values
    """int64 [video]: bytes as they were scanned, 0 where they are not known."""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Footage:
        return footage_at(self.root, str(self.paths[row]), int(self.sizes[row]))

    def __iter__(self) -> Iterator[Footage]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: np.ndarray | slice) -> Self:
        """Those of some rows, int64 [video]."""
        return replace(self, paths=self.paths[rows], sizes=self.sizes[rows])

    def different(self, most: int) -> Self:
        """At most so many of different paths, evenly among all: stretches of one file are one."""
        # Of millions a table of the paths themselves would take a gigabyte.
        hashes = np.fromiter(map(hash, self.paths), np.int64, len(self))
        # numpy's `unique` takes half a gigabyte of ten million.
        ordered = np.sort(hashes)
        if (ordered[1:] != ordered[:-1]).all():
            return self.take(evenly(len(self), most))
        del ordered
        first = np.sort(np.unique(hashes, return_index=True)[1])
        return self.take(first[evenly(len(first), most)])


def evenly(count: int, most: int) -> np.ndarray:
    """At most so many of `count` places, int64 [place], evenly among all."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
