"""Who reads frames of videos: which ones, and what is done to them before they are kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from vifistore.frames.frame_cache import FrameKey
from vifistore.frames.plans import WHOLE_VIDEO, Sampling, Span
from vifistore.frames.preprocess import squares_of
from vifistore.frames.sampling import EVERY_RULE, RATE_RULE, SAMPLING_RULE, WINDOW_RULE
from vifistore.frames.squares import Squares
from vifistore.kernels.geometry import OPENCV, PILLOW, check_resizing, resized_shape
from vifistore.kernels.opencv_linear import resize_linear
from vifistore.store.recipe import Preprocessing

# Of frames, or pixels: what a file says beyond it is no use.
_MOST = 2**14
_FILTER = Image.Resampling.BILINEAR


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What one reader keeps of every video."""

    frames: int
    """Frames per clip."""
    clips: int = 1
    """Clips per video."""
    stride: int = 0
    """Frames from one of a clip to the next; 0 spreads them over the video."""
    preprocessing: Preprocessing | None = None
    """Squares are cut as it says, so that normalising is left; None keeps whole frames."""
    crops: int = 1
    """Squares per frame."""
    short_side: int = 0
    """Whole frames with a larger one shrink to it, pixels; 0 leaves them as they are."""
    fps: float = 0.0
    """Frames a second, `frames` at most; 0 for so many of each clip."""
    every: int = 0
    """Every so many of the frames of the file, `frames` at most; 0 for so many of each clip."""
    backend: str = PILLOW
    """What resizes whole frames; those that OpenCV resizes grow to the short side, too."""

    @property
    def sampling(self) -> Sampling:
        """Which frames of a stretch."""
        return Sampling(self.frames, self.clips, self.stride, self.fps, self.every)

    @property
    def squares(self) -> Squares | None:
        """How the CPU cuts the squares; None if it cannot, or whole frames are kept."""
        return squares_of(self.preprocessing, self.crops) if self.preprocessing else None

    @classmethod
    def from_dict(cls, fields: dict) -> Self:
        """From what `dataclasses.asdict` gave. Raises ValueError or TypeError for anything else."""
        pixels = fields["preprocessing"]
        if pixels is not None:
            colours = {name: tuple(map(float, pixels[name])) for name in ("mean", "std")}
            pixels = Preprocessing(**{**pixels, **colours})
        kept = cls(**{**fields, "preprocessing": pixels})
        least = {"frames": 1, "clips": 1, "stride": 0, "crops": 1, "short_side": 0}
        for name, number in least.items():
            value = getattr(kept, name)
            if type(value) is not int or not number <= value <= _MOST:
                raise ValueError(f"{name} is {value!r}")
        if kept.sampling.has_rate:
            raise ValueError("a trainer draws from no frames at a rate")
        if kept.preprocessing is not None and kept.squares is None:
            raise ValueError("its preprocessing resizes without antialias")
        check_resizing(kept.backend, "bilinear", antialias=False)
        return kept

    def key(
        self,
        content_digest: str,
        decoder: str,
        decoder_version: str,
        span: Span = WHOLE_VIDEO,
    ) -> FrameKey:
        """The entry of a stretch of a video."""
        whole = {"largest_short_side": self.short_side}
        if self.backend == OPENCV:
            whole = {"short_side": self.short_side, "backend": self.backend}
        sampling = {"rule": SAMPLING_RULE, "frames": self.frames, "clips": self.clips}
        if self.stride:
            sampling |= {"rule": WINDOW_RULE, "stride": self.stride}
        if self.fps:
            sampling |= {"rule": RATE_RULE, "fps": self.fps}
        if self.every:
            sampling |= {"rule": EVERY_RULE, "every": self.every}
        if not span.is_whole:
            end = None if np.isinf(span.end) else span.end
            sampling |= {"start_seconds": span.start, "end_seconds": end}
        return FrameKey(
            content_digest=content_digest,
            decoder=decoder,
            decoder_version=decoder_version,
            sampling=sampling,
            geometry=self.preprocessing.geometry(self.crops) if self.preprocessing else whole,
        )

    def cut(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [frame height width 3] as decoded -> uint8 [crop*frame size size 3], what is
        normalised, or [frame height width 3] of frames that are not too large."""
        if self.preprocessing is None:
            return _resized(frames, self.short_side, self.backend)
        assert self.squares is not None, "recipes resize as the CPU can"
        squares = self.squares.cut(frames)
        return squares.reshape(-1, *squares.shape[2:])


def _resized(frames: np.ndarray, short_side: int, backend: str) -> np.ndarray:
    """uint8 [frame height width 3] with that short side, or smaller but for OpenCV."""
    if not short_side:
        return frames
    height, width = frames.shape[1:3]
    shape = resized_shape(height, width, short_side, backend)
    is_small = min(height, width) <= short_side and backend != OPENCV
    if is_small or shape == (height, width):
        return frames
    if backend == OPENCV:
        return np.stack([resize_linear(frame, shape) for frame in frames])
    images = (Image.fromarray(frame).resize((shape[1], shape[0]), _FILTER) for frame in frames)
    return np.stack([np.asarray(image) for image in images])


def common_squares(all_kept: Iterable[Reader]) -> Squares | None:
    """The squares that decoding workers can cut for all; None where they differ."""
    found = {kept.squares for kept in all_kept}
    return found.pop() if len(found) == 1 else None
