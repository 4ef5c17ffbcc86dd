"""The moment-retrieval protocol: from a query file and cached frames to rows."""

import json

import numpy as np
import pytest

from harness.classes import Classes
from harness.link import Link
from harness.measuring import Scoring
from harness.reaching import reach
from harness.retrieval.moments.moment_evaluation import moment_retrieval
from harness.retrieval.moments.moment_predictions import clip_saliency, part_of
from harness.retrieval.moments.moment_queries import read_moment_queries
from harness.retrieval.moments.moment_videos import FoundVideo
from harness.timelines import ScoreCurve
from tests.harness.films import QUERY, film, write_films
from vifistore.errors import IncompleteError, UnknownNameError, UsageError

CHARADES = """\
a 4.0 10.0##someone runs
a 0.0 5.0##someone else runs
b 10.0 14.0##someone runs
gone 0.0 1.0##someone runs
lost 0.0 1.0##someone runs
"""


def planted(count, start, stop):
    return [0.9 if start <= number < stop else 0.1 for number in range(count)]


@pytest.fixture
def features(tmp_path):
    rows = [
        *film("a.mp4", planted(20, 4, 10), 8),
        *film("b.mp4", planted(20, 11, 14), 8),
        *film("lost.mp4", [0.5] * 4, 8),
    ]
    return write_films(tmp_path, rows, lost=[len(rows) - 1])


def texts_of(*vectors):
    return Classes(
        vectors=np.array(vectors, np.float32), link=Link(100.0), text_set="t", templates=("{}",)
    )


def asked(folder, text, name="queries.txt"):
    path = folder / name
    path.write_text(text)
    return read_moment_queries(path)


def test_rows_are_means_over_the_queries_that_can_be_asked(tmp_path, features, value_of):
    queries = asked(tmp_path, CHARADES)
    texts = texts_of(QUERY, -QUERY)
    found = moment_retrieval(features, queries, texts, split="test", proposal="half-way")
    # a: exactly right; its second sentence is about 0-4 and 10-20, of which the first is nearer:
    # 4 of 5 seconds; b: 11-14 of 10-14.
    first = [(p.moments[0].start, p.moments[0].end) for p in found.predictions]
    assert first == [(4.0, 10.0), (0.0, 4.0), (11.0, 14.0)]
    assert value_of(found.rows, metric="r1_iou_0.7").value == pytest.approx(1)
    assert value_of(found.rows, metric="mean_iou").value == pytest.approx((1 + 4 / 5 + 3 / 4) / 3)
    assert [row.metric for row in found.rows] == [
        *(f"r{rank}_iou_{least}" for rank in (1, 5) for least in (0.3, 0.5, 0.7)),
        "mean_iou",
    ]
    row = found.rows[0]
    assert (row.protocol, row.split, row.fusion) == ("moment-retrieval", "test", "half-way")
    assert (row.num_videos, row.num_quarantined, row.listed) == (2, 1, 4)
    assert (found.missing, found.num_videos) == (["gone"], 4)
    told = row.provenance
    assert (told["queries"], told["queries_listed"]) == (3, 5)
    assert (told["benchmark"], told["proposal"]) == ("charades-sta", "half-way")
    assert told["queries_digest"] == queries.digest
    # Of two videos.
    assert (row.ci_low, row.ci_high) == pytest.approx((0.025**0.5, 1.0))


def test_intervals_draw_videos_with_all_of_their_queries(tmp_path, features, value_of):
    lines = "a 4.0 10.0##someone runs\n" * 10 + "b 0.0 5.0##someone runs\n"
    found = moment_retrieval(
        features,
        asked(tmp_path, lines),
        texts_of(QUERY),
        split="s",
        proposal="half-way",
        settings=Scoring(folds=200),
    )
    row = value_of(found.rows, metric="r1_iou_0.5")
    # Of two videos one is wrong in a quarter of the draws both times.
    assert (row.value, row.ci_low, row.ci_high) == (pytest.approx(10 / 11), 0.0, 1.0)


def qv_line(**fields):
    line = {
        "qid": 1,
        "query": "someone runs",
        "vid": "a",
        "duration": 20,
        "relevant_windows": [[4, 10], [16, 20]],
        "relevant_clip_ids": [2, 3, 4],
        "saliency_scores": [[4, 1, 1], [1, 4, 2], [0, 0, 4]],
    }
    return json.dumps(line | fields) + "\n"


def test_clips_of_one_video_are_drawn_together(tmp_path, value_of):
    """As QVHighlights cuts them: each is a file, and two of them are of one download."""
    rows = [
        *film("x_0.0_20.0.mp4", planted(20, 4, 10), 20),
        *film("x_20.0_40.0.mp4", planted(20, 0, 4), 20),
        *film("y_0.0_20.0.mp4", planted(20, 4, 10), 20),
    ]
    windows = {"relevant_windows": [[4, 10]], "relevant_clip_ids": [], "saliency_scores": []}
    names = ("x_0.0_20.0", "x_20.0_40.0", "y_0.0_20.0")
    lines = "".join(qv_line(qid=n, vid=name, **windows) for n, name in enumerate(names))
    features, queries = write_films(tmp_path, rows), asked(tmp_path, lines, "val.jsonl")
    settings = Scoring(folds=400)
    found = moment_retrieval(
        features, queries, texts_of(QUERY), split="val", proposal="half-way", settings=settings
    )
    row = value_of(found.rows, metric="r1_iou_0.5")
    # Drawn one by one, all of three are wrong in one of 27 draws, which would make it 0.
    assert (row.value, row.ci_low, row.ci_high) == (pytest.approx(2 / 3), 0.5, 1.0)
    assert row.num_videos == 3


def test_qvhighlights_rows(tmp_path, features, value_of):
    lines = qv_line() + qv_line(qid=2, vid="b", relevant_windows=[[0, 4], [11, 14]])
    queries = asked(tmp_path, lines, "val.jsonl")
    found = moment_retrieval(features, queries, texts_of(QUERY), split="v", proposal="half-way")
    values = {row.metric: row.value for row in found.rows}
    # Each has one prediction that is exactly one of two right stretches.
    expected = dict.fromkeys(["r1_iou_0.5", "r1_iou_0.7"], 1.0)
    expected |= dict.fromkeys(["map_iou_0.5", "map_iou_0.75", "map_average"], 0.5)
    # The best clip of a is its third to fifth, which somebody calls very good; that of b, its sixth
    # or seventh, nobody does.
    assert values == pytest.approx(expected | {"hit_at_1": 0.5})
    assert [len(p.saliency) for p in found.predictions] == [10, 10]
    plain = json.loads(qv_line(qid=3))
    del plain["saliency_scores"]
    queries = asked(tmp_path, lines + json.dumps(plain), "val.jsonl")
    found = moment_retrieval(features, queries, texts_of(QUERY), split="v")
    assert "hit_at_1" not in {row.metric for row in found.rows}


def test_a_part_of_a_file_is_a_video_of_its_own(tmp_path, features):
    lines = qv_line(vid="a_2.0_9.0", duration=7, relevant_clip_ids=[], saliency_scores=[])
    queries = asked(tmp_path, lines + qv_line(qid=5, vid="a_100.0_107.0"), "val.jsonl")
    found = moment_retrieval(features, queries, texts_of(QUERY), split="v", proposal="half-way")
    (prediction,) = found.predictions
    assert prediction.moments[0][:2] == (2.0, 7.0)
    # Of the other no frame was read.
    assert found.rows[0].num_videos == 1
    assert found.rows[0].provenance["num_todo"] == 1


def curve(times, cosines):
    begins, ends = reach(np.array(times, float))
    return ScoreCurve(
        times=np.array(times, float),
        cosines=np.array([cosines], np.float32),
        rows=np.zeros(len(times), np.int64),
        begins=begins,
        ends=ends,
    )


def test_clips_have_the_mean_of_their_frames_or_the_nearest_one():
    found = clip_saliency(curve([0.5, 1.5, 2.5, 7.5], [0.1, 0.3, 0.4, 0.9]), 9.0)
    np.testing.assert_allclose(found, [0.2, 0.4, 0.4, 0.9], atol=1e-6)


def test_a_part_begins_and_ends_where_it_is_cut():
    part = part_of(curve([1.0, 3.0, 5.0, 7.0], [0.1, 0.2, 0.3, 0.4]), 0, FoundVideo("a", 2.5, 6.0))
    assert part is not None
    assert part.times.tolist() == [0.5, 2.5]
    assert (part.begins.tolist(), part.ends.tolist()) == ([0.0, 1.5], [1.5, 3.5])
    assert part_of(part, 0, FoundVideo("a", 9.0, 10.0)) is None


def test_what_cannot_be_scored(tmp_path, features):
    queries = asked(tmp_path, CHARADES)
    with pytest.raises(UnknownNameError, match="half-way"):
        moment_retrieval(features, queries, texts_of(QUERY, QUERY), split="s", proposal="none")
    nobody = asked(tmp_path, "nobody 0 1##a\n")
    with pytest.raises(UsageError, match="has none of the 1 videos of the queries"):
        moment_retrieval(features, nobody, texts_of(QUERY), split="s")
    lost = asked(tmp_path, "lost 0 1##a\n")
    with pytest.raises(IncompleteError, match="holds none of the 1 videos"):
        moment_retrieval(features, lost, texts_of(QUERY), split="s")
