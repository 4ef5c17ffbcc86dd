"""Datasets that are known by their own official files: one entry each, asked in this order."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vifistore.videos.draft import Draft
from vifistore.videos.readers.hmdb51 import is_hmdb51, read_hmdb51
from vifistore.videos.readers.ssv2 import is_ssv2, read_ssv2
from vifistore.videos.readers.ucf101 import is_ucf101, read_ucf101

Reader = Callable[[Path, Draft, Path | None], None]
"""(source, draft to fill, class file that was given) -> nothing; raises UsageError with file and
line for what cannot be read."""


class Official(NamedTuple):
    """A dataset's own format."""

    recognises: Callable[[Path], bool]
    """Whether a source, a file or a folder, is of it."""
    read: Reader
    why: str
    """What showed it, in a few words for a note."""


OFFICIAL = (
    Official(is_ucf101, read_ucf101, "UCF101's official lists"),
    Official(is_hmdb51, read_hmdb51, "HMDB51's official split files"),
    Official(is_ssv2, read_ssv2, "Something-Something V2's official JSON"),
)
