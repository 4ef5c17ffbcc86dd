"""FeatureWriters on claims in every order of their requests, killed, stopped and woken up late."""

import contextlib
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from tests.support import block_data, plain_recipe
from tests.vifistore.store.remembered_store import Bucket, remembered_store
from tests.vifistore.store.stepped_writers import LEASE, WRITERS, SteppedWriters
from vifistore.errors import IncompleteError, LockedError
from vifistore.store.claims.claimed_set import ClaimedSet
from vifistore.store.claims.claims import COMMITTED, claim_key, parse_claim
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.conditional import StoreClock
from vifistore.store.schema import TODO
from vifistore.store.store import Store
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.store.zarr_format.chunks import checksums, manifest_digest

BLOCKS, NUM_VIDEOS = 2, 70
ID = plain_recipe().id
PATH = f"features/d/{ID}"
RUNS = 300 if os.environ.get("VIFI_LONG") else 6


class FeatureWriters(SteppedWriters):
    """Processes of several machines at one set, as extraction has them."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Bucket()
        self.backend = remembered_store(self.place)
        self.begin()

    def _open(self, number: int) -> FeatureWriter:
        def opened(*_, **__) -> ClaimedSet:
            clock = StoreClock(lambda: self.place.seconds)
            options = {"owner": f"w{number}", "lease_seconds": LEASE, "renews": False}
            # Whoever has the turn may be dead.
            options["pause"] = lambda _: self.pass_time(1)
            return ClaimedSet(self.backend, self.place, PATH, clock=clock, **options)

        shape = Shape(video=NUM_VIDEOS, view=1, frame=2, dim=4)
        dataset = Dataset(Store(self.backend), "d")
        OPENED.append(opened)
        return FeatureWriter(dataset, plain_recipe().as_dict(), shape, {"host": f"w{number}"})

    def _work(self, number: int) -> None:
        with contextlib.suppress(LockedError, IncompleteError):
            writer = self._open(number)
            # The first goes over what is settled, as a retry does: it keeps its blocks to the end.
            taken = writer.claim_free(range(BLOCKS)) if number == 1 else []
            if taken:
                writer.unseal()
            for block in taken:
                rows = list(writer.block_rows(block))
                writer.write_block(block, rows, data_of(rows, number))
            for block in range(BLOCKS):
                if writer.todo_rows(block) and writer.claim_free([block]):
                    if rows := writer.todo_rows(block):
                        writer.write_block(block, rows, data_of(rows, number))
                    writer.release([block])
            writer.refresh()
            if not writer.todo_blocks() and writer.needs_seal:
                writer.seal()

    def pass_time(self, seconds: float) -> None:
        self.place.seconds += seconds

    @rule(which=st.integers(0, WRITERS - 1), count=st.integers(1, 60))
    def go_on(self, which, count):
        for _ in range(count):
            self.writers[which].step()

    @invariant()
    def what_is_committed_is_whole(self):
        for block in range(BLOCKS):
            stored = self.place.objects.get(claim_key(PATH, block))
            claim = stored and parse_claim(stored[0])
            for name, told in claim.checksums.items() if claim else ():
                # A status follows; of a block that is held again the others may be new.
                if name != "status" and claim.state == COMMITTED:
                    (chunk,) = [
                        content[0]
                        for key, content in self.place.objects.items()
                        if key.startswith(f"{PATH}/{name}/c.{block}")
                    ]
                    assert chunk[-4:].hex() == told

    def _finish(self) -> None:
        """All that live end, and one more finds nothing held and seals."""
        for writer in [*self.writers, None]:
            self.place.seconds += LEASE + 2
            last = writer or self.started()
            if writer is None:
                self.writers.append(last)
            while not last.is_over:
                last.step()
        self.what_is_committed_is_whole()
        self.place.before = lambda: None
        sealed = self.backend.attributes(PATH)["sealed"]
        assert sealed["rows"] == NUM_VIDEOS
        stored = checksums(self.backend, PATH, NUM_VIDEOS)
        assert sealed["manifest"] == manifest_digest(stored)
        assert (self.backend.read(f"{PATH}/status") != TODO).all()
        for block in range(BLOCKS):
            rows = slice(block * 64, min(block * 64 + 64, NUM_VIDEOS))
            of_frames = self.backend.read(f"{PATH}/frames")[rows, 0, 0, 0]
            assert len({*of_frames.tolist(), *self.backend.read(f"{PATH}/attempts")[rows]}) == 1


def data_of(rows: list[int], number: int) -> dict[str, np.ndarray]:
    """Arrays that tell who wrote them."""
    data = block_data(np.full((len(rows), 1, 2, 4), float(number)))
    data["attempts"] = np.full(len(rows), number, np.uint8)
    return data


OPENED: list = []


@pytest.fixture
def opened_here(monkeypatch):
    monkeypatch.setattr("vifistore.store.writer.open_claims", lambda *_, **__: OPENED.pop()())
    yield
    OPENED.clear()


@pytest.mark.usefixtures("opened_here")
def test_no_order_of_requests_tears_a_set():
    run_state_machine_as_test(
        FeatureWriters,
        settings=settings(
            phases=tuple(Phase),
            max_examples=RUNS,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
