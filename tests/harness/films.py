"""Feature sets of long videos: rows that are stretches of files, and views that are padded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support import block_data, plain_recipe, video_table
from vifistore.store.dataset import write_videos
from vifistore.store.feature_record import FRAME_COUNTS
from vifistore.store.features import Features
from vifistore.store.names import set_name
from vifistore.store.pooling import pool_views
from vifistore.store.schema import QUARANTINED
from vifistore.store.store import create_store
from vifistore.store.writer import FeatureWriter, Shape

Numbers = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Stretch:
    """One row: a file, where it begins and ends in it, and its frames."""

    path: str
    start: float
    end: float
    seconds: Numbers
    """Of each frame."""
    cosines: Numbers
    """Of each frame with `QUERY`."""


QUERY = np.array([1, 0, 0, 0, 0, 0, 0, 0], np.float32)


def showing(cosine: float, length: float = 1.0) -> np.ndarray:
    """A vector that has this cosine with `QUERY`, float32 [dim]."""
    vector = np.zeros(8, np.float32)
    vector[:2] = cosine, np.sqrt(max(0.0, 1 - cosine * cosine))
    return length * vector


def film(path: str, cosines: Numbers, window: int, fps: float = 1.0) -> list[Stretch]:
    """A file, at a rate, cut into windows of so many frames."""
    seconds = [(number + 0.5) / fps for number in range(len(cosines))]
    return [
        Stretch(
            *(path, at / fps, min(at + window, len(cosines)) / fps),
            *(seconds[at : at + window], cosines[at : at + window]),
        )
        for at in range(0, len(cosines), window)
    ]


def write_films(
    folder: Path,
    rows: Sequence[Stretch],
    durations: dict[str, float] | None = None,
    lost: Sequence[int] = (),
) -> Features:
    """The set `films` of the dataset `d` in a store `S.zarr` in `folder`, sealed; rows `lost` are
    quarantined."""
    store = create_store(Path(folder) / "S.zarr")
    ends = {row.path: max(r.end for r in rows if r.path == row.path) for row in rows}
    table = video_table(len(rows), []).assign(
        id=[f"{row.path}@{row.start:g}" for row in rows],
        path=[row.path for row in rows],
        start_seconds=[row.start for row in rows],
        end_seconds=[row.end for row in rows],
        duration_seconds=[(durations or ends)[row.path] for row in rows],
    )
    write_videos(store.new_dataset("d"), table, [], "/videos")
    width = max(len(row.seconds) for row in rows)
    frames = np.zeros((len(rows), 1, width, 8), np.float16)
    seconds = np.zeros((len(rows), 1, width), np.float32)
    counts = np.array([[len(row.seconds)] for row in rows], np.uint16)
    for number, row in enumerate(rows):
        seconds[number, 0, : len(row.seconds)] = row.seconds
        # Frames of any length: a cosine asks for none.
        frames[number, 0, : len(row.seconds)] = [
            showing(cosine, 1 + at % 3) for at, cosine in enumerate(row.cosines)
        ]
    mean, consensus = pool_views(frames, counts)
    data = {**block_data(frames), "view_mean": mean, "view_consensus": consensus}
    data |= {"timestamps": seconds, "num_valid": counts}
    data["status"][list(lost)] = QUARANTINED
    writer = FeatureWriter(
        store.dataset("d"),
        plain_recipe(frames=width).as_dict(),
        Shape(video=len(rows), view=1, frame=width, dim=8),
        {"host": "test"},
        further={"num_valid": FRAME_COUNTS},
    )
    for block in writer.todo_blocks():
        here = writer.todo_rows(block)
        writer.write_block(block, here, {name: data[name][here] for name in data})
    writer.seal()
    set_name(store.dataset("d"), "films", writer.id, "", force=False)
    writer.release()
    return store.features("d", "films")
