"""Files of object stores, through obstore: Amazon S3 and what speaks its protocol, Google Cloud.

Credentials, endpoint and region come from the environment, as for stores that lie there.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from vifistore.errors import UsageError
from vifistore.sources.asking import (
    PASSING,
    FalteringError,
    NetworkError,
    tried,
    without_secrets,
)
from vifistore.sources.footage import Stamp
from vifistore.sources.remote_file import RemoteFile, ServerAnswer
from vifistore.sources.remote_root import RemoteRoot

_PARTS = re.compile(r"(\w+://[^/]+)/?(.*)", re.DOTALL)
_STATUS = re.compile(r"status code: (\d{3})")
_PIECE_BYTES = 2**20
_EMPTY = 416
# Where a machine of a cloud asks for credentials, as obstore does where the environment has none.
_CREDENTIALS = re.compile(r"/latest/(api/token|meta-data/)|/computeMetadata/|/metadata/identity/")
_VARIABLES = ("AWS_", "GOOGLE_", "AZURE_")


class BucketFile(RemoteFile):
    """An object of a bucket."""

    def stamp(self) -> Stamp:
        """See RemoteFile."""
        answer = tried(self._head)
        return Stamp(size_bytes=answer.size_bytes, mtime_ns=answer.mtime_ns)

    @contextlib.contextmanager
    def ask(self, start: int, stop: int | None) -> Iterator[ServerAnswer]:
        """See RemoteFile."""
        obstore, bucket, key = _object(self.address)
        # Without a range, since there is none of an empty object.
        part = {"offset": start} if stop is None else (start, stop)
        options = {"range": part} if start or stop is not None else {}
        try:
            with _failures(obstore):
                result = obstore.get(bucket, key, options=options)
        except _NoRangeError:
            answer = self._head()
        else:
            answer = _answer(result.meta, result.range[0], _pieces(obstore, result))
        yield answer

    def _head(self) -> ServerAnswer:
        obstore, bucket, key = _object(self.address)
        with _failures(obstore):
            return _answer(obstore.head(bucket, key), 0, iter(()))


class Listed(NamedTuple):
    """What a folder of a bucket holds, by name."""

    files: list[str]
    folders: list[str]


class BucketRoot(RemoteRoot):
    """A prefix of a bucket."""

    can_list = True

    def file(self, path: str, told_bytes: int = 0) -> BucketFile:
        """See RemoteRoot."""
        return BucketFile(f"{self.url}/{path}", told_bytes)

    def listed(self, path: str) -> Listed:
        """What lies at a path below it. Raises NetworkError."""
        obstore, bucket, key = _object(f"{self.url}/{path}" if path else self.url)
        prefix = f"{key.rstrip('/')}/" if key else ""

        def ask() -> Mapping[str, Any]:
            with _failures(obstore):
                return obstore.list_with_delimiter(bucket, prefix=prefix)

        found = tried(ask, what=self.url)
        return Listed(
            files=[_last(file["path"]) for file in found["objects"]],
            folders=[_last(folder.rstrip("/")) for folder in found["common_prefixes"]],
        )


class _NoRangeError(Exception):
    """There is no such range in the object: it is empty, or shorter than it was."""


@contextlib.contextmanager
def _failures(obstore: Any) -> Iterator[None]:
    """Raise what obstore fails with as `RemoteFile.ask` says."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(404, "there is no such object") from error
    except (
        obstore.exceptions.PermissionDeniedError,
        obstore.exceptions.UnauthenticatedError,
    ) as error:
        raise NetworkError(
            "access to it is denied; check the credentials in the environment"
        ) from error
    except obstore.exceptions.BaseError as error:
        found = _STATUS.search(str(error))
        status = int(found[1]) if found else 0
        if status == _EMPTY:
            raise _NoRangeError from error
        # Where it asked, and for how long, stands before.
        told = without_secrets(error).rpartition(" - ")[2].removeprefix("HTTP error: ")
        told = f"the server answers {status}" if status else told
        if _CREDENTIALS.search(str(error)):
            told = f"the environment has no credentials, and this machine gives none: {told}"
        if status and status not in PASSING:
            raise NetworkError(told) from error
        raise FalteringError(told) from error


def _bucket(url: str) -> Any:
    told = sorted(item for item in os.environ.items() if item[0].startswith(_VARIABLES))
    return _bucket_as_told(url, tuple(told))


@lru_cache(16)
def _bucket_as_told(url: str, told: tuple[tuple[str, str], ...]) -> Any:
    """A bucket, for what the environment tells of it."""
    from obstore.store import from_url  # pyright: ignore[reportMissingImports]

    # It is asked again here, for all kinds of servers alike.
    return from_url(url, retry_config={"max_retries": 0})


def _object(url: str) -> tuple[Any, Any, str]:
    """obstore, a bucket, and the key of what a URL names."""
    try:
        # An extra: it may be absent where types are checked.
        import obstore  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{url} needs the package obstore; install it with: pip install 'vifistore[s3]'"
        ) from error
    match = _PARTS.fullmatch(url)
    assert match is not None, "roots are checked"
    with _failures(obstore):
        return obstore, _bucket(match[1]), match[2]


def _answer(meta: Mapping[str, Any], start: int, pieces: Iterator[bytes]) -> ServerAnswer:
    changed = meta["last_modified"]
    # In whole seconds, as answers for an object have it, wherever it comes from.
    mtime_ns = max(0, int(changed.timestamp())) * 10**9
    version = meta.get("e_tag") or str(changed)
    return ServerAnswer(
        start=start, size_bytes=meta["size"], mtime_ns=mtime_ns, version=version, pieces=pieces
    )


def _pieces(obstore: Any, result: Any) -> Iterator[bytes]:
    with _failures(obstore):
        for piece in result.stream(min_chunk_size=_PIECE_BYTES):
            yield bytes(piece)


def _last(path: str) -> str:
    return path.rpartition("/")[2]
