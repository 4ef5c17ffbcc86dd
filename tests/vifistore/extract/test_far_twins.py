"""Equal files far apart in a dataset: the second is met when the first is over."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays
from vifistore.extract.job import extract_dataset
from vifistore.extract.planned_videos import PlannedVideos
from vifistore.extract.reuse import Reuse
from vifistore.store import open_store
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.verifying.verify import verify_store

NUM_VIDEOS = 70


def test_equal_files_far_apart_are_all_done(tmp_path, clips, tiny):
    folder = tmp_path / "v"
    folder.mkdir()
    sources = sorted(clips.rglob("*.mp4"))
    for number in range(NUM_VIDEOS):
        content = sources[number % len(sources)].read_bytes()
        # A box that readers pass over: as many bytes, but others.
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"{number:02}.mp4").write_bytes(content + box)
    shutil.copy(folder / "00.mp4", folder / "69.mp4")
    write_clip(folder / "40.mp4", seed=1, num_frames=4)
    (folder / "41.mp4").write_bytes(b"no video")
    (folder / "68.mp4").write_bytes(b"no video")
    store = scan(tmp_path / "s.zarr", folder)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.sealed, report.quarantined) == (True, 2)
    assert report.encoded + report.reused == NUM_VIDEOS - 2
    found = arrays(store)
    np.testing.assert_array_equal(found["frames"][0], found["frames"][69])
    assert list(verify_store(open_store(store.path))) == []
    assert store.features("d", NAME).sealed
    other = dataclasses.replace(SETTINGS, frames=1)
    assert extract_dataset(store.dataset("d"), other, loaded=tiny, limit=3).encoded == 3


def test_only_what_is_done_is_copied(tmp_path, monkeypatch):
    folder = tmp_path / "v"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (folder / name).write_bytes(b"no video")
    dataset = scan(tmp_path / "s.zarr", folder).dataset("d")
    monkeypatch.setattr(type(dataset), "features", lambda dataset, name: None)
    writer = SimpleNamespace(id="0" * 12, status=np.full(3, TODO, np.uint8))
    videos = PlannedVideos(dataset, [0, 1, 2])
    reuse = Reuse(dataset, writer, videos)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(reuse.digests, "read", lambda footage: "ab")
    monkeypatch.setattr(reuse, "_is_readable", lambda row, *source: True)
    footage = SimpleNamespace()
    found = []
    # The first cannot be read, so that the second is encoded; the third is a copy of that.
    for row, status in enumerate((QUARANTINED, DONE, TODO)):
        found.append(reuse.find(row, footage))  # pyright: ignore[reportArgumentType]
        reuse._on_the_way.pop(row, None)
        writer.status[row] = status
    assert found == ["encode", "encode", "copy"]
