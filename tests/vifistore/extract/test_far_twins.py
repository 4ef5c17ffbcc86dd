"""Equal files far apart in a dataset: the second is met when the first is over."""

import dataclasses
import shutil

import numpy as np

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays
from vifistore.extract.job import extract_dataset
from vifistore.store import open_store
from vifistore.store.verify import verify_store

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
