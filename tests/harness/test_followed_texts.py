"""Texts that follow the video: every protocol reads the cosines that are kept of them."""

from dataclasses import replace

import numpy as np
import pytest

from harness.followed_texts import FollowedTexts
from harness.measuring import Scoring
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.supervised import supervised
from harness.protocols.trained import Trained
from harness.protocols.zero_shot import zero_shot
from harness.retrieval.evaluation import retrieval
from harness.scoring import load_classes, load_videos, score
from harness.shortcuts import predict, text_embeddings
from harness.softmax import softmax
from vifistore.errors import DamagedError, UsageError
from vifistore.store.claims.claiming import open_claims
from vifistore.store.dataset import write_captions
from vifistore.store.schema import DONE, QUARANTINED
from vifistore.store.similarity_writer import SimilarityWriter

VIEWS, SCALE = 2, 20.0
FOLDS = 20


def planted(num_videos, num_classes, seed=0) -> np.ndarray:
    """Cosines float32 [video view class], of no embedding."""
    values = np.random.default_rng(seed).uniform(-1, 1, (num_videos, VIEWS, num_classes))
    return values.astype(np.float32)


def keep(maker, texts, cosines, *, seal=True):
    """Keep cosines with a text set beside the feature set."""
    features = maker.store.features("toy", "tiny")
    status = features.read_status()
    backend = maker.store.backend
    locks = open_claims(backend, "toy", features.id)
    writer = SimilarityWriter(backend, features.path, texts, cosines.shape, locks)
    for block in range(0, len(status), 64):
        rows = [row for row in range(block, min(block + 64, len(status))) if status[row] == DONE]
        writer.write({block // 64: (rows, cosines[rows])})
    if seal:
        assert writer.seal(status)
    return features


@pytest.fixture
def maker(make_store, monkeypatch):
    """A store whose checkpoint has texts that follow the video; row 3 is quarantined."""
    maker = make_store(num_videos=70, num_classes=6)
    known = maker.store.checkpoint(maker.checkpoint())
    (maker.store.path / "checkpoints" / known["digest"] / "zarr.json").unlink()
    record = {key: value for key, value in known.items() if key not in ("digest", "names")}
    maker.store.add_checkpoint({**record, "name": "tiny", "texts_depend_on_video": True})
    frames = np.random.default_rng(1).normal(size=(70, VIEWS, 1, 16)).astype(np.float16)
    status = np.full(70, DONE, np.uint8)
    status[3] = QUARANTINED
    maker.features(frames, status=status)
    return maker


def by_hand(cosines) -> np.ndarray:
    return softmax(np.float32(SCALE) * cosines).sum(axis=1)


def test_scores_are_those_of_the_kept_cosines(maker):
    texts = maker.texts()
    cosines = planted(70, 6)
    features = keep(maker, texts, cosines)
    videos = load_videos(features)
    classes = load_classes(features, maker.class_names)
    assert len(classes) == 6
    assert not len(classes.vectors)
    found = score(videos, classes)["embedding"]
    np.testing.assert_allclose(found, by_hand(cosines)[videos.rows], rtol=1e-5)
    one = score(videos, classes, views=np.array([1]))["embedding"]
    np.testing.assert_allclose(one, by_hand(cosines[:, 1:])[videos.rows], rtol=1e-5)
    (row,) = [r for r in zero_shot(features, ("",), Scoring(folds=FOLDS)) if r.metric == "top1"]
    right = by_hand(cosines)[videos.rows].argmax(axis=1) == videos.labels
    assert row.value == pytest.approx(right.mean())
    assert (row.num_videos, row.num_quarantined) == (69, 1)
    best = predict(features)["predicted"].to_numpy()
    expected = np.array(maker.class_names)[by_hand(cosines)[videos.rows].argmax(axis=1)]
    assert (best == expected).all()


def test_classes_are_found_by_their_names(maker):
    texts = maker.texts(class_names=maker.class_names[::-1])
    cosines = planted(70, 6)
    features = keep(maker, texts, cosines)
    classes = load_classes(features, maker.class_names[:2])
    found = score(load_videos(features), classes)["embedding"]
    rows = load_videos(features).rows
    np.testing.assert_allclose(found, by_hand(cosines[:, :, [5, 4]])[rows], rtol=1e-5)


def test_base_and_novel_are_scored_apart_and_together(maker):
    base, novel = maker.class_names[:3], maker.class_names[3:]
    first, second = planted(70, 3), planted(70, 3, seed=9)
    keep(maker, maker.texts(class_names=base), first)
    features = keep(maker, maker.texts(class_names=novel), second)
    labels = np.arange(70) % 6
    rows = np.array([row for row in range(70) if row != 3])
    halves = rows[labels[rows] < 3], rows[labels[rows] >= 3]
    maker.split("base_val", halves[0], labels[halves[0]], base)
    maker.split("novel_val", halves[1], labels[halves[1]] - 3, novel)
    found = base_to_novel([features], settings=BaseToNovel(folds=FOLDS))
    both = by_hand(np.concatenate([first, second], axis=2)).argmax(axis=1)
    values = {(r.subset, r.metric): r.value for r in found}
    alone = (by_hand(second).argmax(axis=1) == labels - 3)[halves[1]].mean()
    assert values["novel", "top1"] == pytest.approx(alone)
    assert values["joint", "base_top1"] == pytest.approx((both == labels)[halves[0]].mean())


def test_retrieval_takes_means_over_views(maker):
    cosines = planted(70, 6)
    features = keep(maker, maker.texts(), cosines)
    captions = ["one", "two"]
    write_captions(maker.store.dataset("toy"), [(0, "one"), (5, "two")])
    of_captions = planted(70, 2, seed=4)
    known = maker.store.texts(maker.texts(class_names=maker.class_names[:2]))
    fields = {**known.attrs, "class_names": captions}
    keep(maker, maker.store.add_texts(fields, known.embeddings), of_captions)
    found = {row.metric: row.value for row in retrieval(features, "", Scoring(folds=FOLDS))}
    means = of_captions.mean(axis=1)[[0, 5]]
    assert found["t2v_recall_at_1"] == (means.argmax(axis=0) == [0, 1]).mean()
    assert found["v2t_recall_at_1"] == (means.argmax(axis=1) == [0, 1]).mean()
    videos = load_videos(features)
    best = cosines.mean(axis=1)[videos.rows].argmax(axis=0)
    assert found["precision_at_1"] == pytest.approx((videos.labels[best] == np.arange(6)).mean())


def test_what_cannot_be_given_says_so(maker):
    features = keep(maker, maker.texts(), planted(70, 6))
    with pytest.raises(UsageError, match="merges the frames of a view itself"):
        zero_shot(features, ("",), Scoring(fusions=("embedding", "image"), folds=FOLDS))
    videos, classes = load_videos(features), load_classes(features, maker.class_names)
    with pytest.raises(UsageError, match="merges the frames of a view itself"):
        score(videos, classes, frames=np.array([0]))
    with pytest.raises(UsageError, match="have no embedding of their own, which this asks for"):
        text_embeddings(features)
    maker.split("train", np.arange(10, 40))
    maker.split("test", np.arange(40, 70))
    settings = Trained(classifier="tip-adapter", train_split="train", folds=FOLDS)
    with pytest.raises(UsageError, match=r"follow each video .* tip-adapter weighs"):
        supervised(features, "test", settings)
    assert supervised(features, "test", replace(settings, classifier="prototype"))


@pytest.mark.parametrize("tokens", [False, True])
def test_classes_that_have_no_cosines_name_what_makes_them(maker, tokens, monkeypatch):
    features = maker.store.features("toy", "tiny")
    maker.texts()
    if tokens:
        monkeypatch.setattr(type(features), "declared", {"patch_tokens": None})
    words = (
        "without any video: vifi texts" if tokens else "its 69 videos are encoded again: vifi rm"
    )
    with pytest.raises(UsageError, match=words) as caught:
        load_classes(features, maker.class_names)
    assert len(str(caught.value)) < 400
    assert tokens or "--keep-tokens" in str(caught.value)


def test_cosines_that_are_not_complete_are_refused(maker):
    texts = maker.texts()
    features = keep(maker, texts, planted(70, 6), seal=False)
    with pytest.raises(UsageError, match="has no cosines with text set"):
        load_classes(features, maker.class_names)
    followed = FollowedTexts(parts=((texts, np.arange(6)),))
    with pytest.raises(DamagedError, match="lacks cosines of some videos"):
        list(followed.blocks(features, np.array([2, 3])))


def test_cosines_of_a_set_that_has_grown_since_name_what_makes_them(maker, monkeypatch):
    texts = maker.texts()
    features = keep(maker, texts, planted(70, 6))
    load_classes(features, maker.class_names)
    sealed = {**features.sealed, "rows": 71}
    monkeypatch.setattr(type(features), "sealed", sealed)
    with pytest.raises(UsageError, match="has no cosines with text set"):
        load_classes(features, maker.class_names)
