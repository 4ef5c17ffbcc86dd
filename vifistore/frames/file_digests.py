"""Content digests of files of which many stretches are wanted: each is read for it once, as long as
its stretches follow one another."""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Condition

from vifistore.errors import DecodeError
from vifistore.frames.digests import content_digest
from vifistore.sources.footage import Footage, Stamp


def _stamp(footage: Footage) -> Stamp | None:
    try:
        return footage.stamp()
    except OSError:
        return None


@dataclass(kw_only=True, eq=False)
class SharedDigest:
    """The digest of one file, taken by whoever comes first, while the others wait for it."""

    footage: Footage
    _stamp: Stamp | None = None
    _digest: str = ""
    _is_being_taken: bool = False
    _changed: Condition = field(default_factory=Condition)

    def claim(self) -> bool:
        """Whether the caller is to take it, and to `tell` it: nobody has, of the file as it is."""
        stamp = _stamp(self.footage)
        with self._changed:
            is_known = bool(self._digest) and stamp == self._stamp
            if is_known or self._is_being_taken:
                return False
            self._digest, self._stamp, self._is_being_taken = "", stamp, True
            return True

    def tell(self, digest: str) -> None:
        """Give it to those who wait; empty if it could not be taken."""
        with self._changed:
            self._digest, self._is_being_taken = digest, False
            self._changed.notify_all()

    def get(self) -> str:
        """The digest, waited for, or taken if whoever should have could not. Raises DecodeError and
        OSError for a file that cannot be read."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_being_taken)
            if self._digest:
                return self._digest
        if self.claim():
            digest = ""
            try:
                digest = content_digest(self.footage)
            finally:
                self.tell(digest)
        return self.get()


# Files whose digests are remembered: more than are under way at once.
_REMEMBERED = 4096


class FileDigests:
    """The digests of the files that a run came to last, by address."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, SharedDigest] = OrderedDict()

    def of(self, footage: Footage) -> SharedDigest:
        """That of a file."""
        digest = self._known.setdefault(footage.address, SharedDigest(footage=footage))
        self._known.move_to_end(footage.address)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return digest

    def read(self, footage: Footage) -> str:
        """The digest of a file; empty for what cannot be read or is none."""
        try:
            return self.of(footage).get()
        except (OSError, DecodeError):
            return ""
