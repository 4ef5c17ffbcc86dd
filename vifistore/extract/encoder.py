"""The image tower over a stream of videos, in batches of one fixed size."""

import copy
from collections import deque
from collections.abc import Iterable, Iterator

import torch

from vifistore.models.towers import LoadedModel


class Encoder:
    """Encodes frames in batches of exactly `batch` rows, the last one padded.

    One size keeps the arithmetic of a frame the same whatever it is batched with, so that a
    resumed run gives the same bytes.
    """

    def __init__(
        self, loaded: LoadedModel, *, precision: str, device: torch.device, batch: int
    ) -> None:
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        # A copy: the model may go on to encode text, or be trained. Casting it once is several
        # times faster than autocast, which without gradients casts every weight at every batch.
        self._tower = copy.deepcopy(loaded.clip.visual).to(device, self._dtype).eval()
        self._device = device
        # The recipe says fp32; TF32 convolutions, torch's default on a GPU, are not.
        torch.backends.cudnn.allow_tf32 = False
        self._batch = batch
        self.dim = self._encode(torch.zeros(1, 3, *loaded.preprocess_config["size"])).shape[-1]

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 [frame 3 size size], at most `batch` frames -> float32 [frame dim]."""
        padded = torch.zeros(self._batch, *pixels.shape[1:], dtype=self._dtype)
        padded[: len(pixels)] = pixels
        with torch.inference_mode():
            embeddings = self._tower(padded.to(self._device))
        return embeddings[: len(pixels)].float()

    def encode(
        self, videos: Iterable[tuple[object, torch.Tensor]]
    ) -> Iterator[tuple[object, torch.Tensor]]:
        """Yield (key, float32 [frame dim]) for each (key, float32 [frame 3 size size])."""
        waiting: deque[tuple[object, int]] = deque()
        pixels: list[torch.Tensor] = []
        encoded: list[torch.Tensor] = []
        for key, video in videos:
            waiting.append((key, len(video)))
            pixels.append(video)
            while sum(map(len, pixels)) >= self._batch:
                rows = torch.cat(pixels)
                encoded.append(self._encode(rows[: self._batch]))
                pixels = [rows[self._batch :]]
            encoded = yield from _complete(waiting, encoded)
        if pixels and sum(map(len, pixels)):
            encoded.append(self._encode(torch.cat(pixels)))
        yield from _complete(waiting, encoded)


def _complete(
    waiting: deque[tuple[object, int]], encoded: list[torch.Tensor]
) -> Iterator[tuple[object, torch.Tensor]]:
    """Yield the videos of which every frame is encoded; return the rows that are left."""
    if not encoded:
        return encoded
    rows = torch.cat(encoded)
    start = 0
    while waiting and start + waiting[0][1] <= len(rows):
        key, count = waiting.popleft()
        yield key, rows[start : start + count]
        start += count
    return [rows[start:]]
