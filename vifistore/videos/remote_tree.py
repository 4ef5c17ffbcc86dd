"""The files below a place of a server, as far as it tells them; see `Folders`."""

from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vifistore.errors import StoreError, short
from vifistore.sources.asking import NetworkError
from vifistore.sources.buckets import BucketRoot
from vifistore.sources.extensions import is_frame
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import Root
from vifistore.videos.folders import UNPRINTABLE, Folder, Folders
from vifistore.videos.tree import Tree

_THREADS = 16


def tree_of(
    root: Root, *, follow_links: bool = False, scanned: Container[str] = ()
) -> Folders[Any]:
    """What lies below a root, of which a web server need not be asked for `scanned` paths.

    Raises UsageError for what is no folder, StoreError for a server that does not tell.
    """
    if not isinstance(root, RemoteRoot):
        return Tree(root=root, follow_links=follow_links)
    if isinstance(root, BucketRoot):
        return BucketTree(root=root)
    return WebTree(root=root, scanned=scanned)


@dataclass(kw_only=True)
class BucketTree(Folders[BucketRoot]):
    """What lies below a prefix of a bucket. Folders of frames are none of its videos."""

    def __post_init__(self) -> None:
        self.real_root = str(self.root)
        self._folders[""] = self._list_below("", "")

    def _list_below(self, above: str, path: str) -> Folder:
        try:
            listed = self.root.listed(path)
        except NetworkError as error:
            raise StoreError(
                f"{self.root} cannot be listed ({error}); check the URL, the network and the "
                "credentials in the environment"
            ) from error
        names = {
            kind: [name for name in found if self._is_taken(name, path)]
            for kind, found in listed._asdict().items()
        }
        files = [name for name in names["files"] if not is_frame(name)]
        if len(files) < len(names["files"]):
            what = "frames of videos, which are read from folders of this machine alone"
            self._leave_out(what, path or ".")
        return Folder(files=frozenset(files), folders=frozenset(names["folders"]))

    def _is_taken(self, name: str, path: str) -> bool:
        # A name without letters is that of the folder itself, which some programs make an object.
        if not name or name.startswith("."):
            return False
        if UNPRINTABLE.search(name):
            self._leave_out("names hold control characters", f"{path}/{name!a}")
            return False
        return True


@dataclass(kw_only=True)
class WebTree(Folders[RemoteRoot]):
    """What lies below an address of a web server, which does not tell: lists do."""

    scanned: Container[str] = ()
    """Paths of which it is known that they are there."""

    def __post_init__(self) -> None:
        self.real_root = str(self.root)
        self._folders[""] = Folder()

    def _list_below(self, above: str, path: str) -> Folder:
        return Folder()

    def holds(self, path: str) -> bool:
        """Whatever a list names, before the server is asked."""
        return True

    def _may_hold(self, folder: Folder, shard: str) -> bool:
        return True

    def _is_there(self, path: str) -> bool:
        if path in self.scanned:
            return True
        if ".tar/" in path.lower():
            return super().holds(path)
        try:
            return self.root.file(path).exists()
        except NetworkError as error:
            raise NetworkError(f"of {short(path, 100)}: {error}") from error

    def hold(self, paths: Sequence[str]) -> list[bool]:
        """Which of many paths the server has. Raises StoreError where it does not say."""
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                return list(pool.map(self._is_there, paths))
            except NetworkError as error:
                pool.shutdown(cancel_futures=True)
                raise StoreError(
                    f"{self.root} does not say which videos it has ({error}); check the address "
                    "and the network, and scan again"
                ) from error
