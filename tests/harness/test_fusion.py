import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import fusion as fusion_module
from harness.fusion import (
    ARRAY_OF_FUSION,
    FUSIONS,
    check_fusions,
    class_vectors,
    fuse_frames,
    fuse_views,
    pool,
    unit,
)
from harness.link import Link
from harness.softmax import softmax
from vifistore.errors import UnknownNameError, UsageError


def normalised(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def probabilities(z, scale):
    powers = np.exp(scale * z)
    return powers / powers.sum(axis=-1, keepdims=True)


def restated(fusion, frames, classes, scale):
    """Every fusion again, in float64 and without tricks."""
    x, t = frames.astype(np.float64), classes.astype(np.float64)
    z = normalised(x) @ t.T
    if fusion == "image":
        return probabilities(z, scale).mean(axis=2).sum(axis=1)
    if fusion == "attention":
        w = np.exp(z / 0.1)
        cosine = (w / w.sum(axis=2, keepdims=True) * z).sum(axis=2)
    else:
        cosine = {
            "embedding": lambda: normalised(x.mean(axis=2)) @ t.T,
            "decision": lambda: z.mean(axis=2),
            "max": lambda: z.max(axis=2),
            "top-4": lambda: np.sort(z, axis=2)[:, :, -4:].mean(axis=2),
        }[fusion]()
    return probabilities(cosine, scale).sum(axis=1)


def planted(num_videos=9, num_views=2, num_frames=6, num_classes=5, dim=24, seed=0):
    generator = np.random.default_rng(seed)
    classes = normalised(generator.normal(size=(num_classes, dim))).astype(np.float32)
    shape = (num_videos, num_views, num_frames, dim)
    lengths = generator.uniform(0.5, 12, (*shape[:3], 1))
    return (generator.normal(size=shape) * lengths).astype(np.float16), classes


def from_cache(fusion, frames, classes, scale):
    """A fusion from the array that a store keeps for it."""
    if ARRAY_OF_FUSION[fusion] == "frames":
        return fuse_frames([fusion], frames, classes, Link(scale))[fusion]
    return fuse_views(fusion, pool(fusion, frames), classes, Link(scale))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_equals_the_restatement(fusion):
    frames, classes = planted()
    # With scale 1 a probability differs by at most as much as its cosine does.
    found = from_cache(fusion, frames, classes, 1.0)
    np.testing.assert_allclose(found, restated(fusion, frames, classes, 1.0), rtol=0, atol=1e-5)
    sharp = restated(fusion, frames, classes, 100.0)
    np.testing.assert_allclose(from_cache(fusion, frames, classes, 100.0), sharp, atol=1e-3)
    assert found.dtype == np.float32
    assert found.shape == (9, 5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_slabs_change_nothing(fusion, monkeypatch):
    frames, classes = planted(num_videos=11)
    whole = fuse_frames([fusion], frames, classes, Link(20.0))[fusion]
    monkeypatch.setattr(fusion_module, "SLAB_VECTORS", 30)
    parts = fuse_frames([fusion], frames, classes, Link(20.0))[fusion]
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_all_at_once_equals_one_by_one(fusion):
    frames, classes = planted()
    together = fuse_frames(FUSIONS, frames, classes, Link(30.0))[fusion]
    np.testing.assert_allclose(together, from_cache(fusion, frames, classes, 30.0), rtol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_probabilities_sum_to_the_number_of_views(fusion):
    frames, classes = planted(num_views=3)
    np.testing.assert_allclose(from_cache(fusion, frames, classes, 50.0).sum(axis=1), 3, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), num_views=st.integers(1, 3), scale=st.floats(1, 100))
def test_one_frame_per_view_makes_all_fusions_agree(seed, num_views, scale):
    frames, classes = planted(num_frames=1, num_views=num_views, seed=seed)
    scores = [from_cache(fusion, frames, classes, scale) for fusion in FUSIONS]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], atol=2e-4)
        margin = np.sort(scores[0], axis=1)
        clear = margin[:, -1] - margin[:, -2] > 1e-3
        assert (other.argmax(axis=1) == scores[0].argmax(axis=1))[clear].all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_frames_views_or_videos_and_doubling_frames(seed):
    frames, classes = planted(seed=seed)
    generator = np.random.default_rng(seed)
    videos, views, order = (generator.permutation(n) for n in frames.shape[:3])
    for fusion in FUSIONS:
        scores = from_cache(fusion, frames, classes, 20.0)
        shuffled = frames[videos][:, views][:, :, order]
        np.testing.assert_allclose(
            from_cache(fusion, shuffled, classes, 20.0), scores[videos], atol=1e-4
        )
        if fusion != "top-4":  # the best 4 of doubled frames are the best 2, twice
            doubled = np.repeat(frames, 2, axis=2)
            np.testing.assert_allclose(
                from_cache(fusion, doubled, classes, 20.0), scores, atol=1e-4
            )


def test_permuting_classes_permutes_scores():
    frames, classes = planted()
    order = np.array([3, 0, 4, 1, 2])
    for fusion in FUSIONS:
        scores = from_cache(fusion, frames, classes, 20.0)
        permuted = from_cache(fusion, frames, classes[order], 20.0)
        np.testing.assert_allclose(permuted, scores[:, order], atol=1e-5)


THREE = ("embedding", "decision", "image")


def test_fusions_differ_where_frames_disagree():
    # One long frame of class 0 and two short ones of class 1: the mean follows length, averaged
    # frame logits follow the majority.
    classes = np.eye(2, dtype=np.float32)
    frames = np.array([[[[10, 0], [0, 1], [0, 1]]]], np.float16)
    answers = {f: from_cache(f, frames, classes, 10.0).argmax() for f in THREE}
    assert answers == {"embedding": 0, "decision": 1, "image": 1}


def test_class_vectors_ensemble_by_hand():
    # Class 0: prompts (3, 0) and (0, 4) -> (1, 0) and (0, 1) -> mean (.5, .5) -> (.7071, .7071).
    embeddings = np.array([[[3, 0], [0, 4]], [[0, -2], [0, -7]]], np.float32)
    expected = [[0.5**0.5, 0.5**0.5], [0, -1]]
    np.testing.assert_allclose(class_vectors(embeddings), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.ones((2, 3), np.float32), r"shape \(2, 3\).*vifi texts"),
        (np.ones((0, 1, 3), np.float32), r"shape \(0, 1, 3\)"),
        (np.zeros((2, 1, 3), np.float32), r"of 2 classes \(first: class 0\)"),
        (np.array([[[1.0]], [[np.nan]]], np.float32), r"of 1 classes \(first: class 1\)"),
    ],
)
def test_class_vectors_refuse(embeddings, message):
    with pytest.raises(UsageError, match=message):
        class_vectors(embeddings)


def test_zero_vector_stays_zero_and_softmax_does_not_overflow():
    np.testing.assert_array_equal(unit(np.zeros((2, 3), np.float32)), 0)
    np.testing.assert_allclose(softmax(np.array([1e4, 0, 1e4], np.float32)), [0.5, 0, 0.5])


@pytest.mark.parametrize("count", [1, 2, 6, 99])
def test_the_mean_of_any_number_of_largest_cosines(count):
    frames, classes = planted()
    cosines = np.sort(normalised(frames.astype(np.float64)) @ classes.T.astype(np.float64), axis=2)
    expected = probabilities(cosines[:, :, -count:].mean(axis=2), 1.0).sum(axis=1)
    found = fuse_frames([f"top-{count}"], frames, classes, Link(1.0))[f"top-{count}"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["top-0", "top-", "top-4.5", "top--1", "top-04"])
def test_no_number_of_frames(name):
    with pytest.raises(UnknownNameError, match="Did you mean 'top-4'"):
        check_fusions([name])


def test_unknown_fusion_names_the_nearest():
    assert check_fusions(["image", "max"]) == ("image", "max")
    with pytest.raises(UnknownNameError, match="Did you mean 'embedding'"):
        check_fusions(["embeding"])
