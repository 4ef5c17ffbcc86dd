"""Addresses of stores in an object store: which they are, and which would be read as another."""

import re
from pathlib import Path
from urllib.parse import unquote

from vifistore.errors import UsageError

# A path of the command line arrives with its two slashes merged into one.
_URL = re.compile(r"(s3|gs|az):/+(.+?)/*")
_OTHER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")


def object_url(location: str | Path) -> str | None:
    """Return `location` as the URL of an object store, None if it is a path.

    Raises UsageError for the address of anything else.
    """
    match = _URL.fullmatch(str(location))
    if not match and (other := _OTHER.match(str(location))):
        raise UsageError(
            f"{other[0]} is no place of a store; give the path of a folder, or s3://BUCKET/NAME, "
            "gs:// or az://"
        )
    return f"{match[1]}://{match[2]}" if match else None


def require_plain(url: str) -> None:
    """Raise UsageError for an address of which a part would be passed over: stores of two addresses
    would lie in one place."""
    bucket, _, path = url.partition("://")[2].partition("/")
    folders = unquote(path).split("/") if path else []
    if not _BUCKET.fullmatch(bucket) or set(path) & set("#?\\") or {"", ".", ".."} & {*folders}:
        raise UsageError(
            f"the address of a store in {bucket.rpartition('@')[2]!r} has a user, a port, a query "
            "or a fragment, or a folder that is called '.' or '..' or nothing; give "
            "s3://BUCKET/NAME, where %23 stands for # and %3F for ?"
        )
