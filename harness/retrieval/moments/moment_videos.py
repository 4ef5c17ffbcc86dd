"""Which rows of a dataset are the videos that a benchmark of moments speaks of.

A name is that of a file without its ending, or the id of a row: `3MSZA` is `3MSZA.mp4`. Names that
end in times are parts of longer videos, and are found as files that are cut (`ID_60.0_210.0.mp4`,
`ID_000060_000210.mp4`) and as stretches of the whole video (`ID.mp4` from 60 to 210 seconds, whose
times then count from 60). ActivityNet's names have a `v_` before them or have not.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from vifistore.errors import UsageError, first_few
from vifistore.store.dataset import Dataset

_TIMES = re.compile(r"(.+)_(\d{1,9}(?:\.\d{1,6})?)_(\d{1,9}(?:\.\d{1,6})?)")


class FoundVideo(NamedTuple):
    """Where a video of a benchmark lies."""

    path: str
    """Of its file in the dataset."""
    start: float = 0.0
    """Seconds of the file at which the video begins."""
    end: float = float("inf")


def find_videos(dataset: Dataset, names: Sequence[str]) -> dict[str, FoundVideo]:
    """Those of the names that the dataset has, each with its place.

    Raises UsageError for a name that several files have.
    """
    columns = dataset.columns_at_once("id", "path")
    files: dict[str, dict[str, None]] = {}
    for video, path in zip(columns["id"].tolist(), columns["path"].tolist(), strict=True):
        for key in _keys_of_file(video, path):
            files.setdefault(key, {})[path] = None
    found = {}
    for name in dict.fromkeys(names):
        for key, start, end in _places_of(name):
            if paths := files.get(key):
                _require_one(dataset, name, list(paths))
                found[name] = FoundVideo(next(iter(paths)), start, end)
                break
    return found


def whole_video(name: str) -> str:
    """The video that one whose name ends in times is a part of; any other is its own."""
    match = _TIMES.fullmatch(name)
    return match[1] if match else name


def _keys_of_file(video: str, path: str) -> set[str]:
    name = PurePosixPath(path).name
    stems = PurePosixPath(video).stem, PurePosixPath(name).stem
    return {_key(word) for word in (video, name, *stems)}


def _places_of(name: str) -> Iterator[tuple[str, float, float]]:
    """Keys under which a video may be there, with its times in the file."""
    yield _key(name), 0.0, float("inf")
    yield _key(name.removeprefix("v_") if name.startswith("v_") else f"v_{name}"), 0.0, float("inf")
    if match := _TIMES.fullmatch(name):
        yield match[1], float(match[2]), float(match[3])


def _key(name: str) -> str:
    """A name with its times in one spelling."""
    match = _TIMES.fullmatch(name)
    return f"{match[1]}_{float(match[2]):g}_{float(match[3]):g}" if match else name


def _require_one(dataset: Dataset, name: str, paths: Sequence[str]) -> None:
    if len(paths) > 1:
        raise UsageError(
            f"video {name} may be any of {first_few(list(paths), 3, 60)} of {dataset.name}; scan "
            "only the folder of the benchmark's videos as a dataset of its own"
        )
