"""A feature set in a bucket, written under claims by writers that are late, killed, or many."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import plain_recipe, video_table
from tests.vifistore.store.conftest import CLASSES, block_of, bucket
from vifistore.errors import IncompleteError, LockedError, StoreError
from vifistore.store import open_store
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claims import COMMITTED, HELD, claim_bytes, claim_key, read_claim
from vifistore.store.dataset import write_videos
from vifistore.store.removing.removal import remove_group
from vifistore.store.schema import QUARANTINED, TODO
from vifistore.store.store import Store, create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import BlockData, FeatureWriter, Shape
from vifistore.store.zarr_format.block_files import status_encoder
from vifistore.store.zarr_format.chunks import checksums, manifest_digest

__all__ = ["bucket"]
NUM_VIDEOS = 200


def writer_of(store: Store, num_videos: int = NUM_VIDEOS) -> FeatureWriter:
    shape = Shape(video=num_videos, view=1, frame=4, dim=8)
    return FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {"host": "test"})


def made(location: str | Path, num_videos: int = NUM_VIDEOS) -> Store:
    store = create_store(location)
    write_videos(store.new_dataset("d"), video_table(num_videos, CLASSES), CLASSES, "/videos")
    return store


def parts(writer: FeatureWriter, blocks) -> list[BlockData]:
    rows = {block: list(writer.block_rows(block)) for block in blocks}
    return [BlockData(block=b, rows=rows[b], data=block_of(rows[b])) for b in blocks]


def expire(store: Store, path: str, block: int) -> None:
    """Make a claim that is held end now: three minutes are long for a test."""
    claim, key = read_claim(store.backend, path, block), claim_key(path, block)
    store.backend.place.put({key: [claim_bytes(replace(claim, expires=0.0))]})


def another(store: Store, path: str) -> BlockClaims:
    """Another machine."""
    return BlockClaims(store.backend.place, path, owner="another machine", renews=False)


@pytest.fixture
def store(bucket, request) -> Store:
    return made(f"{bucket}/{request.node.name.replace('[', '-').rstrip(']')}.zarr")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> str:
    """That of the same set on a disk, written undisturbed."""
    store = made(tmp_path_factory.mktemp("disk") / "s.zarr")
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    return writer.seal()["manifest"]


def test_a_block_counts_by_its_claim_and_its_status_follows(store, manifest):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    claim = read_claim(store.backend, writer.path, 3)
    assert (claim.state, claim.epoch) == (COMMITTED, 1)
    stored = checksums(store.backend, writer.path, NUM_VIDEOS)
    assert claim.checksums == {name: sums[3].hex() for name, sums in stored.items()}
    assert writer.seal()["manifest"] == manifest == manifest_digest(stored)
    writer.release()
    assert not list(verify_store(store))
    assert store.schema == 2


def test_sealing_reads_no_chunk(store, monkeypatch):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    tails = []
    plain = store.backend.place.tail
    monkeypatch.setattr(
        store.backend.place, "tail", lambda key, size: (tails.append(key), plain(key, size))[1]
    )
    writer.seal()
    assert all("/status/" in key for key in tails)


def test_another_machine_keeps_its_blocks(store):
    writer = writer_of(store)
    other = another(store, writer.path)
    other.acquire([1])
    assert writer.claim_free(range(4)) == [0, 2, 3]
    with pytest.raises(LockedError, match=r"block 1 of .* is being written by another machine"):
        writer.claim([1])
    writer.write_blocks(parts(writer, [0, 2, 3]))
    with pytest.raises(IncompleteError, match="64 of 200"):
        writer.seal()
    other.release()
    writer.write_blocks(parts(writer, [1]))
    assert writer.seal()["rows"] == NUM_VIDEOS


def test_a_writer_that_slept_past_its_claim_is_refused(store, manifest):
    late = writer_of(store)
    late.claim(range(4))
    for block in range(4):
        expire(store, late.path, block)
    other = another(store, late.path)
    other.acquire([2])
    others = {"frames": b"others"}
    other.write(2, {f"{late.path}/frames/c.2.0.0.0": others["frames"]})
    with pytest.raises(LockedError, match="is now of another machine"):
        late.write_blocks(parts(late, [2]))
    assert store.backend.place.get(f"{late.path}/frames/c.2.0.0.0") == others["frames"]
    assert (late.status == TODO).all()
    # It died before it committed: all of the block is written again.
    other.release()
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    assert writer.seal()["manifest"] == manifest


@pytest.mark.parametrize("left", ["nothing", "an older one"])
def test_who_seals_writes_the_status_that_a_killed_writer_left(store, manifest, left):
    first = writer_of(store)
    first.write_blocks(parts(first, range(3)))
    key = f"{first.path}/status/c.0"
    if left == "nothing":
        store.backend.place.remove(key)
    else:
        layout = store.backend.own_layout(f"{first.path}/status")
        store.backend.put({key: status_encoder(layout)(b"\0" * 64)})
    first.release()
    second = writer_of(store)
    assert (second.status[:64] != TODO).all()
    second.write_blocks(parts(second, [3]))
    assert second.seal()["manifest"] == manifest
    assert not list(verify_store(store))
    assert store.dataset("d").features(second.id).counts()["todo"] == 0


def test_a_retry_raises_the_epoch_and_keeps_the_others(store):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    before = writer.seal()
    writer.release()
    again = writer_of(store)
    assert again.status[3] == QUARANTINED
    again.claim([0])
    again.unseal()
    again.write_block(0, [3], block_of([3], mended=True))
    claim = read_claim(store.backend, again.path, 0)
    assert (claim.state, claim.epoch, claim.status[:8]) == (COMMITTED, 2, "01010101")
    assert again.seal()["manifest"] != before["manifest"]
    assert not list(verify_store(store))


def test_a_block_that_was_only_looked_at_stays_committed(store):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    writer.release()
    other = another(store, writer.path)
    other.acquire([0])
    assert read_claim(store.backend, writer.path, 0).state == HELD
    other.release()
    claim = read_claim(store.backend, writer.path, 0)
    assert (claim.state, claim.epoch, claim.expires) == (COMMITTED, 2, 0.0)


def test_who_seals_settles_what_a_killed_retry_held(store, manifest):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    writer.release()
    other = another(store, writer.path)
    other.acquire([1])
    with pytest.raises(LockedError, match="block 1"):
        writer_of(store).seal()
    expire(store, writer.path, 1)
    sealing = writer_of(store)
    assert sealing.seal()["manifest"] == manifest
    assert read_claim(store.backend, writer.path, 1).state == COMMITTED


def test_a_block_that_a_killed_retry_tore_is_done_again(store, manifest):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    writer.release()
    other = another(store, writer.path)
    other.acquire([1])
    other.write(1, {f"{writer.path}/frames/c.1.0.0.0": b"torn"})
    expire(store, writer.path, 1)
    again = writer_of(store)
    assert again.todo_blocks() == [1]
    with pytest.raises(IncompleteError, match="64 of 200"):
        again.seal()
    again.write_blocks(parts(again, [1]))
    assert again.seal()["manifest"] == manifest


def test_a_set_from_before_claims_goes_on(store, manifest, tmp_path):
    """As one that was made on a disk and copied into the bucket."""
    disk = made(tmp_path / "s.zarr")
    old = writer_of(disk)
    old.write_blocks(parts(old, range(2)))
    for file in disk.backend.place.files(old.path):
        if "/runs/" not in file.key:
            store.backend.place.put({file.key: [disk.backend.place.get(file.key)]})
    writer = writer_of(store)
    assert (writer.status != TODO).tolist() == [True] * 128 + [False] * 72
    writer.claim([1, 2])
    assert (writer.status != TODO).tolist() == [True] * 128 + [False] * 72
    assert read_claim(store.backend, writer.path, 1).status == "01" * 64
    writer.write_blocks(parts(writer, [2, 3]))
    assert writer.seal()["manifest"] == manifest
    assert not list(verify_store(store))


def test_it_grows(bucket, tmp_path):
    manifests = []
    for location in (f"{bucket}/grown.zarr", tmp_path / "grown.zarr"):
        store = made(location, 70)
        first = writer_of(store, 70)
        first.write_blocks(parts(first, range(2)))
        first.seal()
        first.release()
        store = made(location, NUM_VIDEOS)
        writer = writer_of(store)
        assert int((writer.status == TODO).sum()) == NUM_VIDEOS - 70
        for block in writer.todo_blocks():
            rows = writer.todo_rows(block)
            writer.write_block(block, rows, block_of(rows))
        manifests.append(writer.seal()["manifest"])
    assert manifests[0] == manifests[1]


def test_a_block_is_committed_while_another_thread_looks_at_all(store, monkeypatch):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(2)))
    plain, left = writer.claims._status_of, [2]

    def commit_first(block, claim):
        if left:
            # As a thread that writes what was encoded meanwhile.
            writer.write_blocks(parts(writer, [left.pop()]))
        return plain(block, claim)

    monkeypatch.setattr(writer.claims, "_status_of", commit_first)
    writer.refresh()
    assert (writer.status[:128] != TODO).all()
    assert not left


def test_of_a_set_whose_removal_was_stopped_no_block_counts(store, manifest, monkeypatch):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    writer.seal()
    writer.release()
    place, plain = store.backend.place, store.backend.place.remove

    def remove(key):
        if key == writer.path:
            raise KeyboardInterrupt
        plain(key)

    monkeypatch.setattr(place, "remove", remove)
    with pytest.raises(KeyboardInterrupt):
        remove_group(store.backend, writer.path)
    monkeypatch.undo()
    place.remove(f"{writer.path}/frames")
    again = writer_of(store)
    assert again.todo_blocks() == [0, 1, 2, 3]
    again.write_blocks(parts(again, range(4)))
    assert again.seal()["manifest"] == manifest
    assert not list(verify_store(store))


def test_what_lost_its_turn_seals_nothing(store):
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    with writer.claims.turn() as backend:
        expire(store, writer.path, "turn")
        other = another(store, writer.path)
        with other.turn():
            attributes = backend.attributes(writer.path)
            with pytest.raises(LockedError, match="the claim on turn"):
                backend.make_group(writer.path, {**attributes, "sealed": {"rows": 1}})
    assert open_store(store.path).dataset("d").features(writer.id).sealed is None


def test_a_bucket_without_conditions_is_refused(store, monkeypatch):
    monkeypatch.setattr("vifistore.store.claims.claiming._asked", set())
    place = type(store.backend.place)
    monkeypatch.setattr(place, "swap", lambda self, key, data, seen: self.put({key: [data]}))
    with pytest.raises(StoreError, match="writes without asking what is there"):
        writer_of(store)
    assert store.dataset("d").feature_ids() == []


def test_a_chunk_behind_a_committed_block_is_noticed(store):
    """What no condition refuses: other bytes, and then the same as before."""
    writer = writer_of(store)
    writer.write_blocks(parts(writer, range(4)))
    key = f"{writer.path}/frames/c.2.0.0.0"
    store.backend.place.put({key: [store.backend.place.get(f"{writer.path}/frames/c.1.0.0.0")]})
    found = {problem.where: problem for problem in verify_store(store)}
    assert found[key].block == 2
    assert "not the chunk that was committed" in found[key].what
    # Until it is sealed a status may still have to follow.
    store.backend.place.remove(f"{writer.path}/status/c.3")
    assert f"{writer.path}/status/c.3" not in {problem.where for problem in verify_store(store)}


def test_one_that_slept_learns_what_was_sealed_meanwhile(store):
    late = writer_of(store)
    late.claim(range(4))
    other = writer_of(store)
    other.write_blocks(parts(other, range(4)))
    other.seal()
    late.claims._claims._objects._clock._behind += 1000
    late.refresh()
    assert not late.todo_blocks()
    late.release()


def test_what_one_that_slept_made_does_not_replace_what_was_sealed_meanwhile(store, manifest):
    late = writer_of(store)
    late.claim(range(4))
    for block in range(4):
        expire(store, late.path, block)
    other = writer_of(store)
    other.claims._claims.owner = "another machine"
    other.write_blocks(parts(other, range(4)))
    assert other.seal()["manifest"] == manifest
    other.release()
    late.claims._claims.renew()
    # It saw its decoder time out, and would quarantine all.
    data = block_of(list(late.block_rows(1)))
    data["status"][:] = QUARANTINED
    with pytest.raises(LockedError, match="is now of another machine"):
        late.write_block(1, list(late.block_rows(1)), data)
    late.release()
    assert manifest_digest(checksums(store.backend, late.path, NUM_VIDEOS)) == manifest
    assert not list(verify_store(store))


def test_a_block_that_grew_and_was_torn_is_done_again(store):
    """A set that is sealed goes on being read, and is grown by who comes next."""
    first = writer_of(store, 70)
    first.write_blocks(parts(first, range(2)))
    sealed = first.seal()
    first.release()
    grown = writer_of(store)
    grown.claim([1])
    killed = grown.claims._claims
    # One of its chunks is there, and nothing else of it.
    rows = grown.todo_rows(1)
    key, buffers = grown._file("frames", BlockData(block=1, rows=rows, data=block_of(rows)))
    killed.write(1, {key: b"".join(map(bytes, buffers))})
    expire(store, grown.path, 1)
    grown.claims._claims._own.clear()
    features = store.dataset("d").features(grown.id)
    assert features.sealed == sealed
    assert features.counts()["todo"] == 0
    writer = writer_of(store)
    assert writer.todo_blocks() == [1, 2, 3]
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        writer.write_block(block, rows, block_of(rows))
    writer.seal()
    assert not list(verify_store(store))
