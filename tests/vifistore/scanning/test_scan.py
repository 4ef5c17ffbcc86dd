"""A dataset that grows keeps the videos that it has, wherever it lies."""

import shutil

import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.errors import DamagedError, UsageError
from vifistore.scanning.growing import StoredFiles
from vifistore.scanning.scan import add_new, scan_new
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.videos.listing import read_source
from vifistore.videos.probe import Probe


def folder_of(root, *names):
    for number, name in enumerate(names):
        write_clip(root / name, seed=number, num_frames=2)
    return root


def test_a_list_of_which_videos_are_missing_is_kept_with_its_length(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4", "2.mp4", "3.mp4")
    lines = "1.mp4,run\n2.mp4,jump\n3.mp4,jump\n4.mp4,run\n5.mp4,run\n6.mp4,swim\n"
    store = create_store(tmp_path / "s.zarr")
    add(store, listed(root, f"path,label\n{lines}"))
    split = store.dataset("d").split("list")
    assert split.class_names == ["jump", "run", "swim"]
    assert (split.num_listed, len(split.rows)) == (6, 3)
    assert split.listed == {"jump": 2, "run": 3, "swim": 1}
    attributes = store.backend.attributes("splits/d/list")
    # A split of before does not know it, until it is scanned again.
    store.backend.make_group("splits/d/list", {**attributes, "listed": {}})
    assert store.dataset("d").split("list").num_listed is None
    add(store, listed(root, f"path,label\n{lines}"))
    assert store.dataset("d").split("list").num_listed == 6
    for wrong in ({"jump": 1, "run": 3}, {"run": 3}, {**split.listed, "swim": 1.0}, [2, 3, 1], 6):
        store.backend.make_group("splits/d/list", {**attributes, "listed": wrong})
        with pytest.raises(DamagedError, match="how many videos were listed as it should"):
            store.dataset("d").split("list")
        assert "splits/d/list" in {problem.where for problem in verify_store(store)}


def test_all_videos_of_a_list_leave_nothing_to_say(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4", "2.mp4")
    # A video that is listed twice is one.
    store = create_store(tmp_path / "s.zarr")
    add(store, listed(root, "path,label\n1.mp4,run\n2.mp4,jump\n1.mp4,run\n"))
    assert store.dataset("d").split("list").num_listed is None
    assert "listed" not in store.backend.attributes("splits/d/list")


def test_another_folder_does_not_take_the_place_of_the_first(tmp_path):
    first = folder_of(tmp_path / "v", "run/1.mp4", "run/2.mp4")
    store = scan(tmp_path / "s.zarr", first)
    other = folder_of(tmp_path / "other", "run/3.mp4")
    words = (
        r"lie below .*/v, and 2 of 2 are not below .*/other \(first: run/1.mp4\); give .* --root"
    )
    with pytest.raises(UsageError, match=words):
        scan(store.path, other)
    assert store.dataset("d").root() == first
    # A folder below the root is another root, too.
    folder_of(first, "jump/4.mp4")
    with pytest.raises(UsageError, match="--root"):
        scan(store.path, first / "jump")
    assert len(scan(store.path, first).videos("d")) == 3


def test_a_dataset_may_move_and_lose_videos(tmp_path):
    first = folder_of(tmp_path / "v", "run/1.mp4", "run/2.mp4")
    store = scan(tmp_path / "s.zarr", first)
    moved = tmp_path / "moved"
    shutil.move(first, moved)
    (moved / "run" / "2.mp4").unlink()
    folder_of(moved, "run/3.mp4")
    assert scan(store.path, moved).dataset("d").root() == moved
    assert list(store.videos("d")["path"]) == ["run/1.mp4", "run/2.mp4", "run/3.mp4"]


def test_a_move_to_where_no_video_is_is_refused(tmp_path):
    store = scan(tmp_path / "s.zarr", folder_of(tmp_path / "v", "run/1.mp4"))
    shutil.rmtree(tmp_path / "v")
    with pytest.raises(UsageError, match="1 of 1 are not below"):
        scan(store.path, folder_of(tmp_path / "other", "run/3.mp4"))


def listed(root, text):
    (root / "list.csv").write_text(text)
    return read_source(root / "list.csv")


def add(store, listing, dataset="d"):
    return scan_new(store.new_dataset(dataset), listing, append=True)


def test_captions_of_several_lists_are_kept(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4", "2.mp4")
    store = create_store(tmp_path / "s.zarr")
    first = listed(root, "path,caption,split\n1.mp4,a run,train\n1.mp4,a run,train\n")
    add(store, first)
    add(store, listed(root, "path,caption,split\n2.mp4,a jump,test\n"))
    add(store, first)
    found = store.dataset("d").captions()
    captions = list(zip(found["row"], found["text"], strict=True))
    assert captions == [(0, "a run"), (0, "a run"), (1, "a jump")]


def test_a_split_with_other_rows_leaves_the_dataset_as_it_was(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4", "2.mp4")
    store = create_store(tmp_path / "s.zarr")
    add(store, listed(root, "path,split\n1.mp4,test\n"))
    with pytest.raises(UsageError, match="split 'test' of d exists with other rows"):
        add(store, listed(root, "path,split\n2.mp4,test\n"))
    assert list(store.videos("d")["id"]) == ["1.mp4"]


def test_what_is_added_is_scored_over_the_classes_of_the_dataset(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4", "2.mp4", "3.mp4")
    store = create_store(tmp_path / "s.zarr")
    add(store, listed(root, "path,label,split\n1.mp4,run,train\n2.mp4,jump,train\n"))
    add(store, listed(root, "path,label,split\n3.mp4,run,test\n"))
    assert store.dataset("d").split("test").class_names == ["jump", "run"]
    assert store.dataset("d").split("test").labels.tolist() == [1]


def test_what_another_scan_adds_meanwhile_is_kept(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4")
    store = scan(tmp_path / "s.zarr", root)
    folder_of(root, "2.mp4", "3.mp4")
    slow = store.dataset("d")
    stored, listing = StoredFiles(slow), read_source(root)
    probed = dict.fromkeys(listing.paths, Probe())
    # Another one has seen fewer files, and is quicker.
    (root / "3.mp4").rename(tmp_path / "3.mp4")
    scan(store.path, root)
    report = add_new(slow, listing, stored, probed)
    assert (report.added, report.videos) == (1, 3)
    assert list(store.videos("d")["id"]) == ["1.mp4", "2.mp4", "3.mp4"]
    assert list(verify_store(store)) == []


def test_a_dataset_that_another_scan_has_made_meanwhile_is_not_added_to(tmp_path):
    root = folder_of(tmp_path / "v", "1.mp4")
    store = create_store(tmp_path / "s.zarr")
    stored, listing = StoredFiles(None), read_source(root)
    scan(store.path, root)
    with pytest.raises(UsageError, match=r"another process has made dataset d .*--append"):
        add_new(store.dataset("d"), listing, stored, {})
    assert len(store.videos("d")) == 1


def test_what_was_imported_gets_a_root(tmp_path):
    store = scan(tmp_path / "s.zarr", folder_of(tmp_path / "v", "run/1.mp4"))
    table = store.videos("d")
    write_videos(store.new_dataset("e"), table.assign(path="one", id="one"), ["run"], "")
    scan(store.path, tmp_path / "v", "e")
    assert store.dataset("e").root() == tmp_path / "v"
    assert list(store.videos("e")["id"]) == ["one", "run/1.mp4"]
