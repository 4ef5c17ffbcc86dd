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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from threading import Lock, Thread

from vifistore.errors import LockedError
from vifistore.store.claims.claim_objects import (
    ClaimObjects,
    Committed,
    HeldClaim,
    lease_of_process,
    new_owner,
)
from vifistore.store.claims.claims import COMMITTED, HELD, TURN, BlockClaim
from vifistore.store.key_value.conditional import ChangedError, Conditional, Seen, StoreClock
from vifistore.store.key_value.durable import parallel

logger = logging.getLogger("vifi")

_RENEWALS = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class BlockClaims:
    """The claims of one process on blocks of one feature set: see `Claiming`."""

    def __init__(
        self,
        place: Conditional,
        feature_path: str,
        *,
        owner: str = "",
        lease_seconds: float = 0.0,
        clock: StoreClock | None = None,
        pause: Callable[[float], None] = time.sleep,
        renews: bool = True,
        threads: int = 1,
        stored: Callable[[int], Committed] = lambda block: ({}, ""),
        is_torn: Callable[[int, BlockClaim], bool] = lambda block, claim: False,
    ) -> None:
        """`renews`: whether a thread renews the claims as long as there are any. `threads`: how
        many blocks are claimed at once. `stored`: what there is of a block without a claim.
        `is_torn`: whether one that was held has other chunks than its claim says."""
        self._place, self._path = place, feature_path
        self.owner = owner or new_owner()
        self._objects = ClaimObjects(place, feature_path, clock or StoreClock())
        self._lease, self._pause = lease_seconds or lease_of_process(), pause
        self._threads = threads
        self._stored, self._is_torn = stored, is_torn
        self._own: dict[int | str, HeldClaim] = {}
        # Renewing is done by a thread of its own, and blocks are written by several.
        self._turns: dict[int | str, Lock] = {}
        self._starting = Lock()
        self._renews, self._renewing = renews, False

    def own(self, block: int | str) -> HeldClaim | None:
        """What this process has of a block, also once that is committed."""
        return self._own.get(block)

    def held(self, block: int | str) -> HeldClaim | None:
        """What this process has of a block that it may write now."""
        own = self._own.get(block) if self._has(block) else None
        return own if own and own.claim.expires > self._objects.now() else None

    def acquire(self, blocks: Iterable[int]) -> list[int]:
        """Claim blocks; return those that were not claimed by this process before.

        Raises LockedError if another process has one of them, then nothing more is claimed; and
        where one was lost and not released since: what was made of it before is of no use.
        """
        for block in filter(self._is_lost, blocks := sorted(blocks)):
            raise self._lost(block)
        wanted, holders = self._take_each(blocks)
        if holders:
            self.release(block for block in wanted if block not in holders)
            block, holder = min(holders.items())
            raise LockedError(
                f"block {block} of {self._path} is being written by {holder}; wait for it, or "
                "give --blocks that do not overlap with its own"
            )
        return wanted

    def take_free(self, blocks: Iterable[int]) -> list[int]:
        """Claim those of some blocks that nobody has; return them."""
        wanted, holders = self._take_each(blocks)
        return [block for block in wanted if block not in holders]

    def _take_each(self, blocks: Iterable[int]) -> tuple[list[int], dict[int, str]]:
        """The blocks that this process does not have, all claimed but those that others have."""
        wanted = [b for b in sorted(set(blocks)) if not self._has(b) and not self._is_lost(b)]
        if wanted:
            # Once, and not by each of the threads.
            self._objects.now()
        holders = parallel(self._take, wanted, self._threads)
        return wanted, {b: holder for b, holder in zip(wanted, holders, strict=True) if holder}

    def _has(self, block: int | str) -> bool:
        own = self._own.get(block)
        return own is not None and own.claim.state == HELD and not own.is_lost

    def _is_lost(self, block: int | str) -> bool:
        own = self._own.get(block)
        return own is not None and own.is_lost

    def release(self, blocks: Iterable[int | str] | None = None) -> None:
        """Give up these blocks, or all; others can claim them at once."""
        parallel(self._release, list(self._own) if blocks is None else list(blocks), self._threads)

    def _release(self, block: int | str) -> None:
        with self._turn_of(block):
            own = self._own.pop(block, None)
            if own is None or own.claim.state != HELD:
                return
            # One in which nothing was written is what it was.
            state = COMMITTED if own.is_whole and own.claim.checksums else HELD
            with contextlib.suppress(ChangedError):
                claim = replace(own.claim, expires=0.0, state=state)
                self._objects.swap(block, claim, own.seen)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this process's turn to plan, seal or name the set, and hold it."""
        wait = _FIRST_PAUSE
        while holder := self._take(TURN):
            self._pause(wait)
            if wait < _LONGEST_PAUSE <= 2 * wait:
                told = (
                    "waiting for %s, which changes %s; if it was killed, its turn ends in minutes"
                )
                logger.info(told, holder, self._path)
            wait = min(2 * wait, _LONGEST_PAUSE)
        try:
            yield
        finally:
            self.release([TURN])

    def renew(self) -> None:
        """Make the claims last longer. One that was taken over is noticed when it is used."""
        parallel(self._renew, [block for block in list(self._own) if self._has(block)], 16)

    def _renew(self, block: int | str) -> None:
        with contextlib.suppress(LockedError, KeyError):
            self._change(block, expires=self._objects.now() + self._lease)

    def _keep(self) -> None:
        """Renew as long as a claim is held."""
        while True:
            time.sleep(self._lease / _RENEWALS)
            with self._starting:
                if not any(self._has(block) for block in list(self._own)):
                    self._renewing = False
                    return
            try:
                self.renew()
            except OSError as error:
                # It expires if this goes on, which is noticed when it is used. Of a disk on the
                # network it is none of ours.
                logger.warning("claims on blocks of %s are not renewed: %s", self._path, error)

    def write(
        self, block: int | str, files: Mapping[str, bytes], *, are_beside: bool = False
    ) -> None:
        """Write chunks of a claimed block by their keys; or files that are none of its chunks, and
        are guarded by its claim (`are_beside`).

        Raises LockedError where the claim was taken over: what was written does not count.
        """
        is_new = self._own[block].is_first and not are_beside
        looked = {key: None if is_new else self._place.look(key) for key in files}
        self._require_own(block)
        if not are_beside:
            with self._turn_of(block):
                self._own[block] = replace(self._own[block], is_whole=False, is_first=False)
        for key, content in files.items():
            self._write_one(block, key, content, looked[key])

    def _write_one(self, block: int | str, key: str, content: bytes, seen: Seen | None) -> None:
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

    def forget(self, block: int) -> None:
        """Have a claimed block count as never committed. Raises LockedError as `commit` does."""
        self._change(block, checksums={}, status="")

    def follow(self, block: int, key: str, encoded: Callable[[bytes], bytes]) -> None:
        """Have the chunk of `status` say what the claim of a block says, if that is committed.

        `encoded` makes the chunk of uint8 [video]. Whoever finds that a writer was killed between
        the two may call it: a later writer looks later, and replaces what is written here.
        """
        there, found = self._place.fetch(key), self._objects.fetch(block)
        if found is None or found[0].state != COMMITTED:
            return
        content = encoded(bytes.fromhex(found[0].status))
        if there is None or there[0] != content:
            with contextlib.suppress(ChangedError):
                self._place.swap(key, content, there and there[1])

    def _turn_of(self, block: int | str) -> Lock:
        return self._turns.setdefault(block, Lock())

    def _change(self, block: int | str, **fields: object) -> None:
        """Replace fields of an own claim. Raises LockedError where it was taken over."""
        with self._turn_of(block):
            own = self._own[block]
            claim = replace(own.claim, **fields)  # pyright: ignore[reportArgumentType]
            seen = self._objects.put(block, claim, own.seen)
            if seen is None:
                raise self._lost(block)
            self._own[block] = replace(own, claim=claim, seen=seen)

    def _require_own(self, block: int | str) -> None:
        with self._turn_of(block):
            own, found = self._own[block], self._objects.fetch(block)
            if found is None or (found[0].epoch, found[0].owner) != (own.claim.epoch, self.owner):
                raise self._lost(block)

    def _lost(self, block: int | str) -> LockedError:
        self._own[block] = replace(self._own[block], is_lost=True)
        found = self._objects.fetch(block)
        holder = found[0].owner if found else "nobody"
        return LockedError(
            f"the claim on {block} of {self._path} had expired and is now of {holder}; what this "
            "process has not committed of it is done there, run the same command again for others"
        )

    def _take(self, block: int | str) -> str:
        """Claim a block; return who has it if that is not possible, else nothing."""
        with self._turn_of(block):
            return self._taken(block)

    def _taken(self, block: int | str) -> str:
        found = self._objects.fetch(block)
        if found is None:
            seen, epoch, state = None, 1, COMMITTED
            old = self._stored(block) if isinstance(block, int) else ({}, "")
        else:
            (claim, seen), now = found, self._objects.now()
            if claim.state == HELD and claim.owner != self.owner and claim.expires > now:
                return claim.owner
            old, epoch, state = (claim.checksums, claim.status), claim.epoch + 1, claim.state
            if isinstance(block, int) and state == HELD and self._is_torn(block, claim):
                old = ({}, "")
        new = BlockClaim(
            epoch=epoch,
            owner=self.owner,
            expires=self._objects.now() + self._lease,
            state=HELD,
            checksums=old[0],
            status=old[1],
        )
        there = self._objects.put(block, new, seen)
        if there is None:
            found = self._objects.fetch(block)
            return found[0].owner if found else "another process"
        is_first = found is None and not old[1]
        # Where another was about to write, its chunks may still come.
        is_whole = state == COMMITTED
        self._own[block] = HeldClaim(claim=new, seen=there, is_first=is_first, is_whole=is_whole)
        self._start_renewing()
        return ""

    def _start_renewing(self) -> None:
        with self._starting:
            if self._renews and not self._renewing:
                self._renewing = True
                Thread(target=self._keep, daemon=True).start()
