"""Views of fewer frames than a set has room for score as views of so many frames."""

import numpy as np
import pytest

from harness.classes import Classes
from harness.fusion import FUSIONS, fuse_frames, unit
from harness.labelling import label_videos
from harness.link import Link
from harness.scoring import load_videos, score
from tests.vifistore.store.padded_set import NUM_VIDEOS, counts_of, make_padded_store, padded
from vifistore.store import open_store

FRAMES = padded(np.arange(NUM_VIDEOS))["frames"]
COUNTS = counts_of(np.arange(NUM_VIDEOS))
CLASSES = Classes(
    vectors=unit(np.random.default_rng(3).normal(size=(2, 8))),
    link=Link(10.0),
    text_set="",
    templates=(),
)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return open_store(make_padded_store(tmp_path_factory.mktemp("padded") / "s.zarr")).features(
        "d", "mine"
    )


def one_by_one(fusion: str, chosen=None, views=(0, 1)) -> np.ndarray:
    """Scores [video class] of each view by itself, of the frames that count alone."""
    scores = np.zeros((NUM_VIDEOS, 2), np.float32)
    for video in range(NUM_VIDEOS):
        for view in views:
            count = COUNTS[video, view]
            alone = FRAMES[video : video + 1, view : view + 1, :count]
            if chosen is not None:
                places = {int((place + 0.5) * count / 4) for place in chosen}
                alone = alone[:, :, sorted(places)]
            found = fuse_frames([fusion], alone, CLASSES.vectors, CLASSES.link)
            scores[video] += found[fusion][0]
    return scores


@pytest.mark.parametrize("fusion", [*FUSIONS, "top-2"])
def test_padding_is_left_out_of_every_fusion(features, fusion):
    videos = load_videos(features)
    found = score(videos, CLASSES, (fusion,))[fusion]
    np.testing.assert_allclose(found, one_by_one(fusion), rtol=2e-5)


@pytest.mark.parametrize("fusion", [*FUSIONS, "top-2"])
def test_a_view_of_no_more_frames_than_are_asked_for_counts_each_once(features, fusion):
    # Three places of four: a view of one or two frames has all of them, and none of them twice.
    assert COUNTS.min() == 1
    found = score(load_videos(features), CLASSES, (fusion,), frames=np.array([0, 1, 3]))[fusion]
    short = (COUNTS < 3).all(axis=1)
    assert short.any()
    np.testing.assert_allclose(found[short], one_by_one(fusion)[short], rtol=2e-5)


@pytest.mark.parametrize("fusion", ["embedding", "image"])
def test_fewer_frames_are_those_at_the_same_places_of_a_shorter_view(features, fusion):
    chosen, videos = np.array([0, 2]), load_videos(features)
    found = score(videos, CLASSES, (fusion,), frames=chosen)[fusion]
    np.testing.assert_allclose(found, one_by_one(fusion, chosen), rtol=2e-5)


def test_chosen_views_have_lengths_of_their_own(features):
    found = score(load_videos(features), CLASSES, ("max",), views=np.array([1]))["max"]
    np.testing.assert_allclose(found, one_by_one("max", views=(1,)), rtol=2e-5)


def test_moments_of_labels_are_of_frames_alone(features):
    """All stand at zero seconds: each video has one moment, the mean of its frames."""
    lines = label_videos(features, CLASSES, ("run", "jump"), moments=True)
    assert len(lines) == NUM_VIDEOS
    for line in lines[:8]:
        shares = []
        for view in range(2):
            alone = FRAMES[line.row, view, : COUNTS[line.row, view]].astype(np.float32)
            shares.append(CLASSES.link.probabilities(unit(alone) @ CLASSES.vectors.T))
        mean = np.concatenate(shares).mean(axis=0)
        np.testing.assert_allclose(line.probabilities, np.sort(mean)[::-1], rtol=1e-4)
