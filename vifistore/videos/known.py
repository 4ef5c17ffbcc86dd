"""Videos known by their ids alone, in place of files: embeddings made elsewhere bring no videos."""

from collections.abc import Iterable
from pathlib import Path


class KnownVideos:
    """Answers what a `Tree` is asked when listed videos are looked for."""

    root = Path()

    def __init__(self, ids: Iterable[str] | None = None) -> None:
        """Without ids every listed video is one."""
        self.ids = None if ids is None else frozenset(ids)

    def holds(self, path: str) -> bool:
        """True where `path` is an id."""
        return self.ids is None or path in self.ids

    def videos(self, below: str = "") -> list[str]:
        """Every id that begins with `below`, sorted."""
        return sorted(name for name in self.ids or () if name.startswith(below))

    def notes(self) -> list[str]:
        """Nothing is left out."""
        return []
