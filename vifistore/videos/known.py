"""Videos known by their ids alone, in place of files: embeddings made elsewhere bring no videos."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from vifistore.videos.records import Line


class KnownVideos:
    """Answers what a `Tree` is asked when listed videos are looked for."""

    root = Path()
    real_root = ""

    def __init__(self, ids: Iterable[str] | None = None) -> None:
        """Without ids every listed video is one."""
        self.ids = None if ids is None else frozenset(ids)

    def by_ids(self, lines: Sequence[Line]) -> Sequence[Line]:
        """Lines that go by their ids where these are the known ones, instead of by their paths.

        Of a video that is found by its file name, a list may have another id.
        """
        if self.ids is None:
            return lines
        if any(line.id in self.ids for line in lines):
            lines = [line._replace(path=line.id or line.path) for line in lines]
        return [line._replace(id="") for line in lines]

    def holds(self, path: str) -> bool:
        """True where `path` is an id."""
        return self.ids is None or path in self.ids

    def hold(self, paths: Sequence[str]) -> list[bool]:
        """Whether each of many paths is an id."""
        return list(map(self.holds, paths))

    def videos(self, below: str = "") -> list[str]:
        """Every id that begins with `below`, sorted."""
        return sorted(name for name in self.ids or () if name.startswith(below))

    def link_on(self, path: str) -> str:
        """No path leads over a link."""
        return ""

    def notes(self) -> list[str]:
        """Nothing is left out."""
        return []
