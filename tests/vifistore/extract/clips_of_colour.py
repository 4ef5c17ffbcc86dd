"""Clips of one colour, for encoders that tell colours apart."""

from pathlib import Path

import av
import numpy as np


def write_colour_clip(path: Path, channel: int, *, seed: int, num_frames: int = 12) -> None:
    """An H.264 clip in which a channel is bright, with some noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(num_frames):
            pixels = rng.integers(0, 40, (48, 64, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
