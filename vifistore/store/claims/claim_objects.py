"""The objects of the claims on the blocks of one feature set, read and replaced on condition."""

import functools
import os
import socket
import uuid
from dataclasses import dataclass

from vifistore.errors import DamagedError
from vifistore.store.claims.claims import CLAIMS, BlockClaim, claim_bytes, claim_key, parse_claim
from vifistore.store.key_value.conditional import ChangedError, Conditional, Seen, StoreClock

LEASE = "VIFI_CLAIM_SECONDS"
"""Environment variable: how long a claim of this process lasts that is not renewed."""
_LEASE_SECONDS = 180.0

Committed = tuple[dict[str, str], str]
"""Checksums by array and status of a block, as a claim has them."""


@dataclass(frozen=True, kw_only=True)
class HeldClaim:
    """A claim that this process has, and the state of its object."""

    claim: BlockClaim
    seen: Seen
    is_first: bool
    """Whether nobody has written the block before."""
    is_whole: bool
    """Whether the block's chunks are those of the checksums of the claim."""
    is_lost: bool = False
    """Whether it was found to be taken over."""


def lease_of_process() -> float:
    """How many seconds claims of this process last, by `VIFI_CLAIM_SECONDS`."""
    told = os.environ.get(LEASE, "")
    return float(told) if told.isdecimal() and int(told) else _LEASE_SECONDS


def new_owner() -> str:
    """A name of this process that no other has, on any machine."""
    return _owner_of(os.getpid())


@functools.cache
def _owner_of(process: int) -> str:
    # By its number: a process that was forked is another one.
    return f"process {process} on {socket.gethostname()} ({uuid.uuid4().hex[:8]})"


class ClaimObjects:
    """Claims of one set by block, or by TURN."""

    def __init__(self, place: Conditional, feature_path: str, clock: StoreClock) -> None:
        self._place, self._path, self._clock = place, feature_path, clock

    def fetch(self, block: int | str) -> tuple[BlockClaim, Seen] | None:
        """A claim, and the state of its object; None if there is none.

        Raises DamagedError for an object that is no claim.
        """
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

    def swap(self, block: int | str, claim: BlockClaim, seen: Seen | None) -> None:
        """Write a claim whose object is as it was seen. Raises ChangedError as `Conditional`."""
        self._place.swap(claim_key(self._path, block), claim_bytes(claim), seen)

    def put(self, block: int | str, claim: BlockClaim, seen: Seen | None) -> Seen | None:
        """The state of the object once such a claim is written; None if it was not as seen.

        Where another process has written its own since, that is the state of before, which nothing
        can be written on.
        """
        try:
            self.swap(block, claim, seen)
            is_written = True
        except ChangedError:
            # Unless its answer was lost: then it is what is there now.
            is_written = False
        found = self._place.fetch(claim_key(self._path, block))
        if found is None or found[0] != claim_bytes(claim):
            return seen if is_written else None
        self._clock.set_by(found[1])
        return found[1]

    def now(self) -> float:
        """Seconds since 1970 by the store's clock."""
        if not self._clock.is_set:
            self._clock.ask(self._place, f"{self._path}/{CLAIMS}")
        return self._clock.now()
