"""Bundles: frames that are alike go together, one view at a time, and every frame is in one."""

import numpy as np

from harness.fusion import unit
from harness.retrieval.frame_vectors import FrameVectors
from harness.retrieval.indexing.bundle_codes import train_codebook
from harness.retrieval.indexing.bundles import ALIKE, MOST_FRAMES, bundles_of


def shots(lengths, dim=16, noise=0.02, seed=0) -> np.ndarray:
    """Unit vectors of neighbouring frames, so many of each shot."""
    draw = np.random.default_rng(seed)
    centres = unit(draw.normal(size=(len(lengths), dim)))
    frames = np.repeat(centres, lengths, axis=0)
    return unit(frames + noise * draw.normal(size=frames.shape))


def one_by_one(frames: FrameVectors, num_frames: int) -> list[tuple[int, int, int]]:
    """The rule as it is written, a frame at a time."""
    found, members = [], []
    for row, position, vector in zip(frames.rows, frames.positions, frames.vectors, strict=True):
        mean = np.mean([v for _, _, v in members], axis=0) if members else vector
        if (
            not members
            or members[-1][0] != row
            or members[-1][1] // num_frames != position // num_frames
            or vector @ mean / np.linalg.norm(mean) < ALIKE
            or len(members) == MOST_FRAMES
        ):
            members = []
            found.append((row, position, 0))
        members.append((row, position, vector))
        found[-1] = (*found[-1][:2], len(members))
    return found


def test_bundles_are_those_of_the_rule():
    """Two views of 40 places; of the second video some only pad a view."""
    vectors = shots([3, 5, 1, 1, 6, 24, 40, 4, 21, 17])
    positions = np.concatenate([np.arange(80), np.arange(25), np.arange(40, 57)])
    rows = np.repeat([4, 9], [80, 42])
    frames = FrameVectors(rows=rows, positions=positions, vectors=vectors)
    found = bundles_of(frames, 40)
    assert [tuple(place) for place in found.places] == one_by_one(frames, 40)
    assert found.places[:, 2].sum() == 122
    assert found.places[:, 2].max() == MOST_FRAMES
    ends = np.cumsum(found.places[:, 2])
    for mean, end, count in zip(found.means, ends, found.places[:, 2], strict=True):
        np.testing.assert_allclose(mean, vectors[end - count : end].mean(axis=0), atol=1e-6)


def test_drifting_frames_are_cut_where_they_have_drifted_too_far():
    draw = np.random.default_rng(1)
    vectors = unit(np.cumsum(draw.normal(size=(200, 16)), axis=0) + 5 * draw.normal(size=16))
    frames = FrameVectors(rows=np.zeros(200, np.int64), positions=np.arange(200), vectors=vectors)
    found = bundles_of(frames, 200)
    assert [tuple(place) for place in found.places] == one_by_one(frames, 200)
    assert 5 < len(found.places) < 150


def test_codes_find_what_the_means_find():
    for dim, count in ((16, 2000), (7, 300), (2, 3)):
        means = 3 + np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
        codebook = train_codebook(means)
        codes = codebook.encode(means)
        assert codes.shape == (count, codebook.code_bytes)
        queries = np.random.default_rng(1).normal(size=(20, dim)).astype(np.float32)
        _, found = codebook.scanner(codes).search(queries, min(count, 50))
        best = (queries @ means.T).argmax(axis=1)
        assert np.mean([one in row for one, row in zip(best, found, strict=True)]) > 0.9
