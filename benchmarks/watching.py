"""Claim: what `vifi serve` shows of a video that no browser plays is made before anybody waits.

    OMP_NUM_THREADS=1 python -m benchmarks.watching --folder videos     # a minute
    python -m benchmarks.watching --num-videos 1 --rounds 1             # made clips

A row per kind of file and measure: *first*, the first piece of two seconds, of a file that is
opened for it; *middle*, the one in the middle; *next*, the one that follows the first. Floor, in
turns: decoding the same frames with PyAV, as many threads, and doing nothing with them.

Expected: half of all first and middle pieces in under 500 ms, which leaves as much for a page and
its browser; a next piece in under a tenth of the two seconds that it shows.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import find_videos, write_noise_clip
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import elapsed, pairs_of
from vifi.serving.preview_cache import PIECE_SECONDS
from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import open_video
from vifistore.frames.bitstreams.shown_frames import duration_of, frames_from, seek
from vifistore.frames.previews.previews import DECODER_THREADS, PieceMaker
from vifistore.sources.extensions import extension
from vifistore.sources.footage import LocalFile

CASE = ("measure", "kind")
_PLAYED_AS_THEY_ARE = ("mp4", "webm", "mov")


@dataclass(frozen=True, kw_only=True)
class WatchingBenchmark(Bench):
    """What is watched, and how often."""

    folder: Path | None = None
    """Folder of videos; those that browsers play by their ending are left out. Without one, small
    clips are made."""
    num_videos: int = 200
    """Videos at most, evenly drawn from the folder."""
    rounds: int = 3
    """Times that each piece is made, and its frames are decoded."""


@in_scratch
def run(settings: WatchingBenchmark, scratch: Path) -> Iterator[dict]:
    """A row per kind of file and measure."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in _videos(settings, scratch):
        if extension(path.name) not in _PLAYED_AS_THEY_ARE and _is_readable(path):
            kinds[extension(path.name)].append(path)
    for kind, paths in sorted(kinds.items()):
        times: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for path in paths * settings.rounds:
            _time(path, times)
        for measure, pairs in times.items():
            slowest = 1e3 * max(ours for ours, _ in pairs)
            counts = {"measure": measure, "kind": kind, "videos": len(paths)}
            yield {**counts, **pairs_of(pairs).row(), "slowest_ms": slowest}


def _videos(settings: WatchingBenchmark, scratch: Path) -> list[Path]:
    if settings.folder is not None:
        return find_videos(settings.folder, settings.num_videos)
    made = [scratch / f"{number}.avi" for number in range(settings.num_videos)]
    for number, path in enumerate(made):
        write_noise_clip(path, number)
    return made


def _is_readable(path: Path) -> bool:
    try:
        return bool(_piece(path, 0.0))
    except DecodeError:
        return False


def _time(path: Path, times: dict[str, list[tuple[float, float]]]) -> None:
    """Seconds of each piece of a video, and of its floor."""
    container, stream = open_video(path)
    with container:
        middle = PIECE_SECONDS * (duration_of(container, stream) / 2 // PIECE_SECONDS)
    for measure, begin in {"first": 0.0, "middle": middle}.items():
        ours = elapsed(lambda begin=begin: _piece(path, begin))
        times[measure].append((ours, elapsed(lambda begin=begin: _decode(path, begin))))
    with PieceMaker(LocalFile(path)) as maker:
        maker.piece(begin=0.0, end=PIECE_SECONDS, kind="mp4")
        follows = {"begin": PIECE_SECONDS, "end": 2 * PIECE_SECONDS}
        ours = elapsed(lambda: maker.piece(**follows, kind="mp4"))
    times["next"].append((ours, elapsed(lambda: _decode(path, PIECE_SECONDS))))


def _piece(path: Path, begin: float) -> bytes:
    with PieceMaker(LocalFile(path)) as maker:
        return maker.piece(begin=begin, end=begin + PIECE_SECONDS, kind="mp4")


def _decode(path: Path, begin: float) -> int:
    """Decode the frames of a piece; how many there are."""
    container, stream = open_video(path)
    with container:
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.thread_type = "AUTO"
        if begin > 0:
            seek(container, stream, begin)
        count = 0
        for time, _ in frames_from(container, stream, begin):
            if time is not None and time >= begin + PIECE_SECONDS:
                break
            count += 1
    return count


if __name__ == "__main__":
    script("watching", WatchingBenchmark, run, CASE, __doc__)
