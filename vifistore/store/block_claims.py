"""Claims in the place of locks: one writer per block, where no lock reaches every machine.

A claim is taken, renewed, committed and given up by conditional writes of its one object; whoever
took it over has written a higher epoch into it, and the writer of before is refused from then on,
whenever it wakes up. The protocol of a block:

1. take: create the claim, or replace one that is committed or has expired, with the next epoch;
2. write each chunk on condition that nobody else has since it was looked at, and look at the claim
   in between: while it is one's own, no later writer has looked yet;
3. commit: replace one's own claim by its committed state, with the checksums of the chunks;
4. follow: write the chunk of `status`, likewise. It follows from the claim: whoever finds it
   missing may write it.

A writer that was overtaken fails in 2 or 3. What it still wrote in 2, before the next one has
looked, that one finds changed, and replaces.
"""

import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock, Thread

from vifistore.errors import DamagedError, LockedError, StoreError
from vifistore.store.claims import (
    COMMITTED,
    HELD,
    TURN,
    BlockClaim,
    claim_bytes,
    claim_key,
    parse_claim,
)
from vifistore.store.conditional import ChangedError, Conditional, Seen, StoreClock

logger = logging.getLogger("vifi")

LEASE_SECONDS = 180.0
"""How long a claim lasts that is not renewed."""
_RENEWALS = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


@dataclass(frozen=True, kw_only=True)
class _Own:
    """A claim that this process has, and the state of its object."""

    claim: BlockClaim
    seen: Seen
    is_first: bool
    """Whether nobody has claimed the block before."""


def new_owner() -> str:
    """A name of this process that no other has, on any machine."""
    return f"{socket.gethostname()} process {os.getpid()} {uuid.uuid4().hex[:8]}"


class BlockClaims:
    """The claims of one process on blocks of one feature set: see `Claiming`."""

    def __init__(
        self,
        place: Conditional,
        feature_path: str,
        *,
        owner: str = "",
        lease_seconds: float = LEASE_SECONDS,
        clock: StoreClock | None = None,
        pause: Callable[[float], None] = time.sleep,
        renews: bool = True,
    ) -> None:
        """`renews`: whether a thread renews the claims as long as there are any."""
        self._place, self._path = place, feature_path
        self.owner = owner or new_owner()
        self._lease, self._clock, self._pause = lease_seconds, clock or StoreClock(), pause
        self._own: dict[int | str, _Own] = {}
        # Renewing is done by a thread of its own.
        self._turns = Lock()
        self._renews, self._renewing = renews, False

    def acquire(self, blocks: Iterable[int]) -> list[int]:
        """Claim blocks; return those that were not claimed by this process before.

        Raises LockedError if another process has one of them; then nothing more is claimed.
        """
        wanted, taken = sorted(set(blocks) - self._own.keys()), []
        for block in wanted:
            if holder := self._take(block):
                self.release(taken)
                raise LockedError(
                    f"block {block} of {self._path} is being written by {holder}; wait for it, or "
                    "give --blocks that do not overlap with its own"
                )
            taken.append(block)
        return wanted

    def take_free(self, blocks: Iterable[int]) -> list[int]:
        """Claim those of some blocks that nobody has; return them."""
        return [block for block in sorted(set(blocks) - self._own.keys()) if not self._take(block)]

    def release(self, blocks: Iterable[int | str] | None = None) -> None:
        """Give up these blocks, or all; others can claim them at once."""
        for block in list(self._own) if blocks is None else list(blocks):
            own = self._own.pop(block, None)
            if own and own.claim.state == HELD:
                with contextlib.suppress(ChangedError):
                    content = claim_bytes(replace(own.claim, expires=0.0))
                    self._place.swap(claim_key(self._path, block), content, own.seen)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this process's turn to plan, seal or name the set, and hold it."""
        wait = _FIRST_PAUSE
        while self._take(TURN):
            self._pause(wait)
            wait = min(2 * wait, _LONGEST_PAUSE)
        try:
            yield
        finally:
            self.release([TURN])

    def renew(self) -> None:
        """Make the claims last longer. One that was taken over is noticed when it is used."""
        for block in list(self._own):
            own = self._own.get(block)
            if own and own.claim.state == HELD:
                with contextlib.suppress(LockedError):
                    self._change(block, expires=self._clock.now() + self._lease)

    def _keep(self) -> None:
        """Renew as long as a claim is held."""
        while True:
            time.sleep(self._lease / _RENEWALS)
            with self._turns:
                if not any(own.claim.state == HELD for own in self._own.values()):
                    self._renewing = False
                    return
            try:
                self.renew()
            except StoreError as error:
                # It expires if this goes on, which is noticed when it is used.
                logger.warning("claims on blocks of %s are not renewed: %s", self._path, error)

    def write(self, block: int, files: Mapping[str, bytes]) -> None:
        """Write chunks of a claimed block by their keys.

        Raises LockedError where the claim was taken over: what was written does not count.
        """
        looked = {
            key: None if self._own[block].is_first else self._place.look(key) for key in files
        }
        self._require_own(block)
        for key, content in files.items():
            self._write_one(block, key, content, looked[key])

    def _write_one(self, block: int, key: str, content: bytes, seen: Seen | None) -> None:
        while True:
            try:
                return self._place.swap(key, content, seen)
            except ChangedError:
                seen = self._place.look(key)
                # Behind looking: whoever takes the block over now looks later.
                self._require_own(block)

    def commit(self, block: int, checksums: Mapping[str, str], status: bytes) -> None:
        """Say that the chunks of a block are written, and are those of these checksums: from here
        on they count. `status` uint8 [video] is that of its videos.

        Raises LockedError where the claim was taken over: then they do not.
        """
        told = {"checksums": dict(checksums), "status": status.hex(), "state": COMMITTED}
        self._change(block, **told)

    def follow(self, block: int, key: str, encoded: Callable[[bytes], bytes]) -> None:
        """Have the chunk of `status` say what the claim of a block says, if that is committed.

        `encoded` makes the chunk of uint8 [video]. Whoever finds that a writer was killed between
        the two may call it: a later writer looks later, and replaces what is written here.
        """
        there, found = self._place.fetch(key), self._fetch(block)
        if found is None or found[0].state != COMMITTED:
            return
        content = encoded(bytes.fromhex(found[0].status))
        if there is None or there[0] != content:
            with contextlib.suppress(ChangedError):
                self._place.swap(key, content, there and there[1])

    def _change(self, block: int | str, **fields: object) -> None:
        """Replace fields of an own claim. Raises LockedError where it was taken over."""
        with self._turns:
            own = self._own[block]
            claim = replace(own.claim, **fields)  # pyright: ignore[reportArgumentType]
            if not self._put(block, claim, own.seen, own.is_first):
                raise self._lost(block)

    def _require_own(self, block: int) -> None:
        with self._turns:
            own, found = self._own[block], self._fetch(block)
        if found is None or (found[0].epoch, found[0].owner) != (own.claim.epoch, self.owner):
            raise self._lost(block)

    def _lost(self, block: int | str) -> LockedError:
        found = self._fetch(block)
        holder = found[0].owner if found else "nobody"
        return LockedError(
            f"the claim on {block} of {self._path} had expired and is now of {holder}; what this "
            "process has not committed of it is done there, run the same command again for others"
        )

    def _take(self, block: int | str) -> str:
        """Claim a block; return who has it if that is not possible, else nothing."""
        found = self._fetch(block)
        if found is None:
            claim, seen = self._new(1), None
        else:
            old, seen = found
            if old.state == HELD and old.owner != self.owner and old.expires > self._now():
                return old.owner
            claim = replace(self._new(old.epoch + 1), checksums=old.checksums, status=old.status)
        if self._put(block, claim, seen, is_first=found is None):
            return ""
        found = self._fetch(block)
        return found[0].owner if found else "another process"

    def _new(self, epoch: int) -> BlockClaim:
        expires = self._now() + self._lease
        return BlockClaim(
            epoch=epoch, owner=self.owner, expires=expires, state=HELD, checksums={}, status=""
        )

    def _put(self, block: int | str, claim: BlockClaim, seen: Seen | None, is_first: bool) -> bool:
        """Write a claim that is as it was seen; return whether it is written."""
        key, content = claim_key(self._path, block), claim_bytes(claim)
        with contextlib.suppress(ChangedError):
            self._place.swap(key, content, seen)
        # Whether it took place is what is there now: its answer may have been lost.
        found = self._place.fetch(key)
        if found is None or found[0] != content:
            return False
        self._own[block] = _Own(claim=claim, seen=found[1], is_first=is_first)
        self._clock.set_by(found[1])
        if self._renews and not self._renewing:
            self._renewing = True
            Thread(target=self._keep, daemon=True).start()
        return True

    def _fetch(self, block: int | str) -> tuple[BlockClaim, Seen] | None:
        """Raises DamagedError for an object that is no claim."""
        key = claim_key(self._path, block)
        found = self._place.fetch(key)
        if found is None:
            return None
        try:
            return parse_claim(found[0]), found[1]
        except ValueError as error:
            raise DamagedError(
                f"{key} is no claim: {error}; remove it while nobody writes the set"
            ) from error

    def _now(self) -> float:
        if not self._clock.is_set:
            key = claim_key(self._path, f"clock-{uuid.uuid4().hex}")
            with contextlib.suppress(ChangedError):
                self._place.swap(key, b"", None)
            seen = self._place.look(key)
            assert seen is not None, "it was just written"
            self._clock.set_by(seen)
            self._place.remove(key)
        return self._clock.now()
