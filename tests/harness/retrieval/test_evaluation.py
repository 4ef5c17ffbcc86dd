"""The retrieval protocol: planted captions and classes, by hand."""

import numpy as np
import pytest

from harness.fusion import unit
from harness.measuring import Scoring
from harness.retrieval.evaluation import (
    class_metrics,
    is_labelled,
    retrieval,
)
from harness.retrieval.frame_likeness import FrameLikeness
from harness.retrieval.likeness import VectorLikeness
from harness.retrieval.ranking import Ranking
from harness.retrieval.reranking import Rerank
from vifistore.errors import IncompleteError, UsageError
from vifistore.store.dataset import write_captions
from vifistore.store.features import Features
from vifistore.store.schema import QUARANTINED

QUICK = Scoring(folds=50)


def value(rows, metric):
    (found,) = [row for row in rows if row.metric == metric]
    return found


def test_classes_by_hand():
    classes = np.eye(2, dtype=np.float32)
    videos = unit(np.array([[1, 0.1], [1, 0.3], [0.2, 1], [1, 0.2]]))
    found = class_metrics(VectorLikeness(classes, videos), np.array([0, 1, 1, 0]), QUICK)
    # Class 0 finds its two videos first. Class 1 finds row 2, then row 1: both first as well.
    assert found["mean_average_precision"].value == 1.0
    assert found["precision_at_1"].value == 1.0
    assert "precision_at_5" not in found
    swapped = class_metrics(VectorLikeness(classes, videos), np.array([1, 0, 1, 0]), QUICK)
    # Class 0: right at ranks 2 and 3; class 1: at 1 and 4.
    expected = ((1 / 2 + 2 / 3) / 2 + (1 + 2 / 4) / 2) / 2
    assert swapped["mean_average_precision"].value == pytest.approx(expected)
    assert swapped["precision_at_1"].value == 0.5


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=40, num_classes=4)
    status = np.ones(40, np.uint8)
    status[9] = QUARANTINED
    maker.features(maker.frames(noise=0.2), status=status)
    return maker


def caption_all(maker, rows):
    """A caption per video, whose text embedding is the video's own."""
    write_captions(maker.store.dataset("toy"), [(row, f"caption {row}") for row in rows])
    vectors = maker.frames(noise=0.2).astype(np.float32).mean(axis=2)[rows]
    fields = {
        "text_digest": "text of tiny",
        "logit_scale": 20.0,
        "class_names": [f"caption {row}" for row in rows],
        "templates": ["{}"],
        "context_length": 12,
        "precision": "fp32",
    }
    maker.store.add_texts(fields, vectors)


def test_paragraphs_are_rows_of_their_own(maker):
    captions = [(5, "first"), (6, "other"), (5, "second")]
    write_captions(maker.store.dataset("toy"), captions)
    vectors = maker.frames(noise=0.2).astype(np.float32).mean(axis=2)[[5, 6]]
    fields = {"class_names": ["first second", "other"], "templates": ["{}"]}
    fields |= {"text_digest": "text of tiny", "logit_scale": 20.0}
    maker.store.add_texts(fields | {"context_length": 12, "precision": "fp32"}, vectors)
    rows = retrieval(maker.store.features("toy", "tiny"), "", QUICK, Ranking(paragraphs=True))
    found = value(rows, "t2v_recall_at_1")
    assert (found.value, found.classes, found.ranking) == (1.0, 2, "paragraphs")
    assert (found.provenance["captions"], found.provenance["uncaptioned"]) == (2, 38)
    # Class names are asked as they always are, in rows of their own.
    assert {row.metric[:3] for row in rows} == {"t2v", "v2t"}


def test_rows_of_a_captioned_dataset(maker):
    maker.texts(templates=("a {}",))
    caption_all(maker, list(range(5, 15)))
    settings = Scoring(folds=50, templates=("a {}",))
    rows = retrieval(maker.store.features("toy", "tiny"), settings=settings)
    first = value(rows, "t2v_recall_at_1")
    assert (first.value, first.num_videos, first.num_quarantined) == (1.0, 9, 1)
    assert (first.classes, first.template, first.protocol) == (9, "{}", "retrieval")
    # All nine are found, and none of them tells how often others are not.
    assert (first.ci_low, first.ci_high) == pytest.approx((0.025 ** (1 / 9), 1.0))
    assert first.provenance["resampled"] == "videos"
    assert value(rows, "v2t_median_rank").value == 1.0
    mean = value(rows, "mean_average_precision")
    assert (mean.num_videos, mean.classes, mean.template) == (39, 4, "a {}")
    assert 0.5 < mean.value <= 1
    assert mean.provenance["resampled"] == "classes"


def test_other_rankings_are_rows_of_their_own(maker, monkeypatch):
    caption_all(maker, list(range(5, 15)))
    maker.split("test", np.arange(5, 9))
    maker.split("train", np.arange(10, 15))
    maker.texts(templates=("a {}",))
    features = maker.store.features("toy", "tiny")
    settings = Scoring(folds=50, templates=("a {}",))

    def found(**how):
        return value(retrieval(features, "test", settings, Ranking(**how)), "t2v_recall_at_1")

    row = found(rerank=Rerank(rule="topk", best_frames=3))
    assert (row.value, row.fusion, row.ranking) == (1.0, "topk-3", "")
    row = found(normalise="dual-softmax")
    assert (row.ranking, row.fusion) == ("dual-softmax", "embedding")
    assert row.provenance["transductive"] is True
    assert row.provenance["normalised"] == {
        **{"rule": "dual-softmax", "sharpness": 20.0, "bank": "test"},
        **{"bank_captions": 4, "bank_videos": 4},
    }
    row = found(normalise="qb-norm", bank="train", sharpness=5.0)
    assert row.ranking == "qb-norm at 5 by train"
    assert row.provenance["transductive"] is False
    assert row.provenance["normalised"]["bank_captions"] == 5
    # A bank that holds videos which are scored is none of its own.
    assert found(normalise="qb-norm", bank="all").provenance["transductive"] is True
    # Nor is one of copies under other names; of files that were not read nothing is known.
    for digest, is_own in (("{:064x}", True), ("", False)):
        digests = np.array([digest.format(row % 5) for row in range(40)], object)
        monkeypatch.setattr(Features, "content_digests", lambda self, rows, of=digests: of[rows])
        row = found(normalise="qb-norm", bank="train")
        assert row.provenance["transductive"] is is_own
    assert found(normalise="qb-norm", bank="all").provenance["transductive"] is True


def test_scores_by_frames_are_those_of_a_search(maker):
    caption_all(maker, list(range(5, 9)))
    maker.split("test", np.arange(5, 9))
    features, how = maker.store.features("toy", "tiny"), Rerank(rule="maxsim")
    texts = unit(np.random.default_rng(1).normal(size=(3, 16))).astype(np.float32)
    rows = np.array([8, 5, 6])
    likeness = FrameLikeness(features=features, rows=rows, texts=texts, how=how)
    frames = unit(maker.frames(noise=0.2).astype(np.float32))[rows]
    expected = np.einsum("rvfd,qd->qrvf", frames, texts).max(axis=(2, 3))
    np.testing.assert_allclose(likeness.of_texts(np.arange(3)), expected, atol=2e-3)
    np.testing.assert_allclose(likeness.of_videos(np.array([2])), expected.T[[2]], atol=2e-3)
    assert likeness.counts == (3, 3)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"bank": "train"}, "--bank is of --normalise"),
        ({"sharpness": 2.0}, "--sharpness is of --normalise"),
        ({"normalise": "qb-norm", "sharpness": -1.0}, "--sharpness is -1; give a number above 0"),
        ({"normalise": "hubness"}, "unknown normalisation 'hubness'"),
    ],
)
def test_rankings_that_rank_nothing_are_refused(how, told):
    with pytest.raises(UsageError, match=told):
        Ranking(**how)


def test_a_split_narrows_both_down(maker):
    maker.split("half", np.arange(0, 40, 2))
    maker.texts(templates=("a {}",))
    caption_all(maker, list(range(5, 15)))
    settings = Scoring(folds=50, templates=("a {}",))
    rows = retrieval(maker.store.features("toy", "tiny"), "half", settings)
    assert value(rows, "t2v_recall_at_1").num_videos == 5
    assert value(rows, "precision_at_10").num_videos == 20


def test_unlabelled_videos_are_scored_by_their_captions_alone(make_store):
    maker = make_store(num_videos=12, num_classes=1, unlabelled=range(12))
    maker.features(maker.frames(noise=0.2))
    attributes = maker.store.backend.attributes("videos/toy")
    digests = {name: of for name, of in attributes["digests"].items() if name != "class_names"}
    changed = {**attributes, "class_names": [], "digests": digests}
    maker.store.backend.make_group("videos/toy", changed)
    assert not is_labelled(maker.store.dataset("toy"), "")
    with pytest.raises(UsageError, match="neither captions nor labels"):
        retrieval(maker.store.features("toy", "tiny"))
    caption_all(maker, list(range(12)))
    rows = retrieval(maker.store.features("toy", "tiny"), settings=QUICK)
    assert {row.metric[:3] for row in rows} == {"t2v", "v2t"}


def test_what_cannot_be_scored_is_refused(maker):
    with pytest.raises(UsageError, match="leave out --fusion"):
        retrieval(maker.store.features("toy", "tiny"), settings=Scoring(fusions=("image",)))
    with pytest.raises(UsageError, match="no captions that dual-softmax could be of"):
        retrieval(maker.store.features("toy", "tiny"), "", QUICK, Ranking(normalise="dual-softmax"))
    write_captions(maker.store.dataset("toy"), [(9, "the quarantined one")])
    with pytest.raises(IncompleteError, match="0 of 1 captioned"):
        retrieval(maker.store.features("toy", "tiny"))
