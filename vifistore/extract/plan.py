"""What an extraction would do, and how long that might take."""

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from vifistore.errors import DecodeError
from vifistore.extract.decoded_rows import default_workers
from vifistore.extract.encoder import Encoder
from vifistore.extract.prepare import Job
from vifistore.extract.rates import frames_needed
from vifistore.extract.run_figures import last_run, run_facts
from vifistore.frames.decoders.decoder_names import cpu_decoder
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.plans import span_of
from vifistore.frames.preprocess import preprocess
from vifistore.scanning.presence import Presence
from vifistore.sources.roots import evenly
from vifistore.store.dataset import Dataset
from vifistore.store.feature_record import FurtherArray
from vifistore.store.schema import BLOCK_SIZE, TODO

_VIDEOS_TRIED = 4


def plan(job: Job, *, blocks: range | None = None, limit: int | None = None) -> dict:
    """Videos, frames and bytes to write, free disk, and an estimate of the time.

    `free_bytes` is None where the place of the store has no limit that is known.
    `estimated_seconds` is None where nothing is to do, or no video could be tried;
    `estimated_from` says what it comes from. Raises StoreError if the videos are gone.
    """
    dataset, settings = job.dataset, job.settings
    rows = rows_to_do(dataset, job.recipe.id)
    rows = [row for row in rows if blocks is None or row // BLOCK_SIZE in blocks][:limit]
    if rows:
        Presence(dataset).require()
    seconds, source = _estimate(job, np.array(rows, int))
    return {
        "id": job.recipe.id,
        "videos": dataset.num_videos,
        "todo": len(rows),
        "frames": _num_frames(job, rows) * settings.num_views,
        "bytes": len(rows) * settings.num_views * _bytes_of_view(job),
        "free_bytes": dataset.backend.place.free_bytes(),
        "estimated_seconds": None if seconds is None else round(seconds, 1),
        "estimated_from": source,
        **_cost_of_tokens(job, len(rows) * settings.num_views),
    }


def _cost_of_tokens(job: Job, num_views: int) -> dict:
    """Bytes of what texts that follow the video are made from, a view and in all, and whether it is
    kept; nothing where texts follow none."""
    if not job.loaded.optional:
        return {}
    of_view = sum(map(_bytes_of, job.loaded.optional.values()))
    is_kept = job.loaded.optional.keys() <= job.loaded.further.keys()
    return {
        "keeps_tokens": is_kept,
        "token_bytes_of_view": of_view,
        "token_bytes": of_view * num_views,
    }


def _bytes_of(array: FurtherArray) -> int:
    return math.prod(array.lengths) * np.dtype(array.dtype).itemsize


def _bytes_of_view(job: Job) -> int:
    """Of its embeddings, their two means and times, and what the encoder leaves beside them."""
    frames, dim = job.shape.frame, job.shape.dim
    further = sum(map(_bytes_of, job.further.values()))
    return frames * dim * 2 + dim * 8 + frames * 4 + further


def rows_to_do(dataset: Dataset, feature_id: str) -> list[int]:
    """Rows of a dataset that a feature set lacks, those that were added since included."""
    num_videos = dataset.num_videos
    if feature_id not in dataset.feature_ids():
        return list(range(num_videos))
    status = dataset.features(feature_id).read_status()
    return [*np.flatnonzero(status == TODO).tolist(), *range(len(status), num_videos)]


def _num_frames(job: Job, rows: Sequence[int] | np.ndarray) -> int:
    """Frames of a view of all these rows."""
    settings = job.settings
    if not settings.has_rate:
        return len(rows) * settings.num_frames
    needed = frames_needed(job.dataset, settings)[np.array(rows, int)]
    return int(needed.clip(1, settings.num_frames).sum())


def _estimate(job: Job, rows: np.ndarray) -> tuple[float | None, str]:
    """Seconds, and what they are estimated from."""
    if not len(rows):
        return None, "nothing to do"
    frames = _num_frames(job, rows) * job.settings.num_views
    facts = run_facts(job.settings, job.recipe.precision, job.device)
    row = last_run(job.dataset.backend.cache_folder, facts)
    if row is not None:
        return frames / row["frames_per_second"], f"the run of {row['time']} on this machine"
    tried = rows[evenly(len(rows), _VIDEOS_TRIED)]
    rates = _try(job, tried)
    if rates is None:
        return None, f"none of {len(tried)} videos tried can be decoded"
    num_workers = job.settings.workers or default_workers(job.device)
    decoding = len(rows) * rates["decode_seconds_per_video"] / num_workers
    encoding = frames * rates["encode_seconds_per_frame"]
    # On a CPU both share the cores; a GPU encodes while others decode.
    seconds = decoding + encoding if job.device.type == "cpu" else max(decoding, encoding)
    return seconds, f"decoding {len(tried)} videos and encoding one batch just now"


def _try(job: Job, rows: np.ndarray) -> Mapping[str, float] | None:
    """Seconds a video of decoding and resizing, and a frame of encoding; None if none decodes."""
    settings, device = job.settings, job.device
    spent, num_videos = 0.0, 0
    files, (starts, ends) = job.dataset.files(), job.dataset.stretches()
    for row in rows.tolist():
        footage, span = files[row], span_of(float(starts[row]), float(ends[row]))
        start = time.perf_counter()
        try:
            video = decode_video(
                footage,
                frames=settings.num_frames,
                clips=settings.clips,
                stride=settings.stride,
                fps=settings.fps or 0.0,
                every=settings.every or 0,
                span=span,
                decoder=cpu_decoder(settings.decoder),
            )
        except DecodeError:
            continue
        if device.type == "cpu":
            # A GPU resizes as it encodes.
            frames = torch.from_numpy(video.frames)
            preprocess(frames, job.recipe.preprocessing, settings.crops)
        spent, num_videos = spent + time.perf_counter() - start, num_videos + 1
    if not num_videos:
        return None
    encoder = Encoder(
        job.loaded,
        precision=job.recipe.precision,
        device=device,
        batch=settings.batch,
        frames=settings.num_frames,
    )
    batch = encoder.blank(encoder.batch)
    if device.type == "cuda":
        # The first batch starts the GPU's libraries.
        _encode_seconds(encoder, batch)
    return {
        "decode_seconds_per_video": spent / num_videos,
        "encode_seconds_per_frame": _encode_seconds(encoder, batch)
        / (encoder.batch * encoder.frames_per_row),
    }


def _encode_seconds(encoder: Encoder, batch: torch.Tensor) -> float:
    start = time.perf_counter()
    ((_, embeddings),) = encoder.encode([(0, batch)])
    embeddings.cpu()
    return time.perf_counter() - start
