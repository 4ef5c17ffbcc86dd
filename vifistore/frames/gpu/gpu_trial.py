"""A trial of the decoder for GPUs, before videos are given to it: without FFmpeg's libraries, or on
a GPU without an engine for H.264, it is there and fails at every video."""

import tempfile
from pathlib import Path

import av
import numpy as np

from vifistore.errors import UsageError, first_line
from vifistore.frames.decoders.decoder_names import NVDEC

# NVIDIA's engines take no video below 48 x 16 pixels, and those of HEVC none below 144 x 144.
_SIZE, _NUM_FRAMES = 160, 2


def try_decoder(device: str) -> None:
    """Decode a small H.264 video; raises UsageError if that fails."""
    # An extra: it may be absent where types are checked.
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.mp4"
        _write(path)
        how = {"dimension_order": "NHWC", "num_ffmpeg_threads": 1, "seek_mode": "exact"}
        try:
            reader = VideoDecoder(str(path), **how, device=device)
            found = tuple(reader.get_frames_at([_NUM_FRAMES - 1]).data.shape)
        except (RuntimeError, ValueError, OSError, ImportError) as error:
            raise _refusal(first_line(error)) from error
    if reader.cpu_fallback:
        raise _refusal("the GPU has no engine for H.264, or its driver does not give it")
    if found != (1, _SIZE, _SIZE, 3):
        raise _refusal(f"a frame of {_SIZE} x {_SIZE} comes as {found}")


def _write(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = _SIZE, _SIZE, "yuv420p"
        picture = np.full((_SIZE, _SIZE, 3), 128, np.uint8)
        for _ in range(_NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def _refusal(why: str) -> UsageError:
    return UsageError(
        f"--decoder {NVDEC} fails at a small H.264 video ({why:.150}): install FFmpeg's shared "
        "libraries, or give --decoder decord or pyav"
    )
