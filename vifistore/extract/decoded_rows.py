"""From rows of a dataset to decoded videos, and to those that need no encoding."""

import contextlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

import numpy as np
import torch

from vifistore.errors import DecodeError
from vifistore.extract.blocks import VideoResult, quarantined
from vifistore.extract.clock import Clock
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.extract.planned_videos import PlannedVideos
from vifistore.extract.ranks import own_cores
from vifistore.extract.registered import registered
from vifistore.extract.reuse import Reuse
from vifistore.extract.row_sources import RowSource
from vifistore.extract.trainer_frames import TrainerFrames
from vifistore.frames.decoders.decoder_names import NVDEC, cpu_decoder
from vifistore.frames.decoders.decoding import Decoded, DecodedVideo
from vifistore.frames.decoders.kept import FramePiece
from vifistore.frames.frame_cache import FrameCache
from vifistore.frames.gpu.gpu_decoders import GpuDecoders, open_gpu_decoders
from vifistore.frames.plans import span_of
from vifistore.frames.processes.cached_pool import CachedPool, nobody
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.processes.together import SharedFrames
from vifistore.frames.readers import Reader, common_squares
from vifistore.frames.squares import Squares
from vifistore.scanning.changes import ChangeLog
from vifistore.scanning.presence import MISSING, Presence
from vifistore.sources.footage import NETWORK, Footage
from vifistore.sources.roots import Values
from vifistore.store.dataset import Dataset
from vifistore.store.recipe import Preprocessing
from vifistore.store.schema import BLOCK_SIZE

# The tower on the same cores goes first: its threads wait for the slowest of them, while frames
# are wanted only once it has none left.
_NICENESS = 19


@dataclass(frozen=True, kw_only=True)
class DecodedRow:
    """A video that is to be encoded."""

    row: int
    decoded: DecodedVideo
    overlapping: str = ""
    """Names what it was decoded with, where it may have frames of the stretches before it."""
    pieces: list[dict[str, torch.Tensor]] = field(default_factory=list)
    """Collects what is made of the pieces that come before its last frames."""

    def without_frames(self) -> Self:
        """Itself once its frames are done with: their shared memory goes."""
        frames = np.empty((0, *self.decoded.frames.shape[1:]), np.uint8)
        return replace(self, decoded=replace(self.decoded, frames=frames))


@dataclass(frozen=True, kw_only=True)
class RowPiece:
    """Some frames of a long row; the last ones come as a `DecodedRow`."""

    row: int
    decoded: FramePiece
    pieces: list[dict[str, torch.Tensor]]
    """That of the row."""

    def without_frames(self) -> Self:
        """Itself once its frames are done with."""
        frames = np.empty((0, *self.decoded.frames.shape[1:]), np.uint8)
        return replace(self, decoded=replace(self.decoded, frames=frames))


class DecodedRows:
    """The videos of some rows, decoded ahead of the encoder, in order."""

    def __init__(
        self,
        dataset: Dataset,
        rows: RowSource,
        pool: DecodePool | CachedPool,
        *,
        videos: PlannedVideos,
        reuse: Reuse,
        clock: Clock,
        piece_bytes: int = 0,
    ) -> None:
        """Decoding begins at once. Rows of more than `piece_bytes` come in pieces, but for those
        that overlap; 0 for none."""
        self._videos, self._files = videos, videos.files
        self._presence = Presence(dataset, self._files)
        self.changes = ChangeLog(dataset, videos.table)
        """Videos that are not the files that were scanned any more."""
        self._reuse, self._clock = reuse, clock
        self._to_copy: deque[int] = deque()
        self._overlapping: dict[int, str] = {}
        self._piece_bytes = piece_bytes
        self._pieces: dict[int, list[dict[str, torch.Tensor]]] = {}
        self.decode_seconds = 0.0
        """Processor time that workers took to decode."""
        self.cut_seconds = 0.0
        """Processor time that workers took to resize."""
        self.readers: Counter[str] = Counter()
        """How many videos each reader read, by name: see `DecodedVideo.reader`."""
        self._decoded = pool.decode_stretches(self._jobs(rows))

    def __iter__(self) -> Iterator[DecodedRow | RowPiece | VideoResult]:
        """Yield what is to be encoded; results of what is copied, or cannot be decoded."""
        while True:
            with self._clock.stage("decode"):
                answer = next(self._decoded, None)
            yield from self._copies()
            if answer is None:
                return
            yield self._taken(*answer)
            # No name for it: it would hold its memory while the next one is waited for.
            del answer

    def _taken(self, row: int, decoded: Decoded) -> DecodedRow | RowPiece | VideoResult:
        if not isinstance(decoded, DecodeError) and not decoded.first:
            self._pieces[row] = []
        if isinstance(decoded, FramePiece):
            return RowPiece(row=row, decoded=decoded, pieces=self._pieces[row])
        pieces = self._pieces.pop(row, [])
        if isinstance(decoded, DecodeError):
            if decoded.reason in (MISSING, NETWORK):
                self._presence.miss(self._files.paths[row])
            return quarantined(row, self._files[row], decoded)
        self._presence.found()
        self.changes.read(row, decoded.content_digest)
        self.changes.cut(row, decoded.index.shape[1], decoded.left_out)
        self.changes.lose(row, decoded.lost_seconds)
        self.decode_seconds += decoded.decode_seconds
        self.cut_seconds += decoded.cut_seconds
        self.readers[decoded.reader] += 1
        overlapping = self._overlapping.pop(row, "") if decoded.numbers else ""
        return DecodedRow(row=row, decoded=decoded, overlapping=overlapping, pieces=pieces)

    def _copies(self) -> Iterator[VideoResult]:
        """Yield the results of videos that are in the store under other rows."""
        while self._to_copy:
            result = self._reuse.copy(self._to_copy.popleft())
            self.changes.read(result.row, str(result.values["content_digest"]))
            yield result

    def _jobs(self, rows: Iterable[int]) -> Iterator[tuple[list[int], DecodeJob]]:
        """Yield (rows, job) of what has to be decoded: neighbours that are stretches of one file
        together, as far as they lie in one block."""
        starts, ends = self._videos.starts, self._videos.ends
        for together in _neighbours(rows, self._files.paths, starts):
            footage = self._files[together[0]]
            wanted = [row for row in together if self._is_to_decode(row, footage)]
            if wanted:
                spans = [span_of(starts[row], ends[row]) for row in wanted]
                is_shared = self._videos.is_shared(self._files.paths[wanted[0]])
                digest = self._reuse.digests.of(footage) if is_shared else None
                how = {"digest": digest, "piece_bytes": self._piece_bytes}
                if any(span.end > after.start for span, after in pairwise(spans)):
                    name = f"{wanted[0] // BLOCK_SIZE} {footage.address}"
                    self._overlapping |= dict.fromkeys(wanted, name)
                    how["piece_bytes"] = 0
                yield wanted, DecodeJob(footage=footage, spans=spans, **how)

    def _is_to_decode(self, row: int, footage: Footage) -> bool:
        """Whether a row is to be decoded; those to copy are set aside."""
        source = self._reuse.find(row, footage)
        self.changes.look(row, footage)
        if source == "copy":
            self._to_copy.append(row)
        return source == "encode"


def _neighbours(rows: Iterable[int], paths: Values, starts: Values) -> Iterator[list[int]]:
    """Rows of one file and one block that follow one another, in the order of their starts."""
    together: list[int] = []
    for row in rows:
        if together:
            last = together[-1]
            is_next = paths[row] == paths[last] and starts[row] >= starts[last]
            if not is_next or row // BLOCK_SIZE != last // BLOCK_SIZE:
                yield together
                together = []
        together.append(row)
    if together:
        yield together


@contextlib.contextmanager
def open_pools(
    settings: EncodeSettings,
    preprocessing: Preprocessing,
    device: torch.device,
    trainer: TrainerFrames | None = None,
) -> Iterator[DecodePool | CachedPool]:
    """The running pool of an extraction.

    On a CPU the workers resize as well; a GPU resizes faster than they do, but large frames would
    fill their memory, and a cache of frames keeps squares. `trainer` reads some of the videos from
    the same cache.
    """
    own = Reader(
        frames=settings.num_frames,
        clips=settings.clips,
        stride=settings.stride,
        fps=settings.fps or 0.0,
        every=settings.every or 0,
        preprocessing=preprocessing,
        crops=settings.crops,
    )
    squares = own.squares
    if settings.frame_cache:
        squares = common_squares([own, *([trainer.kept] if trainer else [])])
    num_workers = settings.workers or default_workers(device)
    with (
        _gpu_decoders(settings, own, device) as gpu,
        _decode_pool(settings, num_workers, squares, device, gpu) as pool,
        registered(pool.arena, device),
    ):
        if settings.frame_cache is None:
            yield pool
            return
        cache = FrameCache(settings.frame_cache, int(settings.frame_cache_gb * 1e9))
        with CachedPool(
            SharedFrames(pool, cache, settings.decoder, squares),
            own,
            num_threads=2 * num_workers,
            others=trainer.of_row if trainer else nobody,
        ) as cached:
            yield cached


def _gpu_decoders(
    settings: EncodeSettings, own: Reader, device: torch.device
) -> contextlib.AbstractContextManager[GpuDecoders | None]:
    """What decodes on the GPU, if it was asked for."""
    if settings.decoder != NVDEC:
        return contextlib.nullcontext()
    return open_gpu_decoders(device, own.sampling, settings.timeout)


def _decode_pool(
    settings: EncodeSettings,
    num_workers: int,
    squares: Squares | None,
    device: torch.device,
    gpu: GpuDecoders | None,
) -> DecodePool:
    on_cpu = device.type == "cpu"
    named = ("frames", "clips", "stride", "fps", "every")
    return DecodePool(
        num_workers,
        **{name: getattr(settings, name) or 0 for name in named},
        decoder=cpu_decoder(settings.decoder),
        timeout_seconds=settings.timeout,
        squares=squares,
        only_large=not (on_cpu or settings.frame_cache),
        worker_bytes=int(settings.worker_memory_gb * 2**30),
        niceness=_NICENESS if on_cpu else 0,
        gpu=gpu,
    )


def default_workers(device: torch.device) -> int:
    """Decoding processes: one a core, but one core feeds the GPU where there is one."""
    return max(1, own_cores() - (device.type == "cuda"))
