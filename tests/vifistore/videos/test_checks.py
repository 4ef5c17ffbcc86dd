from dataclasses import replace
from pathlib import Path

import pytest

from vifistore.errors import UsageError
from vifistore.videos import checks
from vifistore.videos.records import Listing, SplitListing


def listing_of(paths, labels=None, **splits):
    return Listing(
        ids=paths,
        paths=paths,
        labels=labels or [""] * len(paths),
        root=Path("/"),
        class_names=[],
        splits={name: split_of(*rows) for name, rows in splits.items()},
        captions=[],
        missing=[],
        notes=[],
    )


def split_of(rows, labels=None, class_names=()):
    labels = labels or [-1] * len(rows)
    return SplitListing(
        rows=rows, labels=labels, class_names=list(class_names), source="l", digest="d"
    )


@pytest.mark.parametrize(
    ("name", "training", "evaluation"),
    [
        ("train1", True, False),
        ("base_train", True, False),
        ("train1_few_shot_16", True, False),
        ("fs_base_s1", True, False),
        ("train_val", True, False),
        ("val1", False, True),
        ("novel_val", False, True),
        ("Test", False, True),
        ("ZS_split1_K600_eval", False, True),
        ("all", False, False),
        ("constraints", False, False),
        ("latest", False, False),
    ],
)
def test_what_a_split_is_for_is_known_by_its_name(name, training, evaluation):
    assert checks.is_training(name) is training
    assert checks.is_evaluation(name) is evaluation


def test_overlap_within_a_fold_is_refused_and_between_folds_warned_of():
    paths = ["a.mp4", "b.mp4", "c.mp4"]
    listing = listing_of(paths, train1=([0, 1],), test1=([1, 2],), test2=([0],), extra=([2],))
    same, other = checks.overlaps(checks.members(listing), {})
    assert same.level == "refuse"
    assert str(same) == (
        "train1 and test1 share 1 videos (b.mp4); take them out of one of the lists"
    )
    assert other.level == "warn"
    assert str(other) == (
        "train1 and test2 share 1 videos (a.mp4); score a model trained on train1 on fold 1 only"
    )
    with pytest.raises(UsageError, match="train1 and test1 share"):
        checks.refuse([other, same])
    checks.refuse([other])


def test_a_training_split_is_of_the_fold_that_it_shares_nothing_with():
    paths = ["a.mp4", "b.mp4", "c.mp4"]
    stored = {"val1": {"a.mp4"}, "val2": {"b.mp4"}, "val3": {"c.mp4"}}
    listing = listing_of(paths, fs_base_s2_train=([1, 2],))
    doubts = checks.overlaps(checks.members(listing), stored)
    assert [doubt.level for doubt in doubts] == ["warn", "warn"]
    assert str(doubts[0]).endswith("score a model trained on fs_base_s2_train on fold 1 only")
    # Where videos are missing, it may share nothing with two of them.
    (doubt,) = checks.overlaps(checks.members(listing_of(paths, base_train=([1],))), stored)
    assert str(doubt).endswith("on fold 1 or 3 only")
    everything = listing_of(paths, base_train=([0, 1, 2],))
    doubts = checks.overlaps(checks.members(everything), stored)
    assert [doubt.level for doubt in doubts] == ["refuse"] * 3


def test_overlap_of_splits_without_folds_is_refused():
    listing = listing_of(["a.mp4"], train=([0],), val2=([0],))
    assert [problem.level for problem in checks.overlaps(checks.members(listing), {})] == ["refuse"]


def test_validation_videos_inside_a_trainval_split_are_only_warned_of():
    listing = listing_of(["a.mp4"], trainval=([0],), val=([0],), all=([0],))
    assert [problem.level for problem in checks.overlaps(checks.members(listing), {})] == ["warn"]


def test_classes_without_a_video_are_warned_of():
    (problem,) = checks.missing_classes("val", split_of([0, 1], [0, 2], "abcd"))
    assert problem.level == "warn"
    assert "split val: 2 of 4 classes have no video (b, d)" in problem.what
    assert checks.missing_classes("val", split_of([0], [0], "a")) == []
    assert checks.missing_classes("val", split_of([0])) == []


def test_labels_that_contradict_the_file_names():
    paths = [f"v_Typing_g01_c0{number}.avi" for number in range(3)]
    one = listing_of(paths, val=([0, 1, 2], [0, 0, 1], ["Typing", "YoYo"]))
    (problem,) = checks.check_listing(one)
    assert problem.level == "warn"
    assert (
        "1 of 3 labels contradict the names of files or folders (v_Typing_g01_c02.avi as 'YoYo')"
        in problem.what
    )
    most = listing_of(paths, val=([0, 1, 2], [1, 1, 0], ["Typing", "YoYo"]))
    assert [problem.level for problem in checks.check_listing(most)] == ["refuse"]


FOLDERS = ["a/air drumming/1.mp4", "a/Air_Drumming/2.mp4", "a/run/3.mp4", "a/x/4.mp4"]
CLASSES = ["air drumming", "run", "hop", "a"]


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ([0, 0, 1, 2], ""),
        ([0, 0, 2, 2], "warn"),
        ([0, 1, 2, 2], "refuse"),
        ([1, 2, -1, 2], "refuse"),
        # The folder of all videos is no class, though one is called like it.
        ([0, 0, 1, 3], ""),
    ],
)
def test_labels_that_contradict_class_folders(labels, level):
    listing = listing_of(FOLDERS, val=([0, 1, 2, 3], labels, CLASSES))
    found = [problem for problem in checks.check_listing(listing) if "contradict" in problem.what]
    assert [problem.level for problem in found] == ([level] if level else [])


def test_refusal_shows_the_first_three_in_their_order():
    paths = [f"{name}/{number}.mp4" for name in ("run", "hop") for number in range(9)]
    listing = listing_of(paths, val=(range(18), [1] * 9 + [0] * 9, ["run", "hop"]))
    (problem,) = checks.check_listing(listing)
    assert str(problem) == (
        "split val: 18 of 18 labels contradict the names of files or folders (run/0.mp4 as 'hop', "
        "run/1.mp4 as 'hop', run/2.mp4 as 'hop'); read the list with its own class file (--labels)"
    )


def test_a_list_of_one_class_is_held_against_its_folder():
    listing = listing_of(["run/1.mp4", "run/2.mp4"], val=([0, 1], [1, 1], ["run", "hop"]))
    assert checks.check_listing(listing)[-1].level == "refuse"


def test_class_file_of_which_no_folder_is_called_is_warned_of():
    paths = ["abseiling/1.mp4", "air drumming/2.mp4"]
    split = split_of([0, 1], [0, 1], ["ApplyEyeMakeup", "Archery"])
    listing = replace(listing_of(paths), splits={"val": replace(split, owns_classes=True)})
    (problem,) = checks.check_listing(listing)
    assert problem.level == "warn"
    assert "none has a folder's name ('abseiling' is 'ApplyEyeMakeup'" in problem.what
    numbered = replace(listing, paths=["n01/1.mp4", "n02/2.mp4"])
    assert checks.check_listing(numbered) == []


def test_classes_spelled_alike_are_warned_of():
    (problem,) = checks.twins(["Apple", "pear", "apple", "brush_hair", "brush hair"])
    assert problem.level == "warn"
    assert "2 classes are spelled like another ('Apple' and 'apple', 'brush_hair'" in problem.what
    assert checks.twins(["run", "runs"]) == []


def test_sound_listing_has_no_problem():
    listing = listing_of(["a.mp4", "b.mp4"], train=([0], [0], "x"), val=([1], [0], "x"))
    assert checks.check_listing(listing) == []


def test_overlap_with_splits_that_the_dataset_has_already():
    new, stored = {"test": {"a.mp4", "b.mp4"}}, {"train": {"a.mp4"}, "val": {"a.mp4"}}
    (problem,) = checks.overlaps(new, stored)
    assert problem.level == "refuse"
    assert "train and test share 1 videos (a.mp4)" in problem.what
    listing = listing_of(["a.mp4", "b.mp4"], test=([0, 1],))
    assert checks.check_listing(listing, stored)[0] == problem
    assert checks.overlaps({}, stored) == [], "known when they came"
