"""Claim: three fusions of a large split are scored from the cache in seconds.

    OMP_NUM_THREADS=2 python -m benchmarks.fusion          # 20,000 videos: about a minute
    python -m benchmarks.fusion --num-videos 64 --num-frames 4 --num-classes 10 --dim 32

Expected on two cores: embedding, decision and image fusion of 20,000 videos x 32 frames x 512
against 400 classes in under 15 s and 2 GB; embedding and decision alone, from the view arrays, at
least 20 times faster than a direct loop over videos that starts from their frames (a pair of each,
in turns), and equal to it to 1e-5 in cosine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.generated import add_videos, block_arrays, unsynced, write_set
from harness.fusion import class_vectors, unit
from harness.link import Link
from harness.scoring import Classes, Videos, score
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import elapsed, pairs, peak_mebibytes
from vifistore.store.store import Store, create_store
from vifistore.store.writer import Shape
from vifistore.store.zarr_format.block_ranges import stretches

CASE = ("num_videos", "num_frames", "dim", "num_classes")
LOGIT_SCALE = 100.0
FUSIONS = ("embedding", "decision")


@dataclass(frozen=True, kw_only=True)
class Fusion(Bench):
    """Size of the benchmark; the defaults are the validation split of Kinetics-400."""

    num_videos: int = 20_000
    """Videos of the split."""
    num_frames: int = 32
    """Frames per video, one view each."""
    dim: int = 512
    """Dimensions of an embedding."""
    num_classes: int = 400
    """Classes compared with."""
    repeats: int = 3
    """Pairs of the cache and the direct loop."""


@in_scratch
def run(settings: Fusion, scratch: Path) -> Iterator[dict]:
    """One row: seconds of all fusions, two of them beside the loop, and peak memory."""
    videos, classes = make_problem(create_store(scratch / "S.zarr"), settings)
    found: dict[str, dict[str, np.ndarray]] = {}
    three = elapsed(lambda: score(videos, classes, (*FUSIONS, "image")))
    peak = peak_mebibytes()

    def cached() -> None:
        found["ours"] = score(videos, classes, FUSIONS)

    def direct() -> None:
        # Products as small as one video's are slower on two threads.
        with threadpool_limits(1):
            found["direct"] = direct_loop(videos, classes)

    taken = pairs(cached, direct, settings.repeats)
    yield {
        **{name: getattr(settings, name) for name in CASE},
        "three_fusions_seconds": round(three, 3),
        **taken.row(),
        "speedup_over_loop": round(1 / taken.ratio.p50, 1),
        "peak_mebibytes": round(peak),
        **compare(found["ours"], found["direct"]),
    }


def make_problem(store: Store, settings: Fusion) -> tuple[Videos, Classes]:
    """A sealed feature set of random frames around class directions, and those classes."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(settings.num_classes, 1, settings.dim))
    labels = np.arange(settings.num_videos) % settings.num_classes

    def make(rows: list[int]) -> dict[str, np.ndarray]:
        shape = (len(rows), 1, settings.num_frames, settings.dim)
        noise = generator.standard_normal(shape, np.float32)
        return block_arrays(directions[labels[rows]][:, :, None] + 30 * noise)

    shape = Shape(video=len(labels), view=1, frame=settings.num_frames, dim=settings.dim)
    with unsynced():
        add_videos(store.new_dataset("bench"), ["run"] * len(labels), ["run"])
        writer = write_set(store.new_dataset("bench"), shape, make)
        writer.seal()
    videos = Videos(
        split="all",
        features=store.features("bench", writer.id),
        rows=np.arange(len(labels)),
        labels=labels,
        class_names=[f"class {number}" for number in range(settings.num_classes)],
        num_quarantined=0,
        num_todo=0,
    )
    vectors = class_vectors(directions.astype(np.float32))
    return videos, Classes(vectors=vectors, link=Link(LOGIT_SCALE), text_set="", templates=("{}",))


def direct_loop(videos: Videos, classes: Classes) -> dict[str, np.ndarray]:
    """Scores [video class] of each of `FUSIONS` from frames, a video at a time; reading is
    blockwise."""
    features, text = videos.features, classes.vectors.T
    scores = {name: [] for name in FUSIONS}
    for start, stop in stretches(0, len(videos.rows)):
        for frames in features.read("frames", start, stop):
            frames = frames[0].astype(np.float32)
            mean_logits = LOGIT_SCALE * (unit(frames.mean(axis=0)) @ text)
            frame_logits = (LOGIT_SCALE * (unit(frames) @ text)).mean(axis=0)
            for name, logits in zip(FUSIONS, (mean_logits, frame_logits), strict=True):
                powers = np.exp(logits - logits.max())
                scores[name].append(powers / powers.sum())
    return {name: np.array(rows) for name, rows in scores.items()}


def compare(scores: dict[str, np.ndarray], direct: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest difference of a cosine between the scores [video class] of two ways, per fusion.

    A probability is a cosine up to the softmax: its logarithm over the scale, less a constant of
    each video.
    """
    tiny = np.finfo(np.float32).tiny
    found = {}
    for name in direct:
        ours, theirs = (np.log(np.maximum(part[name], tiny)) for part in (scores, direct))
        gaps = (ours - theirs) / LOGIT_SCALE
        gaps -= gaps.mean(axis=1, keepdims=True)
        found[f"{name}_max_cosine_difference"] = float(np.abs(gaps).max())
    return found


if __name__ == "__main__":
    script("fusion", Fusion, run, CASE, __doc__)
