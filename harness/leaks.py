"""What makes a score look better than it is: videos that were trained on, and copies of videos.

    for line in warnings_of(videos, training=("train1_few_shot_16",)): print(line)

The same video in a training and a test split is refused where the training split is known
(`check_apart`), and where labels of one choose weights for the other so are copies
(`check_held_out`). Of everything else there is a warning: published lists hold copies of one video
under several ids, and overlap between folds by design.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from harness.scoring import Videos
from harness.zero_shot_claims import Claim, claim_of
from vifistore.errors import UsageError, first_few


def check_apart(train: Videos, test: Videos) -> None:
    """Raise UsageError if a training video is also a test video, or the classes differ."""
    if train.class_names != test.class_names:
        raise UsageError(
            f"splits {train.split} ({len(train.class_names)} classes) and {test.split} "
            f"({len(test.class_names)} classes) name different classes; use splits of one list"
        )
    if common := len(np.intersect1d(train.rows, test.rows)):
        raise UsageError(
            f"{common} of {len(train.rows)} training videos of {train.split} are also in "
            f"{test.split}; score a split that shares none"
        )


def check_held_out(known: Videos, test: Videos) -> None:
    """Raise UsageError if a video whose label chooses something is scored, too, or a copy of it or
    a stretch that overlaps is, or the classes differ."""
    check_apart(known, test)
    if copies := len(copies_between(known, test)):
        raise UsageError(
            f"{copies} of {len(test.rows)} videos of {test.split} are copies of videos of "
            f"{known.split}, or overlap them; give another --validation-split"
        )


def copies_between(train: Videos, test: Videos) -> np.ndarray:
    """Rows of test videos that show what another, a training video, shows, int64 [video]: two of
    one content, or stretches of one that overlap."""
    known: dict[str, list[tuple[float, float]]] = {}
    for digest, start, end in _times(train):
        if digest:
            known.setdefault(digest, []).append((start, end))
    is_copy = [
        any(start < of_train[1] and of_train[0] < end for of_train in known.get(digest, ()))
        for digest, start, end in _times(test)
    ]
    return test.rows[np.array(is_copy, bool) & ~np.isin(test.rows, train.rows)]


def neighbours_between(train: Videos, test: Videos) -> np.ndarray:
    """Rows of test videos that are other stretches of a file of which one is trained on, int64
    [video]: they show the same scene, and no frame of it in common."""
    rows = test.rows[are_of_files(train, test) & ~np.isin(test.rows, train.rows)]
    return np.setdiff1d(rows, copies_between(train, test))


def are_of_files(train: Videos, test: Videos) -> np.ndarray:
    """Which test videos are of a file of which a training video is, known by its content, bool
    [video]."""
    known = set(train.features.content_digests(train.rows).tolist()) - {""}
    return np.array([d in known for d in test.features.content_digests(test.rows)], bool)


def copies_within(videos: Videos) -> list[list[int]]:
    """Positions of videos of equal content, each group of two or more."""
    groups: dict[str, list[int]] = {}
    for position, digest in enumerate(_digests(videos)):
        if digest:
            groups.setdefault(digest, []).append(position)
    return [group for group in groups.values() if len(group) > 1]


def warnings_of(
    videos: Videos,
    training: Sequence[str] = (),
    train: Videos | None = None,
    *,
    is_tuning_told: bool = False,
) -> list[str]:
    """One line for each thing that is wrong with the videos of a split, or may be.

    `training` names splits of the dataset that a checkpoint may have been tuned on where it does
    not say on which, `train` holds the videos of the one that a classifier is trained on.
    `is_tuning_told` says that nothing need be said of a checkpoint that was tuned on other videos
    of the dataset, as the protocol wants it.
    """
    ids = videos.dataset.column("id")
    claim = claim_of(videos)
    lines = [*_copies(videos, ids), *_shared(videos, () if claim.entries else training)]
    lines += tuned_lines(videos, claim, is_tuning_told=is_tuning_told)
    lines += _of_training(train, videos, ids) if train is not None else ()
    return lines


def _of_training(train: Videos, videos: Videos, ids: np.ndarray) -> Iterator[str]:
    """What videos have in common with those that a classifier is trained on."""
    counted, of = f"of {len(videos.rows):,} videos of {videos.split}", train.split
    if len(rows := copies_between(train, videos)):
        yield (
            f"{len(rows):,} {counted} are copies of videos of {of}, or overlap them "
            f"({_some(ids[rows])}): take them out of one of the splits"
        )
    if len(rows := neighbours_between(train, videos)):
        yield (
            f"{len(rows):,} {counted} are other stretches of files of {of} ({_some(ids[rows])}): "
            "scores say how well these files are known, and less of others; part the splits by "
            "files, as vifi scan --split-by does"
        )


def untrained_classes(train: Videos) -> list[str]:
    """One line where classes have no training video: a classifier knows but the others."""
    absent = [name for label, name in enumerate(train.class_names) if label not in train.labels]
    counted = (
        f"{len(absent):,} of {len(train.class_names):,} classes have no video in {train.split}"
    )
    remedy = "what is trained on it is scored on the videos of the others, and among them alone"
    return [f"{counted} ({_some(absent)}): {remedy}"] if absent else []


def tuned_lines(videos: Videos, claim: Claim, *, is_tuning_told: bool = False) -> Iterator[str]:
    """That a checkpoint was tuned on the scored videos, or on others of their dataset."""
    name = videos.features.name
    if claim.shared_videos:
        yield (
            f"{name} was tuned on {claim.shared_videos:,} of the {len(videos.rows):,} videos of "
            f"{videos.split} ({claim.tuned_on}): their scores say how well it learned them, and "
            "nothing of videos that it has not seen; score another split"
        )
    elif claim.tuned_on and not is_tuning_told:
        yield f"{name} was tuned on {claim.tuned_on}: these scores are not zero-shot"


def _copies(videos: Videos, ids: np.ndarray) -> Iterator[str]:
    groups = copies_within(videos)
    if groups:
        first = ids[videos.rows[groups[0]]]
        yield (
            f"{len(groups):,} videos of {videos.split} are in it more than once, under several ids "
            f"(first: {_some(first)}): keep one of each"
        )
    torn = [group for group in groups if len(set(videos.labels[group])) > 1]
    if torn:
        classes = [videos.class_names[label] for label in videos.labels[torn[0]]]
        yield (
            f"{len(torn):,} videos of {videos.split} have several labels (first: "
            f"{_some(ids[videos.rows[torn[0]]])} as {_some(classes)}): correct the labels"
        )


def _shared(videos: Videos, training: Sequence[str]) -> Iterator[str]:
    counts = {
        name: len(np.intersect1d(videos.dataset.split(name).rows, videos.rows))
        for name in training
        if name != videos.split
    }
    shared = ", ".join(f"{count:,} with {name}" for name, count in counts.items() if count)
    if shared:
        yield (
            f"{videos.split} shares videos with training splits ({shared}): a checkpoint that was "
            "tuned on one of these is to be scored on another split"
        )


def _digests(videos: Videos) -> np.ndarray:
    return videos.features.content_keys(videos.rows)


def _times(videos: Videos) -> Iterator[tuple[str, float, float]]:
    """Of each video the digest of its file, empty if not read, and the seconds of it from and until
    which it goes, up to infinity without an end."""
    digests = videos.features.content_digests(videos.rows)
    starts = videos.dataset.start_seconds[videos.rows]
    ends = np.nan_to_num(videos.dataset.end_seconds[videos.rows], nan=np.inf)
    return zip(digests, starts.tolist(), ends.tolist(), strict=True)


def _some(names: Iterable[object]) -> str:
    return first_few(dict.fromkeys(map(str, names)))
