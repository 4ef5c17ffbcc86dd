"""The image tower over a stream of videos, in batches of one fixed size."""

import contextlib
import copy
import logging
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import torch

from vifistore.errors import first_line
from vifistore.extract.clock import Clock
from vifistore.models.encoders import LoadedModel

logger = logging.getLogger("vifi")

# A core's caches hold the activations of some thousand tokens: 32 frames of a ViT-B-32, 8 of a
# ViT-B-16, which with 32 is a tenth slower. A GPU needs many frames to be filled.
_CPU_BATCH, _CPU_TOKENS, _GPU_BATCH = 32, 1600, 256
# Compiling, recording the graph, and a first replay.
_WARM_UPS = 3

Key = TypeVar("Key")
# Pixels [batch 3 size size] -> embeddings [batch dim].
Tower = Callable[[torch.Tensor], torch.Tensor]


class Encoder(Generic[Key]):
    """Encodes frames in batches of exactly `batch` rows, the last one padded.

    One size keeps the arithmetic of a frame the same whatever it is batched with, so that a
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
    ) -> None:
        """A `batch` of 0 suits the device; `compiled` has an effect on a GPU only."""
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.device = device
        self.batch = batch or _suitable_batch(loaded.image_tower, device)
        self._clock = clock or Clock()
        # The recipe says fp32; TF32 convolutions, torch's default on a GPU, are not.
        torch.backends.cudnn.allow_tf32 = False
        # A copy: the model may go on to encode text, or be trained. Casting it once is several
        # times faster than autocast, which without gradients casts every weight at every batch.
        plain = copy.deepcopy(loaded.image_tower).to(device, self.dtype).eval()
        self._layout = torch.contiguous_format
        if device.type == "cuda" and _is_convolutional(plain):
            self._layout = torch.channels_last
            # torch types moves and casts alone.
            plain.to(memory_format=self._layout)  # pyright: ignore[reportCallIssue]
        self._frame_shape = (3, *loaded.image_size)
        self._tower: Tower = plain
        if compiled and device.type == "cuda":
            self._tower = self._compiled(plain)
        self.is_compiled = self._tower is not plain
        """Whether the tower runs compiled: asked for, on a GPU, and no failure."""
        self.num_frames = 0
        """Frames encoded, without padding."""
        # Videos with frames that are not encoded yet, those frames, and embeddings of them.
        self._waiting: deque[tuple[Key, int]] = deque()
        self._pixels: list[torch.Tensor] = []
        self._encoded: list[torch.Tensor] = []
        # One frame, not a padded batch: on a CPU that would take a second of real work.
        self.dim = self._forward(plain, self._blank(1)).shape[-1]

    def _compiled(self, tower: Tower) -> Tower:
        """The tower as CUDA graphs, or as it is where it cannot be compiled."""
        # Compiled towers add up over a process, and at the eighth torch gives up compiling.
        torch.compiler.reset()
        faster = torch.compile(tower, mode="reduce-overhead", dynamic=False)
        example = self._blank(self.batch)
        try:
            for _ in range(_WARM_UPS):
                self._forward(faster, example)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            # Most often there is no C compiler.
            logger.warning("the image tower runs uncompiled: %s", first_line(error))
            return tower
        return faster

    def _blank(self, count: int) -> torch.Tensor:
        """Zeros [count 3 size size] on the device."""
        return torch.zeros(count, *self._frame_shape, dtype=self.dtype, device=self.device)

    def _forward(self, tower: Tower, pixels: torch.Tensor) -> torch.Tensor:
        """[batch 3 size size] -> a new float32 [batch dim]."""
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            # The next replay of a graph overwrites what this one gives, hence the copy below.
            torch.compiler.cudagraph_mark_step_begin()
        # On a CPU torch's own path through an attention layer is twice as fast; on a GPU
        # `scaled_dot_product_attention` is, and it is what can be compiled.
        with torch.inference_mode(), _attention_path(whole_layer=not on_gpu):
            return tower(pixels.contiguous(memory_format=self._layout)).to(torch.float32, copy=True)

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """[frame 3 size size], at most `batch` frames -> float32 [frame dim] on the device."""
        count = len(pixels)
        if count < self.batch:
            padded = pixels.new_zeros(self.batch, *pixels.shape[1:])
            padded[:count] = pixels
            pixels = padded
        with self._clock.stage("encode"):
            return self._forward(self._tower, pixels.to(self.device, self.dtype))[:count]

    def add(self, key: Key, pixels: torch.Tensor) -> list[tuple[Key, torch.Tensor]]:
        """Encode the frames of one more video, [frame 3 size size], once they fill a batch.

        Returns (key, float32 [frame dim]) of the videos of which every frame is encoded, in order.
        Embeddings are on the device, where they may still be in the making.
        """
        self._waiting.append((key, len(pixels)))
        self._pixels.append(pixels)
        self.num_frames += len(pixels)
        while sum(map(len, self._pixels)) >= self.batch:
            rows, self._pixels = _take(self._pixels, self.batch)
            self._encoded.append(self._encode(rows))
        return self._completed()

    def finish(self) -> list[tuple[Key, torch.Tensor]]:
        """Encode what fills no batch; return (key, float32 [frame dim]) as `add` does."""
        if sum(map(len, self._pixels)):
            self._encoded.append(self._encode(torch.cat(self._pixels)))
            self._pixels = []
        return self._completed()

    def encode(
        self, videos: Iterable[tuple[Key, torch.Tensor]]
    ) -> Iterator[tuple[Key, torch.Tensor]]:
        """Yield (key, float32 [frame dim]) for each (key, [frame 3 size size]), in order.

        Who stops half-way leaves nothing behind for the next call.
        """
        try:
            for key, pixels in videos:
                yield from self.add(key, pixels)
            yield from self.finish()
        finally:
            self._waiting.clear()
            self._pixels, self._encoded = [], []

    def _completed(self) -> list[tuple[Key, torch.Tensor]]:
        """Take the videos of which every frame is encoded."""
        completed: list[tuple[Key, torch.Tensor]] = []
        if not self._encoded:
            return completed
        rows, start = torch.cat(self._encoded), 0
        while self._waiting and start + self._waiting[0][1] <= len(rows):
            key, count = self._waiting.popleft()
            completed.append((key, rows[start : start + count]))
            start += count
        self._encoded = [rows[start:]]
        return completed


@contextlib.contextmanager
def _attention_path(*, whole_layer: bool) -> Iterator[None]:
    """Whether torch may compute an attention layer in one go of its own."""
    previous = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(whole_layer)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(previous)


def _suitable_batch(tower: torch.nn.Module, device: torch.device) -> int:
    """Frames a batch that suit the device and the tower."""
    if device.type == "cuda":
        return _GPU_BATCH
    positions = getattr(tower, "positional_embedding", None)
    return _CPU_BATCH if positions is None else max(1, _CPU_TOKENS // len(positions))


def _is_convolutional(tower: torch.nn.Module) -> bool:
    """Whether a tower has more convolutions than the one that cuts a ViT's patches."""
    return sum(isinstance(module, torch.nn.Conv2d) for module in tower.modules()) > 1


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
