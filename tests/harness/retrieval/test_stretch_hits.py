"""Hits that are stretches of videos: where in their files they lie."""

import numpy as np
import pytest

from harness.retrieval.hits import Match, VideoTable
from tests.support import video_table
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store

NAN = np.nan
# Of whole files, of stretches of them, and of files whose length is not known.
STARTS = [0.0, 2.5, 2.5, 0.0, 0.0, 4.0]
ENDS = [NAN, 5.0, NAN, 2.0, NAN, NAN]
DURATIONS = [8.0, 8.0, 8.0, 8.0, 0.0, 0.0]


@pytest.fixture
def table(tmp_path):
    dataset = create_store(tmp_path / "s.zarr").new_dataset("d")
    videos = video_table(6, []).assign(duration_seconds=DURATIONS)
    write_videos(dataset, videos.assign(start_seconds=STARTS, end_seconds=ENDS), [], "/videos")
    return VideoTable(dataset)


def times(hit):
    return hit.start_seconds, hit.end_seconds


@pytest.mark.parametrize(
    ("row", "expected"),
    list(enumerate([(0.0, 8.0), (2.5, 5.0), (2.5, 8.0), (0.0, 2.0), (None, None), (None, None)])),
)
def test_a_hit_is_where_its_row_lies_in_the_file(table, row, expected):
    hit = table.hit(1, Match(row, 0.5))
    assert times(hit) == expected
    assert hit.is_part == (row not in (0, 4))


@pytest.mark.parametrize(
    ("row", "expected"),
    list(enumerate([(1.5, 6.0), (2.5, 5.0), (2.5, 6.0), (1.5, 2.0), (1.5, 6.0), (4.0, 6.0)])),
)
def test_a_moment_stays_within_its_row(table, row, expected):
    assert times(table.hit(1, Match(row, 0.5, 1.5, 6.0))) == expected


def test_the_middle_of_a_part_of_a_file(table):
    assert [table.middle(row) for row in range(6)] == [None, 3.75, 5.25, 1.0, None, 4.0]


def test_whole_videos_of_a_table_without_stretches(tmp_path):
    dataset = create_store(tmp_path / "s.zarr").new_dataset("d")
    write_videos(dataset, video_table(1, []), [], "/videos")
    table = VideoTable(dataset)
    assert times(table.hit(1, Match(0, 0.5))) == (0.0, 0.4)
    assert table.middle(0) is None
