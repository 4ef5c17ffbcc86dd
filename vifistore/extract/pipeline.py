"""The one pipeline: videos -> decode pool -> preprocess -> tower -> pooling -> store.

Each stage runs beside the others: workers decode ahead, a GPU computes while its next input and
its last output are copied, and a thread writes blocks. What is in flight is bounded, so memory
does not grow with the number of videos.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from vifistore.errors import UsageError
from vifistore.extract.blocks import VideoResult, done, stack
from vifistore.extract.clock import Clock
from vifistore.extract.decoded_rows import DecodedRows, default_workers, open_pools
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.origin import not_as_trained
from vifistore.extract.recipes import choose_device, resolve_recipe, settled
from vifistore.extract.reuse import Reuse
from vifistore.extract.run_figures import figures, keep
from vifistore.extract.run_provenance import device_name, machine_provenance, run_facts
from vifistore.extract.trainer_frames import TrainerFrames
from vifistore.extract.transfer import Pixels, to_host
from vifistore.frames.cached_pool import CachedPool
from vifistore.frames.pool import DecodePool
from vifistore.models.towers import LoadedModel
from vifistore.progress import Progress
from vifistore.scanning.changes import ChangeLog
from vifistore.scanning.presence import Presence
from vifistore.store.committer import BlockCommitter
from vifistore.store.dataset import Dataset
from vifistore.store.schema import BLOCK_SIZE, QUARANTINED, TODO
from vifistore.store.writer import FeatureWriter, Shape

# Batches of a GPU that may be queued: one computes while the next one is prepared.
_BATCHES_AHEAD = 2


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
    figures: dict = field(default_factory=dict)
    """What it took; see vifistore.extract.run_figures. Empty if there was nothing to do."""


class Extraction:
    """One run over the videos of a dataset that are still to do, or quarantined (`retry`)."""

    def __init__(
        self,
        dataset: Dataset,
        settings: ExtractSettings,
        loaded: LoadedModel,
        *,
        retry: bool = False,
        purpose: str = "extract",
        trainer: TrainerFrames | None = None,
    ) -> None:
        """`purpose` is kept in the provenance of the blocks that this run writes; `trainer` shares
        the frame cache."""
        dataset.require_whole_videos()
        self._dataset, self._trainer = dataset, trainer
        self._videos = dataset.videos()
        self._settings = settings = settled(settings, loaded)
        self._loaded = loaded
        self._wanted = QUARANTINED if retry else TODO
        self._device = choose_device(settings.device)
        self.recipe = resolve_recipe(settings, loaded)
        self._clock = Clock()
        self._shape = Shape(
            video=len(self._videos),
            view=settings.num_views,
            frame=settings.num_frames,
            dim=loaded.config["embed_dim"],
        )
        self._num_workers = settings.workers or default_workers(self._device)
        self._provenance = {**machine_provenance(self._device), "purpose": purpose}
        if differing := not_as_trained(loaded, self.recipe):
            self._provenance["not_as_trained"] = differing
        self.writer = FeatureWriter(dataset, self.recipe.as_dict(), self._shape, self._provenance)

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
        UsageError
            If the memory of the GPU is too small. Blocks that were finished are kept.
        """
        before = np.zeros(self._shape.video, np.uint8) if attempts is None else attempts
        try:
            return self._run(self._claim(blocks, limit), before)
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"the memory of {device_name(self._device)} is too small for batches of this size; "
                "give a smaller --batch, 32 for instance, and what is done is kept"
            ) from error
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
        changes = ChangeLog(self._dataset, self._videos)
        self._reuse = Reuse(self._dataset, self.writer, self._videos, rows)
        self._clock.restart()
        self._source = DecodedRows(
            self._dataset.root(),
            self._videos["path"].to_numpy(),
            reuse=self._reuse,
            changes=changes,
            presence=Presence(self._dataset, self._videos["path"].to_numpy()),
            clock=self._clock,
        )
        self._num_failed = 0
        with Progress(total=len(rows), unit="video", desc="extract") as bar:
            self._write_all(rows, attempts, bar)
        changes.say()
        with self._clock.stage("write"):
            is_complete = self._finish(rows)
        return ExtractReport(
            id=self.writer.id,
            encoded=len(rows) - self._num_failed - self._reuse.num_copied,
            reused=self._reuse.num_copied,
            quarantined=self._num_failed,
            sealed=is_complete,
            figures=self._figures(len(rows)) if rows else {},
        )

    def _new_encoder(self) -> Encoder:
        """The encoder; compiling it may take a minute, so it is made once there is work for it."""
        return Encoder(
            self._loaded,
            precision=self.recipe.precision,
            device=self._device,
            batch=self._settings.batch,
            compiled=self._settings.compile,
            clock=self._clock,
        )

    def _finish(self, rows: list[int]) -> bool:
        """Seal the set if nothing is left to do, by whatever process; return whether that is so.

        Raises IncompleteError if one of this run's rows is still to do.
        """
        self.writer.refresh()
        self.writer.require_settled(rows)
        complete = not self.writer.todo_blocks()
        if complete and self.writer.needs_seal:
            self.writer.seal()
        return complete

    def _write_all(self, rows: list[int], attempts: np.ndarray, bar: Progress) -> None:
        """Hand the finished blocks to the thread that writes them; return when all are written."""
        if not rows:
            return
        with contextlib.ExitStack() as opened:
            committer = opened.enter_context(BlockCommitter(self.writer))
            pool = opened.enter_context(
                open_pools(self._settings, self.recipe.preprocessing, self._device, self._trainer)
            )
            # The workers start meanwhile.
            self._encoder = self._new_encoder()
            self._clock.restart()
            bar.unpause()
            results = self._counted(rows, self._results(self._encoded(rows, pool)), bar)
            for block_results in self._finished_blocks(results):
                with self._clock.stage("write"):
                    self._write(committer, block_results, attempts)
            with self._clock.stage("write"):
                opened.close()

    def _write(
        self, committer: BlockCommitter, results: list[VideoResult], attempts: np.ndarray
    ) -> None:
        rows = [result.row for result in results]
        data = stack(results, self._shape)
        data["attempts"] = np.minimum(attempts[rows].astype(int) + 1, 255).astype(np.uint8)
        committer.add(rows[0] // BLOCK_SIZE, rows, data)

    def _counted(
        self, rows: list[int], results: Iterator[VideoResult], bar: Progress
    ) -> Iterator[tuple[VideoResult, int]]:
        """Yield each result with the number of rows of its block, and move the bar."""
        in_block = np.bincount(np.array(rows) // BLOCK_SIZE)
        for result in results:
            self._num_failed += "reason" in result.values
            bar.set_postfix_str(
                f"{self._encoder.num_frames / self._clock.seconds:.1f} frames/s, "
                f"{self._num_failed} quarantined",
                refresh=False,
            )
            bar.update()
            yield result, int(in_block[result.row // BLOCK_SIZE])

    def _finished_blocks(
        self, results: Iterator[tuple[VideoResult, int]]
    ) -> Iterator[list[VideoResult]]:
        """Yield the results of the rows of one block after another."""
        ready: dict[int, list[VideoResult]] = {}
        for result, num_wanted in results:
            block = result.row // BLOCK_SIZE
            ready.setdefault(block, []).append(result)
            if len(ready[block]) == num_wanted:
                yield sorted(ready.pop(block), key=lambda result: result.row)

    def _results(self, encoded: Iterator[VideoResult]) -> Iterator[VideoResult]:
        """Yield a result per row; those that need no encoding may overtake those that do."""
        frames_per_video = self._settings.num_frames * self._settings.num_views
        most = max(2, _BATCHES_AHEAD * self._encoder.batch // frames_per_video)
        for result in to_host(encoded, self._device, most, self._clock):
            yield from self._source.take_ready()
            yield from self._reuse.with_twins(result)
        yield from self._source.take_ready()

    def _encoded(self, rows: list[int], pool: DecodePool | CachedPool) -> Iterator[VideoResult]:
        """Yield a result per video that decodes, its arrays still on the device."""
        pixels = Pixels(
            self.recipe.preprocessing,
            crops=self._settings.crops,
            device=self._device,
            dtype=self._encoder.dtype,
            clock=self._clock,
        )
        videos = self._source.pixels(rows, pool, pixels)
        for (row, decoded), embeddings in self._encoder.encode(videos):
            yield done(row, decoded, embeddings, self._shape, self._settings.crops)

    def _figures(self, num_rows: int) -> dict:
        counts = {
            "encoded": num_rows - self._num_failed - self._reuse.num_copied,
            "reused": self._reuse.num_copied,
            "quarantined": self._num_failed,
            "frames_encoded": self._encoder.num_frames,
        }
        seconds, shares = self._clock.seconds, self._clock.shares()
        row = {
            "dataset": self._dataset.name,
            "id": self.writer.id,
            **run_facts(self._settings, self.recipe.precision, self._device),
            "batch": self._encoder.batch,
            "workers": self._num_workers,
            "host": self._provenance["host"],
            "versions": self._provenance["versions"],
        }
        row |= figures(counts, shares, seconds=seconds)
        row["worker_decode_seconds"] = round(self._source.decode_seconds, 3)
        row["worker_resize_seconds"] = round(self._source.cut_seconds, 3)
        keep(row, self._dataset.store.cache_folder)
        return row
