import numpy as np
import pytest

from harness.measuring import Scoring
from harness.protocols.zero_shot import zero_shot
from vifistore.errors import IncompleteError, UsageError
from vifistore.store.names import set_name


def direct_top1(frames, texts, labels):
    """Embedding fusion, restated in float64: mean of frames, cosine, softmax, sum of views."""
    video = frames.astype(np.float64).mean(axis=2)
    video /= np.linalg.norm(video, axis=-1, keepdims=True)
    text = texts.embeddings[:, 0].astype(np.float64)
    text /= np.linalg.norm(text, axis=-1, keepdims=True)
    powers = np.exp(texts.attrs["logit_scale"] * video @ text.T)
    scores = (powers / powers.sum(axis=-1, keepdims=True)).sum(axis=1)
    return (scores.argmax(axis=1) == labels).mean()


def test_a_split_of_which_videos_are_missing_says_so(make_store, value_of):
    maker = make_store(num_videos=120)
    status = np.ones(120, np.uint8)
    status[3] = 2
    maker.features(maker.frames(), status=status)
    maker.texts()
    maker.split("val1", range(40), listed=[7, 7, 7, 7, 6, 600])
    maker.split("val2", range(40, 120))
    rows = zero_shot(maker.store.features("toy", "tiny"), ("val1", "val2"))
    part = value_of(rows, split="val1", metric="top1")
    assert (part.num_videos, part.num_quarantined, part.listed) == (39, 1, 634)
    assert value_of(rows, split="val2", metric="top1").listed is None
    # Of a mean over splits it is the sum, whole splits counted by what they hold.
    assert value_of(rows, split="val1+val2", metric="top1").listed == 634 + 80


def test_all_labelled_videos_without_a_split(make_store, value_of):
    maker = make_store(num_videos=130)
    frames = maker.frames(num_views=3, noise=2.0)
    maker.features(frames)
    texts = maker.store.texts(maker.texts())
    rows = zero_shot(maker.store.features("toy", "tiny"))
    expected = direct_top1(frames, texts, maker.labels)
    assert 0.3 < expected < 1
    top1 = value_of(rows, metric="top1")
    assert top1.value == pytest.approx(expected, abs=1e-12)
    assert top1.ci_low < top1.value < top1.ci_high
    assert (top1.protocol, top1.split, top1.subset, top1.fusion) == (
        "zero-shot",
        "all",
        "all",
        "embedding",
    )
    assert (top1.num_videos, top1.num_frames, top1.num_views, top1.classes) == (130, 4, 3, 6)
    assert (top1.feature_names, top1.scored_checkpoint, top1.template) == (("tiny",), "tiny", "{}")
    assert top1.trained_fusion == "embedding"
    assert top1.provenance["rows_covered"] == 130
    assert {row.metric for row in rows} == {"top1", "top5", "mean_per_class", "calibration_error"}


def test_splits_give_mean_and_population_deviation(make_store, value_of):
    maker = make_store(num_videos=90)
    maker.features(maker.frames(noise=2.0))
    maker.texts()
    maker.split("val1", np.arange(0, 30))
    maker.split("val2", np.arange(30, 90)[::-1])
    rows = zero_shot(maker.store.features("toy", "tiny"), ("val1", "val2"))
    first = value_of(rows, metric="top1", split="val1").value
    second = value_of(rows, metric="top1", split="val2").value
    mean = value_of(rows, metric="top1", split="val1+val2")
    assert mean.value == pytest.approx((first + second) / 2)
    assert mean.num_videos == 90
    assert mean.provenance["count"] == 2
    assert (mean.provenance["rows_covered"], mean.provenance["num_todo"]) == (90, 0)
    assert mean.provenance["recipe"] == mean.feature_set
    # The population deviation of two numbers is half their distance.
    deviation = value_of(rows, metric="top1_std", split="val1+val2")
    assert deviation.value == pytest.approx(abs(first - second) / 2)
    assert first != second


def test_several_fusions_and_few_classes(make_store):
    maker = make_store(num_classes=5)
    maker.features(maker.frames())
    maker.texts()
    # Among five classes the right one is always among the five best.
    fusions = ("embedding", "decision", "image")
    rows = zero_shot(maker.store.features("toy", "tiny"), settings=Scoring(fusions=fusions))
    assert {row.fusion for row in rows} == set(fusions)
    assert "top5" not in {row.metric for row in rows}


def test_a_mean_over_splits_covers_all_their_rows(make_store, value_of):
    maker = make_store(num_videos=70)
    status = np.ones(70, np.uint8)
    status[5:15], status[3] = 0, 2
    maker.features(maker.frames(), status=status, seal=False)
    maker.texts()
    maker.split("val1", np.arange(0, 40))
    maker.split("val2", np.arange(10, 70))
    rows = zero_shot(maker.store.features("toy", "tiny"), ("val1", "val2"), Scoring(partial=True))
    mean = value_of(rows, metric="top1", split="val1+val2")
    # val1: 40 - 10 to do - 1 quarantined; val2: 60 - 5 to do.
    assert (mean.num_videos, mean.num_quarantined) == (29 + 55, 1)
    assert (mean.provenance["rows_covered"], mean.provenance["num_todo"]) == (84, 15)


def test_partial_set_says_what_it_covers(make_store, value_of):
    maker = make_store(num_videos=70)
    status = np.ones(70, np.uint8)
    status[5:15], status[3] = 0, 2
    maker.features(maker.frames(), status=status, seal=False)
    maker.texts()
    with pytest.raises(IncompleteError, match=r"10 of 70 videos are to do.*--partial"):
        zero_shot(maker.store.features("toy", "tiny"))
    rows = zero_shot(maker.store.features("toy", "tiny"), settings=Scoring(partial=True))
    top1 = value_of(rows, metric="top1")
    assert (top1.num_videos, top1.num_quarantined) == (59, 1)
    assert (top1.provenance["rows_covered"], top1.provenance["num_todo"]) == (59, 10)


def test_text_tuned_checkpoints_share_features_but_not_rows(make_store, value_of):
    maker = make_store()
    frames = maker.frames(noise=2.0)
    maker.features(frames, name="image", checkpoint="image")
    maker.texts("image")
    tuned = maker.checkpoint("tuned")
    maker.texts("tuned", noise=2.0)
    feature_id = maker.store.features("toy", "image").id
    set_name(maker.store.dataset("toy"), "tuned", feature_id, tuned, force=False)
    first = value_of(zero_shot(maker.store.features("toy", "image")), metric="top1")
    second = value_of(zero_shot(maker.store.features("toy", "tuned")), metric="top1")
    assert first.feature_set == second.feature_set
    assert (first.feature_names, second.feature_names) == (("image",), ("tuned",))
    assert first.key != second.key
    assert first.value != second.value


def test_no_texts_of_these_classes(make_store):
    maker = make_store()
    maker.features(maker.frames())
    with pytest.raises(UsageError, match=r"no text embeddings of these 6 classes.*vifi texts"):
        zero_shot(maker.store.features("toy", "tiny"))


def test_splits_without_a_common_mean_are_refused(make_store):
    maker = make_store()
    maker.features(maker.frames())
    maker.texts()
    maker.split("val1", range(12))
    maker.split("few", [0, 1], [0, 1], maker.class_names[:4])
    with pytest.raises(UsageError, match="named twice in val1, val1; name each once"):
        zero_shot(maker.store.features("toy", "tiny"), ("val1", "val1"))
    told = r"different numbers of classes \(val1 6, few 4\) have no common mean; score them one by"
    with pytest.raises(UsageError, match=told):
        zero_shot(maker.store.features("toy", "tiny"), ("val1", "few"))
