"""The one pipeline: videos -> decode pool -> preprocess -> tower -> pooling -> store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from tqdm import tqdm

from vifistore.errors import DecodeError, UsageError
from vifistore.extract.blocks import VideoResult, done, quarantined, stack
from vifistore.extract.encoder import Encoder
from vifistore.extract.provenance import machine_provenance
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.extract.settings import ExtractSettings
from vifistore.frames.pool import DecodePool
from vifistore.frames.preprocess import preprocess
from vifistore.models.towers import LoadedModel
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import Store
from vifistore.store.writer import FeatureWriter, Shape


@dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """What an extraction did."""

    id: str
    encoded: int
    """Videos encoded by this run."""
    quarantined: int
    """Videos quarantined by this run."""
    sealed: bool
    """Whether the set is complete."""


class Extraction:
    """One run over the videos of a dataset that are still to do."""

    def __init__(
        self, store: Store, dataset: str, settings: ExtractSettings, loaded: LoadedModel
    ) -> None:
        self._videos = store.videos(dataset)
        self._root = store.root(dataset)
        self._settings = settings
        device = choose_device(settings.device)
        self.recipe = resolve_recipe(settings, loaded)
        self._encoder = Encoder(
            loaded, precision=self.recipe.precision, device=device, batch=settings.batch
        )
        self._shape = Shape(
            video=len(self._videos),
            view=settings.num_views,
            frame=settings.frames,
            dim=self._encoder.dim,
        )
        provenance = machine_provenance(device)
        self.writer = FeatureWriter(
            store.backend, dataset, self.recipe.as_dict(), self._shape, provenance
        )

    def run(self, *, blocks: range | None = None, limit: int | None = None) -> ExtractReport:
        """Encode what is to do, block by block; seal the set once nothing is left.

        Parameters
        ----------
        blocks
            Only these blocks; all by default.
        limit
            At most so many videos.
        """
        rows = self._todo(blocks, limit)
        encoded = failed = 0
        with tqdm(total=len(rows), unit="video", desc="extract", disable=None) as bar:
            for results in self._finished_blocks(rows):
                self._write(results)
                failed += (bad := sum("reason" in result.values for result in results))
                encoded += len(results) - bad
                bar.update(len(results))
                bar.set_postfix(quarantined=failed)
        complete = not self.writer.todo_blocks()
        if complete and (rows or not self.writer.sealed):
            self.writer.seal()
        return ExtractReport(
            id=self.writer.id, encoded=encoded, quarantined=failed, sealed=complete
        )

    def _todo(self, blocks: range | None, limit: int | None) -> list[int]:
        chosen = [b for b in self.writer.todo_blocks() if blocks is None or b in blocks]
        rows = [row for block in chosen for row in self.writer.todo_rows(block)]
        return rows if limit is None else rows[:limit]

    def _write(self, results: list[VideoResult]) -> None:
        rows = [result.row for result in results]
        self.writer.write_block(rows[0] // BLOCK_SIZE, rows, stack(results, self._shape))

    def _finished_blocks(self, rows: list[int]) -> Iterator[list[VideoResult]]:
        """Yield the results of the rows of one block after another."""
        waiting: dict[int, int] = {}
        for row in rows:
            waiting[row // BLOCK_SIZE] = waiting.get(row // BLOCK_SIZE, 0) + 1
        ready: dict[int, list[VideoResult]] = {}
        for result in self._results(rows):
            block = result.row // BLOCK_SIZE
            ready.setdefault(block, []).append(result)
            if len(ready[block]) == waiting[block]:
                yield sorted(ready.pop(block), key=lambda result: result.row)

    def _results(self, rows: list[int]) -> Iterator[VideoResult]:
        """Yield a result per row; those that failed may overtake those being encoded."""
        failed: list[VideoResult] = []
        for (row, decoded), embeddings in self._encoder.encode(self._pixels(rows, failed)):
            yield done(row, decoded, embeddings, self._shape, self._settings.crops)
            while failed:
                yield failed.pop()
        yield from failed

    def _pixels(self, rows: list[int], failed: list[VideoResult]) -> Iterator[tuple]:
        """Yield ((row, decoded video), float32 [crop*frame 3 size size]) of what decodes."""
        settings = self._settings
        paths = self._videos["path"].to_numpy()
        jobs = ((row, self._root / paths[row]) for row in rows)
        workers = settings.workers or default_workers()
        with DecodePool(
            workers,
            frames=settings.frames,
            clips=settings.clips,
            decoder=settings.decoder,
            timeout_seconds=settings.timeout,
        ) as pool:
            for row, decoded in pool.decode(jobs):
                if isinstance(decoded, DecodeError):
                    failed.append(quarantined(row, self._root / paths[row], decoded))
                    continue
                pixels = preprocess(
                    torch.from_numpy(decoded.frames), self.recipe.preprocessing, settings.crops
                )
                # The raw frames are done with: only their shared memory would be held.
                light = replace(decoded, frames=decoded.frames[:0].copy())
                yield (row, light), pixels.flatten(0, 1)


def default_workers() -> int:
    """Decoding processes: half the cores, since the tower or its feeding needs the others."""
    return max(1, (os.cpu_count() or 2) // 2)


def parse_blocks(text: str, num_videos: int) -> range:
    """Read `A:B` as the blocks A to B-1. Raises UsageError if it is no range of the dataset's."""
    num_blocks = -(-num_videos // BLOCK_SIZE)
    start, colon, stop = text.partition(":")
    try:
        chosen = range(int(start or 0), int(stop or num_blocks))
    except ValueError:
        chosen = range(0)
    if not colon or not chosen or chosen.start < 0 or chosen.stop > num_blocks:
        raise UsageError(
            f"--blocks is {text!r}; give A:B with 0 <= A < B <= {num_blocks}, the number of "
            f"blocks of {BLOCK_SIZE} videos"
        )
    return chosen
