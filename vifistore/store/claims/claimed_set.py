"""Blocks of a feature set where no lock reaches every writer: written under claims.

A block is committed by its claim, and its chunk of `status` follows. What the claims say is the
truth: it is read from them, and who seals the set writes what a killed process left to follow.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from vifistore.errors import DamagedError, IncompleteError, LockedError, UsageError
from vifistore.store.claims.block_claims import BlockClaims
from vifistore.store.claims.claim_listing import ClaimListing, ListedClaim
from vifistore.store.claims.claim_objects import ClaimObjects, Committed
from vifistore.store.claims.claims import BY_CLAIMS, CLAIMS, HELD, TURN, BlockClaim, OtherClaim
from vifistore.store.claims.status_chunks import listed_versions, md5, put_status, status_of_blocks
from vifistore.store.feature_record import FeatureRecord
from vifistore.store.key_value.conditional import Conditional, StoreClock
from vifistore.store.key_value.durable import parallel
from vifistore.store.key_value.storage import LocalStorage
from vifistore.store.schema import BLOCK_SIZE, TODO
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_files import BlockFiles, joined, status_encoder
from vifistore.store.zarr_format.block_ranges import blocks_of, num_blocks
from vifistore.store.zarr_format.chunks import checksums
from vifistore.store.zarr_format.layout import Layout

_CHECKSUM_BYTES = 4


class ClaimedSet:
    """See `Claiming`."""

    expire = True

    def __init__(
        self,
        backend: Backend,
        place: Conditional,
        feature_path: str,
        *,
        clock: StoreClock | None = None,
        **options: Any,
    ) -> None:
        """`options` are those of BlockClaims."""
        self._backend, self._place, self._path = backend, place, feature_path
        self._threads = backend.place.threads(0)
        self._known_layouts: dict[str, Layout] = {}
        self._reading_layouts = Lock()
        clock = clock or StoreClock()
        options |= {"threads": self._threads, "stored": self._stored}
        options |= {"is_torn": lambda block, claim: self._is_torn(block, claim.checksums)}
        self._claims = BlockClaims(place, feature_path, clock=clock, **options)
        self._objects = ClaimObjects(place, feature_path, clock)
        self._listing = ClaimListing(backend.place, self._objects, feature_path)

    def acquire(self, blocks: Iterable[int]) -> list[int]:
        """See Claiming."""
        return self._claims.acquire(blocks)

    def take_free(self, blocks: Iterable[int]) -> list[int]:
        """See Claiming."""
        return self._claims.take_free(blocks)

    def release(self, blocks: Iterable[int] | None = None) -> None:
        """See Claiming."""
        self._claims.release(blocks)

    def others(self, blocks: Collection[int]) -> dict[int, OtherClaim]:
        """See Claiming."""
        now = self._objects.now()
        held = {b: told for b, told in self._holders(list(blocks)).items() if told[1] > now}
        return {
            block: OtherClaim(holder=holder, expires=expires, seconds_left=expires - now)
            for block, (holder, expires) in held.items()
            if holder not in ("", self._claims.owner)
        }

    def _holders(self, blocks: Sequence[int]) -> dict[int, tuple[str, float]]:
        """Who holds each block, empty where it is committed, and until when."""
        if len(blocks) > self._threads:
            listed = self._listing.refresh()
            return {b: (listed[b].holder, listed[b].expires) for b in blocks if b in listed}
        # Of few blocks a list of all claims would be a longer way.
        found = zip(blocks, parallel(self._objects.fetch, blocks, self._threads), strict=True)
        claims = {block: there[0] for block, there in found if there}
        return {b: (c.owner if c.state == HELD else "", c.expires) for b, c in claims.items()}

    @contextlib.contextmanager
    def turn(self) -> Iterator[Backend]:
        """See Claiming."""
        with self._claims.turn():
            yield self._backend.putting(self._put_in_turn)

    def _put_in_turn(self, *stages: Mapping[str, Sequence]) -> None:
        for stage in stages:
            self._claims.write(TURN, {key: joined(buffers) for key, buffers in stage.items()})

    @contextlib.contextmanager
    def alone(self, num_blocks: int) -> Iterator[None]:
        """See Claiming."""
        with self._claims.turn():
            for block, claim in self.others(self._listing.refresh()).items():
                raise LockedError(
                    f"block {block} of {self._path} is being written by {claim.holder}; wait for it"
                )
            yield

    def begin(self, backend: Backend) -> None:
        """See Claiming."""
        is_told = backend.attributes(self._path).get(BY_CLAIMS)
        if isinstance(self._backend.place, LocalStorage) and not is_told:
            raise UsageError(
                f"{self._path} was begun without --claims by another process just now; run the "
                "same command without it"
            )
        backend.require_schema(2)
        if not backend.exists(folder := f"{self._path}/{CLAIMS}"):
            backend.make_group(folder, {})

    def tidy(self) -> None:
        """See Claiming: what others are writing cannot be told from what was left."""

    def put(self, group: Mapping[int, BlockFiles], before: Mapping[str, Sequence]) -> None:
        """See Claiming."""
        self._backend.put(before)
        parallel(lambda item: self._put_block(*item), group.items(), self._threads)

    def _put_block(self, block: int, files: BlockFiles) -> None:
        self._claims.write(block, {key: joined(data) for key, data in files.chunks.values()})
        key, buffers = files.status
        self._commit(block, files.checksums, key, bytes(buffers[0]))

    def _commit(self, block: int, changed: Mapping[str, str], key: str, status: bytes) -> None:
        """Commit a block whose chunks have these checksums, or those that they had."""
        own = self._claims.own(block)
        kept = own.claim.checksums if own else {}
        told = {"status": self._encoded(status)[-_CHECKSUM_BYTES:].hex()}
        self._claims.commit(block, {**kept, **changed, **told}, status)
        self._remember(block)
        self._claims.follow(block, key, self._encoded)

    def _remember(self, block: int) -> None:
        own = self._claims.own(block)
        if own and own.seen.e_tag:
            self._listing.remember(block, own.claim, own.seen.e_tag)

    def put_beside(self, files: Mapping[int, tuple[str, Sequence]]) -> None:
        """See Claiming."""

        def put_one(item: tuple[int, tuple[str, Sequence]]) -> None:
            block, (key, buffers) = item
            self._claims.write(block, {key: joined(buffers)}, are_beside=True)

        parallel(put_one, files.items(), self._threads)

    def forget(self, status: Mapping[int, tuple[str, Sequence]]) -> None:
        """See Claiming."""
        for block, (key, buffers) in status.items():
            self._claims.forget(block)
            self._claims.write(block, {key: joined(buffers)})

    def reopen(self, status: Mapping[int, tuple[str, bytes]]) -> None:
        """See Claiming."""
        parallel(lambda item: self._commit(item[0], {}, *item[1]), status.items(), self._threads)

    def read_status(self, start: int, stop: int) -> np.ndarray:
        """See Claiming."""
        blocks = blocks_of(start, stop)
        # What is held changes under no other's hands.
        held = {block: own.claim for block in blocks if (own := self._claims.held(block))}
        known = {block: bytes.fromhex(claim.status) for block, claim in held.items()}
        if len(held) < len(blocks):
            listed = self._listing.refresh().items()
            known = {b: self._status_of(b, claim) for b, claim in listed if b in blocks} | known
        found = {block: np.frombuffer(codes, np.uint8) for block, codes in known.items()}
        # As of a set that was written before there were claims.
        if others := set(blocks) - known.keys():
            found |= status_of_blocks(self._backend, self._path, others)
        status = np.full(stop - start, TODO, np.uint8)
        put_status(status, start, found)
        return status

    def _status_of(self, block: int, claim: ListedClaim) -> bytes:
        """The status of a block as it was committed; empty for one that a killed writer tore."""
        is_left = not claim.is_committed and claim.status and claim.expires <= self._objects.now()
        if is_left and self._is_torn(block, {n: end.hex() for n, end in claim.checksums.items()}):
            return b""
        return claim.status

    def _is_torn(self, block: int, committed: Mapping[str, str]) -> bool:
        """Whether chunks of a block, which has these checksums by its claim, are others."""
        if self._is_sealed():
            # It grows: whoever writes more rows of a block leaves those that it has as they are.
            return False
        try:
            # Its status follows, or is to.
            return any(
                self._tail(name, block).hex() != told
                for name, told in committed.items()
                if name != "status"
            )
        except DamagedError:
            return True

    def _is_sealed(self) -> bool:
        try:
            return bool(self._backend.attributes(self._path).get("sealed"))
        except DamagedError:
            return False

    def settled_checksums(self, num_rows: int) -> dict[str, list[bytes]]:
        """See Claiming."""
        blocks = range(num_blocks(num_rows))
        claims = self._listing.refresh()
        if left := [b for b in blocks if b in claims and not claims[b].is_committed]:
            self._settle(left)
            claims = self._listing.refresh()
        known = {block: claim.checksums for block, claim in claims.items()}
        self._follow([block for block in blocks if block in claims], claims)
        return checksums(self._backend, self._path, num_rows, known)

    def _settle(self, blocks: Sequence[int]) -> None:
        """Commit blocks of writers that were killed before they wrote: they are as before.

        Raises LockedError for one that is being written, IncompleteError for one that was torn.
        """
        self._claims.acquire(blocks)
        for block in blocks:
            own = self._claims.own(block)
            assert own is not None, "it was just acquired"
            self._commit_again(block, own.claim)
            self._remember(block)

    def _commit_again(self, block: int, claim: BlockClaim) -> None:
        keys = {name: key for name, key in self._keys(block).items() if name != "status"}
        files = {name: self._backend.place.get(key) for name, key in keys.items()}
        ends = {name: file[-_CHECKSUM_BYTES:].hex() for name, file in files.items()}
        if any(claim.checksums.get(name) != end for name, end in ends.items()):
            self._claims.forget(block)
            raise IncompleteError(
                f"block {block} of {self._path} was left half written; run vifi extract again"
            )
        # Written anew: who looked at them before, and wakes up, is refused.
        self._claims.write(block, {keys[name]: file for name, file in files.items()})
        self._claims.commit(block, claim.checksums, bytes.fromhex(claim.status))

    def _follow(self, blocks: Sequence[int], claims: Mapping[int, ListedClaim]) -> None:
        """Have each chunk of `status` be that of its claim."""
        listed = listed_versions(self._backend, self._path)
        digests = {
            status: md5(self._encoded(status)) for status in {claims[b].status for b in blocks}
        }

        def follow(block: int) -> None:
            with contextlib.suppress(DamagedError):
                if self._tail("status", block) == claims[block].checksums["status"]:
                    return
            self._claims.follow(block, self._keys(block)["status"], self._encoded)

        left = [block for block in blocks if listed.get(block) != digests[claims[block].status]]
        parallel(follow, left, self._threads)

    def _stored(self, block: int) -> Committed:
        """What there is of a block that has no claim: it was written before there were any."""
        if not self._backend.place.exists(self._keys(block)["status"]):
            return {}, ""
        start = block * BLOCK_SIZE
        try:
            status = self._backend.read(f"{self._path}/status", start, start + BLOCK_SIZE)
            stored = {name: self._tail(name, block).hex() for name in self._keys(block)}
        except DamagedError:
            return {}, ""
        return (stored, status.tobytes().hex()) if status.any() else ({}, "")

    def _tail(self, name: str, block: int) -> bytes:
        return self._backend.tail(self._keys(block)[name], _CHECKSUM_BYTES)

    def _keys(self, block: int) -> dict[str, str]:
        """Keys of the chunks of a block by array."""
        return {n: grid.key(f"{self._path}/{n}", block) for n, grid in self._layouts.items()}

    @property
    def _layouts(self) -> dict[str, Layout]:
        # Threads ask at once, and one is to read them for all. No cached_property: in Python 3.11
        # one set that is asked for its own waits for the others.
        with self._reading_layouts:
            if not self._known_layouts:
                specs = FeatureRecord(self._backend, self._path).specs
                own = {name: self._backend.own_layout(f"{self._path}/{name}") for name in specs}
                self._known_layouts = own
        return self._known_layouts

    def _encoded(self, status: bytes) -> bytes:
        return joined(status_encoder(self._layouts["status"])(status))
