"""Claims: frames at a rate of two-hour files are encoded at 0.9 of the speed of decoding alone, in
the memory that ten-minute files take.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.long_videos     # minutes on two cores
    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.long_videos --window 0     # a row a file

The variable is what `vifi` sets: else threads that wait take up to a third of both cores from
decoding, as in the row of 2026-11-30.

Writes files of generated pictures (one minute of H.264, its packets again and again), cuts them
into stretches, and extracts these in turns with decoding the same stretches alone, by as many
workers, their start included. Then extracts long and short files in a process of its own each, and
compares the most memory that it and its workers took. Expected: a `share_of_decoding` of 0.9 or
more, and `times_short` of 1.1 or less.

Floor: the cores do the arithmetic of the tower as well. Decoding 40 minutes a file took 29 seconds
of processors and extracting them 33, so that two cores that never wait reach 0.89; two thirds of
what is added are the tower in fp32.
"""

import re
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import av
import numpy as np

from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import pairs
from vifistore.extract.decoded_rows import open_pools
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import choose_device, preprocessing_for, settled
from vifistore.frames.file_digests import SharedDigest
from vifistore.frames.plans import Span
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.models.encoders import LoadedModel
from vifistore.models.towers import load_model
from vifistore.scanning.scan import scan_new
from vifistore.sources.footage import LocalFile
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.store import create_store
from vifistore.videos.listing import read_source

CASE = ("case", "files", "minutes", "window", "fps")
_MODEL, _SIZE, _RATE = "vifi-tiny", (256, 192), 25


@dataclass(frozen=True, kw_only=True)
class LongVideos(Bench):
    """What is extracted."""

    files: int = 5
    """Files of each length."""
    minutes: int = 120
    """Length of a long one."""
    short_minutes: int = 10
    """Length of a short one."""
    window: float = 30.0
    """Seconds of a stretch; 0 for whole files."""
    fps: float = 1.0
    """Frames a second."""
    workers: int = 2
    """Decoding processes."""
    pairs: int = 3
    """Times that each is measured, in turns."""


@in_scratch
def run(settings: LongVideos, scratch: Path) -> Iterator[dict]:
    """A row of the speed, and two of memory."""
    folders = {minutes: scratch / f"{minutes}-minutes" for minutes in _lengths(settings)}
    for minutes, folder in folders.items():
        folder.mkdir()
        for number in range(settings.files):
            write_long(folder / f"{number}.mp4", minutes, seed=number)
    yield _speed(settings, folders[settings.minutes], scratch)
    yield from _memory(settings, folders)


def _lengths(settings: LongVideos) -> tuple[int, int]:
    return settings.short_minutes, settings.minutes


def write_long(path: Path, minutes: int, seed: int) -> None:
    """A film of so many equal minutes: pictures that move, a key frame every five seconds."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (_SIZE[1] // 8, _SIZE[0] // 8, 3), dtype=np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as output:
        options = {"preset": "ultrafast", "crf": "32"}
        stream = output.add_stream("libx264", rate=_RATE, options=options)
        stream.width, stream.height = _SIZE
        stream.pix_fmt, stream.gop_size = "yuv420p", 5 * _RATE
        packets = []
        for number in range(60 * _RATE):
            image = np.roll(picture, number, axis=1)
            packets += stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))
        packets += stream.encode()
        times = [(packet.pts, packet.dts) for packet in packets]
        minute = round(60 / packets[0].time_base)
        for number in range(minutes):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                again = av.Packet(bytes(packet))
                again.pts, again.dts = pts + number * minute, dts + number * minute
                again.time_base, again.stream = packet.time_base, stream
                again.is_keyframe = packet.is_keyframe
                output.mux(again)


def stretches_of(settings: LongVideos, path: Path, folder: Path) -> Dataset:
    """A new store of the files of a folder, cut into stretches."""
    store = create_store(path)
    dataset = store.new_dataset("long")
    scan_new(dataset, read_source(folder), append=True)
    if settings.window:
        videos = dataset.videos()
        lengths = videos["duration_seconds"].to_numpy()
        starts = [np.arange(0, length, settings.window) for length in lengths]
        cut = videos.iloc[np.repeat(np.arange(len(videos)), [*map(len, starts)])]
        begins = np.concatenate(starts)
        cut = cut.assign(start_seconds=begins, end_seconds=begins + settings.window)
        ids = [f"{video}@{start:g}" for video, start in zip(cut["id"], begins, strict=True)]
        write_videos(dataset, cut.assign(id=ids), dataset.class_names(), str(folder), anew=True)
    return dataset


def extraction(settings: LongVideos) -> ExtractSettings:
    """How."""
    return ExtractSettings(
        model=_MODEL,
        pretrained="none",
        fps=settings.fps,
        device="cpu",
        precision="fp32",
        workers=settings.workers,
    )


def _speed(settings: LongVideos, folder: Path, scratch: Path) -> dict:
    how, loaded = extraction(settings), load_model(_MODEL, "none")
    datasets = iter(
        stretches_of(settings, scratch / f"{number}.zarr", folder)
        for number in range(settings.pairs + 2)
    )
    dataset = next(datasets)
    report = extract_dataset(dataset, how, loaded=loaded)
    features = dataset.features(report.name)
    taken = pairs(
        lambda: extract_dataset(next(datasets), how, loaded=loaded),
        lambda: decode_alone(dataset, how, loaded, int(features.require_array("frames").shape[2])),
        settings.pairs,
    )
    return {
        "case": "speed",
        "files": settings.files,
        "minutes": settings.minutes,
        "window": settings.window,
        "fps": settings.fps,
        "rows": dataset.num_videos,
        "frames": int(features.num_valid.sum()),
        "quarantined": report.quarantined,
        "workers": settings.workers,
        **taken.row(),
        "share_of_decoding": round(1 / taken.ratio.p50, 3),
    }


def decode_alone(dataset: Dataset, how: ExtractSettings, loaded: LoadedModel, room: int) -> None:
    """Decode and resize all rows of a dataset, as its extraction does."""
    made = ExtractSettings(**{**vars(how), "frames": room})
    preprocessing = preprocessing_for(settled(made, loaded), loaded, 1)
    with open_pools(made, preprocessing, choose_device("cpu")) as pool:
        for _ in pool.decode_stretches(_jobs(dataset)):
            pass


def _jobs(dataset: Dataset) -> Iterator[tuple[list[int], DecodeJob]]:
    files, (starts, ends) = dataset.files(), dataset.stretches()
    ends = np.where(np.isnan(ends), np.inf, ends)
    paths = np.array(list(files.paths), object)
    for path in dict.fromkeys(paths.tolist()):
        rows = np.flatnonzero(paths == path)
        footage = LocalFile(Path(str(files[int(rows[0])])))
        digest = SharedDigest(footage=footage)
        for block in np.unique(rows // BLOCK_SIZE):
            here = rows[rows // BLOCK_SIZE == block].tolist()
            spans = [Span(float(starts[row]), float(ends[row])) for row in here]
            yield here, DecodeJob(footage=footage, spans=spans, digest=digest)


def _memory(settings: LongVideos, folders: dict[int, Path]) -> Iterator[dict]:
    """A row for each length; the last says how many times the first all processes took."""
    short = None
    for minutes, folder in folders.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            own, worker = process.submit(peak_mebibytes, settings, folder).result()
        all_of_them = own + settings.workers * worker
        short = short or (all_of_them, worker)
        yield {
            "case": "memory",
            "files": settings.files,
            "minutes": minutes,
            "window": settings.window,
            "fps": settings.fps,
            "own_mebibytes": round(own, 1),
            "worker_mebibytes": round(worker, 1),
            "times_short": round(all_of_them / short[0], 3),
            "worker_times_short": round(worker / short[1], 3),
        }


def peak_mebibytes(settings: LongVideos, folder: Path) -> tuple[float, float]:
    """The most memory that extracting takes: of this process, and of the largest of its workers."""
    store, peaks, is_over = folder.with_suffix(".zarr"), [0.0], Event()

    def watch() -> None:
        # As a process that was forked has its parent's memory until it is another program, what the
        # system notes of children says nothing.
        while not is_over.wait(0.1):
            peaks.extend(map(_peak_of, _workers()))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        extract_dataset(stretches_of(settings, store, folder), extraction(settings))
    finally:
        is_over.set()
        watcher.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, max(peaks)


def _workers() -> list[Path]:
    """The decode workers of this process, as /proc has them."""
    # Each of its threads has the processes that it started.
    told = [_read(path).decode() for path in Path("/proc/self/task").glob("*/children")]
    found = [Path("/proc") / pid for children in told for pid in children.split()]
    return [
        path for path in found if b"vifistore.frames.processes.worker" in _read(path / "cmdline")
    ]


def _peak_of(process: Path) -> float:
    """The most memory that a process had, mebibytes; 0 of one that is gone."""
    told = re.search(rb"^VmHWM:\s*(\d+) kB", _read(process / "status"), re.MULTILINE)
    return int(told[1]) / 1024 if told else 0.0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    script("long_videos", LongVideos, run, CASE, __doc__)
