"""What shards hold, kept for the next scan: it opens those that are new or changed.

To list a shard its headers are read: of a server in a request for every few of its files, on this
machine in a tenth of a millisecond a video, and of a cold disk in a seek.
"""

import base64
import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from vifistore.files import read_json_object, user_cache_folder
from vifistore.sources.footage import Footage, LocalFile, Stamp
from vifistore.sources.shard_index import (
    ShardIndex,
    is_told,
    keep_index,
    kept_at,
    member_of,
    read_index,
)
from vifistore.temporaries import atomic_path

# Of what was written so lately the date may not tell whether it is written once more.
_SETTLED_SECONDS = 2.0
# Labels and captions of a shard that are more are read again.
_MOST_TEXT_BYTES = 2**26


def told_index(shard: Footage) -> ShardIndex:
    """The files of a shard, with what small ones tell of videos, from the cache folder where it was
    read and has not changed since. Raises as `read_index` does."""
    if isinstance(shard, LocalFile):
        return _told_here(shard)
    stamp = shard.stamp()
    # Without a time another shard of as many bytes would pass for it.
    path = _folder() / kept_at(shard, stamp).name
    if known := _known(path, stamp) if stamp.mtime_ns else None:
        return known
    index = read_index(shard, is_told)
    keep_index(shard, stamp, index.members)
    if stamp.mtime_ns:
        _keep(path, index)
    return index


def _told_here(shard: LocalFile) -> ShardIndex:
    """As `told_index`, of a shard on this machine."""
    stamp, name = shard.stamp(), _name_here(shard.path)
    path = _folder() / name
    if known := _known(path, stamp):
        return known
    index = read_index(shard, is_told)
    is_settled = time.time() - stamp.mtime_ns / 1e9 > _SETTLED_SECONDS
    if is_settled and name == _name_here(shard.path):
        _keep(path, index)
    return index


def _name_here(path: Path) -> str:
    """Of what is kept of a shard. A copy over it that has its size and its date has another one."""
    told = os.stat(path)
    times = told.st_mtime_ns, told.st_ctime_ns
    facts = (os.path.realpath(path), told.st_dev, told.st_ino, told.st_size, *times)
    text = " ".join(map(str, facts)).encode("utf-8", "surrogateescape")
    return f"{hashlib.sha256(text).hexdigest()[:32]}.json"


def _keep(path: Path, index: ShardIndex) -> None:
    if sum(map(len, index.texts.values())) > _MOST_TEXT_BYTES:
        return
    texts = {name: base64.b64encode(text).decode() for name, text in index.texts.items()}
    told = {"members": index.members, "texts": texts, "left_out": index.left_out}
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(told), encoding="ascii")


def _known(path: Path, stamp: Stamp) -> ShardIndex | None:
    """What was kept of a shard; None where nothing was, or it is not what was written."""
    try:
        kept = read_json_object(path)
        members = {name: member_of(place, stamp) for name, place in kept["members"].items()}
        texts = {
            name: base64.b64decode(text, validate=True) for name, text in kept["texts"].items()
        }
        left_out = {what: [*map(_word, names)] for what, names in kept["left_out"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    is_whole = texts.keys() <= members.keys()
    return ShardIndex(members=members, texts=texts, left_out=left_out) if is_whole else None


def _word(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{name!r:.40} is no name")
    return name


def _folder() -> Path:
    return user_cache_folder() / "told-shards"
