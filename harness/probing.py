"""Train a classifier on the cached embeddings of one split and score another with it."""

import numpy as np

from harness.classifiers import CLASSIFIERS, USES_TEXT, Task
from harness.followed_texts import refuse_followed
from harness.fusion import ARRAY_OF_FUSION, unit
from harness.leaks import check_apart
from harness.link import Link
from harness.scoring import Classes, Videos
from harness.slabs import run_slabs
from harness.vector_reading import read_all
from vifistore.errors import UsageError

PROBE_FUSIONS = ("embedding", "decision")
_SLAB_VIDEOS = 1024
# Tip-Adapter compares every view with every training view: 64 MiB of float32 at once.
_SLAB_ELEMENTS = 2**24


def probe(
    train: Videos,
    test: Videos,
    fusion: str,
    classifier: str,
    link: Link,
    classes: Classes | None = None,
) -> np.ndarray:
    """Scores of `test` [video class]: the classifier's probabilities summed over views.

    The classifier sees the L2-normalised view embeddings of `fusion`; every view of a training
    video is a sample. `link` is that of the texts, or taken for it; `classes` is needed by
    classifiers that use text. Raises UsageError for a fusion without view embeddings, and for
    training videos that are also test videos or have other classes.
    """
    if fusion not in PROBE_FUSIONS:
        raise UsageError(
            f"{classifier} is trained on view embeddings, which fusion {fusion!r} has not; use "
            f"{' or '.join(PROBE_FUSIONS)}"
        )
    if classes and classes.followed and classifier in USES_TEXT:
        refuse_followed(test.features, f"{classifier} weighs against the videos it was shown")
    for videos in (train, test):
        videos.features.require_array(ARRAY_OF_FUSION[fusion])
    check_apart(train, test)
    task = Task(
        num_classes=len(test.class_names),
        link=link,
        class_vectors=classes.vectors if classes else None,
    )
    vectors = unit(read_all(train.features, ARRAY_OF_FUSION[fusion], train.rows))
    labels = np.repeat(train.labels, vectors.shape[1])
    predict = CLASSIFIERS[classifier](vectors.reshape(len(labels), -1), labels, task)
    queries = unit(read_all(test.features, ARRAY_OF_FUSION[fusion], test.rows))
    scores = np.empty((len(queries), task.num_classes), np.float32)

    def work(slab: slice) -> None:
        scores[slab] = predict(queries[slab]).sum(axis=1)

    per_video = queries.shape[1] * max(len(labels), task.num_classes)
    run_slabs(work, len(queries), max(1, min(_SLAB_VIDEOS, _SLAB_ELEMENTS // per_video)))
    return scores


def draw_shots(train: Videos, shots: int, seed: int) -> np.ndarray:
    """Positions of `shots` videos of each class of `train`, drawn by `seed`, sorted int64 [video];
    of a video in parts those of all parts.

    A draw of more shots by the same seed contains a draw of fewer. Raises UsageError for a class
    that has not enough videos.
    """
    pairs = np.stack([train.labels.astype(np.int64), train.dataset.videos_of(train.rows)])
    # In the order of the rows: a draw of whole videos is what it was before there were parts.
    _, first, video = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    firsts = np.sort(first)
    drawn = firsts[_draw(train, train.labels[firsts], shots, seed)]
    return np.flatnonzero(np.isin(video.ravel(), video.ravel()[drawn]))


def _draw(train: Videos, labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Positions of `shots` of each class among the labels [video] of different videos."""
    generator = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=len(train.class_names))
    if counts.min() < shots:
        raise UsageError(
            f"class {train.class_names[counts.argmin()]!r} has {counts.min()} videos in "
            f"{train.split}, fewer than {shots} shots; ask for fewer shots"
        )
    # A random order, stably sorted by class: the first videos of each class are the draw.
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    return by_class[(starts[:, None] + np.arange(shots)).ravel()]
