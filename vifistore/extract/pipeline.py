"""The one pipeline: videos -> decode pool -> preprocess -> tower -> pooling -> store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from tqdm import tqdm

from vifistore.errors import DecodeError, UsageError
from vifistore.extract.blocks import VideoResult, done, quarantined, stack
from vifistore.extract.changes import ChangeLog
from vifistore.extract.encoder import Encoder
from vifistore.extract.provenance import machine_provenance
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.extract.reuse import Reuse
from vifistore.extract.settings import ExtractSettings
from vifistore.frames.pool import DecodePool
from vifistore.frames.preprocess import preprocess
from vifistore.models.towers import LoadedModel
from vifistore.store.schema import BLOCK_SIZE, QUARANTINED, TODO
from vifistore.store.store import Store
from vifistore.store.writer import FeatureWriter, Shape


@dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """What an extraction did."""

    id: str
    encoded: int
    """Videos encoded by this run."""
    reused: int
    """Videos whose embeddings this run copied, since the same file was encoded already."""
    quarantined: int
    """Videos quarantined by this run."""
    sealed: bool
    """Whether the set is complete."""


class Extraction:
    """One run over the videos of a dataset that are still to do, or quarantined (`retry`)."""

    def __init__(
        self,
        store: Store,
        dataset: str,
        settings: ExtractSettings,
        loaded: LoadedModel,
        *,
        retry: bool = False,
        purpose: str = "extract",
    ) -> None:
        """`purpose` is kept in the provenance of the blocks that this run writes."""
        self._store = store
        self._dataset = dataset
        self._videos = store.videos(dataset)
        self._root = store.root(dataset)
        self._settings = settings
        self._wanted = QUARANTINED if retry else TODO
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
        provenance = {**machine_provenance(device), "purpose": purpose}
        self.writer = FeatureWriter(
            store.backend, dataset, self.recipe.as_dict(), self._shape, provenance
        )

    def run(
        self,
        *,
        blocks: range | None = None,
        limit: int | None = None,
        attempts: np.ndarray | None = None,
    ) -> ExtractReport:
        """Encode what is to do, block by block; seal the set once nothing is left.

        Parameters
        ----------
        blocks
            Only these blocks; all by default.
        limit
            At most so many videos.
        attempts
            How often each video was tried before, uint8 [video]; never, by default.

        Raises
        ------
        LockedError
            If another process is writing one of the blocks.
        StoreError
            If the disk is full or read-only. Blocks that were finished are kept.
        """
        before = np.zeros(self._shape.video, np.uint8) if attempts is None else attempts
        try:
            return self._run(self._claim(blocks, limit), before)
        finally:
            self.writer.release()

    def _claim(self, blocks: range | None, limit: int | None) -> list[int]:
        """Lock the blocks of the rows to do, and return those rows."""
        found = np.flatnonzero(self.writer.status == self._wanted).tolist()
        rows = [row for row in found if blocks is None or row // BLOCK_SIZE in blocks][:limit]
        self.writer.claim(row // BLOCK_SIZE for row in rows)
        # Another process may have written some before they were locked.
        rows = [row for row in rows if self.writer.status[row] == self._wanted]
        if rows and self._wanted == QUARANTINED and self.writer.sealed:
            self.writer.unseal()
        return rows

    def _run(self, rows: list[int], attempts: np.ndarray) -> ExtractReport:
        self._changes = ChangeLog(self._store, self._dataset, self._videos)
        self._reuse = Reuse(self._store, self._dataset, self.writer, self._videos, rows)
        failed = 0
        with tqdm(total=len(rows), unit="video", desc="extract", disable=None) as bar:
            for results in self._finished_blocks(rows):
                self._write(results, attempts)
                failed += sum("reason" in result.values for result in results)
                bar.update(len(results))
                bar.set_postfix(quarantined=failed)
        self._changes.say()
        return ExtractReport(
            id=self.writer.id,
            encoded=len(rows) - failed - self._reuse.num_copied,
            reused=self._reuse.num_copied,
            quarantined=failed,
            sealed=self._finish(),
        )

    def _finish(self) -> bool:
        """Seal the set if nothing is left to do, by whatever process; return whether that is so."""
        self.writer.refresh()
        complete = not self.writer.todo_blocks()
        if complete and self.writer.needs_seal:
            self.writer.seal()
        return complete

    def _write(self, results: list[VideoResult], attempts: np.ndarray) -> None:
        rows = [result.row for result in results]
        data = stack(results, self._shape)
        data["attempts"] = np.minimum(attempts[rows].astype(int) + 1, 255).astype(np.uint8)
        self.writer.write_block(rows[0] // BLOCK_SIZE, rows, data)

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
        """Yield a result per row; those that need no encoding may overtake those that do."""
        ready: list[int | VideoResult] = []
        for (row, decoded), embeddings in self._encoder.encode(self._pixels(rows, ready)):
            yield from self._ready(ready)
            result = done(row, decoded, embeddings, self._shape, self._settings.crops)
            yield from self._reuse.with_twins(result)
        yield from self._ready(ready)

    def _ready(self, ready: list[int | VideoResult]) -> Iterator[VideoResult]:
        """Empty the list of rows to copy and of results that failed, a result each."""
        while ready:
            entry = ready.pop(0)
            if isinstance(entry, VideoResult):
                yield from self._reuse.with_twins(entry)
            else:
                result = self._reuse.copy(entry)
                self._changes.read(entry, result.values["content_digest"])
                yield result

    def _jobs(self, rows: list[int], ready: list[int | VideoResult]) -> Iterator[tuple]:
        """Yield (row, path) of what has to be decoded; rows to copy go to `ready`."""
        paths = self._videos["path"].to_numpy()
        for row in rows:
            path = self._root / paths[row]
            source = self._reuse.find(row, path)
            self._changes.look(row, path)
            if source == "encode":
                yield row, path
            elif source == "copy":
                ready.append(row)

    def _pixels(self, rows: list[int], ready: list[int | VideoResult]) -> Iterator[tuple]:
        """Yield ((row, decoded video), float32 [crop*frame 3 size size]) of what decodes."""
        settings = self._settings
        paths = self._videos["path"].to_numpy()
        workers = settings.workers or default_workers()
        with DecodePool(
            workers,
            frames=settings.frames,
            clips=settings.clips,
            decoder=settings.decoder,
            timeout_seconds=settings.timeout,
        ) as pool:
            for row, decoded in pool.decode(self._jobs(rows, ready)):
                if isinstance(decoded, DecodeError):
                    ready.append(quarantined(row, self._root / paths[row], decoded))
                    continue
                self._changes.read(row, decoded.content_digest)
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
