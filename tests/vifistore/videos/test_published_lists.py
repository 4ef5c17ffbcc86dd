"""The readers against published lists: the paper's own, and the official ones they come from."""

import functools
from collections import Counter
from pathlib import Path

import pytest

from vifistore.videos.checks import check_listing
from vifistore.videos.class_files import read_class_file
from vifistore.videos.listing import read_source
from vifistore.videos.made_splits import base_and_novel, base_novel_splits
from vifistore.videos.match import youtube_id
from vifistore.videos.records import Listing
from vifistore.videos.tree import Tree

pytestmark = pytest.mark.shared

# Lines and classes of every list of the paper, as published.
PAPER = {
    "k400_splits/train_tiny": (60_000, 400),
    "k400_splits/val": (19_877, 400),
    "k600_splits/ZS_split1_K600_eval": (14_084, 160),
    "k600_splits/ZS_split2_K600_eval": (13_978, 160),
    "k600_splits/ZS_split3_K600_eval": (14_136, 160),
    **{f"hmdb_splits/val{fold}": (1_530, 51) for fold in (1, 2, 3)},
    **{f"hmdb_splits/train1_few_shot_{shots}": (51 * shots, 51) for shots in (2, 4, 8, 16)},
    "ucf_splits/val1": (3_783, 101),
    "ucf_splits/val2": (3_734, 101),
    "ucf_splits/val3": (3_696, 101),
    **{f"ucf_splits/train1_few_shot_{shots}": (101 * shots, 101) for shots in (2, 4, 8, 16)},
    "ssv2_splits/validation": (24_777, 174),
    **{f"ssv2_splits/train1_few_shot_{shots}": (174 * shots, 174) for shots in (2, 4, 8, 16)},
    "base2novel_splits/hmdb_splits/base_train": (1_820, 26),
    "base2novel_splits/hmdb_splits/base_val": (780, 26),
    "base2novel_splits/hmdb_splits/novel_val": (750, 25),
    "base2novel_splits/ucf_splits/base_train": (5_385, 51),
    "base2novel_splits/ucf_splits/base_val": (2_088, 51),
    "base2novel_splits/ucf_splits/novel_val": (1_695, 50),
    "base2novel_splits/ssv2_splits/base_train": (125_937, 87),
    "base2novel_splits/ssv2_splits/base_val": (17_562, 87),
    "base2novel_splits/ssv2_splits/novel_val": (7_215, 87),
    "base2novel_splits/k400_splits/base_val": (9_944, 200),
    "base2novel_splits/k400_splits/novel_val": (9_933, 200),
    **{
        f"base2novel_splits/{dataset}_splits/fs_base_s{seed}_train": (16 * classes, classes)
        for dataset, classes in (("hmdb", 26), ("ucf", 51), ("ssv2", 87), ("k400", 200))
        for seed in (1, 2, 3)
    },
}


@pytest.fixture(scope="module")
def paper(shared):
    return shared / "splits" / "vifi-clip" / "datasets_splits"


@pytest.fixture(scope="module")
def official(shared):
    return shared / "splits" / "official"


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Read a source as if its root held every video; each source is read once."""
    root = tmp_path_factory.mktemp("root")

    @functools.cache
    def read_complete(source: Path, labels: Path | None = None) -> Listing:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tree, "holds", lambda self, path: True)
            return read_source(source, root=root, labels=labels)

    return read_complete


def named(listing, split):
    """The class name of each video of a split, by its file name without extension."""
    made = listing.splits[split]
    return {
        Path(listing.paths[row]).stem: made.class_names[label]
        for row, label in zip(made.rows, made.labels, strict=True)
    }


def test_the_table_names_every_list(paper):
    found = {str(path.relative_to(paper).with_suffix("")) for path in paper.rglob("*.txt")}
    assert found == set(PAPER)


@pytest.mark.parametrize("name", PAPER)
def test_list_of_the_paper(paper, read, name):
    listing = read(paper / f"{name}.txt")
    (split,) = listing.splits.values()
    lines, classes = PAPER[name]
    assert len(split.rows) == len(listing.ids) == lines
    assert set(split.labels) == set(range(classes))
    assert len(split.class_names) == classes
    assert not any("numbers without names" in note for note in listing.notes)
    problems = check_listing(listing)
    if "hmdb_splits" in name:
        problems = [problem for problem in problems if "contradict the names" not in problem.what]
    assert problems == []


@pytest.mark.parametrize(("dataset", "in_val2", "in_val3"), [("hmdb", 233, 254), ("ucf", 627, 623)])
def test_few_shot_lists_overlap_the_other_folds(paper, read, dataset, in_val2, in_val3):
    listing = read(paper / f"{dataset}_splits")
    problems = [str(problem) for problem in check_listing(listing)]
    assert not any("train1_few_shot_16 and val1" in problem for problem in problems)
    assert any(f"train1_few_shot_16 and val2 share {in_val2} " in problem for problem in problems)
    assert any(f"train1_few_shot_16 and val3 share {in_val3} " in problem for problem in problems)
    assert {problem.level for problem in check_listing(listing)} == {"warn"}


def test_base_and_novel_lists_of_one_folder(paper, read):
    folder = paper / "base2novel_splits" / "ucf_splits"
    listing = read(folder)
    assert len(listing.class_names) == 101
    assert listing.splits["novel_val"].class_names[0] == "PlayingViolin"
    assert not set(listing.splits["base_val"].class_names).intersection(
        listing.splits["novel_val"].class_names
    )
    assert check_listing(listing) == []


def test_class_file_of_another_list_is_noticed(shared, paper, read):
    wrong = shared / "splits" / "vifi-clip" / "labels" / "ucf_101_labels.csv"
    source = paper / "base2novel_splits" / "ucf_splits" / "novel_val.txt"
    listing = read(source, labels=wrong)
    assert "refuse" in {problem.level for problem in check_listing(listing)}


def test_official_ucf101_lists_agree_with_the_papers(paper, official, read):
    listing = read(official / "ucf101")
    sizes = {name: len(split.rows) for name, split in listing.splits.items()}
    assert sizes == {
        "train1": 9_537,
        "train2": 9_586,
        "train3": 9_624,
        "test1": 3_783,
        "test2": 3_734,
        "test3": 3_696,
    }
    assert len(listing.ids) == 13_320
    for fold in "123":
        theirs = read(paper / "ucf_splits" / f"val{fold}.txt")
        assert named(listing, f"test{fold}") == named(theirs, f"val{fold}")
    assert {problem.level for problem in check_listing(listing)} == {"warn"}


def test_official_hmdb51_lists_agree_with_each_other(official, read):
    listing = read(official / "hmdb51")
    assert len(listing.class_names) == 51
    for fold in "123":
        assert len(listing.splits[f"train_rgb_split_{fold}"].rows) == 3_570
    assert named(listing, "test1") == named(listing, "val_rgb_split_1")
    assert named(listing, "train1") == named(listing, "train_rgb_split_1")
    assert not any("contradict" in str(problem) for problem in check_listing(listing))


def test_four_classes_of_the_papers_hmdb51_lists_have_each_others_names(paper, official, read):
    listing = read(official / "hmdb51")
    swapped = ("kick", "kick ball"), ("sword", "sword exercise")
    other = {a: b for pair in swapped for a, b in (pair, pair[::-1])}
    for fold in "123":
        theirs = read(paper / "hmdb_splits" / f"val{fold}.txt")
        ours = named(listing, f"val_rgb_split_{fold}")
        expected = {video: other.get(name, name) for video, name in ours.items()}
        assert named(theirs, f"val{fold}") == expected
        (problem,) = check_listing(theirs)
        assert f"val{fold}: 120 of 1,530 labels contradict the names" in problem.what
        assert problem.level == "warn"


def test_official_ssv2_lists_agree_with_the_papers(paper, official, read):
    listing = read(official / "ssv2")
    assert len(listing.splits["train_split"].rows) == 168_913
    theirs = read(paper / "ssv2_splits" / "validation.txt")
    assert named(listing, "val_split") == named(theirs, "validation")
    assert listing.splits["val_split"].class_names == theirs.class_names


def test_official_kinetics_list(official, read):
    listing = read(official / "kinetics")
    assert len(listing.splits["k400_val_list"].rows) == 19_796
    assert len(set(listing.splits["k400_val_list"].labels)) == 400


@pytest.mark.parametrize(
    ("dataset", "prefix", "train"),
    [("ucf101", "ucf_101", "train1"), ("ssv2", "ssv2_174", "train_split")],
)
def test_halves_are_those_of_the_paper_in_their_order(
    shared, official, read, dataset, prefix, train
):
    training = read(official / dataset).splits[train]
    base, novel, _ = base_and_novel(training)
    for half, ids in (("base", base), ("novel", novel)):
        labels = shared / "splits" / "vifi-clip" / "labels" / f"{prefix}_{half}_labels.csv"
        assert [training.class_names[id] for id in ids] == read_class_file(labels).names


def test_halves_of_equally_frequent_classes_are_those_of_the_paper(paper, official, read):
    listing = read(official / "hmdb51")
    splits, notes = base_novel_splits(listing, "train1", "test1")
    assert "part 51 classes of 70 training videos each" in notes[0]
    theirs = read(paper / "base2novel_splits" / "hmdb_splits")
    for name, split in splits.items():
        assert split.class_names == theirs.splits[name].class_names
        made = Counter(split.class_names[label] for label in split.labels)
        assert made == Counter(named(theirs, name).values())


def test_k600_videos_are_found_whatever_the_folder_and_the_time_stamps(paper, make_files):
    source = paper / "k600_splits" / "ZS_split1_K600_eval.txt"
    listed = [line.split()[0] for line in source.read_text().splitlines()]
    root = make_files(*(f"any/{youtube_id(path)}.webm" for path in listed[::20]))
    listing = read_source(source, root=root)
    assert len(listing.ids) == len(listed[::20])
    assert len(listing.missing) == len(listed) - len(listing.ids)
    assert Path(listing.ids[0]).stem == youtube_id(listed[0])


def test_real_clips_have_the_labels_of_the_lists(shared, paper):
    clips = shared / "videos" / "action" / "ucf101"
    listing = read_source(paper / "ucf_splits" / "val1.txt", root=clips)
    assert len(listing.ids) > 20
    assert listing.labels == [Path(path).parent.name for path in listing.paths]
    folder = read_source(clips)
    assert set(listing.ids) < set(folder.ids)
    assert check_listing(folder) == []
