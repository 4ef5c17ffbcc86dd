"""Writers on claims in every order of their calls, killed, stopped and woken up late.

A block is committed once its chunks are those that its claim names, and stays so. Data that were
written without a condition would break that, which the last test shows.
"""

import os
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from tests.vifistore.store.remembered import Remembered
from tests.vifistore.store.stepped_writers import LEASE, WRITERS, SteppedWriters
from vifistore.errors import LockedError
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claims import COMMITTED, claim_key, parse_claim
from vifistore.store.key_value.conditional import StoreClock

PATH, BLOCKS, CHUNKS = "set", 2, ("frames", "means")
# Ten thousand where there is time for them.
RUNS = 10_000 if os.environ.get("VIFI_LONG") else 150


class Unconditional(Remembered):
    """A store whose chunks are written whatever is there."""

    def swap(self, key, data, seen):
        if "claims" in key:
            return super().swap(key, data, seen)
        self.before()
        self.num_writes += 1
        self.objects[key] = (data, self.num_writes, self.seconds)
        return None


class Writers(SteppedWriters):
    """Processes of several machines at one set."""

    store = Remembered

    def __init__(self) -> None:
        super().__init__()
        self.place = self.store()
        self.begin()

    def _work(self, number: int) -> None:
        """What an extraction does: each block that is free and not committed, one after the other.
        The first of them goes over what is committed as well, as a retry does."""
        name, clock = f"w{number}", StoreClock(lambda: self.place.seconds)
        mine = BlockClaims(
            self.place, PATH, owner=name, lease_seconds=LEASE, clock=clock, renews=False
        )
        for block in range(BLOCKS):
            found = self.place.fetch(claim_key(PATH, block))
            is_done = found is not None and parse_claim(found[0]).state == COMMITTED
            if (not is_done or name == "w1") and mine.take_free([block]):
                try:
                    self._write(mine, block, name)
                except LockedError:
                    # Only one that has expired is lost, at once where its writer's clock is behind.
                    lost = mine.own(block)
                    assert lost is not None
                    assert self.place.seconds >= lost.claim.expires
                mine.release([block])
            mine.follow(block, f"status/{block}", bytes)

    def _write(self, mine: BlockClaims, block: int, name: str) -> None:
        files = {f"{chunk}/{block}": f"{chunk} {name}".encode() for chunk in CHUNKS}
        mine.write(block, files)
        sums = {chunk: crc(files[f"{chunk}/{block}"]) for chunk in CHUNKS}
        mine.commit(block, sums, name.encode())

    @rule(which=st.integers(0, WRITERS - 1), count=st.integers(1, 6))
    def go_on(self, which, count):
        for _ in range(count):
            self.writers[which].step()

    @invariant()
    def what_is_committed_is_whole(self):
        for block in range(BLOCKS):
            stored = self.place.objects.get(claim_key(PATH, block))
            claim = stored and parse_claim(stored[0])
            if claim and claim.state == COMMITTED:
                for chunk in CHUNKS:
                    content = self.place.objects[f"{chunk}/{block}"][0]
                    assert crc(content) == claim.checksums[chunk]

    def _finish(self) -> None:
        """All that live end, and one more finds nothing held."""
        self.place.seconds += LEASE + 2
        for writer in self.writers:
            while not writer.is_over:
                writer.step()
        self.place.seconds += LEASE + 2
        self.writers.append(self.started())
        while not self.writers[-1].is_over:
            self.writers[-1].step()
        self.what_is_committed_is_whole()
        for block in range(BLOCKS):
            claim = parse_claim(self.place.objects[claim_key(PATH, block)][0])
            assert claim.state == COMMITTED
            assert self.place.objects[f"status/{block}"][0].hex() == claim.status


class Careless(Writers):
    """The same writers on a store that asks for no condition of data."""

    store = Unconditional


def crc(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


def options(runs: int, phases: Sequence[Phase] = tuple(Phase)) -> settings:
    return settings(
        phases=phases,
        max_examples=runs,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def test_no_order_of_calls_tears_a_block():
    run_state_machine_as_test(Writers, settings=options(RUNS))


def test_data_without_a_condition_would_tear_blocks():
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Careless, settings=options(2000, (Phase.generate,)))
