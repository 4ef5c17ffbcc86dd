"""Long videos in stretches: where they are cut, and what carries over to the parts."""

import math
from pathlib import Path

import pytest

from vifistore.errors import UsageError
from vifistore.videos.cutting import cut_videos, in_parts
from vifistore.videos.made_splits import few_shot
from vifistore.videos.records import Listing, SplitListing
from vifistore.videos.stretches import MOST_PARTS, WHOLE, Stretch, Windows


def cut(file_seconds, window=30.0, stride=None, stretch=WHOLE):
    windows = Windows(seconds=window, stride_seconds=stride or window)
    return windows.cut(stretch, file_seconds) or []


@pytest.mark.parametrize(
    ("seconds", "parts"),
    [
        (30.0, [(0, None)]),
        (12.0, [(0, None)]),
        (0.01, [(0, None)]),
        (60.0, [(0, 30), (30, None)]),
        # What is below half a second joins the part before.
        (60.4, [(0, 30), (30, None)]),
        (30.4, [(0, None)]),
        (60.6, [(0, 30), (30, 60), (60, None)]),
        (89.9, [(0, 30), (30, 60), (60, None)]),
    ],
)
def test_a_video_is_cut_to_its_end(seconds, parts):
    assert cut(seconds) == parts


def test_of_short_windows_a_tenth_joins_the_part_before():
    assert cut(2.09, window=1.0) == [(0, 1), (1, None)]
    assert cut(2.2, window=1.0) == [(0, 1), (1, 2), (2, None)]


def test_overlapping_parts_end_with_the_first_that_reaches_the_end():
    assert cut(60, stride=15.0) == [(0, 30), (15, 45), (30, None)]
    assert cut(50, stride=15.0) == [(0, 30), (15, 45), (30, None)]


def test_a_stride_above_the_window_leaves_out_what_is_between():
    assert cut(130, window=10.0, stride=60.0) == [(0, 10), (60, 70), (120, None)]
    assert cut(100, window=10.0, stride=60.0) == [(0, 10), (60, 70)]


def test_a_stretch_is_cut_within_itself():
    assert cut(100, window=4.0, stretch=Stretch(11.9, 21.2)) == [
        (11.9, 15.9),
        (15.9, 19.9),
        (19.9, 21.2),
    ]
    assert cut(13, window=4.0, stretch=Stretch(11.9, 21.2)) == [(11.9, 21.2)]


def test_sums_of_floats_leave_no_crumbs():
    parts = cut(1.0, window=0.1)
    assert parts[3] == (0.3, 0.4)
    assert len(parts) == 10
    assert parts[3].suffix == "@0.3-0.4"


def test_no_header_makes_a_million_parts():
    assert Windows(seconds=30, stride_seconds=30).cut(WHOLE, 1e12) is None
    assert len(cut(30.0 * MOST_PARTS)) == MOST_PARTS


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, 1e-9])
def test_a_length_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match=r"--window .* is no length; give seconds"):
        Windows(seconds=wrong, stride_seconds=1.0)
    with pytest.raises(UsageError, match="--stride"):
        Windows(seconds=1.0, stride_seconds=wrong)


def listing():
    train = SplitListing(
        rows=[0, 1],
        labels=[1, 0],
        class_names=["jump", "run"],
        source="list",
        digest="",
        listed={"jump": 3, "run": 1},
    )
    return Listing(
        ids=["a.mp4", "mine", "c.mp4"],
        paths=["a.mp4", "b.mp4", "c.mp4"],
        labels=["run", "jump", ""],
        root=Path("/v"),
        class_names=["jump", "run"],
        splits={"train": train},
        captions=[(0, "someone runs"), (2, "nothing")],
    )


WINDOWS = Windows(seconds=30.0, stride_seconds=30.0)


def test_labels_captions_and_splits_carry_over_to_the_parts():
    seconds = {"a.mp4": 70.0, "b.mp4": 40.0, "c.mp4": 10.0}
    made = cut_videos(listing(), WINDOWS, [0, 1, 2], seconds)
    assert made.notes == ["2 of 3 videos are cut into 5 stretches"]
    assert made.warnings == []
    found = made.listing
    assert found.ids == [
        *("a.mp4@0-30", "a.mp4@30-60", "a.mp4@60-end"),
        *("mine@0-30", "mine@30-end", "c.mp4"),
    ]
    assert found.paths == ["a.mp4"] * 3 + ["b.mp4"] * 2 + ["c.mp4"]
    assert found.labels == ["run"] * 3 + ["jump"] * 2 + [""]
    assert [found.stretch(row) for row in (1, 2, 5)] == [(30, 60), (60, None), WHOLE]
    assert found.splits["train"].rows == [0, 1, 2, 3, 4]
    assert found.splits["train"].labels == [1, 1, 1, 0, 0]
    # Two of class jump are missing, and their lengths are not known.
    assert found.splits["train"].listed == {"jump": 4, "run": 3}
    assert found.captions == [*((row, "someone runs") for row in range(3)), (5, "nothing")]


def test_videos_of_no_known_length_stay_whole_and_are_told():
    made = cut_videos(listing(), WINDOWS, [0, 1, 2], {"a.mp4": 0.0, "b.mp4": 1e12})
    assert made.listing.ids == listing().ids
    assert made.warnings == [
        "2 of 3 videos do not tell how long they are, and stay whole: a.mp4, c.mp4",
        "1 videos would be more than 100,000 stretches each, and stay whole: b.mp4; give a longer "
        "--window",
    ]


def test_parts_that_come_twice_are_one_unless_their_labels_differ():
    part = ("a.mp4@0-5", Stretch(0, 5))
    twice = listing()
    twice.paths[1], twice.splits["train"].labels[0] = "a.mp4", 0
    made = in_parts(twice, {0: [part], 1: [part]})
    assert made.ids == ["a.mp4@0-5", "c.mp4"]
    assert made.splits["train"].rows == [0]
    twice.splits["train"].labels[0] = 1
    with pytest.raises(UsageError, match=r"split train: mine is the same part .* another label"):
        in_parts(twice, {0: [part], 1: [part]})
    twice.paths[1] = "b.mp4"
    with pytest.raises(UsageError, match=r"several videos have the id 'a\.mp4@0-5'"):
        in_parts(twice, {0: [part], 1: [part]})


def test_shots_are_videos_with_all_their_parts_before_and_after_they_are_cut():
    whole = listing()
    whole.splits["train"] = SplitListing(
        rows=[0, 1, 2], labels=[0, 0, 0], class_names=["run", "swim"], source="list", digest=""
    )
    seconds = dict.fromkeys(whole.paths, 90.0)
    made = cut_videos(whole, WINDOWS, range(3), seconds).listing
    before = few_shot(whole, whole.splits["train"], 2, seed=0)
    after = few_shot(made, made.splits["train"], 2, seed=0)
    assert len(after.rows) == 6
    assert after.listed == {"run": 6, "swim": 2}
    assert {made.paths[row] for row in after.rows} == {whole.paths[row] for row in before.rows}
    with pytest.raises(UsageError, match="fewer than 4 videos of run"):
        few_shot(made, made.splits["train"], 4, seed=0)
