"""The benchmark of the frame index runs; its numbers are for quiet machines."""

import numpy as np

from benchmarks.drifting_frames import DriftingFrames
from benchmarks.frame_search import FrameSearch, run


def test_runs(tmp_path):
    settings = FrameSearch(
        num_videos=130, num_frames=6, dim=32, num_clusters=(8, 0), num_queries=5, folder=tmp_path
    )
    rows = list(run(settings))
    assert [row["clusters"] for row in rows] == [8, 0]
    for row in rows:
        assert row["recall_at_10"] >= 0.9
        assert row["blocks_read"] == 3
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["floor_ms"] > 0
    # A second run takes the stores that are there, and reads no frame for its index.
    assert [row["blocks_read"] for row in run(settings)] == [0, 0]


def test_frames_lie_as_they_are_said_to():
    frames = DriftingFrames(num_videos=100, num_clusters=10)
    block = frames.block(0)
    assert block.shape == (64, 60, 512)
    np.testing.assert_array_equal(block, frames.block(0))
    assert frames.block(1).shape == (36, 60, 512)
    neighbours = np.einsum("vfd,vfd->vf", block[:, 1:], block[:, :-1])
    assert 0.92 < np.median(neighbours) < 0.98
    others = block[:32, 0] @ block[32:, 0].T
    assert 0.5 < others.mean() < 0.65
    texts = frames.texts(20)
    cosines = texts @ np.concatenate([block, frames.block(1)]).reshape(-1, 512).T
    # Each means a frame; of all others texts are far.
    assert 0.2 < cosines.max(axis=1).mean() < 0.35
    assert abs(cosines.mean()) < 0.1
