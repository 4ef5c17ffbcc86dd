"""A video file of no store as a query: its frames are decoded and encoded as the store's were."""

from pathlib import Path

import numpy as np

from harness.retrieval.stretch_vectors import stretch_of
from vifistore.errors import DecodeError, UsageError
from vifistore.store.features import Features


def video_file_of(name: str) -> tuple[Path, float, float] | None:
    """The file that a name is of, and the seconds of it, where it says some; None for none."""
    if Path(name).is_file():
        return Path(name), 0.0, np.inf
    stretch = stretch_of(name)
    if stretch is None or not Path(stretch.video).is_file():
        return None
    return Path(stretch.video), stretch.start, stretch.end


def encode_video(
    features: Features, checkpoint: dict, path: Path, start: float, end: float
) -> np.ndarray:
    """The mean embedding of a stretch of a file, in seconds, float32 [dim], made as the feature
    set's frames were.

    Frames are as many as a view of the set has, spread over the stretch, or at the rate of the set
    as many as there is room for; the middle square of each.
    Raises UsageError for a file that cannot be decoded and for a set that was not extracted from
    videos; ModelError if the checkpoint's weights are gone or belong to another tower.
    """
    from vifi.searching.query_encoders import image_encoder

    encode, recipe = image_encoder(features, checkpoint), features.recipe

    from vifistore.frames.decoders.decoding import decode_video
    from vifistore.frames.plans import Span

    try:
        video = decode_video(
            path,
            frames=int(recipe["frames"]),
            clips=int(recipe["clips"]),
            stride=int(recipe.get("stride", 0)),
            fps=float(recipe.get("fps", 0)),
            every=int(recipe.get("every", 0)),
            decoder=recipe["decoder"],
            span=Span(start, end),
        )
    except DecodeError as error:
        raise UsageError(f"{error}; give another video, or one of the store by its id") from error
    return encode(video.frames, video.index)
