"""The files of a store's videos: what a table of videos names, and nothing outside its folder."""

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vifistore.errors import StoreError, UnknownNameError, UsageError, first_few
from vifistore.frames.decoders.image_folder import list_images
from vifistore.sources.extensions import is_video
from vifistore.sources.footage import Footage, LocalFile
from vifistore.sources.roots import VideoFiles
from vifistore.sources.shard_member import ShardMember

if TYPE_CHECKING:
    import pandas as pd


class ForbiddenError(StoreError):
    """A file that is none of the store's videos."""


class NotThereError(StoreError):
    """A row that the dataset does not have, or a file that is gone."""


def video_file(files: VideoFiles, row: int, dataset: str) -> Footage:
    """The video of a row of a dataset, from its path in the table of videos.

    Raises NotThereError for a file that is not there, ForbiddenError for a path that leaves the
    dataset's folder or is no video.
    """
    if files.root == Path():
        # Embeddings that were imported: it is no reason to look where the program was started.
        raise NotThereError(f"where the videos of {dataset} lie is not known; scan them")
    name = str(files.paths[row])
    footage = files[row]
    if isinstance(footage, LocalFile) and isinstance(files.root, Path):
        return LocalFile(_local_file(files.root, name, dataset))
    if isinstance(footage, ShardMember) and isinstance(footage.shard, LocalFile):
        _require_inside(footage.shard.path, Path(str(files.root)), name, dataset)
    return _elsewhere(files, row, dataset)


def _require_inside(shard: Path, folder: Path, name: str, dataset: str) -> None:
    try:
        is_inside = _resolved(shard).is_relative_to(_resolved(folder)) and shard.is_file()
    except OSError as error:
        raise NotThereError(f"{name} is gone; scan {dataset} again") from error
    if not is_inside:
        raise ForbiddenError(f"{name} is no video in the folder of {dataset}; scan {dataset} again")


def _elsewhere(files: VideoFiles, row: int, dataset: str) -> Footage:
    """A video on a server, or in a shard."""
    name = str(files.paths[row])
    if ".." in name.split("/") or not is_video(name):
        raise ForbiddenError(f"{name} is no video below {files.root}; scan {dataset} again")
    try:
        is_there = files[row].exists()
    except OSError as error:
        raise StoreError(f"{name} cannot be fetched from {files.root}: {error}") from error
    if not is_there:
        raise NotThereError(f"{name} is gone; scan {dataset} again")
    return files[row]


def _local_file(folder: Path, name: str, dataset: str) -> Path:
    try:
        root = _resolved(folder)
        # A link counts as what it points to: whoever wrote the table chose both.
        path = _resolved(root / name)
        is_frames = path != root and path.is_dir() and _frames_are_inside(path, root)
    except (OSError, ValueError) as error:
        raise NotThereError(f"{name} is gone; scan {dataset} again") from error
    # A pipe or a device is no file, and reading it may take for ever.
    is_shown = is_frames or (path.is_file() and is_video(path.name))
    if not (is_shown and path.is_relative_to(root)):
        raise ForbiddenError(f"{name} is no video in the folder of {dataset}; scan {dataset} again")
    return path


def row_of(table: "pd.DataFrame", name: str, dataset: str) -> int:
    """Row of a video in the table of its dataset, by its id or path, or by the end of one of them,
    with or without its suffix. Raises UnknownNameError for none, UsageError for several.
    """
    known = {text: row for column in ("path", "id") for row, text in enumerate(table[column])}
    if name in known:
        return known[name]
    ends = {row for text, row in known.items() if _ends_with(text, name)}
    if not ends:
        raise UnknownNameError(f"video of {dataset}", name, table["id"].tolist())
    if len(ends) > 1:
        found = table["id"].iloc[sorted(ends)].tolist()
        raise UsageError(f"{name} is the end of several videos; give one of {first_few(found)}")
    return ends.pop()


def _ends_with(text: str, name: str) -> bool:
    stem = str(PurePosixPath(text).with_suffix("")) if text else ""
    return any(f"/{whole}".endswith(f"/{name}") for whole in (text, stem))


def _resolved(path: Path) -> Path:
    # Path.resolve raises RuntimeError for links that go round in a circle, this an OSError.
    return Path(os.path.realpath(path, strict=True))


def _frames_are_inside(folder: Path, root: Path) -> bool:
    """Whether no frame of a folder is a link that leaves `root`."""
    return all(
        _resolved(image).is_relative_to(root) for image in list_images(folder) if image.is_symlink()
    )
