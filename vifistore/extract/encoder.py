"""The image tower over a stream of videos, in batches of one fixed size.

A batch is made of rows: frames, or the views of a clip encoder with all frames of each.
"""

import logging
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import torch
from torch.nn.attention import SDPBackend

from vifistore.errors import first_line
from vifistore.extract.attention_order import attention_order, gpu_seconds
from vifistore.extract.clock import Clock
from vifistore.extract.device_tower import (
    in_memory,
    is_convolutional,
    is_out_of_memory,
    running_on,
    suitable_batch,
    tower_on,
)
from vifistore.extract.tower_outputs import (
    Outputs,
    check_outputs,
    check_rows,
    copied,
    failure_told,
)
from vifistore.models.encoders import CLIP, LoadedModel

logger = logging.getLogger("vifi")

# Compiling, recording the graph, and a first replay.
_WARM_UPS = 3

Key = TypeVar("Key")
# Pixels [batch 3 height width], of views [batch frame 3 height width] -> embeddings [batch dim], of
# views also [batch output dim]; or a dict of what it gives.
Tower = Callable[[torch.Tensor], object]


class Encoder(Generic[Key]):
    """Encodes rows, frames or whole views, in batches of exactly `batch`, the last one padded.

    One size keeps the arithmetic of a row the same whatever it is batched with, so that a
    resumed run gives the same bytes; and a compiled tower is compiled once.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        precision: str,
        device: torch.device,
        batch: int = 0,
        compiled: bool = False,
        clock: Clock | None = None,
        frames: int = 0,
    ) -> None:
        """A `batch` of 0 suits the device; that of a clip encoder counts its frames, too, of which
        there are `frames` in a view, if it takes any number. On a GPU without room for it, it is
        halved until there is. `compiled` has an effect on a GPU only. Raises ModelError for a tower
        that gives something else than its encoder says.
        """
        is_clip = loaded.kind == CLIP
        self._model = loaded.model
        self.frames_per_row = (loaded.num_frames or frames or 1) if is_clip else 1
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.device = device
        batch = batch or suitable_batch(loaded.image_tower, device)
        self.batch = max(1, batch // self.frames_per_row)
        self._clock = clock or Clock()
        # The recipe says fp32; TF32 convolutions, torch's default on a GPU, are not.
        torch.backends.cudnn.allow_tf32 = False
        num_frames = self.batch * self.frames_per_row
        plain = tower_on(loaded.image_tower, device, self.dtype, num_frames)
        self._layout = torch.contiguous_format
        if device.type == "cuda" and not is_clip and is_convolutional(plain):
            self._layout = torch.channels_last
            # torch types moves and casts alone.
            plain.to(memory_format=self._layout)  # pyright: ignore[reportCallIssue]
        own = (self.frames_per_row,) if is_clip else ()
        self._row_shape = (*own, 3, *loaded.image_size)
        self._ways = self._attention(plain)
        # One row, not a padded batch: on a CPU that would take a second of real work.
        check_outputs(self._tried(plain), loaded)
        self.module = plain
        """The tower as it runs, but for compiling."""
        self._tower: Tower = plain
        if device.type == "cuda":
            self._tower = self._fitting(plain, compiled)
        self.is_compiled = self._tower is not plain
        """Whether the tower runs compiled: asked for, on a GPU, and no failure."""
        self.num_frames = 0
        """Frames encoded, without padding."""
        # Videos with frames that are not encoded yet, those frames, and embeddings of them.
        self._waiting: deque[tuple[Key, int]] = deque()
        self._pixels: list[torch.Tensor] = []
        self._encoded: list[Outputs] = []

    def _tried(self, tower: Tower) -> Outputs:
        """What a tower gives of one blank row. Raises ModelError for one that fails."""
        with failure_told(self._model, blank := self.blank(1)):
            return self._forward(tower, blank)

    def _attention(self, tower: torch.nn.Module) -> list[SDPBackend]:
        """The ways through attention on a GPU, the fastest first; elsewhere there is one."""
        if self.device.type != "cuda":
            return []
        with torch.cuda.device(self.device):
            return attention_order(tower, self.dtype, self.device, gpu_seconds)

    def _fitting(self, plain: Tower, compiled: bool) -> Tower:
        """The tower as it runs on a GPU, with a `batch` that its memory holds."""
        if compiled:
            try:
                tower, self.batch = in_memory(lambda rows: self._compiled(plain, rows), self.batch)
                return tower
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                logger.warning("the image tower runs uncompiled: %s", first_line(error))
        tower, self.batch = in_memory(lambda rows: self._warm(plain, rows), self.batch)
        return tower

    def _warm(self, tower: Tower, rows: int) -> Tower:
        """The tower after it has run over so many blank rows."""
        for _ in range(_WARM_UPS):
            self._forward(tower, self.blank(rows))
        return tower

    def _compiled(self, tower: Tower, rows: int) -> Tower:
        """The tower as CUDA graphs of so many rows, or as it is where it cannot be compiled."""
        try:
            # Compiled towers add up over a process, and at the eighth torch gives up compiling.
            torch.compiler.reset()
            return self._warm(torch.compile(tower, mode="reduce-overhead", dynamic=False), rows)
        except (RuntimeError, OSError, AssertionError, subprocess.SubprocessError) as error:
            if is_out_of_memory(error):
                raise
            # Most often there is no C compiler. Releases of torch before 2.13 assert that graphs
            # stay in the thread that recorded the first one.
            logger.warning("the image tower runs uncompiled: %s", first_line(error))
        return self._warm(tower, rows)

    def blank(self, count: int) -> torch.Tensor:
        """Zeros in the place of the pixels of so many rows, on the device."""
        return torch.zeros(count, *self._row_shape, dtype=self.dtype, device=self.device)

    def _forward(self, tower: Tower, pixels: torch.Tensor) -> Outputs:
        """Pixels of a batch of rows -> new tensors [batch ...] of what the tower gives, floats as
        float32."""
        if self.device.type == "cuda":
            # The next replay of a graph overwrites what this one gives, hence the copy below.
            torch.compiler.cudagraph_mark_step_begin()
        with running_on(self.device, self._ways):
            given = tower(pixels.contiguous(memory_format=self._layout))
            named = given if isinstance(given, dict) else {"frames": given}
            return {name: copied(name, value) for name, value in named.items()}

    def _encode(self, pixels: torch.Tensor) -> Outputs:
        """Pixels of at most `batch` rows -> tensors [row ...] on the device."""
        count = len(pixels)
        if count < self.batch:
            padded = pixels.new_zeros(self.batch, *pixels.shape[1:])
            padded[:count] = pixels
            pixels = padded
        with self._clock.stage("encode"), failure_told(self._model, pixels):
            given = self._forward(self._tower, pixels.to(self.device, self.dtype))
            check_rows(given, len(pixels), self._model)
            return {name: value[:count] for name, value in given.items()}

    def add(self, key: Key, pixels: torch.Tensor) -> list[tuple[Key, Outputs]]:
        """Encode the rows of one more video, [row 3 height width] or, of a clip encoder,
        [row frame 3 height width], once they fill a batch.

        Returns (key, outputs) of the videos of which every row is encoded, in order: tensors
        [row ...], `frames` of frames float32 [row dim]. They are on the device, where they may
        still be in the making.
        """
        return self.add_pieces(key, len(pixels), [pixels])

    def add_pieces(
        self, key: Key, count: int, pieces: Iterable[torch.Tensor]
    ) -> list[tuple[Key, Outputs]]:
        """As `add`, of a video whose `count` rows come in pieces, made as they are asked for."""
        self._waiting.append((key, count))
        self.num_frames += count * self.frames_per_row
        for pixels in pieces:
            self._pixels.append(pixels)
            while sum(map(len, self._pixels)) >= self.batch:
                rows, self._pixels = _take(self._pixels, self.batch)
                self._encoded.append(self._encode(rows))
        return self._completed()

    def finish(self) -> list[tuple[Key, Outputs]]:
        """Encode what fills no batch; return (key, outputs) as `add` does."""
        if sum(map(len, self._pixels)):
            self._encoded.append(self._encode(torch.cat(self._pixels)))
            self._pixels = []
        return self._completed()

    def encode(
        self, videos: Iterable[tuple[Key, torch.Tensor]]
    ) -> Iterator[tuple[Key, torch.Tensor]]:
        """Yield (key, embeddings) for each (key, pixels) as `add` takes them, in order: float32
        [row dim], or of a clip encoder [row output dim].

        Who stops half-way leaves nothing behind for the next call.
        """
        try:
            for key, pixels in videos:
                yield from ((done, given["frames"]) for done, given in self.add(key, pixels))
            yield from ((done, given["frames"]) for done, given in self.finish())
        finally:
            self._waiting.clear()
            self._pixels, self._encoded = [], []

    def _completed(self) -> list[tuple[Key, Outputs]]:
        """Take the videos of which every row is encoded."""
        completed: list[tuple[Key, Outputs]] = []
        if not self._encoded:
            return completed
        names = self._encoded[0]
        rows = {name: torch.cat([part[name] for part in self._encoded]) for name in names}
        start, num_rows = 0, len(rows["frames"])
        while self._waiting and start + self._waiting[0][1] <= num_rows:
            key, count = self._waiting.popleft()
            of_video = {name: value[start : start + count] for name, value in rows.items()}
            completed.append((key, of_video))
            start += count
        self._encoded = [{name: value[start:] for name, value in rows.items()}]
        return completed


def _take(parts: list[torch.Tensor], count: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The first `count` rows of several tensors as one, and what is left of them."""
    taken: list[torch.Tensor] = []
    for number, part in enumerate(parts):
        taken.append(part[:count])
        count -= len(taken[-1])
        if not count:
            left = [part[len(taken[-1]) :], *parts[number + 1 :]]
            return torch.cat(taken), [rows for rows in left if len(rows)]
    raise AssertionError("there are fewer rows")
