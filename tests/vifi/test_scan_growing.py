"""`vifi scan --append` on a folder that grows: only what is new is opened, added and encoded."""

import json
import os

import pytest

from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.store.conftest import RECORD
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


def clip(folder, name, seed):
    write_clip(folder / name, seed=seed, num_frames=4)


@pytest.fixture
def folder(tmp_path):
    """Two class folders with a clip each."""
    clip(tmp_path / "v", "run/1.mp4", 1)
    clip(tmp_path / "v", "jump/2.mp4", 2)
    return tmp_path / "v"


EXTRACT = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")


def test_what_is_new_is_found_by_a_search_and_nothing_else_is_read(
    folder, vifi, tmp_path, monkeypatch
):
    assert vifi("scan", folder, "--dataset", "d", "--split", "test")[0] == 0
    assert vifi("extract", *EXTRACT, "--name", "mine")[0] == 0
    before = open_store(tmp_path / "s.zarr").features("d", "mine").view_mean[:]
    # A video of a known class, and one of a new class.
    clip(folder, "run/0.mp4", 3)
    clip(folder, "swim/3.mp4", 4)
    opened = []
    from vifistore.videos import probe

    plain = probe.open_container
    monkeypatch.setattr(
        probe, "open_container", lambda video, *rest: opened.append(video) or plain(video, *rest)
    )
    code, out, errors = vifi("scan", folder, "--dataset", "d", "--split", "test", "--append")
    assert (code, out) == (0, "d: 2 videos added, 4 in all, 3 classes, splits test\n")
    assert len(opened) == 2
    assert any("splits test have more videos than before" in line for line in errors)
    dataset = open_store(tmp_path / "s.zarr").dataset("d")
    assert list(dataset.column("id")) == ["jump/2.mp4", "run/1.mp4", "run/0.mp4", "swim/3.mp4"]
    assert dataset.class_names() == ["jump", "run", "swim"]
    split = dataset.split("test")
    assert [split.class_names[label] for label in split.labels] == list(
        dataset.column("label")[split.rows]
    )
    code, out, _ = vifi("extract", *EXTRACT, "--name", "mine", "--json")
    assert (code, json.loads(out)["encoded"]) == (0, 2)
    features = open_store(tmp_path / "s.zarr").features("d", "mine")
    assert (features.view_mean[:2] == before).all()
    code, out, _ = vifi(
        "search", "swim", "--dataset", "d", "--features", "mine", "-k", "4", "--json"
    )
    assert {hit["id"] for hit in json.loads(out)["hits"]} == set(dataset.column("id"))
    assert list(verify_store(open_store(tmp_path / "s.zarr"))) == []


def test_a_split_that_lost_videos_is_not_taken_for_one_that_grew(folder, vifi, tmp_path):
    assert vifi("scan", folder, "--dataset", "d", "--split", "test")[0] == 0
    # More than before, but without one of them.
    clip(folder, "run/0.mp4", 3)
    clip(folder, "run/3.mp4", 4)
    (folder / "jump" / "2.mp4").unlink()
    code, _, errors = vifi("scan", folder, "--dataset", "d", "--split", "test", "--append")
    assert code == 2
    assert "split 'test' of d exists with other rows; give another --split NAME, or" in errors[-1]
    # Without a split everything that is there is added.
    assert vifi("scan", folder, "--dataset", "d", "--append")[0] == 0
    assert open_store(tmp_path / "s.zarr").dataset("d").num_videos == 4


def test_a_file_that_was_overwritten_is_told_and_stays_as_it_was(folder, vifi, tmp_path):
    assert vifi("scan", folder, "--dataset", "d")[0] == 0
    unchanged = vifi("scan", folder, "--dataset", "d", "--append")
    assert unchanged[0] == 0
    assert not any("changed since" in line for line in unchanged[2])
    size = (folder / "run" / "1.mp4").stat().st_size
    with (folder / "run" / "1.mp4").open("ab") as file:
        file.write(b"more")
    os.utime(folder / "jump" / "2.mp4", ns=(1, 1))
    code, out, errors = vifi("scan", folder, "--dataset", "d", "--append")
    assert code == 0
    assert out.startswith("d: 0 videos added")
    (line,) = [line for line in errors if "changed since" in line]
    assert "2 of 2 files that the dataset has changed since they were scanned" in line
    assert f"run/1.mp4 ({size:,} bytes then, {size + 4:,} now)" in line
    assert "jump/2.mp4 (of another date)" in line
    assert len(line) < 400
    sizes = open_store(tmp_path / "s.zarr").dataset("d").column("size_bytes")
    assert size in sizes
    assert size + 4 not in sizes


def test_who_was_trained_on_a_split_that_grew_is_told(folder, vifi, tmp_path):
    assert vifi("scan", folder, "--dataset", "d", "--split", "train")[0] == 0
    store = open_store(tmp_path / "s.zarr", mode="a")
    settings = {"trained_on": {"dataset": "d", "split": "train"}}
    store.add_checkpoint({**RECORD, "name": "head", "settings": settings})
    clip(folder, "run/0.mp4", 3)
    code, _, errors = vifi("scan", folder, "--dataset", "d", "--split", "train", "--append")
    assert code == 0
    assert any("trained on it, whose rows name it: checkpoint head" in line for line in errors)


def test_captions_of_what_is_new_are_added(folder, vifi, tmp_path):
    table = folder / "list.csv"
    table.write_text("path,label,caption\nrun/1.mp4,run,someone runs\n")
    assert vifi("scan", table, "--dataset", "d")[0] == 0
    table.write_text(table.read_text() + "jump/2.mp4,jump,someone jumps\n")
    assert vifi("scan", table, "--dataset", "d", "--append")[0] == 0
    captions = open_store(tmp_path / "s.zarr").dataset("d").captions()
    assert list(captions["text"]) == ["someone runs", "someone jumps"]
    assert list(captions["row"]) == [0, 1]
