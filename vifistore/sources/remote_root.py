"""Where the paths of a dataset start that does not lie on this machine."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from vifistore.sources.remote_file import RemoteFile


@dataclass(frozen=True)
class RemoteRoot(ABC):
    """A prefix of a bucket, or of the addresses of a web server."""

    url: str
    """Without a slash at its end."""
    can_list: ClassVar[bool] = False
    """Whether the server tells what lies in a folder."""

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]

    @abstractmethod
    def file(self, path: str, told_bytes: int = 0) -> RemoteFile:
        """The file at a path below it, of a size that is known, or 0."""
