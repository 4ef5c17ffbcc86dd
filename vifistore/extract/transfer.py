"""To the device and back without waiting: pinned memory, streams of their own, events.

On a CPU nothing is moved.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from vifistore.extract.blocks import VideoResult
from vifistore.extract.clock import Clock
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.decoders.kept import FramePiece
from vifistore.frames.preprocess import normalise, preprocess
from vifistore.store.recipe import Preprocessing

# One upload is on its way while the next one is being filled.
_NUM_WAYS = 2
# Some hundred frames of 224 x 224 as floats: usual videos are one piece.
_PIECE_BYTES = 128 * 2**20


class Pixels:
    """Makes the encoder's input of decoded videos, on its device."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        *,
        crops: int,
        device: torch.device,
        dtype: torch.dtype,
        clock: Clock,
    ) -> None:
        self._preprocessing = preprocessing
        self._crops = crops
        self._dtype = dtype
        self._clock = clock
        self._upload = _Uploader(device) if device.type == "cuda" else torch.from_numpy

    def pieces(self, video: DecodedVideo | FramePiece) -> tuple[int, Iterator[torch.Tensor]]:
        """How many rows `of` gives, and these in pieces of a bounded size, made one by one."""
        # Of crops that are not yet cut each piece would have some of all.
        is_one = not video.are_squares and self._crops > 1
        step = len(video.frames) if is_one else _frames_of_piece(self._preprocessing.size)
        count = len(video.frames) * (self._crops if is_one else 1)
        starts = range(0, len(video.frames), max(step, 1))
        parts = (replace(video, frames=video.frames[at : at + step]) for at in starts)
        return count, map(self.of, parts)

    def of(self, video: DecodedVideo | FramePiece) -> torch.Tensor:
        """[crop*frame 3 size size] of the encoder's dtype."""
        with self._clock.stage("preprocess"):
            frames = self._upload(video.frames)
            if video.are_squares:
                return normalise(frames, self._preprocessing, self._dtype)
            pixels = preprocess(frames, self._preprocessing, self._crops, self._dtype)
            return pixels.flatten(0, 1)


def _frames_of_piece(size: int) -> int:
    """Frames of a piece, of squares of that size."""
    return max(1, _PIECE_BYTES // (3 * size**2 * torch.float32.itemsize))


@dataclass
class _Way:
    """One of the ways that uploads take in turn."""

    # An event that was never recorded is over.
    is_over: torch.cuda.Event
    buffer: torch.Tensor
    source: torch.Tensor | None = None

    def staged(self, frames: torch.Tensor) -> torch.Tensor:
        """A copy of frames in pinned memory, which a GPU can fetch while others compute."""
        if len(self.buffer) < frames.numel():
            self.buffer = _pinned(frames.numel())
        return self.buffer[: frames.numel()].view(frames.shape).copy_(frames)


class _Uploader:
    """Copies frames to a GPU, on a stream of its own: from where they lie if that is the GPU or
    registered with CUDA, else through pinned memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        nothing = torch.empty(0, dtype=torch.uint8)
        self._ways = deque(_Way(torch.cuda.Event(), nothing) for _ in range(_NUM_WAYS))

    def __call__(self, frames: np.ndarray | torch.Tensor) -> torch.Tensor:
        """A copy of frames [...], which those on a GPU are moved by, too: the memory that they were
        decoded into is filled anew once this lets go of it."""
        way = self._ways.popleft()
        way.is_over.synchronize()
        given = torch.as_tensor(frames)
        is_near = given.is_cuda or given.is_pinned()
        # Its memory is not given back, and filled anew, before the copy is over.
        way.source = source = given if is_near else way.staged(given)
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            copied = source.to(self._device, non_blocking=True, copy=True)
            way.is_over.record(self._stream)
        computing.wait_event(way.is_over)
        # Its memory was allocated on one stream and is used on another.
        copied.record_stream(computing)
        self._ways.append(way)
        return copied


def _pinned(num_bytes: int) -> torch.Tensor:
    return torch.empty(num_bytes, dtype=torch.uint8, pin_memory=True)


def to_host(
    results: Iterable[VideoResult], device: torch.device, max_waiting: int, clock: Clock
) -> Iterator[VideoResult]:
    """Yield results with their tensors as arrays, in order.

    On a GPU copies run beside the computing, and at most `max_waiting` results are on their way;
    so no more work than that is ever queued on it.
    """
    if device.type == "cuda":
        yield from _from_gpu(results, device, max_waiting, clock)
        return
    for result in results:
        _set_arrays(result, result.values)
        yield result


def _from_gpu(
    results: Iterable[VideoResult], device: torch.device, max_waiting: int, clock: Clock
) -> Iterator[VideoResult]:
    stream = torch.cuda.Stream(device)
    waiting: deque[tuple[VideoResult, dict, torch.cuda.Event]] = deque()

    def first() -> VideoResult:
        result, copies, is_there = waiting.popleft()
        # What is waited for is nearly always the tower.
        with clock.stage("encode"):
            is_there.synchronize()
        _set_arrays(result, copies)
        return result

    for result in results:
        stream.wait_stream(torch.cuda.current_stream(device))
        is_there = torch.cuda.Event()
        with torch.cuda.stream(stream):
            copies = {name: _copy(value, stream) for name, value in result.values.items()}
            is_there.record(stream)
        waiting.append((result, copies, is_there))
        while len(waiting) > max_waiting:
            yield first()
    while waiting:
        yield first()


def _copy(value: object, stream: torch.cuda.Stream) -> object:
    if not isinstance(value, torch.Tensor):
        return value
    value.record_stream(stream)
    # Without blocking torch takes pinned memory.
    return value.to("cpu", non_blocking=True)


def _set_arrays(result: VideoResult, values: dict[str, object]) -> None:
    result.values = {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
