"""What benchmarks read: videos of a folder, clips that are made, and stores that know them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.scanning.scan import scan_new
from vifistore.sources.extensions import is_video
from vifistore.store.store import Store, create_store
from vifistore.videos.listing import read_source


def find_videos(folder: Path, limit: int) -> list[Path]:
    """Videos of a folder, at most `limit`, evenly drawn. Raises UsageError if there are none."""
    paths = sorted(p for p in folder.rglob("*") if is_video(p.name))
    if not paths:
        raise UsageError(f"there are no videos in {folder}; give another folder")
    return paths[:: -(-len(paths) // limit)]


_QUICKLY = {"preset": "ultrafast"}


def write_clip(
    path: Path,
    size: tuple[int, ...],
    pictures: Iterable[np.ndarray],
    options: Mapping[str, str] = _QUICKLY,
) -> None:
    """Write an H.264 video of pictures, uint8 [height width 3], 25 a second; `size` is width and
    height, `options` are those of x264."""
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())


def write_noise_clip(path: Path, seed: int) -> None:
    """Write a small clip of noise that moves, 12 frames of 320 x 240."""
    picture = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    pictures = (np.roll(picture, 3 * number, axis=1) for number in range(12))
    write_clip(path, (320, 240), pictures)


def write_copies(clips: Sequence[Path], folder: Path, count: int) -> None:
    """Write so many MP4 files into a new folder, of these in turn, no two of the same bytes."""
    folder.mkdir()
    given = [clip.read_bytes() for clip in clips]
    for number in range(count):
        (folder / f"{number:05}.mp4").write_bytes(given[number % len(given)] + _free_box(number))


def _free_box(number: int) -> bytes:
    """A box of an MP4 file that every reader passes over; as long for every number."""
    return (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")


def scanned(path: Path, folder: Path, dataset: str = "videos") -> Store:
    """A new store that knows the videos of a folder, as `vifi scan` makes it."""
    store = create_store(path)
    scan_new(store.new_dataset(dataset), read_source(folder))
    return store
