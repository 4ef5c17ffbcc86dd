from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import UsageError
from vifistore.videos.made_splits import (
    SplitRequest,
    base_and_novel,
    base_novel_splits,
    few_shot,
    of_classes,
    with_made_splits,
)
from vifistore.videos.records import Listing, SplitListing
from vifistore.videos.stretches import Stretch


def split_of(labels, class_names, rows=None):
    rows = list(range(len(labels))) if rows is None else rows
    return SplitListing(
        rows=rows, labels=labels, class_names=class_names, source="list.txt", digest="d"
    )


def listing_of(num_videos, **splits):
    ids = [f"v{number}.mp4" for number in range(num_videos)]
    return Listing(
        ids=ids,
        paths=ids,
        labels=[""] * num_videos,
        root=Path("/"),
        class_names=[],
        splits=splits,
        captions=[],
        missing=[],
        notes=[],
    )


def test_halves_know_how_many_videos_of_theirs_were_listed():
    split = replace(split_of([0, 1, 1, 2], ["a", "b", "c"]), listed={"a": 9, "b": 2, "c": 1})
    made = of_classes(listing_of(4), split, ["c", "a"])
    assert made.listed == {"c": 1, "a": 9}
    assert of_classes(listing_of(4), replace(split, listed={}), ["c", "a"]).listed == {}


def test_base_is_the_most_frequent_half_from_rare_to_frequent():
    labels = [0, 0, 0, 1, 2, 2, 3, 3, 3, 3]
    base, novel, notes = base_and_novel(split_of(labels, ["a", "b", "c", "d"]))
    assert base == [0, 3]
    assert novel == [1, 2]
    assert notes == []


def test_a_class_is_as_frequent_as_files_hold_it():
    """One long film of `a` in five stretches is one video; `b` and `c` are in two files."""
    labels = [0] * 5 + [1, 1, 2, 2]
    paths = ["film.mp4"] * 5 + ["1.mp4", "2.mp4", "2.mp4", "3.mp4"]
    train = split_of(labels, ["a", "b", "c"])
    stretches = {row: Stretch(row, row + 1.0) for row in range(9)}
    cut = replace(listing_of(9, train=train, val=train), paths=paths, stretches=stretches)
    whole = replace(cut, stretches={})
    assert base_and_novel(train, cut)[0] == [1, 2]
    assert base_and_novel(train, whole)[0] == [2, 0]
    splits, _ = base_novel_splits(cut, "train", "val")
    assert splits["base_train"].class_names == ["b", "c"]
    assert splits["novel_val"].class_names == ["a"]


def test_of_a_tie_the_higher_ids_are_base_and_it_is_said():
    base, novel, notes = base_and_novel(split_of([0, 1, 2, 3, 4], list("abcde")))
    assert base == [2, 3, 4]
    assert novel == [0, 1]
    assert notes == [
        "base and novel part 5 classes of 1 training videos each (a, b, c and 2 more) by their ids"
    ]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_halves_part_the_classes_by_frequency(labels):
    base, novel, _ = base_and_novel(split_of(labels, list("abcdefg")))
    assert sorted(base + novel) == list(range(7))
    assert len(base) == 4
    assert min(map(labels.count, base)) >= max(map(labels.count, novel))


@pytest.mark.parametrize(("labels", "names"), [([0], ["a"]), ([-1, -1], []), ([0, -1], ["a", "b"])])
def test_split_that_cannot_be_halved_is_refused(labels, names):
    with pytest.raises(UsageError, match="needs two labelled classes or more"):
        base_and_novel(split_of(labels, names))


def test_base_and_novel_splits_are_labelled_anew_and_apart():
    train = split_of([0, 0, 1, 2, 2, 2], ["a", "b", "c"], rows=[0, 1, 2, 3, 4, 5])
    val = split_of([2, 1, 0], ["a", "b", "c"], rows=[6, 7, 8])
    splits, notes = base_novel_splits(listing_of(9, train=train, val=val), "train", "val")
    assert notes == []
    assert splits["base_train"].class_names == splits["base_val"].class_names == ["a", "c"]
    assert splits["base_train"].rows == [0, 1, 3, 4, 5]
    assert splits["base_train"].labels == [0, 0, 1, 1, 1]
    assert (splits["base_val"].rows, splits["base_val"].labels) == ([6, 8], [1, 0])
    assert splits["novel_val"].class_names == ["b"]
    assert (splits["novel_val"].rows, splits["novel_val"].labels) == ([7], [0])
    assert splits["base_val"].source == "2 of 3 classes of list.txt"
    assert len({split.digest for split in splits.values()}) == 3


def test_splits_that_name_different_classes_are_refused():
    listing = listing_of(2, train=split_of([0], ["a", "b"]), val=split_of([0], ["a", "c"]))
    with pytest.raises(UsageError, match="train and val name different classes"):
        base_novel_splits(listing, "train", "val")


def test_classes_that_a_split_does_not_have_are_refused():
    split = split_of([0], ["a"])
    with pytest.raises(UsageError, match=r"list\.txt has no class b"):
        of_classes(listing_of(1), split, ["a", "b"])


def draw(shots, seed=0, nested=False, order=range(100)):
    rows = list(order)
    train = split_of([row % 5 for row in rows], list("abcde"), rows=rows)
    return few_shot(listing_of(100), train, shots, seed=seed, nested=nested)


def test_few_shots_are_so_many_of_every_class():
    split = draw(4)
    assert sorted(split.labels) == sorted([0, 1, 2, 3, 4] * 4)
    assert all(row % 5 == label for row, label in zip(split.rows, split.labels, strict=True))
    assert len(set(split.rows)) == 20
    assert split.source == "4 shots of list.txt, seed 0"


def test_few_shots_depend_on_the_seed_and_not_on_the_order():
    assert draw(4) == draw(4)
    assert set(draw(4).rows) == set(draw(4, order=reversed(range(100))).rows)
    assert set(draw(4).rows) != set(draw(4, seed=1).rows)


def test_nested_draws_contain_the_smaller_ones_and_others_do_not():
    nested = [set(draw(shots, nested=True).rows) for shots in (2, 4, 8, 16)]
    assert all(small < large for small, large in pairwise(nested))
    assert not set(draw(2).rows) < set(draw(4).rows)


def test_draw_never_changes():
    assert draw(2, nested=True).rows == [65, 90, 41, 81, 47, 22, 53, 33, 89, 14]
    assert draw(2).rows == [5, 75, 66, 81, 42, 77, 73, 98, 59, 64]


@pytest.mark.parametrize(
    ("shots", "told"),
    [(21, "fewer than 21 videos of a, b, c .*draw 20 or fewer: --shots 20$"), (0, "0 shots")],
)
def test_shots_that_cannot_be_drawn_are_refused(shots, told):
    with pytest.raises(UsageError, match=told):
        draw(shots)


def listed():
    """Videos 0 to 5 for training, 6 and 7 for the test, of two classes."""
    train = split_of([0, 0, 0, 1, 1, 1], ["a", "b"])
    return listing_of(8, train=train, test=split_of([0, 1], ["a", "b"], rows=[6, 7]))


def test_made_splits_stand_beside_the_listed_ones():
    listing = listed()
    wanted = SplitRequest(
        halves=("train", "test"), few_shot="base_train", shots=(1, 2), seeds=(1, 2)
    )
    made = with_made_splits(listing, wanted)
    draws = [f"base_train_few_shot_{k}_s{seed}" for k in (1, 2) for seed in (1, 2)]
    assert set(made.splits) == {
        *("train", "test", "base_train", "base_val", "novel_val"),
        *draws,
    }
    assert made.splits[draws[-1]].class_names == made.splits["base_train"].class_names
    assert "part 2 classes of 3 training videos each" in made.notes[-1]
    nested = with_made_splits(
        listing, SplitRequest(few_shot="train", shots=(1, 2), nested=True)
    ).splits
    assert set(nested["train_few_shot_1"].rows) < set(nested["train_few_shot_2"].rows)
    assert with_made_splits(listing, SplitRequest()) == listing


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (SplitRequest(halves=("train",)), "1 splits to halve; give two, TRAIN TEST"),
        (SplitRequest(halves=("train", "tset")), "'tset'.*Did you mean 'test'"),
        (SplitRequest(few_shot="nain"), "'nain'"),
        (SplitRequest(few_shot="train", shots=(4,)), "fewer than 4 videos"),
    ],
)
def test_splits_that_cannot_be_made(wanted, told):
    listing = listed()
    with pytest.raises(UsageError, match=told):
        with_made_splits(listing, wanted)
    taken = replace(listing, splits=listing.splits | {"base_val": listing.splits["test"]})
    with pytest.raises(UsageError, match="the source lists base_val itself"):
        with_made_splits(taken, SplitRequest(halves=("train", "test")))
