"""Blocks of a process that may have been killed: waited for until its claims expire.

A process that lives renews its claims, so that they expire ever later; claims that do not are of
one that is gone, or cut off. Locks on a disk end with their process, and are never waited for.
"""

import logging
import time
from collections.abc import Callable, Collection

from vifistore.errors import first_few
from vifistore.store.claims.claiming import Claiming
from vifistore.store.claims.claims import OtherClaim

logger = logging.getLogger("vifi")

_LOOK_SECONDS = 3.0


class TakingOver:
    """Waits for blocks of one set."""

    def __init__(self, claims: Claiming, pause: Callable[[float], None] = time.sleep) -> None:
        self._claims, self._pause = claims, pause
        self._has_told = False
        self._living: set[str] = set()
        self._tried: set[int] = set()

    def wait(self, blocks: Collection[int]) -> bool:
        """Wait until one of these blocks, which are to do, can be had, or is done. False, at once
        or as soon as it is known, where all of them are of processes that live."""
        first = found = self._claims.others(blocks)
        free = set(blocks) - first.keys() - self._tried
        if self._claims.expire and free:
            # They expired since they were asked for; once, so that nothing is tried for ever.
            self._tried |= free
            return True
        waiting = [block for block in first if first[block].holder not in self._living]
        while waiting:
            self._tell([found[block] for block in waiting])
            soonest = min(found[block].seconds_left for block in waiting)
            # A little later: it is not yet free in the moment in which it expires.
            self._pause(min(_LOOK_SECONDS, soonest + 0.1))
            found = self._claims.others(first)
            if found.keys() != first.keys():
                return True
            self._living |= {found[b].holder for b in found if found[b].expires > first[b].expires}
            waiting = [block for block in waiting if found[block].holder not in self._living]
        return False

    def _tell(self, waiting: Collection[OtherClaim]) -> None:
        """Say once what is waited for."""
        if self._has_told:
            return
        self._has_told = True
        holders = first_few(dict.fromkeys(claim.holder for claim in waiting), 2)
        logger.info(
            "the last %d blocks are claimed by %s: waiting to see who is at work; claims of what "
            "was killed expire within %.0f s, and this run then does its blocks",
            *(len(waiting), holders, max(claim.seconds_left for claim in waiting)),
        )
