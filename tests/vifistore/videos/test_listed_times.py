"""Listed times against the files that are there: parts of whole videos, or clips already cut."""

from pathlib import Path

import pytest

from vifistore.errors import UsageError
from vifistore.videos.listed_times import settled
from vifistore.videos.records import Listing, SplitListing
from vifistore.videos.stretches import Stretch


def listing(*stretches):
    """A video of its own for each stretch, all in one split."""
    rows = range(len(stretches))
    split = SplitListing(
        rows=[*rows], labels=[0 for _ in rows], class_names=["run"], source="list", digest=""
    )
    return Listing(
        ids=[f"{row}.mp4{Stretch(*stretches[row]).suffix}" for row in rows],
        paths=[f"{row}.mp4" for row in rows],
        labels=["run" for _ in rows],
        root=Path("/v"),
        class_names=["run"],
        splits={"all": split},
        stretches={row: Stretch(*stretches[row]) for row in rows},
    )


def settle(stretch, seconds):
    """What becomes of one stretch of a file that is so long, beside one that stays."""
    both = listing(stretch, (0, 1))
    made = settled(both, [0, 1], {"0.mp4": seconds, "1.mp4": 100.0})
    return made, [made.listing.stretch(row) for row in range(len(made.listing.ids) - 1)]


@pytest.mark.parametrize(
    ("stretch", "seconds", "part"),
    [
        # A whole download reaches to where the stretch ends, or about there.
        ((83, 93), 240.0, (83, 93)),
        ((83, 93), 93.0, (83, None)),
        ((83, 93), 89.5, (83, None)),
        ((0, 10), 240.0, (0, 10)),
        ((3, None), 5.0, (3, None)),
        # A clip is about as long as the stretch.
        ((83, 93), 10.0, (0, None)),
        ((83, 93), 10.4, (0, None)),
        ((83, 93), 7.0, (0, None)),
        ((4, 14), 10.1, (0, None)),
        ((0, 10), 10.0, (0, None)),
        ((0, 10), 8.0, (0, None)),
        # Not known: as it is listed.
        ((83, 93), 0.0, (83, 93)),
    ],
)
def test_a_file_is_a_clip_or_a_whole_video_by_its_length(stretch, seconds, part):
    made, (found,) = settle(stretch, seconds)
    assert found == part
    assert made.listing.ids[0] == f"0.mp4{Stretch(*part).suffix}"


def test_it_is_told_what_was_decided():
    parts = ((83, 93), (83, 93), (5, 6), (7, 8))
    seconds = {"0.mp4": 240.0, "1.mp4": 10.0, "2.mp4": 0.0, "3.mp4": 6.0}
    made = settled(listing(*parts), range(4), seconds)
    assert made.notes == [
        "2 videos are stretches of their files, by the times that are listed",
        "1 listed stretches are taken as all of their files, which are as long as they: 1.mp4",
    ]
    behind, unknown = made.warnings
    assert behind.startswith("1 of 4 listed stretches begin behind the ends of their files, and")
    assert behind.endswith("3.mp4@7-8")
    assert unknown.startswith("1 files do not tell how long they are")
    assert made.listing.splits["all"].rows == [0, 1, 2]


def test_times_of_which_all_lie_behind_the_end_are_refused():
    frames = listing((250, 500), (1000, 1250))
    with pytest.raises(UsageError, match=r"all 2 listed stretches begin behind .* give times in s"):
        settled(frames, [0, 1], {"0.mp4": 30.0, "1.mp4": 30.0})
