"""Videos that have moved are found again, whatever their ids, and nothing is encoded for it."""

import json
import shutil

import pandas as pd
import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.test_pipeline import SETTINGS
from vifi.__main__ import run
from vifistore.errors import UsageError
from vifistore.extract.job import extract_dataset
from vifistore.scanning.relocate import find_videos, missing_before, relocate
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.verifying.verify import verify_store

FILES = ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/3.mp4")


@pytest.fixture
def folder(tmp_path):
    """Four clips, two of one name, as `videos/ucf/CLASS/N.mp4` below `v`."""
    for number, file in enumerate(FILES):
        path = tmp_path / "v" / "videos" / "ucf" / file
        write_clip(path, seed=number, num_frames=3 + number)
    return tmp_path / "v"


@pytest.fixture
def store(folder, tmp_path):
    return scan(tmp_path / "s.zarr", folder)


def move(store, tmp_path, source="v/videos/ucf", target="elsewhere"):
    (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(tmp_path / source, tmp_path / target)
    return tmp_path / target


def test_files_are_found_where_ids_and_paths_do_not_fit_any_more(store, tmp_path, tiny):
    before = store.videos("d")
    assert list(before["id"]) == [f"videos/ucf/{file}" for file in FILES]
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    target = move(store, tmp_path)
    for root in (target, target.parent):
        found = find_videos(store.dataset("d"), root)
        assert (found.found, found.moved, found.lost) == (4, 4, [])
    found = find_videos(store.dataset("d"), target)
    assert found.paths == list(FILES)
    relocate(store.dataset("d"), found)
    after = store.videos("d")
    assert store.dataset("d").root() == target
    assert list(after["path"]) == list(FILES)
    assert after.drop(columns="path").equals(before.drop(columns="path"))
    assert store.dataset("d").class_names() == ["a", "b"]
    assert list(verify_store(store)) == []
    again = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (again.id, again.encoded, again.sealed) == (report.id, 0, True)


def test_the_same_name_is_told_by_the_folder_then_by_the_content(store, tmp_path, tiny, folder):
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    target = move(store, tmp_path)
    # A copy under another folder's name, as long as it is; the one in its own folder is meant.
    shutil.copytree(target / "a", target / "copies" / "x")
    assert find_videos(store.dataset("d"), target).paths == list(FILES)
    # Without their folders only the content tells two files of one size apart.
    for name in ("a", "b"):
        (target / name).rename(target / f"class {name}")
    shutil.rmtree(target / "copies")
    size = (target / "class a" / "1.mp4").stat().st_size
    other = target / "class b" / "1.mp4"
    other.write_bytes(other.read_bytes()[:size].ljust(size, b"\0"))
    found = find_videos(store.dataset("d"), target)
    assert found.paths[0] == "class a/1.mp4"
    assert found.resized == ["videos/ucf/b/1.mp4"]


def test_what_could_be_several_files_is_refused(store, tmp_path):
    target = move(store, tmp_path)
    for name in ("one", "two"):
        shutil.copytree(target / "a", target / name)
    shutil.rmtree(target / "a")
    words = r"2 videos could be several files \(first: videos/ucf/a/1.mp4: one/1.mp4, two/1.mp4\)"
    with pytest.raises(UsageError, match=words):
        find_videos(store.dataset("d"), target)


def test_few_may_be_lost_and_most_may_not(store, tmp_path, folder):
    target = move(store, tmp_path)
    (target / "a" / "2.mp4").unlink()
    write_clip(target / "b" / "3.mp4", seed=9, num_frames=20)
    found = find_videos(store.dataset("d"), target)
    assert found.lost == ["videos/ucf/a/2.mp4", "videos/ucf/b/3.mp4"]
    assert found.resized == found.lost[1:]
    assert found.paths[1] == "videos/ucf/a/2.mp4"
    (target / "a" / "1.mp4").unlink()
    words = (
        r"3 of 4 videos of d are not below .*elsewhere \(first: videos/ucf/a/1.mp4, 2 with another"
    )
    with pytest.raises(UsageError, match=words):
        find_videos(store.dataset("d"), target)
    with pytest.raises(UsageError, match="is not a folder"):
        find_videos(store.dataset("d"), tmp_path / "nowhere")


def test_a_video_that_is_still_where_it_was_is_not_lost(store, tmp_path):
    target = move(store, tmp_path, "v/videos/ucf/a", "elsewhere/a")
    (target / "2.mp4").rename(target / "renamed.mp4")
    move(store, tmp_path, "v/videos/ucf/b/1.mp4", "elsewhere/b/1.mp4")
    with pytest.raises(
        UsageError, match=r"1 videos of d are still below .*/v and not below .*elsewhere"
    ):
        find_videos(store.dataset("d"), tmp_path / "elsewhere")


def test_videos_without_a_size_are_found_by_name(store, tmp_path):
    table = store.videos("d").assign(size_bytes=0)
    write_videos(store.new_dataset("imported"), table, ["a", "b"], "")
    assert find_videos(store.dataset("imported"), move(store, tmp_path)).paths == list(FILES)


def test_the_verb_says_what_it_found_and_what_to_try_again(store, tmp_path, tiny, capsys):
    parked = tmp_path / "parked.mp4"
    shutil.move(tmp_path / "v" / "videos" / "ucf" / "a" / "1.mp4", parked)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert missing_before(store.dataset("d")) == {report.id: 1}
    target = move(store, tmp_path)
    shutil.move(parked, target / "a" / "1.mp4")
    words = ["relocate", str(store.path), "--dataset", "d", "--root", str(target)]
    assert run([*words, "--dry-run"]) == 0
    assert "d: 4 of 4 videos would be found below" in capsys.readouterr().out
    assert store.dataset("d").root() == tmp_path / "v"
    assert run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["found"], document["moved"], document["lost"]) == (4, 4, [])
    assert run(words) == 0
    said = capsys.readouterr()
    assert "4 of 4 videos are now found below" in said.out
    assert "0 of them at another path than before" in said.out
    (line,) = said.err.strip().splitlines()
    assert "quarantined as missing are tried again with: vifi extract" in line
    assert line.endswith(f"--decoder decord --name {report.name} --retry")
    *_, command = line.partition("tried again with: vifi ")
    assert document["retry"] == [f"vifi {command}"]
    assert run([*command.split(), "--device", "cpu", "--workers", "1"]) == 0
    features = open_store(store.path).features("d", report.name)
    assert (features.counts()["done"], bool(features.sealed)) == (4, True)


def test_videos_that_came_meanwhile_are_not_taken_away(store, tmp_path, folder):
    move(store, tmp_path)
    found = find_videos(store.dataset("d"), tmp_path / "elsewhere")
    table = store.videos("d")
    more = pd.concat([table, table.tail(1).assign(id="more", path="more.mp4")], ignore_index=True)
    dataset = store.dataset("d")
    write_videos(dataset, more, dataset.class_names(), str(dataset.root()))
    with pytest.raises(UsageError, match="has changed the videos of d meanwhile"):
        relocate(dataset, found)
    assert store.videos("d")["id"].tolist() == more["id"].tolist()


def test_a_file_is_one_video(store, tmp_path):
    target = move(store, tmp_path)
    one, other = target / "a" / "1.mp4", target / "b" / "1.mp4"
    other.unlink()
    sizes = store.videos("d")["size_bytes"].to_numpy().copy()
    sizes[2] = sizes[0] = one.stat().st_size
    table = store.videos("d").assign(size_bytes=sizes)
    write_videos(store.new_dataset("same"), table, ["a", "b"], "")
    with pytest.raises(UsageError, match=r"1 files could be several videos \(first: a/1.mp4: "):
        find_videos(store.dataset("same"), target)
