"""Claims: one writer per block among machines that share nothing but an object store."""

import threading
from dataclasses import replace

import pytest

from tests.vifistore.store.conftest import bucket, bucket_server
from tests.vifistore.store.remembered import Remembered
from vifistore.errors import DamagedError, LockedError, StoreError
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claims import COMMITTED, HELD, claim_bytes, claim_key, parse_claim
from vifistore.store.key_value.conditional import ChangedError, StoreClock, require_conditions
from vifistore.store.key_value.object_storage import ObjectStorage

__all__ = ["bucket", "bucket_server"]
PATH = "features/d/0123456789ab"
SUMS = {"frames": "0123abcd"}


@pytest.fixture
def place() -> Remembered:
    return Remembered()


def claims(place, owner: str, **options) -> BlockClaims:
    # A machine counts its seconds from when it was started.
    clock = StoreClock(lambda: place.seconds - 12_345)
    return BlockClaims(
        place, PATH, owner=owner, lease_seconds=60, clock=clock, renews=False, **options
    )


def record(place, block=0):
    return parse_claim(place.fetch(claim_key(PATH, block))[0])


def test_a_block_has_one_writer_until_it_is_given_up(place):
    first, second = claims(place, "a"), claims(place, "b")
    assert first.acquire([0, 1]) == [0, 1]
    assert first.acquire([1, 2]) == [2]
    with pytest.raises(LockedError, match=r"block 2 of .* is being written by a"):
        second.acquire([2, 3])
    # Nothing is kept of what could not be had whole.
    assert second.take_free([0, 2, 3]) == [3]
    first.release([2])
    assert second.acquire([2]) == [2]
    assert record(place, 2).epoch == 2


def test_a_claim_expires_by_the_stores_time_unless_it_is_renewed(place):
    first, second = claims(place, "a"), claims(place, "b")
    first.acquire([0])
    assert record(place).expires == place.seconds + 60
    place.seconds += 50
    first.renew()
    place.seconds += 50
    assert second.take_free([0]) == []
    place.seconds += 62
    assert second.take_free([0]) == [0]
    assert (record(place).owner, record(place).epoch) == ("b", 2)
    first.renew()
    assert record(place).owner == "b"


def test_a_writer_that_was_overtaken_is_refused(place):
    first, second = claims(place, "a"), claims(place, "b")
    first.acquire([0])
    first.write(0, {"frames": b"first"})
    place.seconds += 62
    second.acquire([0])
    with pytest.raises(LockedError, match="had expired and is now of b"):
        first.write(0, {"frames": b"late"})
    second.write(0, {"frames": b"second"})
    second.commit(0, SUMS, bytes([1, 2]))
    with pytest.raises(LockedError):
        first.commit(0, {"frames": "ffffffff"}, bytes([1, 1]))
    assert place.objects["frames"][0] == b"second"
    assert (record(place).state, record(place).checksums) == (COMMITTED, SUMS)
    assert record(place).status == "0102"


def test_what_was_committed_is_remembered_while_it_is_written_again(place):
    first, second = claims(place, "a"), claims(place, "b")
    first.acquire([0])
    first.commit(0, SUMS, bytes([1]))
    first.release()
    assert second.acquire([0]) == [0]
    assert (record(place).state, record(place).epoch) == (HELD, 2)
    assert (record(place).checksums, record(place).status) == (SUMS, "01")


def test_an_answer_that_was_lost_is_no_refusal(place):
    plain = place.swap

    def losing(key, data, seen):
        plain(key, data, seen)
        raise ChangedError(key)

    place.swap = losing
    first = claims(place, "a")
    assert first.acquire([0]) == [0]
    first.commit(0, SUMS, bytes([1]))
    assert record(place).state == COMMITTED


def test_turns_are_taken_one_after_the_other(place):
    waits = []
    second = claims(place, "b", pause=lambda seconds: (waits.append(seconds), first.release()))
    first = claims(place, "a")
    with first.turn(), second.turn():
        assert waits
        assert record(place, "turn").owner == "b"


def test_claims_are_renewed_by_themselves(place):
    first = BlockClaims(place, PATH, owner="a", lease_seconds=0.06)
    first.acquire([0])
    before, renewed = record(place).expires, threading.Event()
    for _ in range(500):
        if record(place).expires > before:
            renewed.set()
            break
        threading.Event().wait(0.01)
    assert renewed.is_set()
    first.release()


def test_claims_are_renewed_again_after_a_network_disk_failed(place, caplog):
    first = BlockClaims(place, PATH, owner="a", lease_seconds=0.06)
    first.acquire([0])
    plain, failures = place.swap, [OSError(5, "Input/output error")] * 3

    def swap(key, data, seen):
        if failures:
            raise failures.pop()
        plain(key, data, seen)

    before, place.swap = record(place).expires, swap
    for _ in range(500):
        place.seconds += 0.01
        if record(place).expires > before:
            break
        threading.Event().wait(0.01)
    assert (failures, record(place).expires > before) == ([], True)
    first.release()


def test_what_is_no_claim_is_told(place):
    place.swap(claim_key(PATH, 0), b"{}", None)
    with pytest.raises(DamagedError, match=r"claims/0/zarr.json is no claim"):
        claims(place, "a").acquire([0])


def test_a_bucket_lets_one_of_many_have_a_block(bucket):
    """The same on a real protocol: threads stand for machines."""
    place = ObjectStorage(f"{bucket}/claimed.zarr", writable=True)
    taken, barrier = [], threading.Barrier(4)

    def one(name: str) -> None:
        mine = BlockClaims(place, PATH, owner=name, renews=False)
        barrier.wait()
        taken.append(mine.take_free(range(5)))

    threads = [threading.Thread(target=one, args=(f"m{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(block for blocks in taken for block in blocks) == list(range(5))


def test_a_bucket_refuses_the_late(bucket):
    place = ObjectStorage(f"{bucket}/late.zarr", writable=True)
    first, second = (BlockClaims(place, PATH, owner=o, renews=False) for o in "ab")
    first.acquire([0])
    first.write(0, {"c.0": b"first"})
    seen = place.look(key := claim_key(PATH, 0))
    place.swap(key, claim_bytes(replace(record(place), expires=0.0)), seen)
    second.acquire([0])
    second.write(0, {"c.0": b"second"})
    second.commit(0, SUMS, bytes([1]))
    for late in (lambda: first.write(0, {"c.0": b"late"}), lambda: first.commit(0, SUMS, b"\1")):
        with pytest.raises(LockedError, match="is now of b"):
            late()
    assert place.get("c.0") == b"second"
    with pytest.raises(ChangedError):
        place.swap("c.0", b"x", None)


@pytest.mark.parametrize("deaf", [(), ("create",), ("replace",)])
def test_a_store_that_asks_for_no_condition_is_refused(place, deaf):
    plain = place.swap

    def swap(key, data, seen):
        kind = "create" if seen is None else "replace"
        plain(key, data, place.look(key) if kind in deaf else seen)

    place.swap = swap
    if not deaf:
        require_conditions(place, "s3://b/S.zarr")
    else:
        with pytest.raises(StoreError, match="writes without asking what is there"):
            require_conditions(place, "s3://b/S.zarr")
    assert not place.objects


def test_a_bucket_asks_for_conditions(bucket):
    place = ObjectStorage(f"{bucket}/asked.zarr", writable=True)
    require_conditions(place, "s3://bucket/asked.zarr")
    assert list(place.files("")) == []


def test_a_block_that_is_claimed_again_as_soon_as_it_is_committed_is_committed(place):
    first, second = claims(place, "a"), claims(place, "b")
    first.acquire([0])
    first.write(0, {"c.0": b"first"})
    swap = place.swap

    def then_another(key, data, seen):
        swap(key, data, seen)
        place.swap = swap
        # It found the block free before, and is told what is in it.
        assert second.take_free([0]) == [0]

    place.swap = then_another
    first.commit(0, SUMS, bytes([1]))
    assert (record(place).owner, record(place).checksums) == ("b", SUMS)
    with pytest.raises(LockedError, match="is now of b"):
        first.forget(0)
    first.release()
    assert (record(place).owner, record(place).state) == ("b", HELD)


@pytest.mark.parametrize("is_torn", [False, True])
def test_what_a_killed_writer_tore_is_not_what_was_committed(place, is_torn):
    first = claims(place, "a")
    first.acquire([0])
    first.commit(0, SUMS, bytes([1, 2]))
    # It goes over its block again, and dies of that.
    first.release([0])
    claims(place, "a").acquire([0])
    place.seconds += 62
    claims(place, "b", is_torn=lambda block, claim: is_torn).acquire([0])
    told = {} if is_torn else SUMS
    assert (record(place).state, record(place).checksums) == (HELD, told)
    assert record(place).status == ("" if is_torn else "0102")


def test_a_block_that_was_lost_is_not_had_anew_for_what_was_made_before(place):
    first, second = claims(place, "a"), claims(place, "b")
    first.acquire([0])
    place.seconds += 62
    second.acquire([0])
    second.commit(0, SUMS, bytes([1]))
    second.release()
    # As the thread that renews finds it, before anything is written.
    first.renew()
    with pytest.raises(LockedError, match="had expired and is now of b"):
        first.acquire([0])
    assert first.take_free([0, 1]) == [1]
    assert (record(place).owner, record(place).state) == ("b", COMMITTED)
    first.release([0])
    assert first.acquire([0]) == [0]
