"""Conditional writes in a folder that machines share without locks that all of them trust.

The first content of a file is linked to its name: of two writers one finds that taken. Each later
one has a number, which is taken by a symbolic link of that name; what is to be written waits under
a name of its own, to which that link points. Whoever finds the number taken may move what waits to
its place, and does before the next number is taken: so a writer that wakes up late finds its own
gone, and replaces nothing.
"""

import contextlib
import errno
import os
import re
import uuid
from pathlib import Path

from vifistore.errors import StoreError, shell
from vifistore.files import open_regular
from vifistore.store.key_value.conditional import ChangedError, Seen
from vifistore.store.key_value.durable import fsync_all, put_file

# Those before are of no use to anybody but a writer that sleeps, which finds that there are later.
_KEPT_NUMBERS = 2
_NUMBER, _TOKEN = re.compile(r"[1-9][0-9]{0,17}"), re.compile(r"[0-9a-f]{32}")
# What reading a link gives that is none.
_ODD = (errno.EINVAL, errno.ENOTDIR, errno.EISDIR)


class LinkedFiles:
    """See Conditional. `beside` is a folder on the same disk, for numbers and what waits."""

    def __init__(self, folder: Path, beside: Path) -> None:
        self._folder, self._beside = folder, beside

    def fetch(self, key: str) -> tuple[bytes, Seen] | None:
        """See Conditional."""
        while True:
            number = self._settled(key)
            try:
                with open_regular(self._folder / key) as file:
                    data, changed = file.read(), os.fstat(file.fileno()).st_mtime
            except (FileNotFoundError, NotADirectoryError):
                return None
            # Else it may have been replaced before it was read.
            if self._number(key) == number:
                return data, Seen(e_tag=str(number), generation=None, changed_at=changed)

    def look(self, key: str) -> Seen | None:
        """See Conditional."""
        found = self.fetch(key)
        return found and found[1]

    def swap(self, key: str, data: bytes, seen: Seen | None) -> None:
        """See Conditional."""
        token = uuid.uuid4().hex
        waiting = self._waiting(token)
        put_file(waiting, data)
        try:
            if seen is None:
                self._link(waiting, self._folder / key)
            else:
                self._take(key, int(seen.e_tag or 0) + 1, token)
                with contextlib.suppress(FileNotFoundError):
                    # Another may have moved it.
                    os.rename(waiting, self._folder / key)
            fsync_all([(self._folder / key).parent])
        except FileExistsError as error:
            raise ChangedError(key) from error
        finally:
            waiting.unlink(missing_ok=True)

    def _link(self, waiting: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(waiting, target)
        except FileExistsError:
            # A server may have done it, and been asked again.
            if not target.samefile(waiting):
                raise

    def _take(self, key: str, number: int, token: str) -> None:
        """Have a number. Raises FileExistsError if another has it, or a later one."""
        folder = self._numbers(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise self._odd(folder, "no folder") from error
        try:
            os.symlink(token, folder / str(number))
        except FileExistsError:
            if self._token(key, number) != token:
                raise
        fsync_all([folder])
        # Where it was had in its time, it was moved before the next was taken.
        if self._number(key) > number and self._waiting(token).exists():
            raise FileExistsError(key)
        for old in self._all_numbers(key):
            if old <= number - _KEPT_NUMBERS:
                (folder / str(old)).unlink(missing_ok=True)

    def _settled(self, key: str) -> int:
        """The number of what is in its place, once nothing waits."""
        number = self._number(key)
        if number:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._waiting(self._token(key, number)), self._folder / key)
        return number

    def _token(self, key: str, number: int) -> str:
        """What a number says is to be written.

        Raises FileNotFoundError where it is gone, StoreError for what is no number of ours.
        """
        link = self._numbers(key) / str(number)
        try:
            token = os.readlink(link)
        except OSError as error:
            if error.errno not in _ODD:
                raise
            raise self._odd(link, "no link") from error
        if not _TOKEN.fullmatch(token):
            raise self._odd(link, "a link to something else")
        return token

    def _odd(self, path: Path, what: str) -> StoreError:
        return StoreError(
            f"{path} says in which order a file of the store is written, and is {what}; remove "
            f"{shell(self._beside / 'numbers')} while nobody writes the store"
        )

    def _number(self, key: str) -> int:
        return max(self._all_numbers(key), default=0)

    def _all_numbers(self, key: str) -> list[int]:
        folder = self._numbers(key)
        try:
            return [int(name) for name in os.listdir(folder) if _NUMBER.fullmatch(name)]
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise self._odd(folder, "no folder") from error

    def _numbers(self, key: str) -> Path:
        return self._beside / "numbers" / key

    def _waiting(self, token: str) -> Path:
        return self._beside / "waiting" / token

    def remove(self, key: str) -> None:
        """See Conditional."""
        (self._folder / key).unlink(missing_ok=True)
