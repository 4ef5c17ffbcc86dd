"""Videos that encoders of a cluster go over again are what one process would have made of them."""

import dataclasses
import shutil
import signal
import time

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays, assert_equal, flip
from tests.vifistore.store.processes import end, start
from vifistore.cluster.again import Begun, begin_repair, begin_retry
from vifistore.cluster.encoder_actor import EncoderActor, EncoderStart, EncoderTask
from vifistore.cluster.on_ray import pieces_of
from vifistore.errors import LockedError, UsageError
from vifistore.extract.job import end_set, extract_dataset
from vifistore.extract.pipeline import ExtractReport, seal_if_complete
from vifistore.extract.prepare import Job, prepare
from vifistore.extract.row_sources import ALL, Wanted
from vifistore.store import open_store
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.verifying.verify import verify_store


@pytest.fixture(autouse=True)
def usual_signals():
    """An encoder takes SIGTERM for its own."""
    usual = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, usual)


@pytest.fixture(params=[False, True], ids=["locks", "claims"])
def settings(request):
    """Of sets whose blocks are kept apart in one way or the other."""
    return dataclasses.replace(SETTINGS, claims=request.param)


@pytest.fixture
def folder(tmp_path, clips):
    """66 videos, of which 1 and 65 are broken."""
    sources = sorted(clips.rglob("*.mp4"))
    (tmp_path / "v").mkdir()
    for number in range(66):
        shutil.copy(sources[number % len(sources)], tmp_path / "v" / f"{number:02}.mp4")
    for number in (1, 65):
        (tmp_path / "v" / f"{number:02}.mp4").write_text(f"no video {number}")
    return tmp_path / "v"


def mend(folder) -> None:
    for number in (1, 65):
        write_clip(folder / f"{number:02}.mp4", seed=number, num_frames=4)


def encode(job: Job, begun: Begun) -> None:
    """Have an encoder do what was begun, and seal the set."""
    task = EncoderTask(store=str(job.dataset.store.path), dataset="d", settings=job.settings)
    actor = EncoderActor(task)
    assert not actor.facts().refusal
    told = {"purpose": begun.purpose, "attempts": begun.attempts}
    actor.begin(EncoderStart(num_videos=job.num_videos, **told))
    waiting = pieces_of(begun.status, begun.wanted)
    left, deadline = set(waiting), time.monotonic() + 100
    while left:
        pulse = actor.pulse(waiting)
        assert (pulse.error, pulse.failure) == (None, "")
        left, waiting = left - set(pulse.settled), []
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sealed = seal_if_complete(begun.writer, [])
    report = ExtractReport(id=begun.writer.id, encoded=0, reused=0, quarantined=0, sealed=sealed)
    end_set(job, begun.writer, report, (), begun.repairing)


def test_a_retry_by_encoders_gives_what_one_process_gives(folder, tmp_path, tiny, settings):
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), settings, loaded=tiny)
    shutil.copytree(store.path, tmp_path / "alone.zarr")
    mend(folder)
    alone = open_store(tmp_path / "alone.zarr", mode="a")
    extract_dataset(alone.dataset("d"), settings, loaded=tiny, retry=True)
    before = arrays(store)
    job = prepare(store.dataset("d"), settings, tiny)
    begun = begin_retry(job, ALL)
    assert np.flatnonzero(begun.status == TODO).tolist() == [1, 65]
    # Nobody seals it meanwhile, and all else stays.
    assert open_store(store.path).features("d", NAME).sealed is None
    assert not seal_if_complete(begun.writer, [])
    meanwhile = arrays(store)
    assert meanwhile.pop("status").tolist() == [TODO if r in (1, 65) else DONE for r in range(66)]
    assert_equal({name: before[name] for name in meanwhile}, meanwhile)
    encode(job, begun)
    assert_equal(arrays(store), arrays(alone))
    assert arrays(store)["attempts"][[0, 1, 65]].tolist() == [1, 2, 2]
    sealed = open_store(store.path).features("d", NAME).sealed
    assert sealed == open_store(alone.path).features("d", NAME).sealed is not None
    assert list(verify_store(open_store(store.path))) == []


def test_a_retry_that_was_stopped_is_gone_on_with_by_any_process(folder, tmp_path, tiny, settings):
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), settings, loaded=tiny)
    mend(folder)
    begin_retry(prepare(store.dataset("d"), settings, tiny), ALL)
    report = extract_dataset(store.dataset("d"), settings, loaded=tiny)
    assert (report.encoded, report.num_quarantined, report.sealed) == (2, 0, True)
    assert list(verify_store(open_store(store.path))) == []


def test_a_retry_takes_what_is_asked_for_and_waits_for_nobody(folder, tmp_path, tiny, settings):
    store = scan(tmp_path / "s.zarr", folder)
    job = prepare(store.dataset("d"), settings, tiny)
    for beginning in (begin_retry, begin_repair):
        with pytest.raises(UsageError, match="no feature set of this recipe"):
            beginning(job, ALL)
    extract_dataset(store.dataset("d"), settings, loaded=tiny)
    sealed = open_store(store.path).features("d", NAME).sealed
    begun = begin_retry(job, Wanted(blocks=range(5, 6)))
    assert not (begun.status == TODO).any()
    assert open_store(store.path).features("d", NAME).sealed == sealed
    begun = begin_retry(job, Wanted(limit=1))
    assert np.flatnonzero(begun.status == TODO).tolist() == [1]
    assert arrays(store)["status"][65] == QUARANTINED
    encode(job, begun)
    with pytest.raises(UsageError, match="is damaged"):
        begin_repair(job, ALL)


def test_a_repair_by_encoders_gives_the_bytes_that_were_sealed(
    folder, tmp_path, tiny, settings, log
):
    mend(folder)
    store = scan(tmp_path / "s.zarr", folder)
    report = extract_dataset(store.dataset("d"), settings, loaded=tiny)
    before, sealed = arrays(store), open_store(store.path).features("d", NAME).sealed
    flip(tmp_path / f"s.zarr/features/d/{report.id}/frames/c.1.0.0.0")
    job = prepare(store.dataset("d"), settings, tiny)
    begun = begin_repair(job, ALL)
    assert np.flatnonzero(begun.status == TODO).tolist() == [64, 65]
    encode(job, begun)
    assert_equal(arrays(store), before)
    assert open_store(store.path).features("d", NAME).sealed == sealed
    assert any("is again as it was sealed" in line for line in log)
    assert list(verify_store(open_store(store.path))) == []


def test_what_another_process_has_is_not_gone_over(folder, tmp_path, tiny, settings):
    store = scan(tmp_path / "s.zarr", folder)
    extract_dataset(store.dataset("d"), settings, loaded=tiny)
    job = prepare(store.dataset("d"), settings, tiny)
    sealed = open_store(store.path).features("d", NAME).sealed

    def hold() -> None:
        writer = begin_retry(job, Wanted(blocks=range(5, 6))).writer
        writer.claim([1])
        (tmp_path / "held").touch()
        time.sleep(100)

    pid = start(hold)
    try:
        while not (tmp_path / "held").exists():
            time.sleep(0.01)
        for beginning in (begin_retry, begin_repair):
            with pytest.raises(LockedError, match=r"block 1 of .* is being written by"):
                beginning(job, ALL)
        assert open_store(store.path).features("d", NAME).sealed == sealed
    finally:
        end(pid)
