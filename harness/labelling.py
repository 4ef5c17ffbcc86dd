"""What is in videos that nobody labelled: the probabilities of labels, per video or per moment.

    p_c = mean_v p(cos(mean_f x_vf, t_c))     of a video, v its views
    p_c = mean_f p(cos(x_f, t_c))             of a moment, f its frames

x_f is the embedding of a frame, t_c the unit vector of a label, p the link of the texts
(`harness/link.py`): a softmax sums to 1 over the labels and says which of them fits best, not
whether any does; a sigmoid says of each whether it fits. A moment is a run of frames, neighbours in
time, with one best label; it reaches half way to those before and behind it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.followed_texts import refuse_followed
from harness.fusion import class_cosines, is_usable
from harness.reaching import reach
from harness.retrieval.hits import Match, VideoTable
from harness.scoring import Classes, Videos, score, status_of
from harness.vector_reading import read_frames, require_usable
from harness.whole_views import has_one_embedding
from vifistore.errors import IncompleteError, UsageError, shell, short
from vifistore.store.features import Features
from vifistore.store.schema import DONE, QUARANTINED
from vifistore.store.splits import ALL_VIDEOS

STATES = {DONE: "done", QUARANTINED: "quarantined"}
_TODO = "to do"

# Unit vectors that differ by no more are those of one text: rounding alone gives a tenth of it.
_EQUAL = 1e-5
_SLAB = 1024


@dataclass(frozen=True, kw_only=True)
class LabelShares:
    """What a video, or a moment of one, was taken for."""

    row: int
    """Row of the dataset's table of videos."""
    id: str
    path: str
    state: str
    """done, quarantined or to do; of the last two there are no probabilities."""
    reason: str = ""
    """Why a video is quarantined."""
    start_seconds: float | None = None
    """Of a moment, within its file."""
    end_seconds: float | None = None
    labels: tuple[str, ...] = ()
    """The best ones, best first."""
    probabilities: tuple[float, ...] = ()
    """Of these, from 0 to 1."""

    def as_row(self, top: int) -> dict:
        """What a table tells of it, by column: the best labels as top_1, probability_1 and so on to
        `top`; None is what is not known."""
        names = ("id", "path", "state", "reason", "start_seconds", "end_seconds")
        cells = {name: getattr(self, name) for name in names}
        best = dict(enumerate(zip(self.labels, self.probabilities, strict=True), start=1))
        for rank in range(1, top + 1):
            cells[f"top_{rank}"], cells[f"probability_{rank}"] = best.get(rank, (None, None))
        return cells


def check_labels(labels: Sequence[str]) -> None:
    """Raise UsageError for fewer than two labels, for one that is empty and one that comes twice:
    a softmax over one is always 1."""
    if "" in labels:
        raise UsageError(f"label {labels.index('') + 1} of {len(labels)} is empty; give it words")
    if repeated := [label for label, times in Counter(labels).items() if times > 1]:
        raise UsageError(f"label {short(repeated[0])!r} is given twice; leave one out")
    if len(labels) < 2:
        one = f"only the label {short(labels[0])!r}" if labels else "no label"
        raise UsageError(
            f"there is {one} to choose from, and probabilities say which of several fits best; "
            "give two or more with --labels"
        )


def check_apart(labels: Sequence[str], vectors: np.ndarray) -> None:
    """Raise UsageError for two labels of one vector of `vectors`, unit length [label dim]: as those
    that differ in case alone have."""
    for start in range(0, len(vectors), _SLAB):
        slab = vectors[start : start + _SLAB]
        near = np.argwhere(slab @ vectors.T > 1 - _EQUAL)
        for one, other in near + np.array([start, 0]):
            if one < other and np.abs(vectors[one] - vectors[other]).max() < _EQUAL:
                raise UsageError(
                    f"labels {short(labels[one])!r} and {short(labels[other])!r} are one and the "
                    "same to this model, so it cannot tell them apart; leave one out"
                )


def label_videos(
    features: Features,
    classes: Classes,
    labels: Sequence[str],
    top: int = 5,
    *,
    moments: bool = False,
) -> list[LabelShares]:
    """A line per video of the dataset, in its order, or per moment; a video without embeddings gets
    one that says why.

    `classes` holds a vector for each of `labels`. Raises UsageError for labels that are one to the
    model, and for `moments` of a set without frames; IncompleteError where every video is to do;
    DamagedError for embeddings that are zero or not finite.
    """
    check_apart(labels, classes.vectors)
    if moments and classes.followed:
        refuse_followed(features, "moments need")
    table = VideoTable(features.dataset)
    states = status_of(features, np.arange(len(table.ids)))
    if not np.isin(states, list(STATES)).any():
        extract = shell("vifi", "extract", features.store.path, "--dataset", features.dataset.name)
        raise IncompleteError(
            f"feature set {features.name} holds none of the {len(states)} videos of "
            f"{features.dataset.name} yet; go on with {extract}"
        )
    find = _moments if moments else _videos
    found: dict[int, list[LabelShares]] = {}
    for match, shares in find(features, np.flatnonzero(states == DONE), classes):
        line = _line(table, match, shares, labels, top)
        found.setdefault(match.row, []).append(line)
    reasons = {bad["row"]: bad["reason"] for bad in features.quarantine()}
    return [
        line
        for row, state in enumerate(states)
        for line in found.get(row) or [_unanswered(table, row, int(state), reasons.get(row, ""))]
    ]


def _videos(
    features: Features, rows: np.ndarray, classes: Classes
) -> Iterator[tuple[Match, np.ndarray]]:
    """Every video with its probabilities [label]."""
    names = [""] * len(classes)
    videos = Videos(
        split=ALL_VIDEOS,
        features=features,
        rows=rows,
        labels=np.full(len(rows), -1),
        class_names=names,
        num_quarantined=0,
        num_todo=0,
    )
    num_views = features.view_mean.shape[1]
    for row, summed in zip(rows, score(videos, classes)["embedding"], strict=True):
        yield Match(int(row), 0.0), summed / num_views


def _moments(
    features: Features, rows: np.ndarray, classes: Classes
) -> Iterator[tuple[Match, np.ndarray]]:
    """Every moment with its probabilities [label]; those of a video in the order of time."""
    features.require_array("frames")
    features.require_array("timestamps")
    if has_one_embedding(features):
        raise UsageError(
            f"the encoder of {features.name} gives one embedding of each view, which has no "
            "moments; leave out --frames"
        )
    for positions, frames, counts in read_frames(features, rows):
        require_usable(is_usable(frames) | ~counts, rows[positions], features, "frames")
        chosen = features.select(rows=rows[positions], arrays=("timestamps",))
        seconds = chosen.arrays["timestamps"]
        each = zip(rows[positions], seconds, frames, counts, strict=True)
        for row, times, of_video, are_frames in each:
            # Those that pad a view are of no moment.
            cosines = class_cosines(of_video[are_frames], classes.vectors)
            shares = classes.link.probabilities(cosines)
            for start, end, part in same_label(times[are_frames], shares):
                yield Match(int(row), 0.0, start, end), part


def same_label(
    seconds: np.ndarray, shares: np.ndarray
) -> Iterator[tuple[float, float, np.ndarray]]:
    """Yield start, end (seconds) and mean probabilities [label] of each run of one best label.

    seconds: [... frame]; shares: probabilities [... frame label]. Frames of one time, as of
    several crops, count as one.
    """
    times, index = np.unique(seconds.ravel(), return_inverse=True)
    sums = np.zeros((len(times), shares.shape[-1]), np.float32)
    np.add.at(sums, index.ravel(), shares.reshape(-1, shares.shape[-1]))
    means = sums / np.bincount(index.ravel())[:, None].astype(np.float32)
    best = means.argmax(axis=1)
    edges = np.append(np.flatnonzero(np.diff(best, prepend=-1)), len(best))
    begins, ends = reach(times)
    for first, stop in pairwise(edges):
        yield float(begins[first]), float(ends[stop - 1]), means[first:stop].mean(axis=0)


def _line(
    table: VideoTable, match: Match, shares: np.ndarray, labels: Sequence[str], top: int
) -> LabelShares:
    best = np.argsort(-shares, kind="stable")[:top]
    is_moment = match.start_seconds is not None
    hit = table.hit(1, match)
    return LabelShares(
        row=match.row,
        id=hit.id,
        path=hit.path,
        state=STATES[DONE],
        start_seconds=hit.start_seconds if is_moment else None,
        end_seconds=hit.end_seconds if is_moment else None,
        labels=tuple(str(labels[number]) for number in best),
        probabilities=tuple(float(shares[number]) for number in best),
    )


def _unanswered(table: VideoTable, row: int, state: int, reason: str) -> LabelShares:
    return LabelShares(
        row=row,
        id=str(table.ids[row]),
        path=str(table.paths[row]),
        state=STATES.get(state, _TODO),
        reason=reason,
    )
