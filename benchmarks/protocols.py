"""Claim: every protocol of the paper is scored from the cache in less than a minute.

    OMP_NUM_THREADS=2 python -m benchmarks.protocols        # first generates 1 GB of features
    python -m benchmarks.protocols --scale 0.01             # a hundredth of the videos

Zero-shot on three splits of HMDB-51, UCF-101 and Kinetics-600; base-to-novel with three seeds on
Kinetics-400, HMDB-51, UCF-101 and SSv2; few-shot with 2, 4, 8 and 16 videos of each class on
HMDB-51, UCF-101 and SSv2, of tuned checkpoints by text, and by the classifiers that are trained on
frozen features. All with 95% intervals of 1,000 bootstrap folds. Numbers of videos and classes are
those of the paper's lists; the embeddings are generated, and their values mean nothing. Only the
view arrays are written, since these protocols read nothing else.

Expected on two cores: less than 60 s for all of it (generating is not part of it).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.generated import add_videos, block_arrays, unsynced, write_set
from harness.protocols.base_to_novel import base_to_novel
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.zero_shot import zero_shot
from harness.results import ResultRow
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import elapsed, peak_mebibytes
from vifistore.store.dataset import Dataset
from vifistore.store.names import set_name
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.splits import Split, write_split
from vifistore.store.store import Store, create_store
from vifistore.store.writer import Shape

CASE = ("scale", "dim")
LOGIT_SCALE = 100.0
SHOTS = (2, 4, 8, 16)
SEEDS = (1, 2, 3)
ARRAYS = tuple(name for name, spec in FEATURE_ARRAYS.items() if "frame" not in spec.axes)
CLASSIFIERS = ("prototype", "tip-adapter", "linear-probe")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Videos and classes of a dataset's lists."""

    classes: int
    tests: tuple[int, ...]
    """Videos of each test split."""
    test_classes: int = 0
    """Classes of each test split, if not all (Kinetics-600 scores 160 of 217)."""
    base: int = 0
    """Base classes, 0 where the dataset has no base-to-novel lists."""
    halves: tuple[int, int] = (0, 0)
    """Test videos of base and of novel classes."""


SIZES = {
    "hmdb51": Sizes(classes=51, tests=(1530, 1530, 1530), base=26, halves=(780, 750)),
    "ucf101": Sizes(classes=101, tests=(3783, 3734, 3696), base=51, halves=(2088, 1695)),
    "k600": Sizes(classes=217, tests=(14084, 13978, 14136), test_classes=160),
    "ssv2": Sizes(classes=174, tests=(24777,), base=87, halves=(17562, 7215)),
    "k400": Sizes(classes=400, tests=(19877,), base=200, halves=(9944, 9933)),
}
FEW_SHOT = ("hmdb51", "ucf101", "ssv2")


@dataclass(frozen=True, kw_only=True)
class Protocols(Bench):
    """Size of the benchmark; the defaults are the paper's lists."""

    scale: float = 1.0
    """Share of the videos."""
    dim: int = 512
    """Dimensions of an embedding."""


@in_scratch
def run(settings: Protocols, scratch: Path) -> Iterator[dict]:
    """One row: seconds and rows per protocol, and peak memory."""
    found: dict[str, list[ResultRow]] = {}
    seconds: dict[str, float] = {}
    store = create_store(scratch / "S.zarr")
    with unsynced():
        for dataset, sizes in SIZES.items():
            make_dataset(store.new_dataset(dataset), sizes, settings)
    for name, call in PARTS.items():
        seconds[name] = elapsed(lambda n=name, call=call: found.update({n: call(store)}))
    yield {
        "scale": settings.scale,
        "dim": settings.dim,
        **{f"{name}_seconds": round(taken, 2) for name, taken in seconds.items()},
        "all_seconds": round(sum(seconds.values()), 2),
        **{f"{name}_rows": len(rows) for name, rows in found.items()},
        "peak_mebibytes": round(peak_mebibytes()),
    }


def score_zero_shot(store: Store) -> list[ResultRow]:
    """Three splits of three datasets."""
    splits = ("test1", "test2", "test3")
    return [
        row
        for name in ("hmdb51", "ucf101", "k600")
        for row in zero_shot(store.features(name, "tuned-0"), splits)
    ]


def score_base_to_novel(store: Store) -> list[ResultRow]:
    """Three seeds on four datasets."""
    names = [f"tuned-{seed}" for seed in SEEDS]
    datasets = [dataset for dataset, sizes in SIZES.items() if sizes.base]
    return [
        row
        for dataset in datasets
        for row in base_to_novel([store.features(dataset, name) for name in names], SEEDS)
    ]


def score_few_shot(store: Store) -> list[ResultRow]:
    """A tuned checkpoint per number of shots, on three datasets."""
    return [
        row
        for dataset in FEW_SHOT
        for number, shots in enumerate(SHOTS)
        for row in few_shot(
            store.features(dataset, f"tuned-{number}"), "test1", FewShot(shots=(shots,))
        )
    ]


def score_classifiers(store: Store) -> list[ResultRow]:
    """Every classifier trained on frozen features, on three datasets."""
    settings = [FewShot(classifier=name, train_split="train", shots=SHOTS) for name in CLASSIFIERS]
    return [
        row
        for dataset in FEW_SHOT
        for chosen in settings
        for row in few_shot(store.features(dataset, "tuned-0"), "test1", chosen)
    ]


PARTS: dict[str, Callable[[Store], list[ResultRow]]] = {
    "zero_shot": score_zero_shot,
    "base_to_novel": score_base_to_novel,
    "few_shot": score_few_shot,
    "classifiers": score_classifiers,
}


def make_dataset(dataset: Dataset, sizes: Sizes, settings: Protocols) -> None:
    """Videos, splits, texts and feature sets of one dataset, a set per tuned checkpoint."""
    names = [f"{dataset.name} class {number}" for number in range(sizes.classes)]
    num_tests = [max(1, round(count * settings.scale)) for count in sizes.tests]
    # Test videos first, then training videos of every class; videos go round the classes.
    num_train = sizes.classes * max(SHOTS) if dataset.name in FEW_SHOT else 0
    labels = np.arange(max(num_tests) + num_train) % sizes.classes
    add_videos(dataset, [names[label] for label in labels], names)
    for number, count in enumerate(num_tests, start=1):
        scored = sizes.test_classes or sizes.classes
        rows = np.arange(count)
        add_split(dataset, f"test{number}", rows, rows % scored, names[:scored])
    if num_train:
        rows = np.arange(max(num_tests), len(labels))
        add_split(dataset, "train", rows, labels[rows], names)
    if sizes.base:
        add_halves(dataset, sizes, num_tests[0], names)
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((sizes.classes, settings.dim), np.float32)
    for number in range(len(SHOTS) if sizes.base else 1):
        add_features(dataset, f"tuned-{number}", directions[labels], generator)
        add_texts(dataset.store, f"tuned-{number}", names, directions)


def add_halves(dataset: Dataset, sizes: Sizes, num_videos: int, names: Sequence[str]) -> None:
    """`base_val` and `novel_val`, each labelled from 0, with the paper's shares of the videos."""
    cut = round(num_videos * sizes.halves[0] / sum(sizes.halves))
    base, novel = names[: sizes.base], names[sizes.base :]
    for split, rows, own in (
        ("base_val", np.arange(cut), base),
        ("novel_val", np.arange(cut, num_videos), novel),
    ):
        add_split(dataset, split, rows, rows % len(own), own)


def add_split(
    dataset: Dataset, name: str, rows: np.ndarray, labels: np.ndarray, names: Sequence
) -> None:
    """Write one split: `rows` and `labels` are int [row]."""
    split = Split(
        name=name,
        rows=rows.astype(np.int64),
        labels=labels.astype(np.int32),
        class_names=list(names),
        source="generated",
        digest="0" * 64,
    )
    write_split(dataset, split)


def add_texts(store: Store, name: str, names: Sequence[str], directions: np.ndarray) -> None:
    """Text embeddings of the classes by one checkpoint, from float32 [class dim]."""
    fields = {
        "text_digest": f"text of {name}",
        "logit_scale": LOGIT_SCALE,
        "class_names": list(names),
        "templates": ["a photo of a {}."],
        "context_length": 77,
        "precision": "fp32",
    }
    store.add_texts(fields, directions[:, None])


def add_features(
    dataset: Dataset, name: str, means: np.ndarray, generator: np.random.Generator
) -> None:
    """A sealed feature set of one view per video: `means` [video dim] and noise."""
    record = {"name": name, "model": "generated", "config": {}, "weights_path": "", "parent": ""}
    record |= {"image_digest": f"image of {name}", "text_digest": f"text of {name}"}
    tuned = {"fusion": "embedding", "shots": SHOTS[int(name.removeprefix("tuned-"))]}
    record |= {"logit_scale": LOGIT_SCALE, "step": 0, "settings": tuned}
    digest = dataset.store.add_checkpoint(record)
    shape = Shape(video=len(means), view=1, frame=32, dim=means.shape[1])

    def make(rows: list[int]) -> dict[str, np.ndarray]:
        noise = 6 * generator.standard_normal((len(rows), shape.dim), np.float32)
        arrays = block_arrays((means[rows] + noise)[:, None, None])
        return {name: arrays[name] for name in ARRAYS}

    writer = write_set(dataset, shape, make, record["image_digest"], ARRAYS)
    writer.seal()
    set_name(dataset, name, writer.id, digest, force=True)


if __name__ == "__main__":
    script("protocols", Protocols, run, CASE, __doc__)
