"""A store in an object store: Amazon S3 and what speaks its protocol, Google Cloud, Azure.

Credentials, endpoint and region come from the environment, as that provider's own tools take them
(`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...). A write replaces an object whole, or not at all,
and lasts when it returns. A request that fails as another one may not is made again, after waits
that grow and differ, so that many machines do not come back at once.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
from zarr.abc.store import Store as ZarrStore
from zarr.storage import ObjectStore

from vifistore.errors import StoreError
from vifistore.files import user_cache_folder
from vifistore.sources.asking import FalteringError, NetworkError, tried, without_secrets
from vifistore.store.key_value.conditional import ChangedError, Seen
from vifistore.store.key_value.durable import parallel
from vifistore.store.key_value.object_address import require_plain
from vifistore.store.key_value.storage import StoredFile
from vifistore.temporaries import SUFFIX

_THREADS = 16
# Most of the time of a small request is its way: at 20 ms a request, four times as many answer 3.6
# times as many.
_SMALL_BYTES, _SMALL_THREADS = 2**16, 64

# An answer is waited for that long once the store has given one: hours of work are at stake then.
_PATIENCE_SECONDS = 180.0
# obstore gives up after seconds; it asks again itself for what it does between two requests.
_OWN_TRIES = {"max_retries": 2}
# Larger objects go up in parts, which a kill may leave there, unseen and to be paid for.
_PART_BYTES = 64 * 2**20

# What obstore says of a busy server, a cut connection, and one key of many that was not removed.
_FALTERING = re.compile(
    r"status code: (5\d\d|408|409|429)|HTTP error: (?!builder)|SlowDown|InternalError|Unavailable"
)
_MEETING = "ConditionalRequestConflict"

Result = TypeVar("Result")


class ObjectStorage:
    """A prefix of a bucket; see `Storage` for what each method does."""

    def __init__(self, url: str, *, writable: bool) -> None:
        # First: errors name the address, in which a password may be.
        require_plain(url)
        try:
            # An extra: it may be absent where types are checked.
            import obstore  # pyright: ignore[reportMissingImports]
            from obstore.store import from_url  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise StoreError(
                f"{url} needs the package obstore; install it with: pip install 'vifistore[s3]'"
            ) from error
        if obstore.__version__ == "0.9.0":
            # It forgets the prefix where it removes.
            raise StoreError(
                f"obstore 0.9.0 would remove objects beside {url}; replace it with: "
                "pip install 'vifistore[s3]'"
            )
        self.location = url
        name = f"{url.rsplit('/', 1)[-1]}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
        self.cache_folder = user_cache_folder() / name
        self._obstore = obstore
        self._patience_seconds = 0.0
        self._objects = self._ask(from_url, url, retry_config=_OWN_TRIES)
        # Nothing was asked for yet: a wrong address is told of early.
        self._patience_seconds = 0.0
        self.zarr_store: ZarrStore = ObjectStore(self._objects, read_only=not writable)

    def threads(self, num_bytes: int) -> int:
        """See Storage. Each waits for the network."""
        return _SMALL_THREADS if num_bytes < _SMALL_BYTES else _THREADS

    def exists(self, key: str) -> bool:
        """See Storage."""
        try:
            self._ask(self._obstore.head, self._objects, key)
        except FileNotFoundError:
            return False
        return True

    def folders(self, key: str) -> list[str]:
        """See Storage."""
        listing = self._ask(self._obstore.list_with_delimiter, self._objects, prefix=f"{key}/")
        return [prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in listing["common_prefixes"]]

    def get(self, key: str) -> bytes:
        """See Storage."""
        return self._ask(lambda: self._obstore.get(self._objects, key).bytes().to_bytes())

    def tail(self, key: str, num_bytes: int) -> bytes:
        """See Storage. Raises OSError for a file that is shorter."""

        def read() -> bytes:
            # It counts from the start alone.
            is_azure = self.location.startswith("az:")
            size = self._obstore.head(self._objects, key)["size"] if is_azure else 0
            wanted = (max(size - num_bytes, 0), size) if is_azure else {"suffix": num_bytes}
            how: Any = {"options": {"range": wanted}}
            result = self._obstore.get(self._objects, key, **how)
            is_other = is_azure and result.meta["size"] != size
            return read() if is_other else result.bytes().to_bytes()

        found = self._ask(read)
        if len(found) < num_bytes:
            raise OSError(f"{self.location}/{key} is too short")
        return found

    def read_into(self, key: str, *buffers: np.ndarray) -> int:
        """See Storage; uint8 [byte] each."""
        data = np.frombuffer(self.get(key), np.uint8)
        position = 0
        for buffer in buffers:
            part = data[position : position + len(buffer)]
            buffer[: len(part)] = part
            position += len(buffer)
        return len(data)

    def read_ranges(self, key: str, offsets: Sequence[int], buffers: Sequence[np.ndarray]) -> None:
        """See Storage; uint8 [byte] each. Raises OSError as there."""
        ends = [start + len(buffer) for start, buffer in zip(offsets, buffers, strict=True)]
        ranges = self._ask(
            self._obstore.get_ranges, self._objects, key, starts=list(offsets), ends=ends
        )
        for buffer, data in zip(buffers, ranges, strict=True):
            part = np.frombuffer(memoryview(data), np.uint8)
            if len(part) < len(buffer):
                raise OSError(f"{self.location}/{key} is too short")
            buffer[:] = part

    def put(self, *stages: Mapping[str, Sequence]) -> None:
        """See Storage. Raises StoreError where there is no bucket."""

        def put_one(item: tuple[str, Sequence]) -> None:
            key, buffers = item
            try:
                data = b"".join(map(bytes, buffers))
                self._ask(self._obstore.put, self._objects, key, data, chunk_size=_PART_BYTES)
            except FileNotFoundError as error:
                raise StoreError(
                    f"there is no bucket for {self.location}; make the bucket first"
                ) from error

        for files in stages:
            parallel(put_one, files.items(), _THREADS)

    def fetch(self, key: str) -> tuple[bytes, Seen] | None:
        """See Conditional."""

        def read() -> tuple[bytes, Seen]:
            found = self._obstore.get(self._objects, key)
            return found.bytes().to_bytes(), _seen(found.meta)

        try:
            return self._ask(read)
        except FileNotFoundError:
            return None

    def look(self, key: str) -> Seen | None:
        """See Conditional."""
        try:
            return _seen(self._ask(self._obstore.head, self._objects, key))
        except FileNotFoundError:
            return None

    def swap(self, key: str, data: bytes, seen: Seen | None) -> None:
        """See Conditional."""
        known = {"e_tag": seen.e_tag, "version": seen.generation} if seen else {}
        # obstore's own type of a mode is not there without it.
        mode: Any = {k: told for k, told in known.items() if told is not None} or "create"
        errors = self._obstore.exceptions
        try:
            self._ask(self._obstore.put, self._objects, key, data, mode=mode)
        except (errors.AlreadyExistsError, errors.PreconditionError) as error:
            raise ChangedError(key) from error
        except FileNotFoundError as error:
            # Of an object that is gone; an S3 server says so where it was to be replaced.
            raise ChangedError(key) from error

    def files(self, key: str) -> Iterator[StoredFile]:
        """See Storage."""
        # Without its slash, `a/b` would also be the prefix of `a/bc`.
        prefix, listing, last = f"{key}/" if key else "", None, None

        def more() -> list[Mapping]:
            nonlocal listing
            listing = listing or self._obstore.list(self._objects, prefix=prefix, offset=last)
            try:
                return list(next(listing, ()))
            except self._obstore.exceptions.BaseError:
                # It has ended; another one goes on behind what is known.
                listing = None
                raise

        while batch := self._ask(more):
            last = batch[-1]["path"]
            yield from map(_stored_file, batch)
        if key and self.exists(key):
            # Some releases of obstore give the store's prefix before it.
            yield _stored_file({**self._ask(self._obstore.head, self._objects, key), "path": key})

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """See Storage. A folder is there as long as something is in it."""
        folders: dict[str, list[str]] = {"": []}
        for file in self.files(""):
            *parents, name = file.key.split("/")
            folders.setdefault("/".join(parents), []).append(name)
            # Those above a folder that is known are known.
            while parents and (above := "/".join(parents[:-1])) not in folders:
                folders[above] = []
                parents.pop()
        yield from folders.items()

    def remove(self, key: str) -> None:
        """See Storage."""
        if keys := [file.key for file in self.files(key)]:
            self._ask(self._obstore.delete, self._objects, keys)

    def free_bytes(self) -> int | None:
        """See Storage."""
        return None

    def writing(self) -> AbstractContextManager[None]:
        """See Storage. An object is there whole or not at all."""
        return nullcontext()

    def alone(self) -> AbstractContextManager[bool]:
        """See Storage. Locks are of one machine."""
        return nullcontext(False)

    def leftovers(self, key: str, leave_out: Callable[[str], bool]) -> list[str]:
        """See Storage. Such files come with a store that was copied there."""
        return [file.key for file in self.files(key) if file.key.endswith(SUFFIX)]

    def _ask(self, function: Callable[..., Result], *args: object, **options: object) -> Result:
        """Call a function of obstore, again where it fails as another try may not.

        What is missing raises FileNotFoundError, what was refused by a condition obstore's error of
        that, any other failure StoreError, in one line.
        """
        answers = self._obstore.exceptions
        refusals = (answers.AlreadyExistsError, answers.PreconditionError)

        def ask() -> Result:
            try:
                return function(*args, **options)
            except answers.BaseError as error:
                # Azure says 409 where S3 says 412, and S3 says 409 where two writes meet.
                is_refused = isinstance(error, refusals) and _MEETING not in str(error)
                if not is_refused and _FALTERING.search(str(error)):
                    raise FalteringError(error) from error
                raise

        try:
            # Once it has answered it is waited for by many at once.
            what = "" if self._patience_seconds else self.location
            answer = tried(ask, for_seconds=self._patience_seconds, what=what)
        except FileNotFoundError:
            self._patience_seconds = _PATIENCE_SECONDS
            raise
        except (NetworkError, answers.BaseError) as error:
            if isinstance(error, refusals):
                raise
            raise StoreError(
                f"{self.location} does not answer ({without_secrets(error)}); check the URL, the "
                "network and the credentials in the environment"
            ) from error
        self._patience_seconds = _PATIENCE_SECONDS
        return answer


def _seen(found: Mapping) -> Seen:
    return Seen(
        e_tag=found["e_tag"],
        generation=found["version"],
        changed_at=found["last_modified"].timestamp(),
    )


def _stored_file(found: Mapping) -> StoredFile:
    return StoredFile(
        key=found["path"],
        size_bytes=found["size"],
        changed_at=found["last_modified"].timestamp(),
        version=found["e_tag"] or f"{found['version']} {found['last_modified']}",
    )
