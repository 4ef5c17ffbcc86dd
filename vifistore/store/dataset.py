"""A dataset of a store: its videos, classes, splits, captions and feature sets.

    dataset = store.dataset("ucf101")
    features = dataset.features("vifi-clip@step-2000")

A row of it is a stretch of a video, most often the whole one.

Whatever works on one dataset is given this handle. It remembers nothing: what it tells is read when
it is asked for, so that it stays true while the dataset grows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UsageError
from vifistore.sources.roots import Root, VideoFiles, root_of
from vifistore.store.features import Features
from vifistore.store.names import Name, read_names
from vifistore.store.paged_table import PagedTable
from vifistore.store.schema import (
    CAPTION_COLUMNS,
    STRETCH_COLUMNS,
    VIDEO_COLUMNS,
    ArraySpec,
)
from vifistore.store.splits import (
    ALL_VIDEOS,
    Split,
    labelled_split,
    read_split,
    split_names,
)
from vifistore.store.stretch_times import are_parts, checked_stretches, content_key
from vifistore.store.tables import read_columns, read_table, table_attributes, write_table
from vifistore.store.zarr_format.attributes import read_fields, require_fields
from vifistore.store.zarr_format.backend import Backend

# pandas takes half a second to import, and half of what reads a store needs no table.
if TYPE_CHECKING:
    import pandas as pd

    from vifistore.store.store import Store


@dataclass(frozen=True, repr=False)
class Dataset:
    """One dataset of a store. `Store.dataset` gives those there are."""

    store: "Store"
    name: str

    def __repr__(self) -> str:
        if not self.exists:
            return f"Dataset({self.name!r}, to be made in {self.store.path})"
        counted = f"{self.num_videos} videos, {len(self.class_names())} classes"
        return f"Dataset({self.name!r}, {counted}, in {self.store.path})"

    def __str__(self) -> str:
        return self.name

    @property
    def backend(self) -> Backend:
        """Where the store lies."""
        return self.store.backend

    @property
    def path(self) -> str:
        """Group of the table of videos."""
        return f"videos/{self.name}"

    @property
    def exists(self) -> bool:
        """Whether its videos are in the store."""
        return self.backend.has_child("videos", self.name)

    @property
    def num_videos(self) -> int:
        """Rows of the table of videos."""
        return table_attributes(self.backend, self.path, VIDEO_COLUMNS)["rows"]

    @property
    def columns(self) -> dict[str, ArraySpec]:
        """The columns of the table of videos."""
        return video_columns(self.backend.attributes(self.path))

    def videos(self) -> "pd.DataFrame":
        """The videos, a row each: id, path, label, num_frames, fps, duration_seconds, width, height
        (pixels), size_bytes, mtime_ns; start_seconds and end_seconds where rows are stretches."""
        import pandas as pd

        attributes = table_attributes(self.backend, self.path, VIDEO_COLUMNS)
        specs = video_columns(attributes)
        return pd.DataFrame(read_columns(self.backend, self.path, specs, specs, attributes))

    def column(self, name: str) -> np.ndarray:
        """One column of the table of videos, [video]; strings as objects.

        Raises DamagedError if it is not what was written.
        """
        return self.columns_at_once(name)[name]

    def columns_at_once(self, *names: str) -> dict[str, np.ndarray]:
        """Columns of the table of videos, [video] each: of the same videos, even while it grows.

        Raises DamagedError if they are not what was written.
        """
        return self._at_once(names)[0]

    def columns_and_classes(self, *names: str) -> tuple[dict[str, np.ndarray], list[str]]:
        """The same columns, and the names of the classes that these videos are of.

        Raises DamagedError if they are not what was written.
        """
        columns, attributes = self._at_once(names)
        found = require_fields(self.backend, self.path, attributes, {"class_names": list})
        return columns, list(found["class_names"])

    def _at_once(self, names: Sequence[str]) -> tuple[dict[str, np.ndarray], dict]:
        """Columns, and the attributes of the table that say how many rows there are."""
        attributes = table_attributes(self.backend, self.path, VIDEO_COLUMNS)
        specs, num_videos = video_columns(attributes), attributes["rows"]
        # Whole videos have no columns that tell where they begin and end.
        told = [name for name in names if name in specs or name not in STRETCH_COLUMNS]
        found = read_columns(self.backend, self.path, specs, told, attributes)
        for name in (name for name in names if name not in found):
            found[name] = np.full(num_videos, STRETCH_COLUMNS[name].fill)
        return {name: found[name] for name in names}, attributes

    def paged(self, *names: str) -> PagedTable:
        """The same columns, read as rows are asked for: a set of millions is not held whole."""
        attributes = table_attributes(self.backend, self.path, VIDEO_COLUMNS)
        specs = video_columns(attributes)
        stored = {name: specs[name] for name in names if name in specs}
        constant = {n: STRETCH_COLUMNS[n] for n in names if n not in specs}
        return PagedTable(self.backend, self.path, stored, constant, attributes)

    @property
    def start_seconds(self) -> np.ndarray:
        """float64 [video]: where in its file each row begins; 0 of a whole video."""
        return self.column("start_seconds")

    @property
    def end_seconds(self) -> np.ndarray:
        """float64 [video]: where in its file each row ends; NaN of what goes on to its end."""
        return self.column("end_seconds")

    def stretches(self) -> tuple[np.ndarray, np.ndarray]:
        """`start_seconds` and `end_seconds` of the same videos."""
        columns = self.columns_at_once(*STRETCH_COLUMNS)
        return columns["start_seconds"], columns["end_seconds"]

    def videos_of(self, rows: np.ndarray) -> np.ndarray:
        """A number for the video that each row is, or is a part of, int64 [row]: the least row of
        its file in the table."""
        if "start_seconds" not in self.columns:
            return rows
        _, first, numbers = np.unique(self.column("path"), return_index=True, return_inverse=True)
        return first[numbers][rows]

    def content_keys(self, digests: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What tells the content of rows apart, object [video], of the digests [video] of files.

        Of a whole video it is its digest. Of a stretch it is one of that, its start and its end, so
        that two stretches of one file are two videos. An empty digest stays empty.
        """
        if "start_seconds" not in self.columns:
            return digests
        starts, ends = (column[rows] for column in self.stretches())
        keys = np.array(digests, object)
        for i in np.flatnonzero(are_parts(starts, ends) & (keys != "")):
            keys[i] = content_key(keys[i], starts[i], ends[i])
        return keys

    def require_whole_videos(self, why: str, rows: np.ndarray | None = None) -> None:
        """Raise UsageError if a row, of those given or of all, is a part of its video; `why` is
        what its caller does, and maybe what to do instead."""
        starts, ends = self.stretches()
        parts = np.flatnonzero(are_parts(starts, ends))
        parts = parts if rows is None else np.intersect1d(parts, rows)
        if len(parts):
            row = parts[0]
            raise UsageError(
                f"{len(parts)} rows of {self.name} are stretches of videos (first: row {row}, from "
                f"{starts[row]:g} to {ends[row]:g} seconds), and {why}; scan the files as another "
                "dataset, without --window"
            )

    def class_names(self) -> list[str]:
        """Names of the classes; empty if no video is labelled."""
        return list(read_fields(self.backend, self.path, {"class_names": list})["class_names"])

    def root(self) -> Root:
        """Folder, or place of a server, that the paths of the videos are relative to."""
        return root_of(read_fields(self.backend, self.path, {"root": str})["root"])

    def files(self) -> VideoFiles:
        """The videos of all rows, to be read."""
        columns = self.columns_at_once("path", "size_bytes")
        return VideoFiles(self.root(), columns["path"], columns["size_bytes"])

    def splits(self) -> list[str]:
        """Names of the splits; one whose writing was cut short does not count."""
        return split_names(self)

    def split(self, name: str = "") -> Split:
        """A split by name; with no name or `all`, every labelled video.

        Raises UnknownNameError for an unknown name, UsageError if no video is labelled.
        """
        if self.is_everything(name):
            return labelled_split(self)
        return read_split(self, name)

    def is_everything(self, split: str) -> bool:
        """Whether a split's name stands for all videos: empty, or `all` where none is called so."""
        return not split or (split == ALL_VIDEOS and ALL_VIDEOS not in self.splits())

    def captions(self) -> "pd.DataFrame":
        """The captions: columns `row` and `text`, many per video; empty if there are none."""
        import pandas as pd

        path = f"captions/{self.name}"
        if not self.backend.exists(path):
            return pd.DataFrame({"row": np.empty(0, np.int64), "text": np.empty(0, object)})
        return pd.DataFrame(read_table(self.backend, path, CAPTION_COLUMNS))

    def features(self, name_or_id: str) -> Features:
        """A feature set by name or id. Raises UnknownNameError naming what exists."""
        return Features(self, name_or_id)

    def feature_ids(self) -> list[str]:
        """Ids of the feature sets, sealed or not."""
        return self.backend.children(f"features/{self.name}")

    def feature_path(self, feature_id: str) -> str:
        """Group of the feature set of an id."""
        return f"features/{self.name}/{feature_id}"

    def names(self) -> list[Name]:
        """Every name of a feature set."""
        return read_names(self)


def write_videos(
    dataset: Dataset,
    videos: "pd.DataFrame",
    class_names: list[str],
    root: str,
    *,
    anew: bool = False,
) -> None:
    """Write or extend the table of videos; rows already there must come first, and unchanged unless
    all are written `anew`.

    Rows are whole videos where `start_seconds` and `end_seconds` are not given. Raises UsageError
    for a stretch that is none, and for times that are no numbers.
    """
    path = dataset.path
    exists = dataset.backend.exists(path)
    specs, attributes = dataset.columns if exists else VIDEO_COLUMNS, {}
    starts, ends = checked_stretches(videos)
    videos = videos.assign(start_seconds=starts, end_seconds=ends)
    if are_parts(starts, ends).any() or "start_seconds" in specs:
        dataset.backend.require_schema(2)
        # A column that is new has no old rows.
        anew |= "start_seconds" not in specs
        specs, attributes = {**VIDEO_COLUMNS, **STRETCH_COLUMNS}, {STRETCHES: True}
    start = dataset.num_videos if exists and not anew else 0
    # The chunk that holds the old end is rewritten whole, by rename, so old rows are given too.
    columns = {name: videos[name].to_numpy()[start:] for name in specs}
    attributes |= {"class_names": class_names, "root": root}
    write_table(dataset.backend, path, specs, columns, attributes, start=start)


# Attribute of a table of videos that has STRETCH_COLUMNS.
STRETCHES = "stretches"


def video_columns(attributes: Mapping) -> dict[str, ArraySpec]:
    """The columns of a table of videos that has these attributes."""
    return {**VIDEO_COLUMNS, **(STRETCH_COLUMNS if attributes.get(STRETCHES) else {})}


def write_captions(dataset: Dataset, captions: list[tuple[int, str]]) -> None:
    """Replace the captions of a dataset: (row, text), many per video."""
    columns = {
        "row": np.array([row for row, _ in captions], dtype=np.int64),
        "text": np.array([text for _, text in captions], dtype=object),
    }
    write_table(dataset.backend, f"captions/{dataset.name}", CAPTION_COLUMNS, columns, {})
