"""A folder of .npy files, three per video, as video_features writes them."""

from pathlib import Path

import numpy as np

from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.importing.id_file_names import file_stems
from vifistore.store.importing.npy_folder import FPS, TIMESTAMPS

# What video_features calls CLIP features.
_EMBEDDINGS = "_clip.npy"


def write_npy(stream: FeatureStream, path: Path) -> None:
    """Write `{stem}_clip.npy` float32 [frame dim], `{stem}_timestamps_ms.npy` float64 [frame] and
    `{stem}_fps.npy` for each video that is done, below `path` in the folders of its id.

    Views follow one another along the frame axis, without the frames that pad them. Raises
    UsageError if the set has no frames.
    """
    stream.features.require_array("frames")
    stream.require_done()
    stems = file_stems(stream.table["id"].tolist())
    fps = stream.videos["fps"].to_numpy()
    for start, stop in stream.spans("frames"):
        frames = stream.read("frames", start, stop).astype(np.float32)
        seconds = stream.read("timestamps", start, stop).astype(np.float64)
        counts = stream.counted(start, stop)
        for row in stream.done_rows(start, stop):
            stem = path / stems[row]
            stem.parent.mkdir(parents=True, exist_ok=True)
            here = row - start
            np.save(f"{stem}{_EMBEDDINGS}", frames[here][counts[here]])
            np.save(f"{stem}{TIMESTAMPS}", seconds[here][counts[here]] * 1000)
            np.save(f"{stem}{FPS}", fps[row])
