"""What shards on servers hold, kept for the next scan: it opens those that are new or changed.

To list a shard its headers are read, of a server in a request for every few of its files. On this
machine that takes a tenth of a millisecond a video, and nothing is kept.
"""

import base64
import contextlib
import json
from pathlib import Path

from vifistore.files import read_json_object
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

# Labels and captions of a shard that are more are read again.
_MOST_TEXT_BYTES = 2**26


def told_index(shard: Footage) -> ShardIndex:
    """The files of a shard, with what small ones tell of videos, from the cache folder where it was
    read and has not changed since. Raises as `read_index` does."""
    if isinstance(shard, LocalFile):
        return read_index(shard, is_told)
    stamp = shard.stamp()
    # Without a time another shard of as many bytes would pass for it.
    if known := _known(shard, stamp) if stamp.mtime_ns else None:
        return known
    index = read_index(shard, is_told)
    keep_index(shard, stamp, index.members)
    if stamp.mtime_ns and sum(map(len, index.texts.values())) <= _MOST_TEXT_BYTES:
        _keep(shard, stamp, index)
    return index


def _keep(shard: Footage, stamp: Stamp, index: ShardIndex) -> None:
    texts = {name: base64.b64encode(text).decode() for name, text in index.texts.items()}
    told = {"members": index.members, "texts": texts, "left_out": index.left_out}
    path = _path(shard, stamp)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(told), encoding="ascii")


def _known(shard: Footage, stamp: Stamp) -> ShardIndex | None:
    """What was kept of a shard; None where nothing was, or it is not what was written."""
    try:
        kept = read_json_object(_path(shard, stamp))
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


def _path(shard: Footage, stamp: Stamp) -> Path:
    places = kept_at(shard, stamp)
    return places.parent.with_name("told-shards") / places.name
