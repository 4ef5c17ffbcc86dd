"""A run waits for blocks of a process that was killed, and not for those of one that lives."""

from dataclasses import replace
from functools import partial

import pytest

from tests.vifistore.extract.conftest import scan
from tests.vifistore.store.conftest import bucket, bucket_server
from vifistore.errors import LockedError
from vifistore.extract import job, pipeline
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.taking_over import TakingOver
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claims import OtherClaim, claim_bytes, claim_key

__all__ = ["bucket", "bucket_server"]
SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, device="cpu", precision="fp32", workers=1
)


class Others:
    """Claims of processes that live, or were killed: until when, by block."""

    expire = True

    def __init__(self, killed: dict[int, float], living: dict[int, float]) -> None:
        self.killed, self.living = killed, dict(living)
        self.now = 0.0

    def others(self, blocks) -> dict[int, OtherClaim]:
        until = {**self.killed, **self.living}
        return {
            block: OtherClaim(
                holder="killed" if block in self.killed else "living",
                expires=until[block],
                seconds_left=until[block] - self.now,
            )
            for block in blocks
            if self.now < until.get(block, 0)
        }

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= 30:
            self.living = dict.fromkeys(self.living, self.now + 180)


def test_a_killed_process_is_waited_for_until_its_claims_expire(log):
    claims = Others(killed={3: 170.0, 5: 175.0}, living={4: 180.0})
    over = TakingOver(claims, claims.pause)
    assert over.wait([3, 4, 5])
    assert 170 <= claims.now < 174
    assert over.wait([5])
    assert claims.now >= 175
    assert log == [
        "the last 3 blocks are claimed by killed, living: waiting to see who is at work; claims of "
        "what was killed expire within 180 s, and this run then does its blocks"
    ]


def test_living_processes_are_waited_for_until_they_renew():
    claims = Others(killed={}, living={3: 180.0, 4: 170.0})
    over = TakingOver(claims, claims.pause)
    assert not over.wait([3, 4])
    assert 30 <= claims.now < 34
    # It is known from then on, whatever they finish.
    known = claims.now
    claims.living.pop(3)
    assert not over.wait([4])
    assert claims.now == known


def test_what_expired_before_it_was_looked_at_is_tried_once():
    claims = Others(killed={3: 0.0}, living={})
    over = TakingOver(claims, claims.pause)
    assert over.wait([3])
    assert not over.wait([3])
    claims.expire = False
    assert not TakingOver(claims, claims.pause).wait([3])


def test_a_block_that_another_gives_back_is_had_at_once():
    claims = Others(killed={3: 180.0}, living={})

    def pause(seconds: float) -> None:
        claims.killed.clear()

    assert TakingOver(claims, pause).wait([3])


@pytest.mark.parametrize("blocks", [[], [7]])
def test_nothing_is_waited_for_that_nobody_has(blocks):
    claims = Others(killed={3: 170.0}, living={})
    assert TakingOver(claims, claims.pause).wait(blocks) == bool(blocks)
    assert claims.now == 0


def test_an_extraction_does_what_a_killed_process_had_begun(bucket, clips, log, monkeypatch):
    dataset = scan(f"{bucket}/over.zarr", clips).dataset("d")
    first = extract_dataset(dataset, SETTINGS, limit=2)
    place, path = dataset.backend.place, dataset.features(first.name).path
    killed = BlockClaims(place, path, owner="killed", renews=False)
    killed.acquire([0])

    def expire(seconds: float) -> None:
        """Three minutes are long for a test."""
        assert 0 < seconds <= 3
        claim = replace(killed.own(0).claim, expires=0.0)
        place.put({claim_key(path, 0): [claim_bytes(claim)]})

    monkeypatch.setattr(job, "TakingOver", partial(TakingOver, pause=expire))
    report = extract_dataset(dataset, SETTINGS)
    assert (report.encoded, report.sealed) == (4, True)
    assert len([line for line in log if "claimed by killed: waiting" in line]) == 1


def test_a_part_of_an_extraction_waits_for_nobody(bucket, clips):
    dataset = scan(f"{bucket}/part.zarr", clips).dataset("d")
    first = extract_dataset(dataset, SETTINGS, limit=2)
    place, path = dataset.backend.place, dataset.features(first.name).path
    BlockClaims(place, path, owner="other", renews=False).acquire([0])
    report = extract_dataset(dataset, SETTINGS, limit=2)
    assert (report.encoded, report.num_todo) == (0, 4)


class Complete:
    """A set of which nothing is to do, and another process has a block for a while."""

    id, needs_seal = "0123456789ab", True

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def refresh(self) -> None: ...

    def require_settled(self, rows) -> None: ...

    def todo_blocks(self) -> list[int]:
        return []

    def seal(self) -> None:
        self.looks -= 1
        if self.looks >= 0:
            raise LockedError("block 0 is being written by another machine")


def test_who_only_looks_at_a_block_keeps_nobody_from_sealing(monkeypatch, log):
    monkeypatch.setattr(pipeline, "_SEAL_WAITS", (0.0, 0.0, 0.0))
    assert pipeline.seal_if_complete(Complete(looks=2), [])
    assert log == []
    assert not pipeline.seal_if_complete(Complete(looks=3), [])
    assert log == [
        "0123456789ab is not sealed: another process has blocks of it, and does so as it ends"
    ]
