"""Frames by rules on their embeddings: weights restated frame by frame, and what they leave out."""

import numpy as np
import pytest

from harness.fusion import fuse_views, unit
from harness.levers.chosen_frames import (
    FRAME_CHOICES,
    by_text,
    moving,
    on_topic,
    pooled_cosines,
    sharp,
)
from harness.levers.lever import Given
from harness.levers.wanted_levers import Levers
from harness.link import Link
from harness.measuring import Scoring
from harness.protocols.zero_shot import zero_shot
from harness.scoring import load_classes, load_videos, score
from vifistore.errors import UsageError
from vifistore.store.features import Features


def planted(seed=0, num_frames=7):
    generator = np.random.default_rng(seed)
    frames = generator.normal(size=(9, 2, num_frames, 12)) * generator.uniform(
        1, 9, (9, 2, num_frames, 1)
    )
    classes = unit(generator.normal(size=(4, 12)))
    return frames.astype(np.float32), classes


def normalised(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def not_below(values):
    least = values.mean() - np.sqrt(((values - values.mean()) ** 2).mean())
    return (values >= least).astype(float)


def restated(name, x, classes):
    """Weights of the frames of one view, [frame class]."""
    u = normalised(x)
    if name == "frames-by-text":
        powers = np.exp(u @ classes.T / 0.1)
        return powers / powers.sum(0)
    if name == "frames-sharp":
        kept = not_below(np.sqrt((x**2).sum(1)))
    elif name == "frames-on-topic":
        kept = not_below(np.array([u[f] @ (u.sum(0) - u[f]) for f in range(len(u))]))
    else:
        least = np.median([1 - u[f] @ u[f - 1] for f in range(1, len(u))]) / 2
        kept, last = np.ones(len(u)), 0
        for f in range(1, len(u)):
            kept[f] = 1 - u[f] @ u[last] >= least
            last = f if kept[f] else last
    return np.repeat(kept[:, None], len(classes), axis=1)


RULES = {
    **{"frames-on-topic": on_topic, "frames-moving": moving},
    **{"frames-sharp": sharp, "frames-by-text": by_text},
}


@pytest.mark.parametrize("name", RULES)
def test_weights_and_cosines_equal_their_restatement(name):
    frames, classes = planted()
    found = RULES[name](frames, classes)
    cosines = pooled_cosines(frames, found, classes)
    for video in range(9):
        for view in range(2):
            exact = frames[video, view].astype(np.float64)
            weights = restated(name, exact, classes.astype(np.float64))
            np.testing.assert_allclose(found[video, view] + 0 * weights, weights, atol=1e-4)
            for c, vector in enumerate(classes):
                pooled = (weights[:, c, None] * exact).sum(0)
                expected = normalised(pooled) @ vector
                assert cosines[video, view, c] == pytest.approx(expected, abs=1e-5)


def test_every_rule_is_a_lever():
    assert FRAME_CHOICES.keys() == RULES.keys()


@pytest.mark.parametrize("name", [name for name in RULES if name != "frames-by-text"])
def test_frames_that_are_all_alike_all_count(name):
    frames, classes = planted(num_frames=1)
    for count in (1, 2, 16):
        alike = np.repeat(frames, count, axis=2)
        assert (RULES[name](alike, classes) == 1).all()


def test_what_each_rule_leaves_out():
    generator = np.random.default_rng(2)
    scene = np.array([4.0, 0, 0, 0])
    frames = (scene + 0.3 * generator.normal(size=(1, 1, 8, 4))).astype(np.float32)
    classes = np.eye(4, dtype=np.float32)
    other = frames.copy()
    other[0, 0, 3] = [0, 4, 0, 0]
    assert on_topic(other, classes)[0, 0, :, 0].tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    short = frames.copy()
    short[0, 0, 5] /= 3
    assert sharp(short, classes)[0, 0, 5, 0] == 0
    held = np.concatenate([frames[:, :, :4], np.repeat(frames[:, :, 4:5], 3, axis=2)], axis=2)
    assert moving(held, classes)[0, 0, 5:, 0].tolist() == [0, 0]


def test_what_moves_slowly_counts_once_it_has_moved():
    angles = np.cumsum([0, 0.4, 0.4, 0.4, 0.2, 0.2, 0.4])
    frames = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None, None].astype(np.float32)
    kept = moving(frames, np.eye(2, dtype=np.float32))[0, 0, :, 0]
    assert kept.tolist() == [1, 1, 1, 1, 0, 1, 1]


def test_a_store_is_scored_so(make_store):
    maker = make_store(num_videos=40)
    frames = maker.frames(num_views=2, num_frames=6, noise=3.0)
    maker.features(frames)
    maker.texts()
    features = maker.store.features("toy", "tiny")
    videos = load_videos(features)
    classes = load_classes(features, videos.class_names)
    plain = score(videos, classes)["embedding"]
    given = Given(videos=videos, classes=classes, fusion="embedding", scores=plain)
    exact = frames.astype(np.float32)
    for name, rule in RULES.items():
        lifted = FRAME_CHOICES[name].score(given)
        weights = rule(exact, classes.vectors)
        if weights.shape[-1] == 1:
            pooled = (weights * exact).sum(axis=2)
            expected = fuse_views("embedding", pooled, classes.vectors, Link(20.0))
            np.testing.assert_allclose(lifted.scores, expected, atol=2e-3)
        assert lifted.facts["frames_kept"] == pytest.approx((weights > 0).mean(), abs=1e-4)
        assert np.abs(lifted.scores - plain).max() > 1e-3


def test_a_set_without_frames_has_none_to_choose(make_store, monkeypatch):
    maker = make_store(num_videos=20)
    maker.features(maker.frames())
    maker.texts()
    features = maker.store.features("toy", "tiny")
    monkeypatch.setattr(Features, "frames", None)
    with pytest.raises(UsageError, match="lever frames-sharp needs frames, and tiny has none"):
        zero_shot(features, ("",), Scoring(levers=Levers(names=("frames-sharp",))))
    rows = zero_shot(features, ("",), Scoring(levers=Levers(names=("all",))))
    assert {row.lever for row in rows} == {"", "mutual-softmax", "test-time-cache"}
