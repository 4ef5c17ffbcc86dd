"""Claim: the default decoder reads no more of a video than it must, whatever kind of file it is.

    python -m benchmarks.decode_kinds FOLDER --earlier CHECKOUT     # 100 short clips: two minutes
    python -m benchmarks.decode_kinds                      # a file of each kind, made for it

Decodes every video of a folder, in turns, by the default decoder, by plain PyAV (all frames in
order), and with --earlier by the default decoder of another checkout of this repository. A row per
kind of file, and one of all: seconds of processor time, of each video the least of all turns. Plain
PyAV and the other checkout over ours are `than_plain` and `than_earlier`. `least_seconds` is what
FFmpeg takes for the pictures that the wanted frames need, and no reader can do with less: beside
it, `most_than_earlier` is the most that there is to be had. `are_same` says whether all frames of
all ways are equal, level by level. Expected: at least 1.2 times plain PyAV where frames refer both
ways in H.264. Measured of 101 real clips, beside commit 74cba59: 1.36 times at 16 frames, of 1.73
at most, since frames that others refer to must be decoded.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import tyro
from av.error import FFmpegError

from vifi.bench.bench_settings import Bench
from vifi.bench.inputs import find_videos
from vifi.bench.recording import script
from vifistore.errors import UsageError
from vifistore.frames.bitstreams.packets import scanned
from vifistore.frames.bitstreams.pictures import order_of
from vifistore.frames.decoders.wanted_only import decode_needed
from vifistore.frames.sampling import sample_indices

CASE = ("kind", "clip_frames", "videos")
ROOT = Path(__file__).parents[1]
# Runs in a process of its own, of this checkout or of an earlier one.
READER = """
import hashlib, json, sys, time
from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import decode_video, load_decoder
load_decoder("decord")
for line in sys.stdin:
    path, decoder, frames = json.loads(line)
    start = time.process_time()
    try:
        video = decode_video(path, frames=frames, clips=1, decoder=decoder)
    except DecodeError:
        video = None
    seconds = time.process_time() - start
    digest = video and hashlib.sha256(video.frames.tobytes()).hexdigest()
    print(json.dumps([seconds, digest]), flush=True)
"""
SIZE, NUM_FRAMES = (640, 360), 240
X264 = "keyint=250:scenecut=0:log-level=none"
MADE = {
    "h264-b.mp4": ("libx264", {"x264-params": X264}),
    "h264-no-b.mp4": ("libx264", {"x264-params": f"{X264}:bframes=0"}),
    "h264-open-gop.mp4": ("libx264", {"x264-params": "keyint=30:open-gop=1:log-level=none"}),
    "h264-b.mkv": ("libx264", {"x264-params": X264}),
    "h264-variable-rate.mp4": ("libx264", {"x264-params": X264}),
    "mpeg4.avi": ("mpeg4", {"g": "12"}),
    "mpeg4-b.avi": ("mpeg4", {"g": "12", "bf": "2"}),
    "vp9.webm": ("libvpx-vp9", {"g": "60", "deadline": "realtime", "cpu-used": "8"}),
}


@dataclass(frozen=True, kw_only=True)
class Kinds(Bench):
    """What is decoded."""

    folder: tyro.conf.Positional[Path | None] = None
    """Folder of videos; without one, a file of each kind is made."""
    earlier: Path | None = None
    """Another checkout of this repository, whose default decoder is measured as well."""
    clip_frames: tuple[int, ...] = (8, 16, 32)
    """Frames per video, each measured alone."""
    repeats: int = 3
    """Times that every video is read in each way."""
    limit: int = 1000
    """Videos at most, evenly drawn from the folder."""


def run(settings: Kinds) -> Iterator[dict]:
    """A row per number of frames and kind."""
    with ExitStack() as stack:
        folder = settings.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, (codec, options) in MADE.items():
                write(folder / name, codec, options)
        ways = {"ours": (ROOT, "decord"), "plain": (ROOT, "pyav")}
        if settings.earlier is not None:
            ways["earlier"] = (settings.earlier, "decord")
        readers = {name: stack.enter_context(OtherProcess(*way)) for name, way in ways.items()}
        paths = find_videos(folder, settings.limit)
        for frames in settings.clip_frames:
            yield from rows(paths, readers, frames, settings.repeats)


class OtherProcess:
    """A process that decodes videos, one after the other."""

    def __init__(self, checkout: Path, decoder: str) -> None:
        self._decoder = decoder
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout.absolute())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "OtherProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def read(self, path: Path, frames: int) -> tuple[float, str | None]:
        """Seconds of processor time, and the digest of the frames; None where there are none."""
        sent, told = self._process.stdin, self._process.stdout
        assert sent is not None, "it is a pipe"
        assert told is not None, "it is a pipe"
        sent.write(json.dumps([str(path.absolute()), self._decoder, frames]) + "\n")
        sent.flush()
        line = told.readline()
        if not line:
            raise UsageError(f"{path} ended the process that decodes by {self._decoder!r}")
        seconds, digest = json.loads(line)
        return seconds, digest


def rows(
    paths: list[Path], readers: dict[str, OtherProcess], frames: int, repeats: int
) -> Iterator[dict]:
    """The rows of one number of frames per video."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        told = [{name: reader.read(path, frames) for name, reader in readers.items()}]
        if told[0]["ours"][1] is None:
            continue
        told += [
            {name: reader.read(path, frames) for name, reader in readers.items()}
            for _ in range(repeats - 1)
        ]
        seconds = {name: min(turn[name][0] for turn in told) for name in readers}
        digests = {digest for turn in told for _, digest in turn.values()}
        kind, least = least_of(path, frames, repeats)
        # Where packets do not tell what is needed, all of it is.
        row = {**seconds, "least": least or seconds["plain"], "is_same": len(digests) == 1}
        found[kind].append(row)
        found["all"].append(row)
    for kind, measured in sorted(found.items()):
        yield {"kind": kind, "clip_frames": frames, **summed(measured)}


def summed(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """What a row says of some videos."""
    total = {name: sum(row[name] for row in measured) for name in measured[0] if name != "is_same"}
    row = {"videos": len(measured), "are_same": all(row["is_same"] for row in measured)}
    row |= {f"{name}_seconds": seconds for name, seconds in total.items()}
    row["than_plain"] = total["plain"] / total["ours"]
    if "earlier" in total:
        row["than_earlier"] = total["earlier"] / total["ours"]
        row["most_than_earlier"] = total["earlier"] / total["least"]
    return row


def least_of(path: Path, frames: int, repeats: int) -> tuple[str, float | None]:
    """The kind of a file, and seconds of decoding what the wanted frames need; None if unknown."""
    least, kind = None, ""
    for _ in range(repeats):
        with scanned(path) as scan:
            codec, order = scan.stream.codec_context, order_of(scan)
            kind = f"{path.suffix[1:].lower()} {codec.name}"
            kind += " 1080p" if codec.height >= 1080 else ""
            if order is None:
                return f"{kind}, in order", None
            is_plain = (order.numbers == np.arange(len(order.numbers))).all()
            kind += "" if is_plain else ", both ways"
            wanted = np.unique(sample_indices(len(order.numbers), frames, 1))
            start = time.process_time()
            try:
                for _ in decode_needed(scan, order, wanted):
                    pass
            except FFmpegError:
                return kind, None
            seconds = time.process_time() - start
            least = seconds if least is None else min(least, seconds)
    return kind, least


def write(path: Path, codec: str, options: dict[str, str]) -> None:
    """Noise that moves to the right, with a brighter square that moves down."""
    texture = np.random.default_rng(0).integers(0, 200, (SIZE[1] // 4, SIZE[0] // 4, 3), np.uint8)
    texture = texture.repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 1_000_000
        for number in range(NUM_FRAMES):
            image = np.roll(texture, 2 * number, axis=1)
            image[number : number + 60, 100:160] += 50
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts = number + (number // 3 if "variable" in path.name else 0)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


if __name__ == "__main__":
    script("decode_kinds", Kinds, run, CASE, __doc__)
