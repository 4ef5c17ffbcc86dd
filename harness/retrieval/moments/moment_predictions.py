"""What is found for the queries of a benchmark: a rule's stretches, and a score for every clip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.classes import Classes
from harness.retrieval.moments.moment_metrics import MAX_PREDICTIONS
from harness.retrieval.moments.moment_queries import CLIP_SECONDS, MomentQueries, MomentQuery
from harness.retrieval.moments.moment_videos import FoundVideo, find_videos
from harness.retrieval.moments.proposals import Moment, propose
from harness.scoring import status_of
from harness.timelines import ScoreCurve, Timelines
from vifistore.errors import IncompleteError, UsageError, short
from vifistore.store.features import Features
from vifistore.store.schema import DONE, QUARANTINED


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was found for one query."""

    query: MomentQuery
    path: str
    """Of the video's file in the dataset."""
    moments: Sequence[Moment]
    """Best first, at most ten; seconds from the start of the query's video."""
    saliency: np.ndarray
    """float32 [clip]: the mean cosine of each clip of two seconds, of benchmarks that score them;
    empty for others."""


def query_texts(queries: MomentQueries) -> list[str]:
    """The different sentences of a file, in the order they first stand there."""
    return list(dict.fromkeys(query.text for query in queries.queries))


class AskedVideos:
    """The videos of a query file, as far as a feature set holds them."""

    def __init__(self, features: Features, queries: MomentQueries) -> None:
        """Raises UsageError where the dataset has none of the videos or the set no frames,
        IncompleteError where it holds none of them."""
        self.features, self.queries = features, queries
        self.names = list(dict.fromkeys(query.video for query in queries.queries))
        self.places = find_videos(features.dataset, self.names)
        if not self.places:
            raise UsageError(
                f"{features.dataset.name} has none of the {len(self.names)} videos of the queries "
                f"(first: {short(self.names[0])}); scan them under their own names"
            )
        rows, paths = self._rows_of_places()
        status = status_of(features, rows)
        done = status == DONE
        if not done.any():
            raise IncompleteError(
                f"feature set {features.name} holds none of the {len(self.places)} videos that the "
                "queries are about; run `vifi extract` again"
            )
        self.timelines = Timelines(features, rows[done])
        self.files = {path: number for number, path in enumerate(self.timelines.paths)}
        # A file of which some stretches were read is scored by these.
        lost = set(paths[status == QUARANTINED].tolist()) - self.files.keys()
        self.num_quarantined = sum(place.path in lost for place in self.places.values())

    def _rows_of_places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the files of all places, int64 [row], and their paths."""
        paths = self.features.dataset.column("path")
        wanted = {place.path for place in self.places.values()}
        rows = np.flatnonzero([path in wanted for path in paths])
        return rows, paths[rows]

    def of_file(self) -> dict[int, list[int]]:
        """Queries, by their number in the file, of each file that has frames."""
        found: dict[int, list[int]] = {}
        for number, query in enumerate(self.queries.queries):
            place = self.places.get(query.video)
            if place and place.path in self.files:
                found.setdefault(self.files[place.path], []).append(number)
        return found


def moment_predictions(asked: AskedVideos, texts: Classes, proposal: str) -> Iterator[Prediction]:
    """What is found for each query that can be asked, in the order of the query file."""
    queries, of_file = asked.queries, asked.of_file()
    index = {text: number for number, text in enumerate(query_texts(queries))}
    vectors = texts.vectors[[index[query.text] for query in queries.queries]]
    found: dict[int, Prediction] = {}
    curves = asked.timelines.curves(sorted(of_file), lambda file: vectors[of_file[file]])
    for file, curve in curves:
        for place, number in enumerate(of_file[file]):
            query = queries.queries[number]
            part = part_of(curve, place, asked.places[query.video])
            if part is not None:
                found[number] = _prediction(query, part, proposal, asked.timelines.paths[file])
    return (found[number] for number in sorted(found))


def part_of(curve: ScoreCurve, query: int, place: FoundVideo) -> ScoreCurve | None:
    """The curve of one query in a part of a file, with times from its start; None where no frame
    lies in it."""
    inside = (curve.times >= place.start) & (curve.times < place.end)
    if not inside.any():
        return None
    begins = np.maximum(curve.begins[inside], place.start) - place.start
    return ScoreCurve(
        times=curve.times[inside] - place.start,
        cosines=curve.cosines[[query]][:, inside],
        rows=curve.rows[inside],
        begins=begins,
        ends=np.maximum(np.minimum(curve.ends[inside], place.end) - place.start, begins),
    )


def _prediction(query: MomentQuery, curve: ScoreCurve, proposal: str, path: str) -> Prediction:
    most = query.duration or np.inf
    moments = [
        moment._replace(start=min(moment.start, most), end=min(moment.end, most))
        for moment in propose(proposal, curve)[:MAX_PREDICTIONS]
    ]
    is_scored = query.saliency is not None and query.duration
    return Prediction(
        query=query,
        path=path,
        moments=moments,
        saliency=clip_saliency(curve, query.duration or 0.0) if is_scored else np.empty(0),
    )


def clip_saliency(curve: ScoreCurve, duration: float) -> np.ndarray:
    """Mean cosine of the frames of each clip of two seconds, float32 [clip]; of a clip without one
    that of the frame nearest to its middle."""
    num_clips = max(1, int(duration / CLIP_SECONDS))
    middles = (np.arange(num_clips) + 0.5) * CLIP_SECONDS
    borders = (curve.times[:-1] + curve.times[1:]) / 2
    scores = curve.cosines[0][np.searchsorted(borders, middles)].astype(np.float32)
    clips = (curve.times / CLIP_SECONDS).astype(np.int64)
    inside = (clips >= 0) & (clips < num_clips)
    sums = np.bincount(clips[inside], curve.cosines[0][inside], num_clips)
    counts = np.bincount(clips[inside], minlength=num_clips)
    scores[counts > 0] = (sums[counts > 0] / counts[counts > 0]).astype(np.float32)
    return scores
