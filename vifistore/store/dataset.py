"""A dataset of a store: its videos, classes, splits, captions and feature sets.

    dataset = store.dataset("ucf101")
    features = dataset.features("vifi-clip@step-2000")

Whatever works on one dataset is given this handle. It remembers nothing: what it tells is read when
it is asked for, so that it stays true while the dataset grows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vifistore.store.attributes import read_fields
from vifistore.store.backend import Backend
from vifistore.store.features import Features
from vifistore.store.names import Name, read_names
from vifistore.store.schema import CAPTION_COLUMNS, VIDEO_COLUMNS
from vifistore.store.splits import (
    ALL_VIDEOS,
    Split,
    labelled_split,
    read_split,
    split_names,
)
from vifistore.store.tables import read_column, read_table, table_attributes, write_table

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

    def videos(self) -> "pd.DataFrame":
        """The videos, a row each: id, path, label, num_frames, fps, duration_seconds, width, height
        (pixels), size_bytes, mtime_ns."""
        import pandas as pd

        return pd.DataFrame(read_table(self.backend, self.path, VIDEO_COLUMNS))

    def column(self, name: str) -> np.ndarray:
        """One column of the table of videos, [video]; strings as objects."""
        return read_column(self.backend, self.path, VIDEO_COLUMNS, name)

    def class_names(self) -> list[str]:
        """Names of the classes; empty if no video is labelled."""
        return list(read_fields(self.backend, self.path, {"class_names": list})["class_names"])

    def root(self) -> Path:
        """Folder that the paths of the videos are relative to."""
        return Path(read_fields(self.backend, self.path, {"root": str})["root"])

    def splits(self) -> list[str]:
        """Names of the splits; one whose writing was cut short does not count."""
        return split_names(self)

    def split(self, name: str = "") -> Split:
        """A split by name; with no name or `all`, every labelled video.

        Raises UnknownNameError for an unknown name, UsageError if no video is labelled.
        """
        if self.is_everything(name):
            return labelled_split(self.videos(), self.class_names())
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
    all are written `anew`."""
    path = dataset.path
    extends = not anew and dataset.backend.exists(path)
    start = dataset.num_videos if extends else 0
    # The chunk that holds the old end is rewritten whole, by rename, so old rows are given too.
    columns = {name: videos[name].to_numpy()[start:] for name in VIDEO_COLUMNS}
    attributes = {"class_names": class_names, "root": root}
    write_table(dataset.backend, path, VIDEO_COLUMNS, columns, attributes, start=start)


def write_captions(dataset: Dataset, captions: list[tuple[int, str]]) -> None:
    """Replace the captions of a dataset: (row, text), many per video."""
    columns = {
        "row": np.array([row for row, _ in captions], dtype=np.int64),
        "text": np.array([text for _, text in captions], dtype=object),
    }
    write_table(dataset.backend, f"captions/{dataset.name}", CAPTION_COLUMNS, columns, {})
