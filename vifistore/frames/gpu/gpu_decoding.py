"""One video -> its sampled frames in the memory of a GPU, through torchcodec's decoder for CUDA.

Frames are found by their number, so what is read here is what can be trusted to have numbers: whole
videos that lie on this machine, upright, whose packets are all there. Everything else is for the
CPU, and so is every verdict about a video.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.encryption import is_encrypted
from vifistore.frames.bitstreams.packets import PacketTable, scan_packets
from vifistore.frames.decoders.by_number import BY_NUMBER
from vifistore.frames.decoders.decoder_names import NVDEC
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.digests import digest_file
from vifistore.frames.plans import FrameTimes, Plan
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.raw_frames import split_plan
from vifistore.sources.footage import Footage, LocalFile

# Decoded at once, beside the part that they are copied into.
_GROUP_BYTES = 64 * 2**20

TakePart = Callable[[int], torch.Tensor | None]
"""Memory uint8 [byte] for so many bytes; None if there is no room."""


class ElsewhereError(Exception):
    """The video is to be decoded by the CPU; the message says why."""


def suits(job: DecodeJob) -> bool:
    """Whether a job is of a kind that is decoded here: a whole file of this machine."""
    is_whole = len(job.spans) == 1 and job.spans[0].is_whole
    # No folder; and no pipe, which may never end.
    return is_whole and isinstance(job.footage, LocalFile) and job.footage.path.is_file()


def decode_on_gpu(
    footage: Footage, plan: Plan, take_part: TakePart, device: str, *, digest: bool
) -> tuple[torch.Size, dict[str, Any]]:
    """Decode a video into a part that is taken for it; the shape of its frames, and the facts of
    the `DecodedVideo`. Raises ElsewhereError."""
    start = time.thread_time()
    try:
        with footage.at_hand(0) as path:
            if not isinstance(path, Path):
                raise ElsewhereError("it is no file on this machine")
            told = digest_file(path, whole=digest)
            if is_encrypted(path):
                raise ElsewhereError("it is encrypted")
            table = scan_packets(path)
            reader = _opened(path, table, device)
            return _decoded(reader, plan, table, take_part, (told, start))
    except (DecodeError, OSError, RuntimeError, ValueError, IndexError) as error:
        raise ElsewhereError(str(error)) from error


def _opened(path: Path, table: PacketTable, device: str) -> Any:
    """torchcodec's reader of a file of which it has every frame, by number."""
    # An extra: it may be absent where types are checked.
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    if table.seconds is None:
        raise ElsewhereError("its frames have no numbers")
    reader = VideoDecoder(
        str(path),
        dimension_order="NHWC",
        num_ffmpeg_threads=1,
        seek_mode="exact",
        device=device,
    )
    if len(reader) != table.num_frames:
        raise ElsewhereError("its frames are counted otherwise")
    if reader.cpu_fallback:
        raise ElsewhereError("the GPU cannot decode it")
    if reader.metadata.rotation:
        raise ElsewhereError("it is turned")
    return reader


def _decoded(
    reader: Any, plan: Plan, table: PacketTable, take_part: TakePart, told: tuple[str, float]
) -> tuple[torch.Size, dict[str, Any]]:
    assert table.seconds is not None, "it was checked"
    planned = plan(FrameTimes(table.seconds, table.lost))
    wanted, index = split_plan(planned.numbers)
    height, width = reader.metadata.height, reader.metadata.width
    shape = torch.Size((len(wanted), height, width, 3))
    part = take_part(shape.numel())
    if part is None:
        raise ElsewhereError("there is no room for its frames")
    _fill(part.view(shape), reader, wanted)
    digest, start = told
    video = DecodedVideo(
        frames=np.empty((0, height, width, 3), np.uint8),
        index=index,
        timestamps=planned.seconds.astype(np.float32),
        num_frames=table.num_frames,
        declared_frames=max(table.declared_frames, table.num_frames),
        content_digest=digest,
        width=width,
        height=height,
        decoder=NVDEC,
        way=BY_NUMBER,
        numbers=tuple(wanted.tolist()),
        left_out=planned.left_out,
        lost_seconds=planned.lost_seconds,
        decode_seconds=time.thread_time() - start,
    )
    return shape, video.facts()


def _fill(frames: torch.Tensor, reader: Any, wanted: np.ndarray) -> None:
    """Read the wanted frames (int64, sorted) into uint8 [frame height width 3], and wait until they
    are there."""
    size = max(1, _GROUP_BYTES // max(1, frames[0].numel()))
    for at in range(0, len(wanted), size):
        group = reader.get_frames_at(wanted[at : at + size].tolist()).data
        if group.shape[1:] != frames.shape[1:]:
            raise ElsewhereError("its frames have another size than it says")
        frames[at : at + size].copy_(group)
    if frames.is_cuda:
        torch.cuda.current_stream().synchronize()
