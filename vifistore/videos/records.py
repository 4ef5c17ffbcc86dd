"""What a source says, ready to be stored: a listing and its splits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vifistore.sources.roots import Root, VideoFiles
from vifistore.videos.stretches import WHOLE, Stretch

UNLABELLED = -1
"""Label of a split's video that has none."""


class Line(NamedTuple):
    """One video as its list gives it; `where` names file and line."""

    path: str
    label: str
    where: str
    split: str = ""
    id: str = ""
    captions: tuple[str, ...] = ()
    stretch: Stretch = WHOLE


@dataclass(frozen=True, kw_only=True)
class SplitListing:
    """Some videos of a dataset under the labels that one list gives them."""

    rows: list[int]
    """Which videos, as positions in the listing."""
    labels: list[int]
    """Class of each row as a position in `class_names`, or UNLABELLED."""
    class_names: list[str]
    """The classes that are scored, in the order of their ids; empty where no video has a label."""
    source: str
    """File name of the list, or how the split was made."""
    digest: str
    """SHA-256 of the source list."""
    owns_classes: bool = False
    """True where its own class file says which classes are scored; False: all of the dataset."""
    listed: dict[str, int] = field(default_factory=dict)
    """Of a list that names more videos than were found: how many it names of each class, and under
    "" of those without one. Empty where all were found."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a source says, before any video is opened."""

    ids: list[str]
    """Unique id of each video: its path, unless the source gives one; of a part of a file with the
    suffix of its stretch."""
    paths: list[str]
    """POSIX path of each video relative to `root`: a file, or a folder of frames; of parts of one
    file the same."""
    labels: list[str]
    """Class name of each video, or "" where it has none."""
    root: Root
    """Where the paths start, an absolute folder."""
    class_names: list[str]
    """Every class, in the order of ids where the source gives one, else sorted."""
    splits: dict[str, SplitListing] = field(default_factory=dict)
    """Splits by name; a split may label a video otherwise than `labels`."""
    captions: list[tuple[int, str]] = field(default_factory=list)
    """(row, text): any number per video."""
    missing: list[str] = field(default_factory=list)
    """Paths that are listed but not found below the root."""
    notes: list[str] = field(default_factory=list)
    """One line for each choice that was made and each thing that was left out."""
    stretches: dict[int, Stretch] = field(default_factory=dict)
    """Which part of its file a video is, of those that are not all of it."""

    def stretch(self, row: int) -> Stretch:
        """Which part of its file a video is."""
        return self.stretches.get(row, WHOLE)

    def video(self, row: int) -> str:
        """What all parts of a video share: its id without the suffix of its stretch."""
        return self.ids[row].removesuffix(self.stretch(row).suffix)

    def files(self, rows: Sequence[int]) -> VideoFiles:
        """The videos of some rows."""
        paths = np.array([self.paths[row] for row in rows], object)
        return VideoFiles(self.root, paths, np.zeros(len(rows), np.int64))
