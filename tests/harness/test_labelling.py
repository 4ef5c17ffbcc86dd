import numpy as np
import pytest

from harness.fusion import fuse_frames, unit
from harness.labelling import check_apart, label_videos, same_label
from harness.scoring import load_classes
from harness.shortcuts import classify
from harness.softmax import softmax
from vifistore.errors import DamagedError, UsageError


@pytest.fixture
def features(make_store):
    """Seventy videos of six classes in two views, of which one is quarantined and one to do."""
    maker = make_store()
    status = np.ones(70, np.uint8)
    status[[3, 5]] = 2, 0
    maker.features(maker.frames(num_views=2, noise=2.0), status=status, seal=False)
    maker.texts()
    return maker.store.features("toy", "tiny")


def test_probabilities_are_the_mean_over_views(features):
    names = features.dataset.class_names()
    classes = load_classes(features, names)
    found = label_videos(features, classes, names, top=6)
    assert [line.row for line in found] == list(range(70))
    assert (found[3].state, found[5].state) == ("quarantined", "to do")
    frames = features.read("frames").astype(np.float32)
    summed = fuse_frames(["embedding"], frames, classes.vectors, classes.link)["embedding"]
    for line in found:
        if line.state == "done":
            expected = [summed[line.row, names.index(label)] / 2 for label in line.labels]
            assert line.probabilities == pytest.approx(expected, abs=1e-3)
            assert sum(line.probabilities) == pytest.approx(1, abs=1e-5)


def test_a_sigmoid_gives_each_label_a_probability_of_its_own(make_store):
    maker = make_store()
    maker.features(maker.frames(), bias=-2.0)
    maker.texts(bias=-2.0)
    features = maker.store.features("toy", "tiny")
    names = features.dataset.class_names()
    classes = load_classes(features, names)
    (line, *_) = label_videos(features, classes, names, top=6)
    cosines = unit(features.read("view_mean")[0, 0]) @ classes.vectors.T
    expected = np.sort(1 / (1 + np.exp(-(20 * cosines - 2))))[::-1]
    assert line.probabilities == pytest.approx(expected.tolist(), abs=1e-5)
    assert sum(line.probabilities) != pytest.approx(1, abs=0.01)
    (moment, *_) = label_videos(features, classes, names, top=6, moments=True)
    assert 0 < moment.probabilities[0] <= 1


def test_a_moment_is_a_run_of_one_best_label():
    seconds = np.array([[0.0, 2.0, 4.0, 8.0]] * 2)
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1]], np.float32)
    found = list(same_label(seconds, np.stack([shares, shares])))
    assert [(start, end) for start, end, _ in found] == [(0.0, 3.0), (3.0, 6.0), (6.0, 10.0)]
    np.testing.assert_allclose(found[0][2], [0.8, 0.2], atol=1e-6)
    np.testing.assert_allclose(found[1][2], [0.2, 0.8], atol=1e-6)


def test_frames_of_one_time_count_as_one():
    left = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    right = np.array([[0.5, 0.5], [0.8, 0.2]], np.float32)
    ((start, end, part),) = same_label(np.array([[0.0, 1.0]] * 2), np.stack([left, right]))
    assert (start, end) == (0.0, 1.5)
    np.testing.assert_allclose(part, [0.65, 0.35], atol=1e-6)


def test_one_frame_alone_is_one_moment():
    (found,) = same_label(np.array([[1.5]]), np.array([[[0.4, 0.6]]], np.float32))
    assert found[:2] == (1.5, 1.5)


def test_labels_of_one_vector_are_refused_wherever_they_stand():
    vectors = np.eye(8, dtype=np.float32)[[0, 1, 2, 3, 1, 5]]
    with pytest.raises(UsageError, match="'b' and 'e'"):
        check_apart(list("abcdef"), vectors)
    vectors[4] = np.eye(8)[6]
    check_apart(list("abcdef"), vectors)


def test_the_short_form_is_a_table(features):
    found = classify(features, ["class 1", "class 0"], top=1)
    assert list(found) == [
        *("id", "path", "state", "reason", "start_seconds", "end_seconds"),
        *("top_1", "probability_1"),
    ]
    assert set(found["top_1"].dropna()) == {"class 0", "class 1"}
    moments = classify(features, moments=True)
    assert moments["start_seconds"].notna().sum() == 68
    # Of views that hold one frame each, all of one time, a moment is the mean over them.
    frames = features.read("frames", 0, 1).astype(np.float32)[0]
    classes = load_classes(features, features.dataset.class_names())
    cosines = unit(frames) @ classes.vectors.T
    best = softmax(cosines * classes.link.scale).mean(axis=(0, 1)).max()
    assert moments["probability_1"][0] == pytest.approx(best, abs=1e-5)
    with pytest.raises(UsageError, match="only the label"):
        classify(features, ["class 1"])


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_a_frame_that_is_none_shows_no_label(make_store, bad):
    maker = make_store(num_videos=20)
    frames = maker.frames()
    frames[7, 0, 2] = bad
    with np.errstate(invalid="ignore"):
        maker.features(frames)
    maker.texts()
    features = maker.store.features("toy", "tiny")
    names = features.dataset.class_names()
    classes = load_classes(features, names)
    with pytest.raises(DamagedError, match=r"frames of 1 videos \(first: row 7\) are zero or not"):
        label_videos(features, classes, names, moments=True)
