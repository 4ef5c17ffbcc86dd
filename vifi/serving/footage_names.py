"""Names in the cache of what is made of a video: it may be older than the store."""

import hashlib

from vifistore.sources.footage import Footage


def footage_name(footage: Footage) -> str:
    """Sixteen hexadecimal digits that change with the video, by its address, size and date.

    Raises OSError.
    """
    stamp = footage.stamp()
    facts = f"{footage} {stamp.size_bytes} {stamp.mtime_ns}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(facts).hexdigest()[:16]
