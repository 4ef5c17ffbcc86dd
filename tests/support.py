"""Small made-up tables, recipes and feature sets for tests."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from vifistore.store.recipe import Preprocessing, Recipe
from vifistore.store.schema import DONE, FEATURE_ARRAYS
from vifistore.store.store import Store
from vifistore.store.writer import FeatureWriter, Shape


def video_table(num_videos: int, class_names: list[str]) -> pd.DataFrame:
    """A table of videos whose labels go round the classes."""
    numbers = np.arange(num_videos)
    return pd.DataFrame(
        {
            "id": [f"v{i}.mp4" for i in numbers],
            "path": [f"v{i}.mp4" for i in numbers],
            "label": [class_names[i % len(class_names)] if class_names else "" for i in numbers],
            "num_frames": numbers * 0 + 10,
            "fps": numbers * 0.0 + 25,
            "duration_seconds": numbers * 0.0 + 0.4,
            "width": numbers * 0 + 32,
            "height": numbers * 0 + 32,
            "size_bytes": numbers + 1000,
            "mtime_ns": numbers,
        }
    )


def plain_recipe(image_digest: str = "0" * 64, frames: int = 4, clips: int = 1) -> Recipe:
    """A recipe that no tower stands behind."""
    return Recipe(
        image_digest=image_digest,
        preprocessing=Preprocessing(
            name="openclip",
            size=32,
            short_side=32,
            interpolation="bicubic",
            antialias=True,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            backend="test",
        ),
        sampling_rule="segment-centre",
        frames=frames,
        clips=clips,
        crops=1,
        precision="fp32",
        decoder="decord",
        decoder_version="0",
    )


def block_data(frames: np.ndarray) -> dict[str, np.ndarray]:
    """What a block of `frames` [video view frame dim] holds, every video done."""
    stored = frames.astype(np.float16)
    exact = stored.astype(np.float32)
    norms = np.linalg.norm(exact, axis=-1, keepdims=True)
    num_videos = len(frames)
    data = {
        "frames": stored,
        "view_mean": exact.mean(axis=2),
        "view_consensus": (exact / np.maximum(norms, 1e-12)).mean(axis=2),
        "timestamps": np.zeros(frames.shape[:3], np.float32),
        "content_digest": np.array([f"digest {i}" for i in range(num_videos)], object),
        "attempts": np.ones(num_videos, np.uint8),
        "status": np.full(num_videos, DONE, np.uint8),
    }
    for name in ("reason", "message"):
        data[name] = np.full(num_videos, FEATURE_ARRAYS[name].fill, object)
    return data


def write_features(store: Store, dataset: str, recipe: Recipe, frames: np.ndarray) -> FeatureWriter:
    """Write `frames` [video view frame dim] as a feature set, not sealed."""
    video, view, frame, dim = frames.shape
    writer = FeatureWriter(
        store.dataset(dataset),
        recipe.as_dict(),
        Shape(video=video, view=view, frame=frame, dim=dim),
        {"host": "test", "started": "2026-02-03T04:05:06+00:00"},
    )
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        writer.write_block(block, rows, block_data(frames[rows]))
    return writer


@contextlib.contextmanager
def bounded(seconds: int = 20, num_bytes: int = 2 << 30) -> Iterator[None]:
    """Fail what waits for ever, or asks for so many bytes more: a test that hangs tells nothing."""

    def stop(*_: object) -> None:
        raise AssertionError(f"not done after {seconds} seconds")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    resource.setrlimit(resource.RLIMIT_AS, (used + num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
