"""Moments: runs of frames near the best one, in seconds."""

import numpy as np
import pytest

from harness.retrieval.moments import find_moments, segments


def test_runs_reach_half_way_to_their_neighbours():
    seconds = np.array([[1.0, 3.0, 5.0, 7.0, 9.0]])
    cosines = np.array([[0.1, 0.9, 0.8, 0.1, 0.7]])
    found = list(segments(seconds, cosines))
    # Mean 0.52 and best 0.9: what is above 0.71 belongs to a moment.
    assert found == [(2.0, 6.0, pytest.approx(0.9))]
    (_, last) = segments(seconds, np.array([[0.1, 0.9, 0.8, 0.1, 0.9]]))
    assert last == (8.0, 10.0, pytest.approx(0.9))


def test_a_moment_begins_no_earlier_than_the_video():
    (found,) = segments(np.array([[0.1, 2.1, 4.1]]), np.array([[1.0, 0.0, 0.0]]))
    assert found == (0.0, pytest.approx(1.1), 1.0)


def test_a_still_video_is_one_moment():
    (found,) = segments(np.array([[0.5, 1.5, 2.5]]), np.full((1, 3), 0.3, np.float32))
    assert found == (0.0, 3.0, pytest.approx(0.3))
    (alone,) = segments(np.array([[0.5]]), np.array([[0.3]]))
    assert alone[:2] == (0.5, 0.5)


def test_crops_share_their_times_and_clips_follow_one_another():
    seconds = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0]])
    cosines = np.zeros((4, 2))
    cosines[2, 1] = cosines[1, 0] = 1.0
    # The second crop's frame at 2 s and the second clip's at 3 s are neighbours.
    (found,) = segments(seconds, cosines)
    assert found == (1.5, 3.5, 1.0)


def test_the_best_moments_come_from_the_best_videos(make_store):
    maker = make_store(num_videos=9, num_classes=3)
    frames = maker.frames(num_frames=4, noise=0.0)
    # One frame of video 4 shows class 2.
    frames[4, 0, 2] = maker.directions[2]
    maker.features(frames)
    features = maker.store.features("toy", "tiny")
    query = (maker.directions[2] / np.linalg.norm(maker.directions[2]))[None]
    (found,) = find_moments(features, np.arange(9), query, 4)
    assert {moment.row for moment in found} == {2, 4, 5, 8}
    assert [moment.score for moment in found] == pytest.approx([1.0] * 4, abs=1e-3)


def test_many_queries_are_answered_in_parts(make_store, monkeypatch):
    maker = make_store(num_videos=9, num_classes=3)
    maker.features(maker.frames(num_frames=4))
    features = maker.store.features("toy", "tiny")
    queries = maker.directions / np.linalg.norm(maker.directions, axis=1, keepdims=True)
    at_once = find_moments(features, np.arange(9), queries, 4)
    monkeypatch.setattr("harness.retrieval.moments._MAX_COSINES", 50)
    in_parts = find_moments(features, np.arange(9), queries, 4)
    assert len(in_parts) == len(at_once) == 3
    for parts, whole in zip(in_parts, at_once, strict=True):
        assert [moment.row for moment in parts] == [moment.row for moment in whole]
        scores = [moment.score for moment in whole]
        assert [moment.score for moment in parts] == pytest.approx(scores, abs=1e-6)
