import pytest

from vifistore.errors import UsageError
from vifistore.videos.draft import Draft
from vifistore.videos.resolve import resolve
from vifistore.videos.tree import Tree


@pytest.fixture
def draft(make_files):
    return Draft(tree=Tree(root=make_files("a.mp4", "b.mp4")))


def test_a_video_is_one_row_and_keeps_its_first_label(draft):
    rows = [
        draft.video("a.mp4"),
        draft.video("a.mp4", label="run"),
        draft.video("a.mp4", label="hop"),
    ]
    assert rows == [0, 0, 0]
    assert draft.labels == ["run"]
    assert draft.relabelled == {0}


def test_split_labels_follow_the_class_names(draft):
    rows = [draft.video(name) for name in ("a.mp4", "b.mp4")]
    draft.add_split("s", rows, ["run", ""], class_names=["hop", "run"], source="l", digest="d")
    assert draft.splits["s"].labels == [1, -1]
    draft.add_split("t", rows, ["", ""], class_names=["hop"], source="l", digest="d")
    assert draft.splits["t"].labels == [-1, -1]
    assert draft.splits["t"].class_names == []


def test_label_that_comes_later_in_a_split_is_kept(draft):
    row = draft.video("a.mp4")
    draft.add_split("s", [row, row, row], ["", "run", ""], source="l", digest="d")
    assert (draft.splits["s"].rows, draft.splits["s"].labels) == ([0], [0])


def test_only_keeps_what_belongs_to_one_split(draft):
    first = draft.video("a.mp4", label="run")
    second = draft.video("b.mp4", label="run")
    draft.ids = {first: "one", second: "two"}
    draft.captions = [(first, "A."), (second, "B.")]
    draft.add_split("s", [second], ["hop"], source="l", digest="d")
    listing = resolve(draft.only("s"))
    assert listing.ids == ["two"]
    assert listing.labels == ["hop"]
    assert listing.captions == [(0, "B.")]


def test_a_split_is_made_once(draft):
    row = draft.video("a.mp4")
    draft.add_split("s", [row], ["a"], source="one.csv", digest="d")
    with pytest.raises(UsageError, match=r"one\.csv and two\.csv both make the split s"):
        draft.add_split("s", [row], ["a"], source="two.csv", digest="d")


def test_a_source_that_lists_nothing_is_refused(draft):
    with pytest.raises(UsageError, match="lists no video; name a folder"):
        resolve(draft)
