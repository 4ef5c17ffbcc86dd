"""What a driver says and does of its encoders, without Ray: those of `fake_ray` answer at once."""

import re
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.vifistore.cluster.fake_ray import FakeRay
from tests.vifistore.extract.conftest import log  # noqa: F401 - a fixture
from vifistore.cluster import driver as driving
from vifistore.cluster import encoder_actor, fleet, room
from vifistore.cluster.driver import Driver
from vifistore.cluster.encoder_actor import EncoderStart, NodeFacts, own_version
from vifistore.cluster.fleet import Fleet
from vifistore.cluster.room import Needs, Room
from vifistore.errors import LockedError, StoreError, UsageError
from vifistore.extract.given_rows import Piece
from vifistore.store.schema import DONE, TODO
from vifistore.store.writer import Shape


def pieces(count: int) -> list[Piece]:
    return [Piece(block=b, rows=(64 * b, 64 * b + 1)) for b in range(count)]


def fleet_of(ray: FakeRay, most: int | None = None, cores: int = 1) -> Fleet:
    return Fleet(ray, SimpleNamespace(dataset="d"), Needs(cores=cores, gpus=0.0), most)


def driver_of(members: Fleet, count: int) -> Driver:
    job = SimpleNamespace(
        shape=SimpleNamespace(view=1, frame=2),
        num_videos=64 * count,
        recipe=SimpleNamespace(as_dict=lambda: {"a": 1}),
        loaded=SimpleNamespace(digest="c"),
    )
    return Driver(job, members, None, pieces(count), EncoderStart(num_videos=64 * count))


def settled_rows(driver: Driver) -> list[int]:
    return [row for piece in driver.settled for row in piece.rows]


@pytest.fixture
def quick(monkeypatch):
    """No time passes between pulses, nor before something is told."""
    monkeypatch.setattr(fleet, "_PULSE_SECONDS", 0.0)
    monkeypatch.setattr(fleet, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(room, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(room, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(driving, "_LOOK_SECONDS", 0.0)


def test_all_is_given_out_and_the_last_pieces_go_to_who_has_fewest(quick):
    ray = FakeRay(cores=2)
    driver = driver_of(fleet_of(ray), 11)
    driver.work()
    assert sorted(settled_rows(driver)) == sorted(row for p in pieces(11) for row in p.rows)
    given = sorted(len(actor.given) for actor in ray.actors)
    assert sum(given) == 11
    assert given[1] - given[0] <= 3


def test_two_pieces_are_not_given_to_one_of_two_encoders(quick):
    ray = FakeRay(cores=2)
    driver_of(fleet_of(ray), 2).work()
    assert [len(actor.given) for actor in ray.actors] == [1, 1]


def test_an_encoder_without_room_is_told_of_once_and_again_when_that_changes(quick, log):  # noqa: F811
    ray = FakeRay(cores=4)
    ray.others = 3
    members = fleet_of(ray, most=3)
    members.fit(3)
    for _ in range(3):
        members.tell_of_room()
        list(members.hear())
    waiting = [line for line in log if line.startswith("waiting for")]
    assert waiting == [
        "waiting for 1 core: 0 encoders run, 3 wait for room; free on the cluster: 1 of 4 cores",
        "waiting for 1 core: 1 encoders run, 2 wait for room; free on the cluster: 0 of 4 cores",
    ]
    ray.others = 0
    list(members.hear())
    members.tell_of_room()
    assert [line for line in log if line.startswith("waiting for")] == waiting


def test_that_no_machine_is_left_is_told(quick, log):  # noqa: F811
    Room(FakeRay(cores=0), Needs(cores=2, gpus=1.0)).tell(0, [])
    assert log == [
        "waiting for 2 cores and a GPU: 0 encoders run, 0 wait for room; free on the cluster: "
        "0 of 0 cores, 0 of 0 GPUs"
    ]


def test_what_no_machine_has_room_for_is_refused_unless_it_may_come(quick):
    with pytest.raises(UsageError, match=r"no machine of the Ray cluster has 3 cores"):
        fleet_of(FakeRay(cores=2), cores=3).require_room()
    fleet_of(FakeRay(cores=2), most=1, cores=3).require_room()
    fleet_of(FakeRay(cores=3), cores=3).require_room()


def test_machines_are_counted_now_and_then(quick, monkeypatch):
    monkeypatch.setattr(room, "_LOOK_SECONDS", 100.0)
    ray = FakeRay(cores=1)
    members = fleet_of(ray)
    for _ in range(50):
        members.fit(1)
    assert ray.times_counted == 1
    list(members.hear())
    members.refuse(members.members[0])
    members.fit(1)
    assert (ray.times_counted, members.members) == (2, [])


def test_an_encoder_that_falls_silent_is_given_up_and_others_do_its_pieces(
    quick,
    log,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setattr(fleet, "SILENCE_SECONDS", 0.2)
    ray = FakeRay(cores=2)
    driver = driver_of(fleet_of(ray), 9)
    silent = []

    def fall_silent(member, pieces, **told):
        if not silent and pieces:
            member.handle.actor.is_silent = True
            silent.append(member.handle.actor)
        return pulse(member, pieces, **told)

    members = driver._fleet
    pulse = members.pulse
    monkeypatch.setattr(members, "pulse", fall_silent)
    driver.work()
    assert sorted(settled_rows(driver)) == sorted(row for p in pieces(9) for row in p.rows)
    assert silent[0] not in ray.actors
    assert not silent[0].given
    assert any("it does not answer" in line for line in log)
    # It may have been cut off: its pieces are not to blame.
    assert driver._queue.num_lost == 0


def test_what_others_have_is_waited_for_and_told_of_once(quick, log, monkeypatch):  # noqa: F811
    ray = FakeRay(cores=1)
    driver = driver_of(fleet_of(ray), 2)
    times = []

    def hear():
        """The other process gives its block up after a while."""
        (actor,) = ray.actors
        actor.elsewhere = pieces(2)[1:] if len(times) < 20 else []
        times.append(0)
        return heard()

    heard = driver._fleet.hear
    monkeypatch.setattr(driver._fleet, "hear", hear)
    driver.work()
    assert len(settled_rows(driver)) == 4
    assert len([line for line in log if line.startswith("other processes have the last 1 ")]) == 1


def test_a_culprit_whose_block_another_has_is_quarantined_later(quick, monkeypatch):
    driver = driver_of(fleet_of(FakeRay(cores=1)), 1)
    (culprit,) = driver._queue.take(1, is_idle=True)
    driver._queue.culprits.append(culprit)
    tries = []

    def quarantine(piece):
        tries.append(piece)
        if len(tries) < 3:
            raise LockedError("its claim has not expired")

    monkeypatch.setattr(driver, "_quarantine", quarantine)
    driver.work()
    assert tries == [culprit] * 3
    assert driver.settled == [culprit]


@pytest.mark.parametrize("last", [False, True])
def test_a_video_that_the_only_encoder_dies_of_is_quarantined(quick, monkeypatch, last):
    ray = FakeRay(cores=1)
    poison = 65 if last else 1
    ray.told = {"dies_of": frozenset([poison])}
    driver = driver_of(fleet_of(ray), 2)
    culprits = []
    monkeypatch.setattr(driver, "_quarantine", culprits.append)
    # Nothing is left but this video for a while.
    monkeypatch.setattr(driving, "_LOOK_SECONDS", 0.2)
    driver.work()
    assert [piece.rows for piece in culprits] == [(poison,)]
    assert sorted(settled_rows(driver)) == [0, 1, 64, 65]


@pytest.mark.parametrize(("version", "told"), [("0.0.7", "0.0.7"), ("", "of an unknown version")])
def test_a_machine_with_another_version_is_left_out_by_name(quick, log, version, told):  # noqa: F811
    ray = FakeRay(cores=1)
    ray.told = {"version": version}
    why = f"it has vifistore {told} and not {own_version()}"
    left_out = rf"no machine can encode: .* is left out: {re.escape(why)}"
    with pytest.raises(UsageError, match=left_out):
        driver_of(fleet_of(ray), 2).work()
    assert any(why in line for line in log)


def test_what_an_earlier_version_says_has_no_version():
    facts = object.__new__(NodeFacts)
    vars(facts).update(host="h", recipe={})
    assert facts.version == ""


def test_a_machine_where_an_encoder_cannot_begin_is_left_out_by_name(quick, log):  # noqa: F811
    ray = FakeRay(cores=1)
    ray.told = {"failure": OSError("no credentials")}
    with pytest.raises(UsageError, match=r"no machine can encode: .* is left out: no credentials"):
        driver_of(fleet_of(ray), 2).work()
    assert any("is left out: no credentials" in line for line in log)


def test_a_machine_that_is_gone_for_a_while_is_waited_for(quick, log):  # noqa: F811
    ray = FakeRay(cores=1)
    driver = driver_of(fleet_of(ray), 3)
    driver._refusals["h"] = "h: it died, hours ago"
    ray.cores, rounds = 0, []

    def hear():
        rounds.append(0)
        ray.cores = int(len(rounds) > 5)
        return heard()

    heard = driver._fleet.hear
    driver._fleet.hear = hear
    driver.work()
    assert len(settled_rows(driver)) == 6


@pytest.mark.parametrize("status", [TODO, DONE])
def test_what_another_process_has_done_since_is_not_quarantined(status):
    driver: Any = driver_of(fleet_of(FakeRay(cores=1)), 1)
    written, released = [], []
    driver._writer = SimpleNamespace(
        claim=lambda blocks: None,
        status={0: status},
        write_block=lambda block, rows, data: written.append(rows),
        release=released.append,
    )
    driver._job.dataset = SimpleNamespace(files=lambda: ["a.mp4"])
    driver._job.shape = Shape(video=64, view=1, frame=2, dim=4)
    driver._job.further = {}
    driver._quarantine(Piece(block=0, rows=(0,)))
    assert written == ([[0]] if status == TODO else [])
    assert released == [[0]]


def test_a_machine_whose_disk_is_full_is_left_out_and_no_video_is_to_blame(quick, log):  # noqa: F811
    ray = FakeRay(cores=1)
    ray.told = {"refusal": "OSError: No space left on device"}
    driver = driver_of(fleet_of(ray), 9)
    with pytest.raises(UsageError, match=r"no machine can encode: .* is left out: .*No space left"):
        driver.work()
    # What it did before it ran full counts; the rest is somebody else's, alone or not.
    assert settled_rows(driver)
    assert (driver._queue.num_lost, driver._queue.culprits) == (0, [])
    assert len(driver._queue) + len(driver.settled) == 9
    assert [line for line in log if "is gone with 1 blocks, which others do again" in line]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "OSError: .*No space left on device"),
        (StoreError("the folder of the videos is gone"), "the folder of the videos is gone"),
        (torch.OutOfMemoryError("of 80 GB"), ".* too small for batches .* smaller --batch"),
        (LockedError("its claim is another's"), ""),
        (ValueError("of one video"), ""),
        (UsageError("a set that cannot be"), ""),
    ],
)
def test_an_encoder_tells_what_is_its_machines_fault(error, told, monkeypatch):
    def encode(*_: object) -> None:
        raise error

    monkeypatch.setattr(encoder_actor, "encode_rows", encode)
    usual = signal.getsignal(signal.SIGTERM)
    actor: Any = encoder_actor.EncoderActor(SimpleNamespace())  # pyright: ignore[reportArgumentType]
    signal.signal(signal.SIGTERM, usual)
    actor._job = SimpleNamespace(device=torch.device("cpu"))
    actor._writer = actor._attempts = actor._cosines = None
    actor._encode(None)
    assert re.match(told, actor._refusal)
    assert bool(actor._refusal) == bool(told)
    kinds = {LockedError: (True, False), ValueError: (True, False), UsageError: (False, True)}
    assert (bool(actor._failure), bool(actor._error)) == kinds.get(type(error), (False, False))
    assert actor._was_overtaken == isinstance(error, LockedError)
