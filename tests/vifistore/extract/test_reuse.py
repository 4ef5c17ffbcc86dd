"""What is there already is copied, and a video that changed is named."""

import dataclasses
import os
import shutil

import numpy as np

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.sets import SETTINGS, arrays, frames_encoded
from vifistore.extract import digest_places
from vifistore.extract.job import extract_dataset
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


def test_files_known_under_this_recipe_are_copied(store, clips, tiny, tmp_path, monkeypatch):
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    known = arrays(store)
    folder = tmp_path / "v"
    folder.mkdir()
    for number, clip in enumerate(sorted(clips.rglob("*.mp4"))):
        shutil.copy(clip, folder / f"{number}.mp4")
    write_clip(folder / "9.mp4", seed=77)
    scan(store.path, folder, "e")
    counts = frames_encoded(monkeypatch)
    report = extract_dataset(store.dataset("e"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused, sum(counts)) == (1, 6, 2)
    found = arrays(store, "e")
    by_digest = {digest: row for row, digest in enumerate(known["content_digest"])}
    for row in range(6):
        source = by_digest[found["content_digest"][row]]
        for name in ("frames", "view_mean", "view_consensus", "timestamps"):
            np.testing.assert_array_equal(found[name][row], known[name][source])
    assert list(verify_store(open_store(store.path))) == []
    other = dataclasses.replace(SETTINGS, frames=1)
    assert extract_dataset(store.dataset("e"), other, loaded=tiny).reused == 0


def test_what_lost_its_frames_is_encoded_not_copied(store, clips, tiny, monkeypatch):
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    known = arrays(store)
    (lost,) = store.path.glob(f"features/d/{report.id}/frames/c.0*")
    lost.unlink()
    scan(store.path, clips, "e")
    again = extract_dataset(store.dataset("e"), SETTINGS, loaded=tiny)
    assert (again.encoded, again.reused) == (6, 0)
    np.testing.assert_array_equal(arrays(store, "e")["frames"], known["frames"])


def test_equal_files_of_one_run_are_encoded_once(tmp_path, tiny, monkeypatch):
    folder = tmp_path / "v"
    write_clip(folder / "a.mp4", seed=1)
    for name in "bc":
        shutil.copy(folder / "a.mp4", folder / f"{name}.mp4")
    (folder / "x.mp4").write_text("no video")
    (folder / "y.mp4").write_text("no video")
    same_size = bytearray((folder / "a.mp4").read_bytes())
    same_size[-1] ^= 1
    (folder / "d.mp4").write_bytes(bytes(same_size))
    store = scan(tmp_path / "s.zarr", folder)
    counts = frames_encoded(monkeypatch)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused, report.quarantined) == (2, 2, 2)
    assert sum(counts) == 2 * 2
    frames = arrays(store)["frames"]
    np.testing.assert_array_equal(frames[0], frames[2])
    assert list(verify_store(open_store(store.path))) == []


def test_a_changed_video_is_named(tmp_path, tiny, log):
    folder = tmp_path / "v"
    for number in range(4):
        write_clip(folder / f"{number}.mp4", seed=number)
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert not [line for line in log if "changed on disk" in line]
    write_clip(folder / "1.mp4", seed=50, num_frames=30)
    os.utime(folder / "2.mp4", (1, 1))
    same_size = bytearray((folder / "3.mp4").read_bytes())
    same_size[-1] ^= 1
    (folder / "3.mp4").write_bytes(bytes(same_size))
    extract_dataset(store.dataset("d"), dataclasses.replace(SETTINGS, frames=1), loaded=tiny)
    (line,) = [line for line in log if "changed on disk" in line]
    assert line.startswith("2 videos")
    assert "1.mp4 (" in line
    assert "3.mp4 (its content is another)" in line
    assert "2.mp4" not in line


def test_digests_of_one_hash_are_told_apart(clips, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(digest_places, "hash", lambda digest: 0, raising=False)
    folder = tmp_path / "v"
    folder.mkdir()
    content = sorted(clips.rglob("*.mp4"))[0].read_bytes()
    for number in range(70):
        # As many bytes, but others; the last two are the first two again.
        box = (16).to_bytes(4, "big") + b"free" + (number % 68).to_bytes(8, "big")
        (folder / f"{number:02}.mp4").write_bytes(content + box)
    store = scan(tmp_path / "s.zarr", folder)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert report.encoded + report.reused == 70
    digests = arrays(store)["content_digest"]
    assert len(set(digests)) == 68
    assert digests[[0, 1]].tolist() == digests[[68, 69]].tolist()
    # Of all that lie under one hash the last is looked at, and is another video.
    shutil.copytree(folder, tmp_path / "w")
    (tmp_path / "w" / "67.mp4").unlink()
    scan(store.path, tmp_path / "w", "e")
    again = extract_dataset(store.dataset("e"), SETTINGS, loaded=tiny)
    assert again.encoded + again.reused == 69
    assert again.encoded >= 66
    assert arrays(store, "e")["content_digest"].tolist() == [*digests[:67], *digests[68:]]
