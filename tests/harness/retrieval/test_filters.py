"""Filters: rows by labels, seconds of files and lengths of files, held to plain restatements."""

import math
from itertools import product

import numpy as np
import pytest

from harness.retrieval.filters import TimeFilter, allowed_rows
from harness.retrieval.hits import VideoTable
from harness.retrieval.search import Searcher
from tests.support import video_table
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store

NAN = np.nan
# Whole files and stretches; the last three lie in files whose length is not known.
STARTS = [0.0, 2.5, 2.5, 0.0, 5.0, 0.0, 4.0, 1.0]
ENDS = [NAN, 5.0, NAN, 2.0, 8.0, NAN, NAN, 3.0]
DURATIONS = [8.0, 8.0, 6.0, 20.0, 8.0, 0.0, 0.0, 0.0]
LABELS = ["run", "run", "jump", "sit", "", "run", "jump", "sit"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    dataset = create_store(tmp_path_factory.mktemp("filters") / "s.zarr").new_dataset("d")
    videos = video_table(8, []).assign(duration_seconds=DURATIONS, label=LABELS)
    write_videos(dataset, videos.assign(start_seconds=STARTS, end_seconds=ENDS), [], "/videos")
    return VideoTable(dataset)


def passes(row, times, labels=()):
    """The same, said in words of one row."""
    begin, end = (
        times.start_seconds or 0.0,
        math.inf if times.end_seconds is None else times.end_seconds,
    )
    last = ENDS[row] if not math.isnan(ENDS[row]) else DURATIONS[row] or math.inf
    overlaps = STARTS[row] < end and last > begin
    length = DURATIONS[row]
    if times.min_seconds is not None and not (length > 0 and length >= times.min_seconds):
        return False
    if times.max_seconds is not None and not (length > 0 and length <= times.max_seconds):
        return False
    return overlaps and (not labels or LABELS[row] in labels)


def test_every_combination_is_exact(table):
    bounds = product((None, 2.0, 5.0), (None, 2.5, 5.0, 30.0), (None, 8.0), (None, 7.0, 8.0))
    tried = 0
    for begin, end, least, most in bounds:
        if (begin is not None and end is not None and begin >= end) or (
            least and (most or 9) < least
        ):
            continue
        times = TimeFilter(
            start_seconds=begin, end_seconds=end, min_seconds=least, max_seconds=most
        )
        for labels in ((), ("run",), ("jump", "sit")):
            found = allowed_rows([table], "", labels, times)
            expected = [row for row in range(8) if passes(row, times, labels)]
            nothing_asked = not (labels or times.by_flag)
            assert found is None if nothing_asked else found[0].tolist() == expected
            tried += 1
    assert tried > 80


def test_a_stretch_ends_before_the_second_it_ends_at(table):
    (behind,) = allowed_rows([table], "", (), TimeFilter(start_seconds=5.0))
    assert behind.tolist() == [0, 2, 4, 5, 6]
    (before,) = allowed_rows([table], "", (), TimeFilter(end_seconds=2.5))
    assert before.tolist() == [0, 3, 5, 7]


def test_frames_within_bounds():
    times = TimeFilter(start_seconds=1.0, end_seconds=2.0)
    assert times.has_frames(np.array([0.9, 1.0, 1.5, 2.0])).tolist() == [False, True, True, False]
    assert times.bounds_frames
    assert not TimeFilter(min_seconds=3.0).bounds_frames


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"start_seconds": -1.0}, "--from is -1; give seconds, 0 or more"),
        ({"end_seconds": math.inf}, "--to is inf"),
        ({"min_seconds": math.nan}, "--min-seconds is nan"),
        ({"end_seconds": 0.0}, "no seconds between"),
        ({"start_seconds": 5.0, "end_seconds": 5.0}, "no seconds between"),
        ({"min_seconds": 3.0, "max_seconds": 2.0}, "no video is 3 seconds or longer"),
    ],
)
def test_bounds_that_leave_nothing_are_refused(bounds, words):
    with pytest.raises(UsageError, match=words):
        TimeFilter(**bounds)


def test_every_label_must_be_one(table):
    with pytest.raises(UnknownNameError, match="unknown label 'walk'"):
        allowed_rows([table], "", ("run", "walk"), TimeFilter())


def test_several_labels_of_a_search(make_store):
    maker = make_store(num_videos=30, num_classes=6)
    maker.features(maker.frames())
    searcher = Searcher(maker.store, label=("class 1", "class 4"))
    (hits,) = searcher.search(maker.directions[0], 100)
    assert {hit.row for hit in hits} == {row for row in range(30) if row % 6 in (1, 4)}
    assert searcher.num_videos == len(hits) == 10
    # Of these videos no length is known.
    nothing = Searcher(maker.store, times=TimeFilter(min_seconds=1.0))
    assert (
        nothing.search(maker.directions[:2], 5)
        == nothing.moments(maker.directions[:2], 5)
        == [[], []]
    )
    assert nothing.num_videos == 0


def test_datasets_that_are_named_must_have_the_set(make_store):
    maker = make_store(num_videos=6)
    maker.features(maker.frames())
    write_videos(maker.store.new_dataset("bare"), video_table(2, []), [], "/videos")
    assert len(Searcher(maker.store, dataset=["toy", "toy"]).sources) == 1
    with pytest.raises(UsageError, match="tiny is no feature set of bare"):
        Searcher(maker.store, "tiny", dataset=["toy", "bare"])
    with pytest.raises(UnknownNameError, match="unknown dataset 'tot'"):
        Searcher(maker.store, dataset=["toy", "tot"])
