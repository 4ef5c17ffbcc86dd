"""Folders of frames are videos like files: encoded once, and looked at for changes."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.support import bounded
from tests.vifistore.extract.conftest import scan
from tests.vifistore.extract.sets import SETTINGS, arrays
from vifistore.extract.job import extract_dataset
from vifistore.scanning.changes import WATCHED, ChangeLog
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


@pytest.fixture
def folder(tmp_path):
    """Three folders of four frames each; `b` is a copy of `a`."""
    rng = np.random.default_rng(0)
    for name in ("a", "c"):
        (tmp_path / "v" / "run" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "v" / "run" / name / f"{number}.png")
    shutil.copytree(tmp_path / "v" / "run" / "a", tmp_path / "v" / "run" / "b")
    return tmp_path / "v"


def test_equal_folders_are_encoded_once(folder, tmp_path, tiny):
    store = scan(tmp_path / "s.zarr", folder)
    assert store.videos("d")["num_frames"].tolist() == [4, 4, 4]
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused, report.quarantined) == (2, 1, 0)
    found = arrays(store)
    np.testing.assert_array_equal(found["frames"][0], found["frames"][1])
    assert found["content_digest"][0] == found["content_digest"][1] != found["content_digest"][2]
    # A copy in another dataset is not even decoded.
    scan(store.path, shutil.copytree(folder, tmp_path / "w"), "e")
    report = extract_dataset(store.dataset("e"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused) == (0, 3)
    assert list(verify_store(open_store(store.path))) == []


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_frame_among_equal_folders_holds_nothing_up(folder, tmp_path, tiny, make):
    # Of equal sizes, so that the digests of both are taken ahead, in this very process.
    make(folder / "run" / "b" / "9.png")
    store = scan(tmp_path / "s.zarr", folder)
    with bounded(seconds=60):
        report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused, report.quarantined) == (2, 1, 0)


def changes(store) -> dict[str, str]:
    """What a look at every video finds, by path."""
    log = ChangeLog(store.dataset("d"), store.dataset("d").paged(*WATCHED))
    for row, footage in enumerate(store.dataset("d").files()):
        log.look(row, footage)
    return log._suspects


def test_a_changed_folder_is_noticed(folder, tmp_path):
    store = scan(tmp_path / "s.zarr", folder)
    assert changes(store) == {}
    first, second, third = (folder / "run" / name for name in "abc")
    os.utime(first / "1.png", ns=(1, 2**61))
    (second / "3.png").unlink()
    (third / "notes.txt").write_text("no frame")
    found = changes(store)
    assert {name.rpartition("/")[2][0] for name in found} == {"a", "b"}
    assert any(why == "its date is another" for why in found.values())
    assert any("bytes then" in why for why in found.values())


def test_another_content_is_told_from_another_date(folder, tmp_path, tiny, caplog):
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    for name in "ac":
        os.utime(folder / "run" / name / "1.png", ns=(1, 2**61))
    pixels = np.array(Image.open(folder / "run" / "c" / "1.png"))
    Image.fromarray(255 - pixels).save(folder / "run" / "c" / "1.png")
    with caplog.at_level("WARNING", logger="vifi"):
        extract_dataset(store.dataset("d"), dataclasses.replace(SETTINGS, frames=1), loaded=tiny)
    (line,) = [r.getMessage() for r in caplog.records if "changed on disk" in r.getMessage()]
    assert line.startswith("1 videos")
    assert "c (" in line
