"""A follower that is started again loads nothing that is all there, and everything that is not."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.following.test_follow import ENCODE, ONCE, write
from vifistore.errors import StoreError
from vifistore.following import follow as follow_module
from vifistore.following import follow_folder, follow_record
from vifistore.following.follow import Followed, follow
from vifistore.store.splits import Split, write_split
from vifistore.store.store import Store


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(follow_folder, "_SETTLED_SECONDS", 0.0)


@pytest.fixture
def source(tmp_path, clips) -> Path:
    return Path(shutil.copytree(clips, tmp_path / "videos"))


@pytest.fixture
def store(tmp_path, source) -> Store:
    return scan(tmp_path / "s.zarr", source)


@pytest.fixture
def folder(tmp_path, tiny) -> Path:
    """Two checkpoints, of which the second shares its image tower with the first."""
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, tiny, 1, change="image")
    second = write(folder, tiny, 1, change="image text")
    second.rename(folder / "other.safetensors")
    write(folder, tiny, 1, change="image")
    return folder


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Names of the files that a follower loads."""
    names: list[str] = []
    plain = follow_module.load_model

    def load(model, pretrained, **options):
        names.append(Path(pretrained).name)
        return plain(model, pretrained, **options)

    monkeypatch.setattr(follow_module, "load_model", load)
    return names


def run(store: Store, folder: Path, encode=ENCODE) -> dict[str, Followed]:
    return {f.path.name: f for f in follow(store.dataset("d"), folder, encode, ONCE)}


def records(store: Store) -> list[Path]:
    return sorted((store.backend.cache_folder / "followed").glob("*.json"))


def test_what_is_all_there_is_not_loaded_again(store, folder, loaded):
    first = run(store, folder)
    assert len(loaded) == len(records(store)) == 2
    loaded.clear()
    before = [path.stat().st_mtime_ns for path in records(store)]
    # How fast it is done changes nothing.
    again = run(store, folder, replace(ENCODE, workers=2, batch=3))
    assert loaded == []
    assert [path.stat().st_mtime_ns for path in records(store)] == before
    for name, followed in again.items():
        report = followed.report
        assert followed.digest == first[name].digest
        assert (report.id, report.name) == (first[name].report.id, first[name].report.name)
        assert (report.encoded, report.reused, report.quarantined) == (0, 0, 0)
        assert (report.sealed, report.num_quarantined) == (True, 0)


def test_quarantined_videos_are_counted_again(store, source, folder, loaded):
    (source / "red run" / "1.mp4").write_bytes(b"no video")
    assert run(store, folder)["other.safetensors"].report.num_quarantined == 1
    loaded.clear()
    assert run(store, folder)["other.safetensors"].report.num_quarantined == 1
    assert loaded == []


def gone(store: Store, path: str) -> None:
    shutil.rmtree(store.path / path)


def unsealed(store: Store, feature_id: str) -> None:
    path = store.path / "features" / "d" / feature_id / "zarr.json"
    group = json.loads(path.read_text())
    group["attributes"]["sealed"] = None
    path.write_text(json.dumps(group))


@pytest.mark.parametrize(
    "what", ["name", "other name", "set", "seal", "checkpoint", "texts", "record", "torn record"]
)
def test_what_the_store_lacks_is_made_again(store, folder, loaded, what):
    one = run(store, folder)["other.safetensors"]
    loaded.clear()
    if what == "name":
        gone(store, f"names/d/{one.report.name}")
    elif what == "other name":
        path = store.path / "names" / "d" / one.report.name / "zarr.json"
        path.write_text(path.read_text().replace(one.digest, "0" * 12))
    elif what == "set":
        gone(store, f"features/d/{one.report.id}")
    elif what == "seal":
        unsealed(store, one.report.id)
    elif what == "checkpoint":
        gone(store, f"checkpoints/{one.digest}")
    elif what == "texts":
        gone(store, "texts")
    elif what == "record":
        shutil.rmtree(store.backend.cache_folder)
    else:
        for path in records(store):
            path.write_text(path.read_text()[:20])
    found = run(store, folder)["other.safetensors"]
    # The other one has the same set, and nothing to do once that is there.
    assert "other.safetensors" in loaded
    assert found.report.sealed
    assert store.find_texts(text_digest=store.checkpoint(found.digest)["text_digest"])
    loaded.clear()
    run(store, folder)
    assert loaded == []


def test_new_videos_and_new_classes_are_seen(store, source, folder, loaded):
    run(store, folder)
    loaded.clear()
    write_clip(source / "red run" / "new.mp4", seed=9)
    scan(store.path, source)
    found = run(store, folder)
    # The second has the same image tower, and so the same set, by then.
    assert loaded == ["other.safetensors"]
    assert sum(f.report.encoded for f in found.values()) == 1
    loaded.clear()
    rows = np.arange(2)
    labels = np.zeros(2, np.int32)
    names = ["walk", "fall"]
    split = Split(name="new", rows=rows, labels=labels, class_names=names, source="", digest="")
    write_split(store.dataset("d"), split)
    run(store, folder)
    assert len(loaded) == 2
    assert names in [texts["class_names"] for texts in store.find_texts()]


def test_other_files_and_other_ways_to_encode_are_others(store, folder, loaded, monkeypatch):
    run(store, folder)
    for changes in ({"frames": 3}, {"template": ("a {}",)}, {"stride": 2}):
        encode = replace(ENCODE, **changes)
        loaded.clear()
        run(store, folder, encode)
        assert len(loaded) == 2
    loaded.clear()
    os.utime(folder / "other.safetensors", (2, 2))
    run(store, folder)
    assert loaded == ["other.safetensors"]
    loaded.clear()
    monkeypatch.setattr(follow_record, "NUMERICS", -1)
    run(store, folder)
    assert len(loaded) == 2


def test_a_file_that_changed_meanwhile_is_not_taken_for_what_it_was(
    store, folder, tiny, monkeypatch
):
    (folder / "other.safetensors").unlink()
    plain = follow_module.load_model
    changed = []

    def load(model, pretrained, **options):
        found = plain(model, pretrained, **options)
        if not changed:
            changed.append(write(folder, tiny, 1, change="image text"))
        return found

    monkeypatch.setattr(follow_module, "load_model", load)
    last = run(store, folder)["step-00000001.safetensors"]
    (record,) = records(store)
    assert json.loads(record.read_text())["digest"] == last.digest
    assert last.digest == plain(tiny.model, str(changed[0])).digest


def test_a_link_keeps_its_own_name(store, tmp_path, tiny, loaded):
    folder = tmp_path / "foreign"
    folder.mkdir()
    torch.save(tiny.clip.state_dict(), folder / "step-5.pt")
    (folder / "latest.pt").symlink_to(folder / "step-5.pt")
    settings = replace(ONCE, model=tiny.model)
    for num_loaded in (2, 0):
        loaded.clear()
        found = list(follow(store.dataset("d"), folder, ENCODE, settings))
        names = {f.report.name for f in found}
        assert names == {"vifi-tiny@step-5.2f", "vifi-tiny@latest.2f"}
        assert len(loaded) == num_loaded


def test_a_record_that_cannot_be_written_stops_nothing(store, folder, loaded, monkeypatch):
    def full(_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(follow_record, "put_stages", full)
    assert all(f.report.sealed for f in run(store, folder).values())
    assert records(store) == []
    run(store, folder)
    assert len(loaded) == 4


def test_damage_of_the_store_is_not_hidden(store, folder):
    one = run(store, folder)["step-00000001.safetensors"]
    status = store.path / "features" / "d" / one.report.id / "status"
    for chunk in status.glob("c*"):
        chunk.write_bytes(b"\0" * 5)
    with pytest.raises(StoreError):
        run(store, folder)


def test_an_encoder_of_another_package_is_loaded_each_time(store, folder, loaded, monkeypatch):
    """Its code may be another under the same name."""
    run(store, folder)
    loaded.clear()
    monkeypatch.setattr(follow_record, "find_entry", lambda model: model)
    run(store, folder)
    assert len(loaded) == 2
