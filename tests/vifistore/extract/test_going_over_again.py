"""Retry, repair, growth, reuse and precision: what is there stays, only the rest is encoded."""

import dataclasses
import errno
import logging
import os
import shutil

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from vifi.__main__ import run
from vifistore.errors import LockedError, UsageError
from vifistore.extract import job
from vifistore.extract.encoder import Encoder
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import resolve_recipe
from vifistore.extract.settings import ExtractSettings
from vifistore.store import open_store
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.verify import verify_store

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, precision="fp32", device="cpu", workers=1
)
NAME = "vifi-tiny@random.2f"


@pytest.fixture
def log():
    """Lines of the log."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("vifi")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def arrays(store, dataset: str = "d") -> dict[str, np.ndarray]:
    """Every array of the feature set."""
    features = open_store(store.path).features(dataset, NAME)
    return {name: features.read(name) for name in FEATURE_ARRAYS}


def assert_equal(found: dict, expected: dict) -> None:
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def frames_encoded(monkeypatch) -> list[int]:
    """A list that each forward pass adds its number of frames to."""
    counts: list[int] = []
    encode = Encoder._encode

    def counted(self, pixels):
        counts.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(Encoder, "_encode", counted)
    return counts


def test_growth_encodes_only_what_is_new(tmp_path, tiny, monkeypatch):
    folder = tmp_path / "v"
    for number in range(3):
        write_clip(folder / f"{number}.mp4", seed=number)
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store, "d", SETTINGS, loaded=tiny)
    before = arrays(store)
    for number in range(3, 5):
        write_clip(folder / f"{number}.mp4", seed=number)
    scan(tmp_path / "s.zarr", folder)
    counts = frames_encoded(monkeypatch)
    report = extract_dataset(store, "d", SETTINGS, loaded=tiny)
    # One frame is encoded to learn the dimension.
    assert (report.encoded, report.sealed, sum(counts)) == (2, True, 1 + 2 * 2)
    after = arrays(store)
    assert_equal({name: values[:3] for name, values in after.items()}, before)
    assert len(after["frames"]) == 5
    assert list(verify_store(open_store(store.path))) == []


@pytest.mark.parametrize("limit", [None, 3])
def test_retry_takes_quarantined_videos_alone_and_counts(tmp_path, clips, tiny, limit):
    folder = tmp_path / "v"
    for number, clip in enumerate(sorted(clips.rglob("*.mp4"))[:3]):
        folder.mkdir(exist_ok=True)
        shutil.copy(clip, folder / f"{number}.mp4")
    bad = folder / "1.mp4"
    good = bad.read_bytes()
    bad.write_text("no video")
    write_clip(folder / "3.mp4", seed=99)
    store = scan(tmp_path / "s.zarr", folder)
    first = extract_dataset(store, "d", SETTINGS, loaded=tiny, limit=limit)
    assert (first.quarantined, first.sealed) == (1, limit is None)
    before = arrays(store)
    still = extract_dataset(store, "d", SETTINGS, loaded=tiny, retry=True)
    assert (still.encoded, still.quarantined, still.sealed) == (0, 1, limit is None)
    assert arrays(store)["attempts"][1] == 2
    bad.write_bytes(good)
    report = extract_dataset(store, "d", SETTINGS, loaded=tiny, retry=True)
    assert (report.encoded, report.num_quarantined, report.sealed) == (1, 0, limit is None)
    after = arrays(store)
    assert (after["status"][1], after["attempts"][1], after["reason"][1]) == (1, 3, "")
    others = [0, 2, 3]
    assert_equal(
        {name: values[others] for name, values in after.items()},
        {name: values[others] for name, values in before.items()},
    )
    assert extract_dataset(store, "d", SETTINGS, loaded=tiny).sealed
    features = open_store(store.path).features("d", NAME)
    assert "retry" in {run["purpose"] for run in features.provenance}
    assert list(verify_store(open_store(store.path))) == []


def test_nothing_to_go_over_again(store, tiny):
    for flag in ({"retry": True}, {"repair": True}):
        with pytest.raises(UsageError, match="no feature set of this recipe"):
            extract_dataset(store, "d", SETTINGS, loaded=tiny, **flag)
    extract_dataset(store, "d", SETTINGS, loaded=tiny)
    with pytest.raises(UsageError, match="is damaged; --repair is not needed"):
        extract_dataset(store, "d", SETTINGS, loaded=tiny, repair=True)


@pytest.fixture(scope="module")
def two_blocks(tmp_path_factory, clips, tiny):
    """A sealed set of 66 videos."""
    root = tmp_path_factory.mktemp("two")
    sources = sorted(clips.rglob("*.mp4"))
    (root / "v").mkdir()
    for number in range(66):
        shutil.copy(sources[number % len(sources)], root / "v" / f"{number:02}.mp4")
    store = scan(root / "s.zarr", root / "v")
    extract_dataset(store, "d", SETTINGS, loaded=tiny)
    return store.path


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(bytes(data))


WOUNDS = {
    "frames/c.1.0.0.0": flip,
    "view_mean/c.0.0.0": flip,
    "status/c.1": lambda path: path.unlink(),
    "attempts/c.1": lambda path: path.write_bytes(b""),
    "status/zarr.json": lambda path: path.write_text("{"),
    "view_consensus/zarr.json": lambda path: path.unlink(),
}


@pytest.mark.parametrize("wound", WOUNDS)
def test_repair_gives_every_byte_back(two_blocks, tmp_path, tiny, log, wound):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    before = arrays(store)
    sealed = store.features("d", NAME).sealed
    WOUNDS[wound](path / store.features("d", NAME).path / wound)
    assert list(verify_store(open_store(path)))
    report = extract_dataset(store, "d", SETTINGS, loaded=tiny, repair=True)
    expected = 64 if "/c.0" in wound else 0 if "json" in wound else 2
    assert report.encoded + report.reused == expected
    assert_equal(arrays(store), before)
    features = open_store(path).features("d", NAME)
    assert features.sealed == sealed
    assert "every byte of" in " ".join(log)
    if "json" not in wound:
        assert "repair" in {run["purpose"] for run in features.provenance}
    assert list(verify_store(open_store(path))) == []


def test_a_repair_that_gives_other_bytes_says_so(two_blocks, tmp_path, tiny, log, monkeypatch):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    flip(path / store.features("d", NAME).path / "frames/c.1.0.0.0")
    encode = Encoder._encode
    monkeypatch.setattr(Encoder, "_encode", lambda self, pixels: 1.01 * encode(self, pixels))
    extract_dataset(store, "d", SETTINGS, loaded=tiny, repair=True)
    assert "differ in some bytes" in " ".join(log)
    assert list(verify_store(open_store(path))) == []


def test_files_known_under_this_recipe_are_copied(store, clips, tiny, tmp_path, monkeypatch):
    extract_dataset(store, "d", SETTINGS, loaded=tiny)
    known = arrays(store)
    folder = tmp_path / "v"
    folder.mkdir()
    for number, clip in enumerate(sorted(clips.rglob("*.mp4"))):
        shutil.copy(clip, folder / f"{number}.mp4")
    write_clip(folder / "9.mp4", seed=77)
    scan(store.path, folder, "e")
    counts = frames_encoded(monkeypatch)
    report = extract_dataset(store, "e", SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused, sum(counts)) == (1, 6, 1 + 2)
    found = arrays(store, "e")
    by_digest = {digest: row for row, digest in enumerate(known["content_digest"])}
    for row in range(6):
        source = by_digest[found["content_digest"][row]]
        for name in ("frames", "view_mean", "view_consensus", "timestamps"):
            np.testing.assert_array_equal(found[name][row], known[name][source])
    assert list(verify_store(open_store(store.path))) == []
    other = dataclasses.replace(SETTINGS, frames=1)
    assert extract_dataset(store, "e", other, loaded=tiny).reused == 0


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
    report = extract_dataset(store, "d", SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused, report.quarantined) == (2, 2, 2)
    assert sum(counts) == 1 + 2 * 2
    frames = arrays(store)["frames"]
    np.testing.assert_array_equal(frames[0], frames[2])
    assert list(verify_store(open_store(store.path))) == []


def test_a_changed_video_is_named(tmp_path, tiny, log):
    folder = tmp_path / "v"
    for number in range(4):
        write_clip(folder / f"{number}.mp4", seed=number)
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store, "d", SETTINGS, loaded=tiny)
    assert not [line for line in log if "changed on disk" in line]
    write_clip(folder / "1.mp4", seed=50, num_frames=30)
    os.utime(folder / "2.mp4", (1, 1))
    same_size = bytearray((folder / "3.mp4").read_bytes())
    same_size[-1] ^= 1
    (folder / "3.mp4").write_bytes(bytes(same_size))
    extract_dataset(store, "d", dataclasses.replace(SETTINGS, frames=1), loaded=tiny)
    (line,) = [line for line in log if "changed on disk" in line]
    assert line.startswith("2 videos")
    assert "1.mp4 (" in line
    assert "3.mp4 (its content is another)" in line
    assert "2.mp4" not in line


def test_going_on_takes_the_precision_of_the_set(store, tiny, log, monkeypatch):
    extract_dataset(store, "d", SETTINGS, loaded=tiny, limit=2)
    auto = dataclasses.replace(SETTINGS, precision="auto")
    monkeypatch.setattr("vifistore.extract.recipes._cpu_has_bf16", lambda: True)
    assert resolve_recipe(auto, tiny).precision == "bf16"
    assert job.continue_precision(store, "d", auto, tiny).precision == "fp32"
    assert "precision fp32, that of the feature set" in log[-1]
    other = dataclasses.replace(SETTINGS, frames=1, precision="auto")
    assert job.continue_precision(store, "d", other, tiny).precision == "auto"
    bf16 = dataclasses.replace(SETTINGS, precision="bf16", name="b")
    extract_dataset(store, "d", bf16, loaded=tiny, limit=1)
    assert job.continue_precision(store, "d", auto, tiny).precision == "auto"


def test_a_locked_block_stops_the_run(store, tiny, monkeypatch):
    def locked(*_: object) -> bool:
        return False

    monkeypatch.setattr("vifistore.store.locks.BlockLocks._lock", locked)
    with pytest.raises(LockedError, match="is being written by"):
        extract_dataset(store, "d", SETTINGS, loaded=tiny)


FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")


def test_a_full_disk_ends_the_verb_in_one_line(store, monkeypatch, capsys):
    def full(item):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(item[0]))

    monkeypatch.setattr("vifistore.store.places._put_file", full)
    assert run(["extract", str(store.path), *FLAGS, "--precision", "fp32"]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("vifi: cannot write to ")
    assert "No space left on device. What was finished is kept; free some space" in last


@pytest.mark.parametrize("flags", [("--retry", "--repair"), ("--repair", "--limit", "1")])
def test_flags_that_do_not_go_together(store, capsys, flags):
    assert run(["extract", str(store.path), *FLAGS, *flags]) == 2
    assert "--repair" in capsys.readouterr().err
