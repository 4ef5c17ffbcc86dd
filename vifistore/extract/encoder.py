"""The image tower over a stream of videos, in batches of one fixed size.

A batch is made of rows: frames, or the views of a clip encoder with all frames of each.
"""

import contextlib
import copy
import logging
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import torch

from vifistore.errors import ModelError, VifiError, first_line, short
from vifistore.extract.clock import Clock
from vifistore.models.encoders import CLIP, LoadedModel

logger = logging.getLogger("vifi")

# A core's caches hold the activations of some thousand tokens: 32 frames of a ViT-B-32, 8 of a
# ViT-B-16, which with 32 is a tenth slower. A GPU needs many frames to be filled.
_CPU_BATCH, _CPU_TOKENS, _GPU_BATCH = 32, 1600, 256
# Compiling, recording the graph, and a first replay.
_WARM_UPS = 3

Key = TypeVar("Key")
# What a tower gives of each row: `frames`, and the arrays that an encoder has beside them.
Outputs = dict[str, torch.Tensor]
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
        there are `frames` in a view, if it takes any number. `compiled` has an effect on a GPU
        only. Raises ModelError for a tower that gives something else than its encoder says.
        """
        is_clip = loaded.kind == CLIP
        self._model = loaded.model
        self.frames_per_row = (loaded.num_frames or frames or 1) if is_clip else 1
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.device = device
        batch = batch or _suitable_batch(loaded.image_tower, device)
        self.batch = max(1, batch // self.frames_per_row)
        self._clock = clock or Clock()
        # The recipe says fp32; TF32 convolutions, torch's default on a GPU, are not.
        torch.backends.cudnn.allow_tf32 = False
        # A copy: the model may go on to encode text, or be trained. Casting it once is several
        # times faster than autocast, which without gradients casts every weight at every batch.
        plain = copy.deepcopy(loaded.image_tower).to(device, self.dtype).eval()
        self._layout = torch.contiguous_format
        if device.type == "cuda" and not is_clip and _is_convolutional(plain):
            self._layout = torch.channels_last
            # torch types moves and casts alone.
            plain.to(memory_format=self._layout)  # pyright: ignore[reportCallIssue]
        own = (self.frames_per_row,) if is_clip else ()
        self._row_shape = (*own, 3, *loaded.image_size)
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
        self._encoded: list[Outputs] = []
        # One row, not a padded batch: on a CPU that would take a second of real work.
        check_outputs(self._tried(plain), loaded)

    def _tried(self, tower: Tower) -> Outputs:
        """What a tower gives of one blank row. Raises ModelError for one that fails."""
        with _failure_told(self._model, blank := self.blank(1)):
            return self._forward(tower, blank)

    def _compiled(self, tower: Tower) -> Tower:
        """The tower as CUDA graphs, or as it is where it cannot be compiled."""
        # Compiled towers add up over a process, and at the eighth torch gives up compiling.
        torch.compiler.reset()
        faster = torch.compile(tower, mode="reduce-overhead", dynamic=False)
        example = self.blank(self.batch)
        try:
            for _ in range(_WARM_UPS):
                self._forward(faster, example)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            # Most often there is no C compiler.
            logger.warning("the image tower runs uncompiled: %s", first_line(error))
            return tower
        return faster

    def blank(self, count: int) -> torch.Tensor:
        """Zeros in the place of the pixels of so many rows, on the device."""
        return torch.zeros(count, *self._row_shape, dtype=self.dtype, device=self.device)

    def _forward(self, tower: Tower, pixels: torch.Tensor) -> Outputs:
        """Pixels of a batch of rows -> new tensors [batch ...] of what the tower gives, floats as
        float32."""
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            # The next replay of a graph overwrites what this one gives, hence the copy below.
            torch.compiler.cudagraph_mark_step_begin()
        # On a CPU torch's own path through an attention layer is twice as fast; on a GPU
        # `scaled_dot_product_attention` is, and it is what can be compiled.
        with torch.inference_mode(), _attention_path(whole_layer=not on_gpu):
            given = tower(pixels.contiguous(memory_format=self._layout))
            named = given if isinstance(given, dict) else {"frames": given}
            return {name: _copied(name, value) for name, value in named.items()}

    def _encode(self, pixels: torch.Tensor) -> Outputs:
        """Pixels of at most `batch` rows -> tensors [row ...] on the device."""
        count = len(pixels)
        if count < self.batch:
            padded = pixels.new_zeros(self.batch, *pixels.shape[1:])
            padded[:count] = pixels
            pixels = padded
        with self._clock.stage("encode"), _failure_told(self._model, pixels):
            given = self._forward(self._tower, pixels.to(self.device, self.dtype))
            _check_rows(given, len(pixels), self._model)
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


def _copied(name: str, value: object) -> torch.Tensor:
    """A copy of a tower's output, floats as float32. Raises ModelError for what is no tensor."""
    if not isinstance(value, torch.Tensor):
        raise ModelError(
            f"the image tower gives a {type(value).__name__} as {name}; correct the encoder, so "
            "that it gives a tensor"
        )
    dtype = torch.float32 if value.is_floating_point() else value.dtype
    return value.to(dtype, copy=True)


def check_outputs(given: Outputs, loaded: LoadedModel) -> None:
    """Raise ModelError unless what a tower gives of one row is what its encoder says."""
    own = (loaded.num_outputs,) if loaded.kind == CLIP else ()
    shapes = {"frames": [(1, *own, loaded.dim)]}
    if own == (1,):
        shapes["frames"].append((1, loaded.dim))
    beside = {**loaded.optional, **loaded.further}
    shapes |= {name: [(1, *array.lengths)] for name, array in beside.items()}
    found = {name: tuple(value.shape) for name, value in given.items()}
    for name in shapes.keys() | found.keys():
        if found.get(name) not in shapes.get(name, ()):
            wanted = " or ".join(str(list(shape)) for shape in shapes.get(name, ())) or "nothing"
            got = list(found[name]) if name in found else "nothing"
            raise ModelError(
                f"the image tower of {loaded.model} gives {got} as {name} of one "
                f"{'view' if own else 'frame'}, and its encoder says {wanted}; correct the encoder"
            )


def _check_rows(given: Outputs, count: int, model: str) -> None:
    """Raise ModelError unless a tower gives as many rows as it was given."""
    for name, value in given.items():
        if len(value) != count:
            raise ModelError(
                f"the image tower of {short(model, 80)} gives {len(value)} rows of {name} for "
                f"{count}; correct the encoder, whose rows must not depend on each other"
            )


@contextlib.contextmanager
def _failure_told(model: str, batch: torch.Tensor) -> Iterator[None]:
    """Raise ModelError where a tower fails, other than for lack of memory."""
    try:
        yield
    except (VifiError, MemoryError):
        raise
    except Exception as error:
        if "memory" in str(error).lower():
            raise
        raise ModelError(
            f"the image tower of {short(model, 80)} fails on a batch {list(batch.shape)} with "
            f"{type(error).__name__}: {first_line(error, 120)}; correct the encoder, or give "
            "another --precision or --device"
        ) from error


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
