"""Retry, repair and growth: what is there stays, only the rest is encoded."""

import errno
import itertools
import os
import shutil
import signal

import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays, assert_equal, flip, frames_encoded
from tests.vifistore.store.processes import end, in_child, start
from vifi.__main__ import run
from vifistore.errors import DamagedError, IncompleteError, LockedError, UsageError
from vifistore.extract.encoded_rows import EncodedRows
from vifistore.extract.encoder import Encoder
from vifistore.extract.job import extract_dataset
from vifistore.extract.repair import Repair, start_repair
from vifistore.store import open_store
from vifistore.store.claims.claiming import open_claims
from vifistore.store.verifying.verify import verify_store


def test_growth_encodes_only_what_is_new(tmp_path, tiny, monkeypatch):
    folder = tmp_path / "v"
    for number in range(3):
        write_clip(folder / f"{number}.mp4", seed=number)
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    before = arrays(store)
    for number in range(3, 5):
        write_clip(folder / f"{number}.mp4", seed=number)
    scan(tmp_path / "s.zarr", folder)
    counts = frames_encoded(monkeypatch)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.sealed, sum(counts)) == (2, True, 2 * 2)
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
    first = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=limit)
    assert (first.quarantined, first.sealed) == (1, limit is None)
    before = arrays(store)
    still = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, retry=True)
    assert (still.encoded, still.quarantined, still.sealed) == (0, 1, limit is None)
    assert arrays(store)["attempts"][1] == 2
    bad.write_bytes(good)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, retry=True)
    assert (report.encoded, report.num_quarantined, report.sealed) == (1, 0, limit is None)
    after = arrays(store)
    assert (after["status"][1], after["attempts"][1], after["reason"][1]) == (1, 3, "")
    others = [0, 2, 3]
    assert_equal(
        {name: values[others] for name, values in after.items()},
        {name: values[others] for name, values in before.items()},
    )
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).sealed
    features = open_store(store.path).features("d", NAME)
    assert "retry" in {run["purpose"] for run in features.provenance}
    assert list(verify_store(open_store(store.path))) == []


def test_nothing_to_go_over_again(store, tiny):
    for flag in ({"retry": True}, {"repair": True}):
        with pytest.raises(UsageError, match="no feature set of this recipe"):
            extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, **flag)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    with pytest.raises(UsageError, match="is damaged; --repair is not needed"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)


@pytest.fixture(scope="module")
def two_blocks(tmp_path_factory, clips, tiny):
    """A sealed set of 66 videos."""
    root = tmp_path_factory.mktemp("two")
    sources = sorted(clips.rglob("*.mp4"))
    (root / "v").mkdir()
    for number in range(66):
        shutil.copy(sources[number % len(sources)], root / "v" / f"{number:02}.mp4")
    store = scan(root / "s.zarr", root / "v")
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    return store.path


WOUNDS = {
    "frames/c.1.0.0.0": flip,
    "view_mean/c.0.0.0": flip,
    "status/c.1": lambda path: path.unlink(),
    "attempts/c.1": lambda path: path.write_bytes(b""),
    "status/zarr.json": lambda path: path.write_text("{"),
    "view_consensus/zarr.json": lambda path: path.unlink(),
    "view_mean": shutil.rmtree,
    "reason": shutil.rmtree,
}


@pytest.mark.parametrize("wound", WOUNDS)
def test_repair_gives_every_byte_back(two_blocks, tmp_path, tiny, log, wound):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    before = arrays(store)
    sealed = store.features("d", NAME).sealed
    WOUNDS[wound](path / store.features("d", NAME).path / wound)
    assert list(verify_store(open_store(path)))
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)
    expected = 64 if "/c.0" in wound else 0 if "json" in wound else 2 if "/" in wound else 66
    assert report.encoded + report.reused == expected
    assert_equal(arrays(store), before)
    features = open_store(path).features("d", NAME)
    assert features.sealed == sealed
    assert "every byte of" in " ".join(log)
    if "json" not in wound:
        assert "repair" in {run["purpose"] for run in features.provenance}
    assert list(verify_store(open_store(path))) == []


def test_a_repair_that_is_refused_leaves_no_trace(two_blocks, tmp_path, tiny):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    features = store.features("d", NAME)
    flip(path / features.path / "frames/c.1.0.0.0")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    reader, writer = os.pipe()

    def hold() -> None:
        locks = open_claims(store.backend, "d", features.id)
        locks.acquire([0])
        os.write(writer, b"y")
        signal.pause()

    pid = start(hold)
    os.read(reader, 1)
    try:
        with pytest.raises(LockedError, match=f"block 0 of .* process {pid} on"):
            extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)
    finally:
        end(pid)
        os.close(reader)
        os.close(writer)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True).sealed


def test_a_repair_that_was_stopped_is_still_proved(two_blocks, tmp_path, tiny, log):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    features = store.features("d", NAME)
    before = store.backend.attributes(features.path)
    flip(path / features.path / "frames/c.1.0.0.0")
    start_repair(store.dataset("d"), features.id).claims.release()
    assert store.features("d", NAME).sealed is None
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert "every byte of" in " ".join(log)
    after = store.backend.attributes(features.path)
    assert (after["sealed"], after.keys()) == (before["sealed"], before.keys())


def test_a_repair_that_gives_other_bytes_says_so(two_blocks, tmp_path, tiny, log, monkeypatch):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    flip(path / store.features("d", NAME).path / "frames/c.1.0.0.0")
    encode = Encoder._encode

    def changed(self, pixels):
        return {name: 1.01 * value for name, value in encode(self, pixels).items()}

    monkeypatch.setattr(Encoder, "_encode", changed)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)
    assert "differs in some bytes" in " ".join(log)
    assert list(verify_store(open_store(path))) == []


def test_a_repair_that_touches_what_was_well_says_so(two_blocks, tmp_path, tiny, monkeypatch):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    features = path / store.features("d", NAME).path
    flip(features / "frames/c.1.0.0.0")
    finish = Repair.finish

    def finish_late(self) -> None:
        # As if another program had written there; the last bytes are the chunk's checksum.
        with (features / "view_mean/c.0.0.0").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)[0]
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last ^ 1]))
        finish(self)

    monkeypatch.setattr(Repair, "finish", finish_late)
    with pytest.raises(DamagedError, match=r"block 0 of .*/view_mean was well and changed during"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)


def test_a_repair_lets_others_write_again(two_blocks, tmp_path, tiny):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    features = store.features("d", NAME)
    flip(path / features.path / "frames/c.1.0.0.0")
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)

    def lock() -> None:
        open_claims(store.backend, "d", features.id).acquire([0, 1])

    # From another process: a lock does not keep out the one that holds it.
    assert in_child(lock) == 0


def test_a_repair_that_fails_lets_others_write_again(two_blocks, tmp_path, tiny, monkeypatch):
    path = shutil.copytree(two_blocks, tmp_path / "s.zarr")
    store = open_store(path, mode="a")
    features = store.features("d", NAME)
    flip(path / features.path / "frames/c.1.0.0.0")
    monkeypatch.setattr("vifistore.extract.job.run_rows", lambda *_, **__: 1 / 0)

    def lock() -> None:
        open_claims(store.backend, "d", features.id).acquire([0, 1])

    with pytest.raises(ZeroDivisionError) as error:
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, repair=True)
    # The error keeps what was there when it was raised, locks among it, as a debugger would.
    assert in_child(lock) == 0
    assert error.tb is not None


def test_a_video_without_a_result_is_no_success(store, tiny, monkeypatch):
    results = EncodedRows.results

    def lossy(self, videos):
        return itertools.islice(results(self, videos), 5)

    monkeypatch.setattr(EncodedRows, "results", lossy)
    with pytest.raises(IncompleteError, match="6 of the 6 videos of this run are neither done"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)


def test_locked_blocks_are_left_to_whoever_has_them(store, tiny, monkeypatch):
    def locked(*_: object) -> bool:
        return False

    monkeypatch.setattr("vifistore.store.key_value.locks.BlockLocks._lock", locked)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.sealed, report.num_todo) == (0, False, 6)
    monkeypatch.undo()
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).encoded == 6


FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")


def test_a_full_disk_ends_the_verb_in_one_line(store, monkeypatch, capsys):
    def full(item):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(item[0]))

    monkeypatch.setattr("vifistore.store.key_value.durable._write", full)
    assert run(["extract", str(store.path), *FLAGS, "--precision", "fp32", "--device", "cpu"]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("vifi: cannot write to ")
    assert "No space left on device. What was finished is kept; free some space" in last


@pytest.mark.parametrize("flags", [("--retry", "--repair"), ("--repair", "--limit", "1")])
def test_flags_that_do_not_go_together(store, capsys, flags):
    assert run(["extract", str(store.path), *FLAGS, *flags]) == 2
    assert "--repair" in capsys.readouterr().err
