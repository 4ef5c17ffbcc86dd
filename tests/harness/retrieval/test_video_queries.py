"""Videos that ask for videos, beside a plain restatement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from harness.fusion import unit
from harness.measuring import Scoring
from harness.retrieval.video_queries import LabelledVectors, video_metrics, video_retrieval
from vifistore.errors import UsageError

QUICK = Scoring(folds=20)


def test_by_hand():
    vectors = unit(np.array([[1, 0.0], [1, 0.05], [0.9, 0.4], [0, 1], [0.1, 1]])).astype(np.float32)
    labels, sources = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3])
    found = video_metrics(LabelledVectors(vectors=vectors, labels=labels, sources=sources), QUICK)
    # Video 1 lies next to video 0 and is of its source: video 2 is the one right answer of both.
    assert found["v2v_recall_at_1"].value == found["v2v_mean_average_precision"].value == 1.0
    labels = np.array([0, 0, 1, 1, 0])
    found = video_metrics(LabelledVectors(vectors=vectors, labels=labels, sources=sources), QUICK)
    expected = plainly(vectors, labels, sources)
    assert found["v2v_recall_at_1"].value == pytest.approx(np.mean([r <= 1 for r, _ in expected]))


def plainly(vectors, labels, sources):
    """(rank, average precision) of every video that has a right answer, one at a time."""
    found = []
    for query in range(len(labels)):
        others = [v for v in range(len(labels)) if sources[v] != sources[query]]
        right = np.array([labels[v] == labels[query] for v in others], bool)
        if not right.any():
            continue
        scores = np.array([float(vectors[query] @ vectors[v]) for v in others])
        rank = 1 + int((scores[~right] >= scores[right].max()).sum())
        found.append((rank, average_precision_score(right, scores)))
    return found


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_metrics_are_the_plain_ones(data):
    count = data.draw(st.integers(2, 10))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    sources = np.array(data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count)))
    # Few directions, so that many cosines tie exactly.
    vectors = np.eye(4, dtype=np.float32)[
        data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    ]
    expected = plainly(vectors, labels, sources)
    asked = LabelledVectors(vectors=vectors, labels=labels, sources=sources)
    assert int(asked.is_asked.sum()) == len(expected)
    if expected:
        found = video_metrics(asked, QUICK)
        ranks, precisions = np.array(expected).T
        assert found["v2v_mean_average_precision"].value == pytest.approx(precisions.mean())
        for k in (1, 5, 10):
            assert found[f"v2v_recall_at_{k}"].value == pytest.approx((ranks <= k).mean())


def test_rows_say_what_is_left_out(make_store, monkeypatch):
    maker = make_store(num_videos=40, num_classes=4)
    maker.features(maker.frames(noise=0.2))
    features = maker.store.features("toy", "tiny")
    rows = video_retrieval(features, "", QUICK)
    found = {row.metric: row for row in rows}
    first = found["v2v_recall_at_1"]
    assert set(found) == {
        "v2v_mean_average_precision",
        *(f"v2v_recall_at_{k}" for k in (1, 5, 10)),
    }
    assert (first.ranking, first.text_set, first.num_videos) == ("sources by file", "", 40)
    assert first.provenance["sources"] == 40
    assert "alone" not in first.provenance
    # Videos 0 to 9 are one source: with 4 classes nothing but that is left out.
    (row, *_) = video_retrieval(features, "", QUICK, r"video\d$|video(.*)")
    assert row.ranking == r"sources by video\d$|video(.*)"
    with pytest.raises(UsageError, match="say what a source is with --groups"):
        video_retrieval(features, "", QUICK, "video")
