"""Names, dtypes and axes of every array of the store, written once.

Axes: video (a row of the dataset), view (one clip x one crop), frame (one sampled frame),
dim (the embedding), row (an entry of a split), class, prompt.
"""

import math
import re
from dataclasses import dataclass

from vifistore.errors import UsageError

# The newest that is read and written. A store says the oldest that a reader of it has to know: what
# came with a later one is absent in it.
SCHEMA_VERSION, OLDEST_SCHEMA = 2, 1

# What lies directly below the root of a store.
GROUPS = ("videos", "splits", "captions", "checkpoints", "texts", "features", "names", "turns")

# What lies beside the arrays of a feature set.
SIMILARITIES = "similarities"
SUBGROUPS = ("runs", "claims", SIMILARITIES)

# One chunk of each feature array, the unit of work, of resuming and of ownership.
BLOCK_SIZE = 64
# Frames of a view: as many as `num_valid`, a uint16, can count.
MOST_FRAMES = 2**16 - 1

# Tables are small and read whole: few large chunks open faster than many small ones.
TABLE_CHUNK = 65_536

TODO, DONE, QUARANTINED = 0, 1, 2

# The outcome of decoding one video; `status` is QUARANTINED for all of these.
QUARANTINE_REASONS = (
    "missing",
    "empty",
    "not a video",
    "no video stream",
    "decode error",
    "short",
    "timeout",
    "worker crashed",
    "encrypted",
    "pointer",
    "memory",
    "network",
)


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """What one array looks like, before its lengths are known."""

    dtype: str
    axes: tuple[str, ...]
    fill: float | int | str


_NAN = math.nan

FEATURE_ARRAYS = {
    "frames": ArraySpec(dtype="float16", axes=("video", "view", "frame", "dim"), fill=_NAN),
    "view_mean": ArraySpec(dtype="float32", axes=("video", "view", "dim"), fill=_NAN),
    "view_consensus": ArraySpec(dtype="float32", axes=("video", "view", "dim"), fill=_NAN),
    "timestamps": ArraySpec(dtype="float32", axes=("video", "view", "frame"), fill=_NAN),
    "content_digest": ArraySpec(dtype="str", axes=("video",), fill=""),
    "reason": ArraySpec(dtype="str", axes=("video",), fill=""),
    "message": ArraySpec(dtype="str", axes=("video",), fill=""),
    "attempts": ArraySpec(dtype="uint8", axes=("video",), fill=0),
    # Written last in every block: what it says is done is on the disk.
    "status": ArraySpec(dtype="uint8", axes=("video",), fill=TODO),
}

# Attributes that only a derived set has: what it was made by, and of which parent.
DERIVED_FIELDS = ("head", "parent_recipe", "parent_sealed")

VIDEO_COLUMNS = {
    "id": ArraySpec(dtype="str", axes=("video",), fill=""),
    "path": ArraySpec(dtype="str", axes=("video",), fill=""),
    "label": ArraySpec(dtype="str", axes=("video",), fill=""),
    "num_frames": ArraySpec(dtype="int64", axes=("video",), fill=0),
    "fps": ArraySpec(dtype="float64", axes=("video",), fill=0.0),
    "duration_seconds": ArraySpec(dtype="float64", axes=("video",), fill=0.0),
    "width": ArraySpec(dtype="int32", axes=("video",), fill=0),
    "height": ArraySpec(dtype="int32", axes=("video",), fill=0),
    "size_bytes": ArraySpec(dtype="int64", axes=("video",), fill=0),
    "mtime_ns": ArraySpec(dtype="int64", axes=("video",), fill=0),
}

# Since schema 2, where rows are stretches of videos; a row without an end is the whole video.
STRETCH_COLUMNS = {
    "start_seconds": ArraySpec(dtype="float64", axes=("video",), fill=0.0),
    "end_seconds": ArraySpec(dtype="float64", axes=("video",), fill=_NAN),
}

SPLIT_COLUMNS = {
    "rows": ArraySpec(dtype="int64", axes=("row",), fill=-1),
    "labels": ArraySpec(dtype="int32", axes=("row",), fill=-1),
}

CAPTION_COLUMNS = {
    "row": ArraySpec(dtype="int64", axes=("caption",), fill=-1),
    "text": ArraySpec(dtype="str", axes=("caption",), fill=""),
}

TEXT_EMBEDDINGS = ArraySpec(dtype="float32", axes=("class", "prompt", "dim"), fill=_NAN)

SIMILARITY_ARRAYS = {
    "cosines": ArraySpec(dtype="float32", axes=("video", "view", "class"), fill=_NAN)
}

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]{0,199}")


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can be a folder of the store, else raise UsageError.

    Names become folders, so a slash or a leading dot would let one leave its place.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a {kind}: use letters, digits and _ . @ + = -, "
            "and begin with a letter, a digit or _"
        )
    return name
